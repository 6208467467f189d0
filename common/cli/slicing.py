"""`recipes evaluate RUN --slice COLUMN`: the groups of the test examples by a column of their file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError, UsageError
from common.tasks import slices
from common.tasks.classification import Classification

if TYPE_CHECKING:
    import numpy as np

    from common.data import Source, Splits
    from common.tasks.task import Task

SEVERAL = "(several)"
"""Group of a text that stands in several rows with different values."""


def check(task: Task, kind: str) -> None:
    """Refuses tasks and data that have no slices, before anything slow begins.

    Raises:
        UsageError: The task gives no classes, or the data has no columns.
    """
    if not isinstance(task, Classification):
        raise UsageError("--slice compares classes by group; this recipe's answers are no classes")
    if kind not in ("table", "text"):
        raise UsageError(
            f"--slice needs a column: it is for tables and CSV files of texts, not for {kind}s"
        )


def groups(splits: Splits, source: Source, column: str) -> np.ndarray:
    """Returns the group of each test example, str `(n,)`.

    Args:
        splits: The data. Of a table any column will do, also one that the model does not see.
        source: Where it comes from; of texts a CSV file with that column.
        column: Name of the column.

    Raises:
        UsageError: There is no such column, or the texts come from no CSV file.
        RecipeError: The file cannot be read.
    """
    from common.data.columns import check_name, columns_of, infer

    if splits.info.kind == "table":
        columns = columns_of(splits.info.reading)
        place = check_name(column, columns)
        return slices.groups_of(splits.test.x[:, place], columns[place])
    cells = _of_texts(splits, source, column)
    return slices.groups_of(cells, infer(column, cells))


def _of_texts(splits, source, column):
    """Returns the cell of the column for each test text, by the text itself."""
    from common.data import own_csv
    from common.data.columns import MISSING
    from common.data.csv_table import read_table

    path = Path(source.data).expanduser()
    files = own_csv.find(path) if path.is_dir() else {"train": path}
    file = files.get("test") or files.get("train")
    if source.built_in or file is None or file.suffix.lower() != ".csv":
        raise UsageError(
            "--slice needs a column of a CSV file: give one with the texts, their labels and that "
            "column as --data"
        )
    table = read_table(file, {"text": source.reading.text_column, "slice": column})
    cells: dict[str, str] = {}
    for text, cell in zip(table.values["text"], table.values["slice"], strict=True):
        cell = "" if cell.lower() in MISSING else cell
        cells[text] = cell if cells.get(text, cell) == cell else SEVERAL
    if any(text not in cells for text in splits.test.x):
        raise RecipeError(f"{file} does not hold all test texts: has it changed since it was read?")
    return [cells[text] for text in splits.test.x]


def of_outputs(outputs: dict[str, np.ndarray], groups: np.ndarray) -> list[slices.Slice]:
    """Returns the slices of the test split.

    Args:
        outputs: As in predictions.npz.
        groups: The result of `groups`.
    """
    return slices.by_group(outputs["test_labels"], outputs["test_probabilities"], groups)


def shown(found: list[slices.Slice], column: str, class_names: tuple[str, ...]) -> str:
    """Returns the slices as text: a table and remarks."""
    head, rows = slices.table(found, class_names)
    head[0] = column
    widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
    lines = [f"Test split by {column}, per cent (95 % intervals), the lowest accuracy first:"]
    for cells in (head, *rows):
        first, *rest = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join([*lines, *slices.remarks(found)])


def record(found: list[slices.Slice], column: str) -> dict[str, Any]:
    """Returns the slices as values that JSON can hold."""
    return {
        "column": column,
        "groups": [dataclasses.asdict(each) for each in found],
        "largest_differences": slices.gaps(found),
    }
