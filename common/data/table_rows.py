"""Rows of a table for a model that was trained on another one: `recipes predict`, `recipes evaluate`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError, UsageError
from common.data.columns import Column, columns_of
from common.data.csv_form import is_csv
from common.data.csv_table import read_table

if TYPE_CHECKING:
    import numpy as np

    from common.data.types import Split, Splits


@dataclasses.dataclass(frozen=True)
class TableRow:
    """A row of a CSV file."""

    name: str
    """File and number of the row, e.g. "new.csv:12"."""
    cells: list[str | None]
    """For each column of the training table its cell; None: the file has no such column."""
    problem: str = ""
    """Why the row cannot be used, or ''."""


def read(file: str, reading: Mapping[str, Any]) -> list[TableRow]:
    """Reads the rows of a CSV file to ask a model about. Other columns may stand in it, in any order.

    Args:
        file: Path.
        reading: Of the training table: `DataInfo.reading`.

    Raises:
        UsageError: It is standard input.
        RecipeError: The file cannot be read.
    """
    if file == "-":
        raise UsageError("a table is read from a CSV file, not from standard input: name a file")
    if not is_csv(file):
        raise RecipeError(f"this model reads rows of a table: expected a CSV file, got {file}")
    columns, table = columns_of(reading), read_table(Path(file), {}, others=True)
    if not len(table):
        raise RecipeError(f"{file} holds no rows below its header")
    rows = []
    for index in range(len(table)):
        cells, problem = [], ""
        for column in columns:
            cell = table.others[column.name][index] if column.name in table.others else None
            try:
                cells.append(None if cell is None else column.read(cell))
            except RecipeError as error:
                cells.append("")
                problem = f"{file}, line {table.lines[index]}: {error}"
        rows.append(TableRow(f"{file}:{index + 1}", cells, problem))
    return rows


def read_cells(row: TableRow) -> np.ndarray:
    """Returns the cells of a row, an object array `(columns,)`.

    Raises:
        RecipeError: The row has a problem.
    """
    import numpy as np

    if row.problem:
        raise RecipeError(row.problem)
    cells = np.empty(len(row.cells), object)
    cells[:] = row.cells
    return cells


def like(splits: Splits, reading: Mapping[str, Any]) -> Splits:
    """Returns splits with the columns of the table that a model was trained on, in their order.

    Args:
        splits: Of any table.
        reading: Of the training table.

    Raises:
        RecipeError: A cell is not of the type that the column had.
    """
    from common.data.types import Splits

    wanted, there = columns_of(reading), columns_of(splits.info.reading)
    if wanted == there:
        return splits
    return Splits(
        _like(splits.train, wanted, there),
        _like(splits.val, wanted, there),
        lambda: _like(splits.test, wanted, there),
        dataclasses.replace(splits.info, reading=dict(reading)),
        splits.test_seen,
    )


def _like(split: Split, wanted: Sequence[Column], there: Sequence[Column]) -> Split:
    import numpy as np

    place = {column.name: index for index, column in enumerate(there)}
    x = np.full((len(split), len(wanted)), None, object)
    for index, column in enumerate(wanted):
        if column.name in place:
            cells = split.x[:, place[column.name]]
            # Dates are days by now, and numbers whose form was clear have a decimal point and no unit.
            found = there[place[column.name]]
            read = (column.date and found.date) or (
                column.type == found.type == "number"
                and (found.decimal, found.thousands) != (".", "")
            )
            x[:, index] = cells if read else [column.read(cell) for cell in cells]
    return dataclasses.replace(split, x=x)
