"""What the report says of a run as a whole: headline, baselines, curves, time, machine, data."""

import csv
import shlex

import numpy as np

from common.basics.statistics import wilson_interval
from common.basics.wording import DASH, MINUS, duration, number, p_value, percent, plain, shorten
from common.report import drawing
from common.tasks import verdict


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


def headline(summary, timing):
    """Returns the large number of the report and the small ones beside it."""
    test, validation = summary.get("test", {}), summary.get("validation", {})
    count = test.get("count", 0)
    # One example in 1,000 is 0.1 points; a second decimal would be noise below that.
    digits = 2 if count >= 1000 else 1
    interval = test.get("accuracy_interval")
    wrong = round((1 - test.get("accuracy", 0)) * count)
    epochs = summary.get("epochs")
    tiles = [
        ("validation accuracy", percent(validation.get("accuracy"), digits)),
        ("test loss, nats", number(test.get("loss"))),
        ("chosen epoch", f"{summary.get('best_epoch', DASH)} of {number(epochs)}"),
        ("parameters", number(summary.get("parameters"))),
        ("seed", str(summary.get("seed", DASH))),
    ]
    if "balanced_accuracy" in test:
        tiles[:0] = [
            ("balanced accuracy", percent(test["balanced_accuracy"], digits)),
            ("macro F1", percent(test["macro_f1"], digits)),
        ]
    if timing.get("train_wall_seconds") is not None:
        tiles.insert(-2, ("training time", duration(timing["train_wall_seconds"])))
    return {
        "accuracy": percent(test.get("accuracy"), digits),
        "interval": [percent(end, digits) for end in interval] if interval else None,
        "wrong": wrong,
        "count": count,
        "verdict": verdict.line(summary),
        "remarks": verdict.remarks(summary),
        "tiles": tiles,
    }


def baselines(summary):
    """Returns the rows of the baseline table, the model first, and a verdict on each."""
    rows, test = [], summary.get("test", {})
    given = summary.get("baselines") or []
    if not given or test.get("accuracy") is None:
        return rows
    rows.append(
        {
            "name": "this model",
            "accuracy": percent(test["accuracy"]),
            "interval": DASH.join(f"{100 * end:.2f}" for end in test["accuracy_interval"]),
            "count": test["count"],
            "difference": "",
            "verdict": "",
            "model": True,
        }
    )
    for baseline in given:
        count = baseline.get("count") or test["count"]
        ends = wilson_interval(round(baseline["accuracy"] * count), count)
        points = 100 * (test["accuracy"] - baseline["accuracy"])
        p = baseline.get("mcnemar_p")
        verdict = "no paired test"
        if p is not None:
            side = "model better" if points > 0 else "model worse" if points < 0 else "equal"
            verdict = f"{side if p < 0.05 else 'no clear difference'}, {p_value(p)}"
        rows.append(
            {
                "name": baseline["name"],
                "accuracy": percent(baseline["accuracy"]),
                "interval": DASH.join(f"{100 * end:.2f}" for end in ends),
                "count": count,
                "difference": f"{points:+.2f}".replace("-", MINUS),
                "verdict": verdict,
                "model": False,
            }
        )
    return rows


def curves(history, best_epoch, figures):
    """Draws the learning curves; returns [{"figure", "alt"}] for those with data."""
    curves = []
    if history is None:
        return curves
    epochs = history["epoch"].astype(int)
    for name, best, label, is_percent in (
        ("loss", "lowest", "loss (nats per example)", False),
        ("accuracy", "highest", "accuracy (%)", True),
    ):
        train, validation = history.get(name), history.get(f"val_{name}")
        watched = validation if validation is not None else train
        if watched is None or not np.isfinite(watched).any():
            continue
        side = "Validation" if validation is not None else "Training"
        at = np.nanargmin(watched) if best == "lowest" else np.nanargmax(watched)
        value = percent(watched[at]) if is_percent else f"{watched[at]:.3g}"
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
