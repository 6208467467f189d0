"""Tables: the user's own CSV files, and the files of a known table."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError
from common.basics.wording import number
from common.data import own_csv
from common.data.by_time import times_of
from common.data.columns import MISSING, Column, describe, infer
from common.data.csv_table import Table
from common.data.dates import orders_of
from common.data.number_form import NumberForm, form_of, unclear, with_digits
from common.data.sets import TableSet
from common.data.source import Reading
from common.data.types import OwnArrays, Split, fingerprint_of


def read(files: Mapping[str, Path], reading: Reading, numbers: bool = False) -> OwnArrays:
    """Reads a table with a column of classes, or of numbers to predict.

    Args:
        files: The CSV file of "train", and perhaps of "test".
        reading: Names of the columns of labels and groups. All other columns are to learn from; their
            types are inferred from the file of train.
        numbers: Whether the labels are numbers.

    Raises:
        RecipeError: A file cannot be used; the message says why.
    """
    roles = {"label": reading.label_column, **own_csv.splitting(reading)}
    tables = own_csv.read_parts(files, roles, others=True)
    return _arrays(files, tables, numbers)


def read_known(data_set: TableSet, folder: Path | None) -> tuple[Path, OwnArrays]:
    """Reads the files of a known table; returns their folder and what they hold.

    Args and Raises: as of `common.data.own.load_known_table`.
    """
    named = folder or os.environ.get(data_set.variable)
    advice = (
        f"{data_set.where}; put them into one folder and name it with {data_set.variable} or "
        "--data-dir; or use `--data sample` (built in, no network), or your own `--data my.csv`"
    )
    if not named:
        raise RecipeError(f"{data_set.label} is not on this machine: {advice}")
    path = Path(named).expanduser()
    files = {}
    for part, names in data_set.files.items():
        places = [place / name for place in (path, path / data_set.name) for name in names]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise RecipeError(f"{path} holds no {' or '.join(names)} of {data_set.label}: {advice}")
        files[part] = found
    tables = {part: _known(file, data_set) for part, file in files.items()}
    wanted = dict(zip(files, data_set.counts, strict=True))
    found_counts = {part: len(table) for part, table in tables.items()}
    if found_counts != wanted:
        raise RecipeError(
            f"{path} does not hold {data_set.label}: expected {wanted} rows, found {found_counts}; "
            "other tables are given as --data PATH"
        )
    return path, _arrays(files, tables)


def _known(file, data_set):
    """Returns the Table of a file with the declared header, or without one as it is published."""
    columns = data_set.columns
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = [
                (reader_line, [cell.strip() for cell in row])
                for reader_line, row in enumerate(csv.reader(stream, skipinitialspace=True), 1)
                if len(row) == len(columns)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"cannot read {file}: {error}") from error
    plain = [name.lower().replace("-", "_").replace(".", "_") for name in columns]
    if rows and [cell.lower().replace("-", "_").replace(".", "_") for cell in rows[0][1]] == plain:
        rows = rows[1:]
    cells = {name: [row[place] for _, row in rows] for place, name in enumerate(columns)}
    # The published test file ends its labels with a dot.
    labels = [label.rstrip(".") for label in cells.pop(data_set.label_column)]
    lines = [line for line, _ in rows]
    return Table({"label": data_set.label_column}, {"label": labels}, lines, 0, "", cells)


def _arrays(files, tables, numbers=False):
    """Returns the OwnArrays of the tables by part."""
    remarks = []
    for part, table in tables.items():
        # Among classes "NA" may be a name.
        remarks += _keep(files[part], table, MISSING if numbers else {""})
    train = tables["train"]
    class_names = []
    if numbers:
        targets, form = _numbers(files, tables)
        remarks += [f"numbers to predict: {form}"] if str(form) else []
    else:
        own_csv.check_labels(files["train"], train, "--label-column")
        class_names = own_csv.class_names_of(train.values["label"])
        remarks += own_csv.alike(class_names)
        targets = _classes(files, tables, class_names)
    columns = [infer(name, cells) for name, cells in train.others.items()]
    if "time" in train.values:
        columns.append(_time_column(tables))
    if not any(column.used for column in columns):
        raise RecipeError(f"{files['train']} has no column to learn from beside the labels")
    splits = {
        part: Split(
            cells_of(files[part], table, columns), targets[part], times=times_of(files[part], table)
        )
        for part, table in tables.items()
    }
    held = {column.name: splits["train"].x[:, place] for place, column in enumerate(columns)}
    remarks += describe(columns, held)
    # Under another name: a column may be called label or group.
    reading = {f"{role}_column": name for role, name in train.names.items()}
    return OwnArrays(
        "table",
        fingerprint_of((part, file) for part, file in files.items()),
        class_names,
        splits["train"],
        splits.get("test"),
        reading={**reading, "columns": [column.to_dict() for column in columns]},
        remarks=tuple(remarks),
        groups=own_csv.groups_of(files["train"], train),
        test_groups=own_csv.groups_of(files["test"], tables["test"]) if "test" in tables else None,
        names=[f"line {line}" for line in train.lines],
    )


def _time_column(tables):
    """Returns the column that decides the splits; its cells join those of the other columns."""
    train = tables["train"]
    name, orders = train.names["time"], orders_of(set(train.values["time"]))
    for table in tables.values():
        table.others[name] = table.values["time"]
    return Column(name, "time", date=orders[0] if len(orders) == 1 else "")


def _classes(files, tables, class_names):
    """Returns the labels of each part, int32 `(n,)`."""
    index = {name: label for label, name in enumerate(class_names)}
    targets = {}
    for part, table in tables.items():
        unknown = [label for label in table.values["label"] if label not in index]
        if unknown:
            raise RecipeError(f"{files[part]}: label '{unknown[0]}' does not occur in train")
        targets[part] = np.array([index[label] for label in table.values["label"]], np.int32)
    return targets


def _numbers(files, tables):
    """Returns the numbers to predict of each part, float64 `(n,)`, and how they are written."""
    held = {cell for table in tables.values() for cell in table.values["label"]}
    if unclear(held):
        raise RecipeError(
            f"{files['train']}: the numbers to predict, such as '{min(held)}', have a comma that may "
            "mark decimals or thousands; write them with a point or without it"
        )
    # Where some are no numbers, the others tell the form, so that the error names the right line.
    form = form_of(held) or form_of(with_digits(held)) or NumberForm()
    targets = {}
    for part, table in tables.items():
        plain = [form.plain(cell) for cell in table.values["label"]]
        for line, cell, found in zip(table.lines, table.values["label"], plain, strict=True):
            if found is None:
                raise RecipeError(
                    f"{files[part]}, line {line}: expected a number to predict in the column "
                    f"'{table.names['label']}', got '{cell}'; name another column by --label-column. Are "
                    "there classes to predict? `recipes list` shows which recipes predict classes"
                )
        targets[part] = np.array(plain, "float64")
    return targets, form


def _keep(path, table, missing):
    """Drops the rows without a label or a time, and returns the remarks on a file.

    Args:
        path: The file.
        table: Its content.
        missing: What stands for no label, in lower case.
    """
    left = []
    for role, none in (("label", missing), ("time", MISSING)):
        cells = table.values.get(role, [])
        kept = [row for row, cell in enumerate(cells) if cell.lower() not in none]
        skipped = len(cells) - len(kept)
        if skipped > own_csv.SKIPPED_AT_MOST * len(cells):
            raise RecipeError(
                f"{path}: {skipped} of {len(cells)} rows have no {role}; fill them or remove them, or "
                f"name another column by --{role}-column"
            )
        if skipped:
            table.take(kept)
            left.append(f"{number(skipped)} without a {role}")
    if not len(table):
        raise RecipeError(f"{path} holds no rows below its header")
    names = ", ".join(f"{role} in '{name}'" for role, name in table.names.items())
    remarks = [f"{path.name}: {number(len(table))} rows; {names}{table.unusual}"]
    left += [f"{number(table.empty)} that are empty"] if table.empty else []
    return remarks + ([f"{path.name}: rows left out: {', '.join(left)}"] if left else [])


def cells_of(path: Path, table: Table, columns: list[Column]) -> np.ndarray:
    """Returns the cells of a table, an object array of str `(n, columns)`, '' for a missing value.

    Raises:
        RecipeError: A column is absent, or a cell of a column of numbers is none.
    """
    x = np.empty((len(table), len(columns)), object)
    for place, column in enumerate(columns):
        if column.name not in table.others:
            raise RecipeError(
                f"{path} has no column '{column.name}'; found: {', '.join(table.others)}"
            )
        cells = []
        for line, cell in zip(table.lines, table.others[column.name], strict=True):
            try:
                cells.append(column.read(cell))
            except RecipeError as error:
                raise RecipeError(f"{path}, line {line}: {error}") from error
        x[:, place] = cells
    return x
