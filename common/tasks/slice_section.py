"""The section of a table's report on its groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from common.basics.errors import RecipeError
from common.basics.wording import significant
from common.data.columns import columns_of
from common.report.rendering import render
from common.tasks import number_slices, slices
from common.tasks.task import Section

if TYPE_CHECKING:
    from common.data.types import Splits

COLUMNS_SHOWN = 8
MOST_GROUPS = 20
"""A column with more groups than this is left to `recipes evaluate --slice`."""
BY_CHANCE = (
    "Where groups differ by chance only, the worst of many looks bad too: look at the intervals."
)


@dataclasses.dataclass(frozen=True)
class _Figures:
    """What is said of the groups, of classes or of numbers."""

    truth: str
    """Name of the true answers to the test split in predictions.npz."""
    by_group: Callable[[np.ndarray], Sequence[Any]]
    """Returns the figures of the groups, the worst first, by the group of each example."""
    gap: Callable[[Sequence[Any]], float | None]
    """Returns how far large groups lie apart; None if there are fewer than two."""
    badness: Callable[[Any], float]
    """Returns how badly a group is served."""
    worst: Callable[[str, Any], str]
    """Returns a sentence on the worst group: the name of its column, its figures."""
    table: Callable[[Sequence[Any]], tuple[list[str], list[list[str]]]]
    remarks: Callable[[Sequence[Any]], list[str]]
    note: str
    """Which note of the template explains the columns: "classes" or "numbers"."""


def of_classes(
    outputs: dict[str, np.ndarray] | None, problem: str | None, splits: Splits | None
) -> Section:
    """Returns the section: columns, those between whose groups accuracy differs most first.

    Args: as of `Task.sections`.
    """
    return _section(outputs, problem, splits, _figures_of_classes)


def of_numbers(
    outputs: dict[str, np.ndarray] | None, problem: str | None, splits: Splits | None
) -> Section:
    """Returns the section: columns, those between whose groups the error differs most first.

    Args: as of `Task.sections`.
    """
    return _section(outputs, problem, splits, _figures_of_numbers)


def _figures_of_classes(outputs, splits):
    labels, probabilities = outputs["test_labels"], outputs["test_probabilities"]
    return _Figures(
        truth="test_labels",
        by_group=lambda groups: slices.by_group(labels, probabilities, groups),
        gap=lambda found: slices.gaps(found).get("accuracy"),
        badness=lambda group: -group.accuracy,
        worst=lambda name, group: (
            f"The lowest accuracy has {name} = {group.group}: {100 * group.accuracy:.1f} % of "
            f"{group.count:,} test examples."
        ),
        table=lambda found: slices.table(found, splits.info.class_names),
        remarks=slices.remarks,
        note="classes",
    )


def _figures_of_numbers(outputs, splits):
    truth, answers = outputs["test_truth"], outputs["test_outputs"]
    return _Figures(
        truth="test_truth",
        by_group=lambda groups: number_slices.by_group(truth, answers, groups),
        gap=number_slices.gap,
        badness=lambda group: group.error,
        worst=lambda name, group: (
            f"The largest error has {name} = {group.group}: {significant(group.error)} in the mean "
            f"of {group.count:,} test examples."
        ),
        table=number_slices.table,
        remarks=number_slices.remarks,
        note="numbers",
    )


def _section(outputs, problem, splits, figures):
    page: dict[str, Any] = {"problem": problem}
    if outputs is not None:
        if splits is None:
            page["problem"] = "The data set was not available when this report was written."
        else:
            page |= _page(outputs, splits, figures(outputs, splits))
    html = render("slices.html", page, package="common.tasks")
    return Section("slices", "Which groups does it serve worst?", html, "Groups")


def _page(outputs, splits, figures):
    try:
        test = splits.test
    except RecipeError as error:
        return {"problem": f"The test split could not be read: {error}"}
    if not np.array_equal(test.y, outputs[figures.truth]):
        return {"problem": "The labels of the test split differ from those in predictions.npz."}
    parts = []
    for place, column in enumerate(columns_of(splits.info.reading)):
        if not column.used or any(cell is None for cell in test.x[:, place]):
            continue
        found = figures.by_group(slices.groups_of(test.x[:, place], column))
        gap = figures.gap(found)
        if 2 <= len(found) <= MOST_GROUPS and gap is not None:
            parts.append((gap, column.name, found))
    # Stable: equal gaps stay in the order of the columns.
    parts.sort(key=lambda part: -part[0])
    if not parts:
        return {"problem": "No column has two groups or more that are large enough to compare."}
    worst = max(parts, key=lambda part: figures.badness(part[2][0]))
    columns = []
    for _, name, found in parts[:COLUMNS_SHOWN]:
        head, rows = figures.table(found)
        remarks = " ".join(figures.remarks(found))
        columns.append({"name": name, "head": head, "rows": rows, "remarks": remarks})
    intro = f"{figures.worst(worst[1], worst[2][0])} {BY_CHANCE}"
    return {"slices": {"intro": intro, "columns": columns, "note": figures.note}}
