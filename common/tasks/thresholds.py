"""Two classes: how well a probability tells them apart, and where to draw the line between them.

An answer is the class with the larger probability: a line at 0.5. Where one class is rare, or a miss
costs more than a false alarm, another line is better. Lines are chosen on validation and tried on test.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from common.basics.statistics import wilson_interval
from common.basics.wording import DASH, percent, significant
from common.report.rendering import render
from common.tasks.metrics import separation
from common.tasks.task import Section

WANTED = 0.9
"""Recall or precision that a line is drawn for."""


def chosen(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Returns lines by what they are chosen for; what lies on a line or above it is class 1.

    Args:
        labels: 0 or 1, `(n,)`, of validation.
        probabilities: Of class 1, `(n,)`.

    Returns:
        Besides 0.5 the line with the largest F1; the highest one with a recall of WANTED; the lowest one
        with a precision of WANTED, if there is one.
    """
    from sklearn.metrics import precision_recall_curve

    found = {"as answered": 0.5}
    if not np.any(labels == 1):
        return found
    precision, recall, lines = precision_recall_curve(labels, probabilities)
    precision, recall = precision[:-1], recall[:-1]  # The last point has no line.
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    found["largest F1"] = float(lines[f1.argmax()])
    found[f"recall of {WANTED:.0%}"] = float(lines[recall >= WANTED].max())
    if np.any(precision >= WANTED):
        found[f"precision of {WANTED:.0%}"] = float(lines[precision >= WANTED].min())
    return found


def measured(labels: np.ndarray, probabilities: np.ndarray, line: float) -> dict[str, Any]:
    """Returns what a line does: "line", "selected", "precision", "recall", "f1", and two intervals.

    Args:
        labels: 0 or 1, `(n,)`.
        probabilities: Of class 1, `(n,)`.
        line: From this probability on, an example is taken for class 1.

    Returns:
        Shares in [0, 1], None without a denominator; "precision_interval" and "recall_interval" are
        Wilson's, 95 %.
    """
    taken, positive = probabilities >= line, labels == 1
    hits, count, there = int(np.sum(taken & positive)), int(taken.sum()), int(positive.sum())
    return {
        "line": line,
        "selected": count / len(labels),
        "precision": hits / count if count else None,
        "precision_interval": wilson_interval(hits, count),
        "recall": hits / there if there else None,
        "recall_interval": wilson_interval(hits, there),
        "f1": 2 * hits / (count + there) if count + there else None,
    }


def section(outputs: dict[str, np.ndarray], names: tuple[str, ...]) -> Section:
    """Returns the section of the report of a classifier of two classes.

    Args:
        outputs: Its probabilities and labels, as in predictions.npz.
        names: Names of both classes.
    """
    validation, tested = (
        (np.asarray(outputs[f"{part}_labels"]), np.asarray(outputs[f"{part}_probabilities"])[:, 1])
        for part in ("val", "test")
    )
    rows = [(why, measured(*tested, line)) for why, line in chosen(*validation).items()]
    told = separation(*tested)
    page = {
        "other": names[0] if len(names) == 2 else "0",
        "name": names[1] if len(names) == 2 else "1",
        "count": len(tested[0]),
        "auc": percent(told["auc"], 1) if told else None,
        "interval": [percent(end, 1) for end in told.get("auc_interval", ())],
        "average_precision": percent(told.get("average_precision"), 1),
        "share": percent(float(np.mean(tested[0] == 1)), 1),
        "rows": [[why, *_cells(row)] for why, row in rows],
    }
    html = render("thresholds.html", page, package="common.tasks")
    return Section("thresholds", "Where to draw the line", html, "Thresholds")


def _cells(row):
    def with_interval(name):
        if row[name] is None:
            return DASH
        low, high = row[f"{name}_interval"]
        return f"{100 * row[name]:.1f} ({100 * low:.1f} to {100 * high:.1f})"

    return [
        significant(row["line"]),
        f"{100 * row['selected']:.1f}",
        with_interval("precision"),
        with_interval("recall"),
        DASH if row["f1"] is None else f"{100 * row['f1']:.1f}",
    ]
