"""What the report says of a run as a whole: headline, baselines, curves, time, machine, data."""

import csv
import shlex

import numpy as np

from common.basics.statistics import wilson_interval
from common.basics.wording import DASH, MINUS, duration, number, p_value, percent, plain, shorten
from common.report import drawing
from common.runs import headline as headlines


def read_history(path):
    """Returns history.csv as a dict of float arrays (NaN where empty), or a reason."""
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


def headline(task, summary, timing, outputs, info):
    """Returns the large number of the report, the small ones beside it, and the verdict."""
    found = headlines.of(summary)
    # One example in 1,000 is 0.1 points; a second decimal would be noise below that.
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


def baselines(summary):
    """Returns the rows of the baseline table, the model first, and a verdict on each."""
    given = summary.get("baselines") or []
    if not given:
        return []
    found = headlines.of(summary)
    own = {"name": "this model", "difference": "", "verdict": "", "model": True}
    own["value"] = found.shown(found.value)
    own["interval"] = DASH.join(found.text(end) for end in found.interval or ())
    rows = [own]
    for held in given:
        row, interval = headlines.baseline(held), ""
        # Of answers that are right or wrong, each on its own.
        if "accuracy" in held and (row.count or found.count):
            count = row.count or found.count
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


def curves(columns, history, best_epoch, figures):
    """Draws the learning curves; returns [{"figure", "alt"}] for those with data.

    Args:
        columns: (column of the history, label of its axis) pairs.
        history: As of `read_history`.
        best_epoch: The chosen epoch, 1-based.
        figures: Dict to put the pictures in.
    """
    curves = []
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


def time(timing, history):
    """Returns rows of (what, value) for the section on time."""
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


def environment(environment):
    """Returns rows of (what, value) on machine and software, without versions and data."""
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


def data_rows(data, info):
    """Returns rows of (what, value) on the data set; `info` is the fuller record of the two."""
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


def command(environment):
    """Returns the command line as one would type it."""
    command = environment.get("command")
    return shlex.join(map(str, command)) if isinstance(command, (list, tuple)) else command
