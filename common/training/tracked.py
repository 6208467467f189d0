"""What of a run, a search or a trial is logged to trackers, as it lies in its folder."""

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.basics.files import read_json
from common.runs import config as configuration
from common.runs.run import Run

FILES = ("report.html", "metrics.json", "config.json", "environment.json")
"""Files that are kept with a run."""
FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is logged: a run, a search, or a trial of one."""

    key: str
    """Known to no other; the same after a kill. The tracker's run is found by it."""
    name: str
    """What people read."""
    group: str
    """The experiment of MLflow, the project of W&B: the name of the recipe."""
    folder: Path
    """Where a tracker keeps files of its own."""
    parameters: Mapping[str, Any]
    branch: str = ""
    """Subfolder for what lies under another subject; "" for one that has none above it."""
    parent: str | None = None
    """Key of the subject that this one lies under."""
    kind: str = "run"
    """run, sweep or trial."""


def subject_of(run: Run, key: str, parent: str | None = None, name: str | None = None) -> Subject:
    """Returns what is logged of a run: every field of its Config, its data, its versions, its commit.

    Args:
        run: Opened; its environment is recorded.
        key: As of Subject.
        parent: As of Subject.
        name: As of Subject. None: the name of the folder.
    """
    parts = run.directory.absolute().parts
    return Subject(
        key=key,
        # Of several seeds in one folder, each has a folder `seed3`.
        name=name or "/".join(parts[-2:] if parts[-1].startswith("seed") else parts[-1:]),
        group=run.recipe,
        folder=run.directory,
        parameters={
            **configuration.to_dict(run.config),
            "recipe": run.recipe,
            "preset": run.preset,
            **environment(run.path("environment.json")),
        },
        parent=parent,
    )


def environment(file: Path) -> dict[str, Any]:
    """Returns the parameters that an environment.json tells: data, backend, versions, commit."""
    held = read_json(file, "environment") if file.exists() else {}
    data = held.get("data") or {}
    versions = {"python": held.get("python"), **(held.get("versions") or {})}
    return {
        **{f"data.{name}": data.get(name) for name in ("label", "version", "fingerprint")},
        "backend": held.get("backend"),
        **{f"version.{name}": version for name, version in versions.items()},
        "commit": held.get("commit"),
        "cpu": held.get("cpu"),
    }


def figures_of(metrics: Mapping[str, Any], timing: Mapping[str, Any]) -> dict[str, float]:
    """Returns the final figures of a run as numbers by name, e.g. "test/accuracy".

    Args:
        metrics: Content of metrics.json.
        timing: Content of timing.json.
    """
    parts = {key: value for key, value in metrics.items() if key != "data"}
    found = {key: parts.pop(key) for key in list(parts) if _is_number(parts[key])}
    found.pop("seed", None)  # A parameter.
    groups: dict[str, Mapping[str, Any]] = {
        key: value for key, value in parts.items() if isinstance(value, dict)
    }
    for row in metrics.get("baselines") or ():
        groups[f"baseline/{row.get('name')}"] = row
    groups["timing"] = timing
    for group, values in groups.items():
        for name, value in values.items():
            ends = value if name.endswith("interval") and isinstance(value, list) else ()
            found |= {
                f"{group}/{name}/{end}": each
                for end, each in zip(("low", "high"), ends, strict=False)
                if _is_number(each)
            }
            if _is_number(value):
                found[f"{group}/{name}"] = value
    return {_plain(name): float(value) for name, value in found.items()}


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(name):
    """Returns a name without the signs that MLflow refuses, e.g. quotation marks."""
    return "".join(sign for sign in name if sign.isalnum() or sign in "_-. /:").strip()


def rows_of(directory: Path) -> list[dict[str, float]]:
    """Returns the rows of history.csv in a folder, `epoch` among their numbers; none without the file."""
    file = directory / "history.csv"
    if not file.exists():
        return []
    with file.open() as text:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(text)
        ]
