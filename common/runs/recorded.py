"""The data a configuration file was made on, so that `--config` does not use other data by mistake.

A run's config.json and a search's best.json record it. To use hyperparameters on another data set, name
that with --data: the default of --data alone is not taken as such a wish.
"""

import shlex
from pathlib import Path
from typing import Any, Protocol

from common.basics.errors import UsageError
from common.basics.files import read_json
from common.data.source import Reading
from common.data.types import DataInfo


class DataOptions(Protocol):
    """The options of a command that says which data to use."""

    @property
    def data(self) -> str:
        """--data: full, sample or a path."""

    @property
    def reading(self) -> Reading:
        """How the user's own data is read."""


def data_name(data: str) -> str:
    """Returns `--data` as files record it: full, sample, or the absolute path."""
    return data if data in ("full", "sample") else str(Path(data).resolve())


def read(path: str | Path) -> dict[str, Any] | None:
    """Returns what a configuration file says about its data, or None if it says nothing.

    Returns:
        Dict with "data", "reading", "label" and "fingerprint"; all but "data" may be None.
    """
    path = Path(path)
    held = read_json(path, "configuration")
    if not held.get("data"):
        return None
    environment = path.with_name("environment.json")
    if path.name == "config.json" and environment.exists():
        data = read_json(environment, "environment").get("data") or {}
        held = held | {name: data.get(name) for name in ("label", "fingerprint")}
    return {name: held.get(name) for name in ("data", "reading", "label", "fingerprint")}


def check(path: str | Path, options: DataOptions, given: bool) -> None:
    """Checks that a command without --data uses the data that its configuration file was made on.

    Args:
        path: The file given with --config.
        options: Options of the command.
        given: Whether the command line names --data.

    Raises:
        UsageError: The data is another one and --data is not given, or it is the same but would be read
            in another way.
    """
    from common.basics.flags import flags

    recorded = read(path)
    if recorded is None:
        return
    here, there = data_name(options.data), recorded["data"]
    if here != there and not given:
        label = f" ({recorded['label']})" if recorded["label"] else ""
        raise UsageError(
            f"{path} was made on the data '{there}'{label}, and without --data this command would use "
            f"'{here}': give --data {shlex.quote(there)}, or --data {here} if you want that"
        )
    reading = recorded["reading"] or {}
    if here == there and reading and not options.reading.to_dict():
        words = shlex.join(flags(reading))
        raise UsageError(
            f"{path} was made on '{there}' read with {words}, and this command would read it without: "
            f"give {words}"
        )


def remark(path: str | Path, info: DataInfo, data: str) -> str | None:
    """Returns a line if a training uses other data than its configuration file was made on, else None.

    The fingerprints are compared; if the file has none, the names.

    Args:
        path: The file given with --config.
        info: The data trained on.
        data: `--data` of the training.
    """
    recorded = read(path)
    if recorded is None:
        return None
    same = recorded["data"] == data_name(data)
    if recorded["fingerprint"]:
        same = recorded["fingerprint"] == info.fingerprint
    if same:
        return None
    there = recorded["label"] or recorded["data"]
    known = f", fingerprint {recorded['fingerprint'][:12]}" if recorded["fingerprint"] else ""
    return (
        f"Note: {path} was made on other data ({there}{known}); this training uses {info.label}, "
        f"fingerprint {info.fingerprint[:12]}."
    )
