"""`recipes evaluate RUN --slice COLUMN`: the groups of the test examples by a column of their file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError, UsageError
from common.basics.wording import examples
from common.tasks import number_slices, slices
from common.tasks.classification import Classification
from common.tasks.regression import Regression

if TYPE_CHECKING:
    import numpy as np

    from common.data import Source, Splits
    from common.tasks.task import Task

SEVERAL = "(several)"
"""Group of an example that stands in several rows with different values."""


def check(task: Task, kind: str) -> None:
    """Refuses tasks and data that have no slices, before anything slow begins.

    Raises:
        UsageError: The task gives neither classes nor numbers, or its data is in no CSV files.
    """
    if not isinstance(task, Classification | Regression):
        raise UsageError(
            "--slice compares classes or numbers by group; this recipe's answers are neither"
        )
    if kind not in ("table", "text", "image", "audio"):
        raise UsageError(f"--slice needs a column of a CSV file, and {examples(kind)} have none")


def groups(splits: Splits, source: Source, column: str) -> np.ndarray:
    """Returns the group of each test example, str `(n,)`.

    Args:
        splits: The data. Of a table any column will do, also one that the model does not see.
        source: Where it comes from; of texts, images and sound a CSV file with that column.
        column: Name of the column.

    Raises:
        UsageError: There is no such column, or the examples come from no CSV file.
        RecipeError: The file cannot be read.
    """
    from common.data.columns import check_name, columns_of, infer

    if splits.info.kind == "table":
        columns = columns_of(splits.info.reading)
        place = check_name(column, columns)
        return slices.groups_of(splits.test.x[:, place], columns[place])
    cells = _cells(splits, source, column)
    return slices.groups_of(cells, infer(column, cells))


def _cells(splits, source, column):
    """Returns the cell of the column for each test example, by its text or the name of its file."""
    from common.data import own_csv
    from common.data.columns import MISSING
    from common.data.csv_form import ROLES, is_csv
    from common.data.csv_table import read_table

    path = Path(source.data).expanduser()
    files = own_csv.find(path) if path.is_dir() else {"train": path}
    file = files.get("test") or files.get("train")
    role = ROLES[splits.info.kind]
    if source.built_in or file is None or not is_csv(file):
        raise UsageError(
            f"--slice needs a column of a CSV file: give one with {role}s, labels and that column as "
            "--data"
        )
    names = splits.test.x if role == "text" else splits.test.names
    wanted = {"text": source.reading.text_column, "path": source.reading.path_column}
    table = read_table(file, {role: wanted[role], "slice": column})
    cells: dict[str, str] = {}
    for name, cell in zip(table.values[role], table.values["slice"], strict=True):
        cell = "" if cell.lower() in MISSING else cell
        cells[name] = cell if cells.get(name, cell) == cell else SEVERAL
    if any(name not in cells for name in names):
        raise RecipeError(
            f"{file} does not hold all test {examples(splits.info.kind)}: has it changed since it was "
            "read?"
        )
    return [cells[name] for name in names]


def of_outputs(
    task: Task,
    outputs: dict[str, np.ndarray],
    groups: np.ndarray,
    column: str,
    class_names: tuple[str, ...],
) -> tuple[str, dict[str, Any]]:
    """Returns the slices of the test split: as text, and as values that JSON can hold.

    Args:
        task: The recipe's TASK.
        outputs: As in predictions.npz.
        groups: The result of `groups`.
        column: Name of the column.
        class_names: Names of the classes, if the task has classes.
    """
    if isinstance(task, Regression):
        numbers = number_slices.by_group(outputs["test_truth"], outputs["test_outputs"], groups)
        head = f"Test split by {column} (95 % intervals), the largest error first:"
        remarks = number_slices.remarks(numbers)
        return _shown(head, column, *number_slices.table(numbers), remarks), _record(
            column, numbers
        )
    found = slices.by_group(outputs["test_labels"], outputs["test_probabilities"], groups)
    head = f"Test split by {column}, per cent (95 % intervals), the lowest accuracy first:"
    text = _shown(head, column, *slices.table(found, class_names), slices.remarks(found))
    return text, {**_record(column, found), "largest_differences": slices.gaps(found)}


def _shown(title, column, head, rows, remarks):
    """Returns a table as text, its columns side by side."""
    head = [column, *head[1:]]
    widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
    lines = [title]
    for cells in (head, *rows):
        first, *rest = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join([*lines, *remarks])


def _record(column, found):
    return {"column": column, "groups": [dataclasses.asdict(each) for each in found]}
