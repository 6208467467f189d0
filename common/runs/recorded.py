"""What data a configuration file was made on, so that `--config` does not train on other data unseen.

A run's config.json and a search's best.json say it. Hyperparameters found on one data set may be meant
for another one, but then --data says so; the default of --data is nobody's decision.
"""

import shlex
from pathlib import Path

from common.basics.errors import UsageError
from common.basics.files import read_json


def data_name(data):
    """Returns `--data` as files record it: full, sample, or the whole path."""
    return data if data in ("full", "sample") else str(Path(data).resolve())


def read(path):
    """Returns what a configuration file says of its data, or None where it says nothing.

    Returns:
        Dict of "data" and, as far as they are known, "reading", "label" and "fingerprint".
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


def check(path, options, given):
    """Refuses a command that takes the default of --data where the file was made on other data.

    Args:
        path: The file given with --config.
        options: Of the command; `data` and `reading` are read.
        given: Whether the command line names --data.

    Raises:
        UsageError: It does, or the data is the same but would be read in another way.
    """
    from common.basics.flags import flags

    recorded = read(path)
    if recorded is None:
        return
    here, there = data_name(options.data), recorded["data"]
    if here != there and not given:
        label = f" ({recorded['label']})" if recorded["label"] else ""
        raise UsageError(
            f"{path} was made on the data '{there}'{label}, and without --data this would be on "
            f"'{here}': give --data {shlex.quote(there)}, or --data {here} if that is meant"
        )
    reading = recorded["reading"] or {}
    if here == there and reading and not options.reading.to_dict():
        words = shlex.join(flags(reading))
        raise UsageError(
            f"{path} was made on '{there}' read with {words}, and this would read it without: "
            f"give {words}"
        )


def remark(path, info, data):
    """Returns a line where a training is on other data than its configuration file was made on.

    Args:
        path: The file given with --config.
        info: DataInfo of the data trained on.
        data: `--data` of the training.

    Returns:
        Text, or None where the data is the same: by its fingerprint, where the file knows that.
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
        f"Note: {path} was made on other data ({there}{known}); this trains on {info.label}, "
        f"fingerprint {info.fingerprint[:12]}."
    )
