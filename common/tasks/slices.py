"""Slices: how good a classifier is for each group of a column, the worst first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from common.basics.errors import UsageError
from common.basics.statistics import wilson_interval
from common.basics.wording import DASH, MINUS
from common.data.columns import Column
from common.tasks.calibration import expected_calibration_error

FEW = 30
"""Groups with fewer examples come last: their figures say little."""
SHOWN = 20
"""Groups that are listed."""
QUARTERS_FROM = 11
"""A column of numbers with so many different values is cut into quarters."""
NO_VALUE = "(missing)"
RATES = ("accuracy", "false_positives", "false_negatives", "selected")


@dataclasses.dataclass(frozen=True)
class Slice:
    """The figures of one group. Intervals are 95 %: Wilson's of shares, normal of the bias."""

    group: str
    count: int
    positives: float | None
    """Share of examples of class 1. This, `selected` and the two shares of errors are None if there are
    more than two classes."""
    selected: float | None
    """Share of examples that are answered with class 1."""
    selected_interval: tuple[float, float] | None
    accuracy: float
    accuracy_interval: tuple[float, float]
    false_positives: float | None
    """Share of class 0 that is answered with class 1; None also if there is no such example."""
    false_positives_interval: tuple[float, float] | None
    false_negatives: float | None
    """Share of class 1 that is answered with class 0; None also if there is no such example."""
    false_negatives_interval: tuple[float, float] | None
    bias: float
    """Mean probability of class 1 minus the share of class 1; of several classes, mean probability of
    the answers minus their accuracy."""
    bias_interval: tuple[float, float]
    calibration_error: float
    """Expected calibration error, 15 bins. Of few examples it is large even of a perfect model."""


def by_group(
    labels: np.ndarray, probabilities: np.ndarray, groups: Sequence[str] | np.ndarray
) -> list[Slice]:
    """Returns the figures of each group, those of the least accuracy first, groups of few examples last.

    Args:
        labels: Integers `(n,)`.
        probabilities: `(n, classes)`.
        groups: The group of each example, `(n,)`.
    """
    labels, names = np.asarray(labels), np.asarray(groups, str)
    found = [
        _slice(str(name), labels[names == name], probabilities[names == name])
        for name in np.unique(names)
    ]
    return sorted(found, key=lambda each: (each.count < FEW, each.accuracy, each.group))


def _slice(group, labels, probabilities):
    count, answers = len(labels), probabilities.argmax(axis=1)
    right = int(np.sum(answers == labels))
    two = probabilities.shape[1] == 2

    def share(among, hits):
        if not two or not among.any():
            return None, None
        number, total = int(np.sum(hits & among)), int(among.sum())
        return number / total, wilson_interval(number, total)

    selected = share(np.ones(count, bool), answers == 1)
    false_positives = share(labels == 0, answers == 1)
    false_negatives = share(labels == 1, answers == 0)
    given, true = probabilities.max(axis=1), answers == labels
    if two:
        given, true = probabilities[:, 1], labels == 1
    gaps = given.astype("float64") - true
    error = 1.96 * gaps.std(ddof=1) / np.sqrt(count) if count > 1 else 1.0
    bias = float(gaps.mean())
    return Slice(
        group=group,
        count=count,
        positives=float(np.mean(labels == 1)) if two else None,
        selected=selected[0],
        selected_interval=selected[1],
        accuracy=right / count,
        accuracy_interval=wilson_interval(right, count),
        false_positives=false_positives[0],
        false_positives_interval=false_positives[1],
        false_negatives=false_negatives[0],
        false_negatives_interval=false_negatives[1],
        bias=bias,
        bias_interval=(bias - error, bias + error),
        calibration_error=expected_calibration_error(probabilities, labels),
    )


def groups_of(cells: Sequence[str] | np.ndarray, column: Column) -> np.ndarray:
    """Returns the group of each row by a column: its value, or its quarter of many numbers; str `(n,)`.

    Args:
        cells: As a table has them, '' for a missing value.
        column: The column.
    """
    values = [column.show(cell) if cell else NO_VALUE for cell in cells]
    many = column.type == "number" or column.date
    held = sorted({float(cell) for cell in cells if cell}) if many else []
    if len(held) < QUARTERS_FROM:
        return np.array(values, str)
    numbers = np.array([float(cell) for cell in cells if cell])
    # Ends of quarters are values that occur, and quarters of many equal values fall together.
    ends = np.unique(np.quantile(numbers, (0.25, 0.5, 0.75, 1), method="inverted_cdf"))
    names, low = [], held[0]
    for end in ends:
        first, last = (column.show(f"{value:.12g}") for value in (low, end))
        names.append(first if first == last else f"{first} to {last}")
        low = next((value for value in held if value > end), end)
    return np.array(
        [names[np.searchsorted(ends, float(cell))] if cell else NO_VALUE for cell in cells], str
    )


def reweighing(labels: np.ndarray, groups: Sequence[str] | np.ndarray) -> np.ndarray:
    """Returns weights with which class and group are independent (Kamiran & Calders 2012).

    An example of class y and group g weighs `P(y) P(g) / P(y, g)`. The mean weight is 1, and each class
    and each group keeps its share.

    Args:
        labels: Integers `(n,)`.
        groups: The group of each example, `(n,)`.

    Returns:
        float32 `(n,)`.
    """
    _, row = np.unique(np.asarray(groups, str), return_inverse=True)
    _, column = np.unique(labels, return_inverse=True)
    together = np.zeros((row.max() + 1, column.max() + 1))
    np.add.at(together, (row, column), 1)
    apart = np.outer(together.sum(axis=1), together.sum(axis=0)) / len(labels)
    return (apart[row, column] / together[row, column]).astype("float32")


def gaps(found: Sequence[Slice]) -> dict[str, float]:
    """Returns the largest difference of each share between groups of FEW examples or more.

    Args:
        found: The result of `by_group`.
    """
    differences = {}
    for name in RATES:
        values = [getattr(each, name) for each in found if each.count >= FEW]
        values = [value for value in values if value is not None]
        if len(values) > 1:
            differences[name] = max(values) - min(values)
    return differences


def table(found: Sequence[Slice], class_names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Returns the head and the rows of a table for a person, in per cent; at most SHOWN groups.

    Args:
        found: The result of `by_group`.
        class_names: Names of the classes.
    """
    if not found:
        raise UsageError("there are no examples to slice")
    head = ["group", "n", "accuracy"]
    if len(class_names) == 2:
        head += [
            f"is {class_names[1]}",
            f"answered {class_names[1]}",
            "false positives",
            "false negatives",
        ]
    head += ["probability minus truth", "ECE"]
    rows = []
    for each in found[:SHOWN]:
        row = [each.group, f"{each.count:,}", _share(each.accuracy, each.accuracy_interval)]
        if len(class_names) == 2:
            row.append(_share(each.positives, None))
            row += [
                _share(getattr(each, name), getattr(each, f"{name}_interval"))
                for name in ("selected", "false_positives", "false_negatives")
            ]
        rows.append(
            [*row, _share(each.bias, each.bias_interval), _share(each.calibration_error, None)]
        )
    return head, rows


def _share(value, interval):
    if value is None:
        return DASH
    if interval is None:
        return _number(value)
    return f"{_number(value)} ({_number(interval[0])} to {_number(interval[1])})"


def _number(value):
    return f"{100 * value:.1f}".replace("-", MINUS)


def remarks(found: Sequence[Slice]) -> list[str]:
    """Returns sentences about the groups: the largest differences, and what is not shown or uncertain."""
    words = {
        "accuracy": "accuracy",
        "false_positives": "false positives",
        "false_negatives": "false negatives",
        "selected": "answers of class 1",
    }
    largest = [f"{words[name]} {100 * gap:.1f}" for name, gap in gaps(found).items()]
    lines = [f"Largest difference between groups, points: {', '.join(largest)}."] if largest else []
    return [*lines, *small_and_hidden([each.count for each in found])]


def small_and_hidden(counts: Sequence[int]) -> list[str]:
    """Returns sentences on groups of few examples, and on those that a table does not show.

    Args:
        counts: Number of examples of each group.
    """
    few = sum(count < FEW for count in counts)
    lines = [f"{few} with fewer than {FEW} examples stand last."] if few else []
    hidden = len(counts) - SHOWN
    return [*lines, f"{hidden} more are not shown."] if hidden > 0 else lines
