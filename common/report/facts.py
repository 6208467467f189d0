"""The contents of the report on a run as a whole: headline, baselines, curves, time, machine, data."""

import csv
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from common.basics.statistics import wilson_interval
from common.basics.wording import DASH, MINUS, duration, number, p_value, percent, plain, shorten
from common.data.types import Splits
from common.report import drawing
from common.runs import headline as headlines


class ReportedTask(Protocol):
    """The parts of a recipe's TASK (`common.tasks.task.Task`) that a report needs."""

    curves: tuple[tuple[str, str], ...]

    def verdict(self, metrics: dict[str, Any]) -> str:
        """As of Task."""

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """As of Task."""

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        """As of Task."""

    def fine_print(
        self,
        metrics: dict[str, Any],
        outputs: dict[str, np.ndarray] | None,
        info: dict[str, Any],
    ) -> list[str]:
        """As of Task."""

    def read(self, path: Path) -> tuple[dict[str, np.ndarray] | None, str | None]:
        """As of Task."""

    def sections(
        self,
        outputs: dict[str, np.ndarray] | None,
        problem: str | None,
        *,
        metrics: dict[str, Any],
        info: dict[str, Any],
        splits: Splits | None,
        encode: Callable[[Any], Any] | None,
        figures: dict[str, bytes],
    ) -> Sequence[Any]:
        """As of Task."""


def read_history(path: Path) -> tuple[dict[str, np.ndarray] | None, str | None]:
    """Returns the columns of history.csv as float arrays (NaN where empty) and None.

    If there are none, it returns None and the reason.
    """
    if not path.is_file():
        return None, "The run folder has no history.csv."
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return None, "history.csv has no finished epoch."

    def value(text):
        try:
            return float(text)
        except (TypeError, ValueError):
            return np.nan

    columns = {name: np.array([value(row[name]) for row in rows]) for name in rows[0] if name}
    columns.setdefault("epoch", np.arange(1.0, len(rows) + 1))
    return columns, None


def headline(
    task: ReportedTask,
    summary: dict[str, Any],
    timing: dict[str, Any],
    outputs: dict[str, np.ndarray] | None,
    info: dict[str, Any],
) -> dict[str, Any]:
    """Returns the large number of the report, the small ones beside it, and the verdict.

    Args:
        task: The recipe's TASK.
        summary: Content of metrics.json.
        timing: Content of timing.json; it may be empty.
        outputs: Content of predictions.npz, or None.
        info: Description of the data in environment.json; it may be empty.
    """
    found: headlines.Headline = headlines.of(summary)
    # One of 1,000 examples is 0.1 points: with fewer examples a second decimal would be noise.
    digits = (2 if (found.count or 0) >= 1000 else 1) if found.unit == "%" else None
    epochs = summary.get("epochs")
    tiles = [
        *((f"validation {found.name}", found.shown(found.validation, digits)),),
        *task.tiles(summary),
        ("chosen epoch", f"{summary.get('best_epoch', DASH)} of {number(epochs)}"),
        ("parameters", number(summary.get("parameters"))),
        ("seed", str(summary.get("seed", DASH))),
    ]
    if timing.get("train_wall_seconds") is not None:
        tiles.insert(-2, ("training time", duration(timing["train_wall_seconds"])))
    return {
        "name": found.name,
        "percent": found.unit == "%",
        "value": found.shown(found.value, digits),
        "interval": [found.shown(end, digits) for end in found.interval or ()],
        "fine_print": task.fine_print(summary, outputs, info),
        "verdict": task.verdict(summary),
        "remarks": task.remarks(summary),
        "tiles": tiles,
    }


def baselines(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of the baseline table, the model first, with a verdict on each baseline."""
    given = summary.get("baselines") or []
    if not given:
        return []
    found: headlines.Headline = headlines.of(summary)
    own: dict[str, Any] = {"name": "this model", "difference": "", "verdict": "", "model": True}
    own["value"] = found.shown(found.value)
    own["interval"] = DASH.join(found.text(end) for end in found.interval or ())
    rows = [own]
    for held in given:
        row, interval = headlines.baseline(held), ""
        # Wilson's interval suits only answers that are either right or wrong.
        count = row.count or found.count
        if "accuracy" in held and count:
            ends = wilson_interval(round(row.value * count), count)
            interval = DASH.join(found.text(end) for end in ends)
        difference = found.value - row.value
        verdict = "no paired test"
        if row.p is not None:
            better = difference > 0 if found.higher else difference < 0
            side = "model better" if better else "model worse" if difference else "equal"
            verdict = f"{side if row.p < 0.05 else 'no clear difference'}, {p_value(row.p)}"
        shown = found.text(abs(difference))
        rows.append(
            {
                "name": row.name,
                "value": found.shown(row.value),
                "interval": interval,
                "difference": f"{MINUS if difference < 0 else '+'}{shown}",
                "verdict": verdict,
                "model": False,
            }
        )
    return rows


def curves(
    columns: Sequence[tuple[str, str]],
    history: dict[str, np.ndarray] | None,
    best_epoch: int | None,
    figures: dict[str, bytes],
) -> list[dict[str, str]]:
    """Draws the learning curves; returns {"figure", "alt"} for each column with data.

    Args:
        columns: Columns of the history, and the labels of their axes.
        history: The result of `read_history`.
        best_epoch: The chosen epoch, 1-based.
        figures: Receives the pictures: PNG bytes by file name.
    """
    curves: list[dict[str, str]] = []
    if history is None:
        return curves
    epochs = history["epoch"].astype(int)
    for name, label in columns:
        train, validation = history.get(name), history.get(f"val_{name}")
        watched = validation if validation is not None else train
        if watched is None or not np.isfinite(watched).any():
            continue
        is_percent = "(%)" in label
        side = "Validation" if validation is not None else "Training"
        highest = headlines.higher_is_better(name)
        at = np.nanargmax(watched) if highest else np.nanargmin(watched)
        value = percent(watched[at]) if is_percent else f"{watched[at]:.3g}"
        best = "highest" if highest else "lowest"
        title = f"{side} {name} is {best} ({value}) at epoch {epochs[at]}"
        figures[f"{name}.png"] = drawing.learning_curve(
            epochs, train, validation, best_epoch, title=title, ylabel=label, percent=is_percent
        )
        ends = [
            f"{part} from {values[0]:.4g} to {values[-1]:.4g}"
            for part, values in (("training", train), ("validation", validation))
            if values is not None
        ]
        alt = f"Line chart of {name} by epoch. {title}. First to last epoch: {'; '.join(ends)}."
        curves.append({"figure": f"{name}.png", "alt": alt})
    return curves


def time(timing: dict[str, Any], history: dict[str, np.ndarray] | None) -> list[tuple[str, str]]:
    """Returns rows of name and value for the section on time."""
    rows = []
    wall, cpu = timing.get("train_wall_seconds"), timing.get("train_cpu_seconds")
    if wall is not None:
        rows.append(("training, wall clock", duration(wall)))
    if cpu is not None:
        busy = f" ({cpu / wall:.1f} cores busy on average)" if wall else ""
        rows.append(("training, CPU time", duration(cpu) + busy))
    if history is not None and "seconds" in history:
        seconds = history["seconds"][np.isfinite(history["seconds"])]
        if len(seconds):
            rows.append(("first epoch, with compilation", duration(float(seconds[0]))))
        if len(seconds) > 1:
            rows.append(("later epochs, median", duration(float(np.median(seconds[1:])))))
    if timing.get("examples_per_second") is not None:
        rows.append(("throughput", f"{timing['examples_per_second']:,.0f} examples per second"))
    if timing.get("precision") is not None:
        rows.append(("precision", timing["precision"]))
    if timing.get("evaluate_wall_seconds") is not None:
        rows.append(("evaluation, wall clock", duration(timing["evaluate_wall_seconds"])))
    return rows


def environment(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns rows of name and value on machine and software, without versions and data."""
    names = {
        "backend": "Keras backend",
        "python": "Python",
        "platform": "platform",
        "cpu": "processor",
        "cpu_count": "processors",
        "accelerators": "accelerators",
        "commit": "commit",
        "seed": "seed",
        "started": "started",
    }
    rows = [
        (label, plain(environment[key]) if environment[key] not in (None, "", []) else "none")
        for key, label in names.items()
        if key in environment
    ]
    for again in environment.get("resumed", []):
        versions = "; ".join(again["versions"]) or "the same versions"
        rows.append(("resumed", f"{again['started']}, commit {again['commit']}, {versions}"))
    skipped = {"versions", "data", "command", "resumed", *names}
    return rows + [
        (key.replace("_", " "), plain(value))
        for key, value in environment.items()
        if key not in skipped and not isinstance(value, dict)
    ]


def data_rows(data: dict[str, Any], info: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns rows of name and value on the data set.

    Args:
        data: The record in metrics.json.
        info: The record in environment.json, which holds more.
    """
    merged = {**data, **{key: value for key, value in info.items() if value is not None}}
    rows = [
        (key, merged[key])
        for key in ("label", "name", "version", "source", "fingerprint")
        if merged.get(key)
    ]
    counts = merged.get("counts") or {}
    if counts:
        rows.append(("examples", ", ".join(f"{name} {number(n)}" for name, n in counts.items())))
    if merged.get("class_names"):
        listed = [shorten(name, 80) for name in merged["class_names"]]
        more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
        rows.append((f"{len(listed)} classes", ", ".join(listed[:20]) + more))
    return rows


def command(environment: dict[str, Any]) -> str | None:
    """Returns the command line as one would type it; None if it was not recorded."""
    command = environment.get("command")
    return shlex.join(map(str, command)) if isinstance(command, (list, tuple)) else command
