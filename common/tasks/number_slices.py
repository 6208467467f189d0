"""Slices of predicted numbers: how far off they are for each group of a column, the worst first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from common.basics.errors import UsageError
from common.basics.statistics import mean_interval
from common.basics.wording import DASH, significant
from common.tasks.slices import FEW, SHOWN, small_and_hidden


@dataclasses.dataclass(frozen=True)
class NumberSlice:
    """The figures of one group. Intervals are 95 %, by Student's t; None where errors have no spread."""

    group: str
    count: int
    error: float
    """Mean absolute error."""
    error_interval: list[float] | None
    bias: float
    """Mean of answer minus truth: above 0, the group is given too much."""
    bias_interval: list[float] | None


def by_group(
    truth: np.ndarray, answers: np.ndarray, groups: Sequence[str] | np.ndarray
) -> list[NumberSlice]:
    """Returns the figures of each group, those of the largest error first, groups of few examples last.

    Args:
        truth: `(n,)`.
        answers: `(n,)`, or `(n, 1)`.
        groups: The group of each example, `(n,)`.
    """
    names = np.asarray(groups, str)
    errors = np.asarray(answers, "float64").reshape(len(names)) - np.asarray(truth, "float64")
    found = []
    for name in np.unique(names):
        mine = errors[names == name]
        found.append(
            NumberSlice(
                group=str(name),
                count=len(mine),
                error=float(np.abs(mine).mean()),
                error_interval=mean_interval(np.abs(mine)),
                bias=float(mine.mean()),
                bias_interval=mean_interval(mine),
            )
        )
    return sorted(found, key=lambda each: (each.count < FEW, -each.error, each.group))


def gap(found: Sequence[NumberSlice]) -> float | None:
    """Returns the largest difference of the error between groups of FEW examples or more.

    Args:
        found: The result of `by_group`.

    Returns:
        None if fewer than two groups are so large.
    """
    errors = [each.error for each in found if each.count >= FEW]
    return max(errors) - min(errors) if len(errors) > 1 else None


def table(found: Sequence[NumberSlice]) -> tuple[list[str], list[list[str]]]:
    """Returns the head and the rows of a table for a person; at most SHOWN groups.

    Args:
        found: The result of `by_group`.

    Raises:
        UsageError: There are no groups.
    """
    if not found:
        raise UsageError("there are no examples to slice")
    rows = [
        [
            each.group,
            f"{each.count:,}",
            _with_interval(each.error, each.error_interval),
            _with_interval(each.bias, each.bias_interval, sign=True),
        ]
        for each in found[:SHOWN]
    ]
    return ["group", "n", "mean absolute error", "answer minus truth"], rows


def _with_interval(value, interval, sign=False):
    low, high = (significant(end, sign=sign) for end in interval) if interval else (DASH, DASH)
    return f"{significant(value, sign=sign)} ({low} to {high})"


def remarks(found: Sequence[NumberSlice]) -> list[str]:
    """Returns sentences about the groups: which are given too much or too little, what is uncertain."""
    lines = []
    for word, side in (("much", 1), ("little", -1)):
        names = [
            each.group
            for each in found
            if each.count >= FEW
            and each.bias_interval
            and min(np.multiply(each.bias_interval, side)) > 0
        ]
        if names:
            lines.append(f"Given too {word}, by its interval: {', '.join(names)}.")
    return [*lines, *small_and_hidden([each.count for each in found])]
