"""The section of a table's report on its groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from common.basics.errors import RecipeError
from common.data.columns import columns_of
from common.report.rendering import render
from common.tasks import slices
from common.tasks.task import Section

if TYPE_CHECKING:
    from common.data.types import Splits

COLUMNS_SHOWN = 8
MOST_GROUPS = 20
"""A column with more groups than this is left to `recipes evaluate --slice`."""


def section(
    outputs: dict[str, np.ndarray] | None, problem: str | None, splits: Splits | None
) -> Section:
    """Returns the section: columns, those between whose groups accuracy differs most first.

    Args: as of `Task.sections`.
    """
    page: dict[str, Any] = {"problem": problem}
    if outputs is not None:
        if splits is None:
            page["problem"] = "The data set was not available when this report was written."
        else:
            page |= _page(outputs, splits)
    html = render("slices.html", page, package="common.tasks")
    return Section("slices", "Which groups does it serve worst?", html, "Groups")


def _page(outputs, splits):
    labels, probabilities = outputs["test_labels"], outputs["test_probabilities"]
    try:
        test = splits.test
    except RecipeError as error:
        return {"problem": f"The test split could not be read: {error}"}
    if not np.array_equal(test.y, labels):
        return {"problem": "The labels of the test split differ from those in predictions.npz."}
    parts = []
    for place, column in enumerate(columns_of(splits.info.reading)):
        if not column.used or any(cell is None for cell in test.x[:, place]):
            continue
        found = slices.by_group(labels, probabilities, slices.groups_of(test.x[:, place], column))
        if 2 <= len(found) <= MOST_GROUPS and "accuracy" in slices.gaps(found):
            parts.append((slices.gaps(found)["accuracy"], column.name, found))
    # Stable: equal gaps stay in the order of the columns.
    parts.sort(key=lambda part: -part[0])
    if not parts:
        return {"problem": "No column has two groups or more that are large enough to compare."}
    lowest = min(parts, key=lambda part: part[2][0].accuracy)
    group = lowest[2][0]
    intro = (
        f"The lowest accuracy has {lowest[1]} = {group.group}: {100 * group.accuracy:.1f} % of "
        f"{group.count:,} test examples. Where groups differ by chance only, the worst of many looks bad "
        "too: look at the intervals."
    )
    columns = []
    for _, name, found in parts[:COLUMNS_SHOWN]:
        head, rows = slices.table(found, splits.info.class_names)
        remarks = " ".join(slices.remarks(found))
        columns.append({"name": name, "head": head, "rows": rows, "remarks": remarks})
    return {"slices": {"intro": intro, "columns": columns}}
