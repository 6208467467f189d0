"""CSV files of the user's with a column of labels, beside one of texts or of the paths of files."""

import collections
import statistics
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from common.basics.errors import RecipeError
from common.basics.patterns import PATTERNS
from common.basics.wording import number
from common.data.by_time import times_of
from common.data.columns import MISSING
from common.data.csv_form import SUFFIXES, MissingColumn
from common.data.csv_table import Table, read_table
from common.data.source import Reading
from common.data.types import OwnArrays, Split, fingerprint_of

SKIPPED_AT_MOST = 0.1
"""Largest share of rows without a text or a label. More of them point to a mistake."""
TOO_FEW = 3
"""The loader refuses classes with fewer rows than this: they cannot be split."""


def find(path: Path) -> dict[str, Path]:
    """Returns the CSV files of a folder by split; nothing if there is no train.csv.

    Raises:
        RecipeError: There are several for one split, such as train.csv and train.csv.gz.
    """
    files: dict[str, Path] = {}
    for part in ("train", "test"):
        there = [path / f"{part}{suffix}" for suffix in SUFFIXES]
        there = [file for file in there if file.is_file()]
        if len(there) > 1:
            raise RecipeError(f"{path} holds {there[0].name} and {there[1].name}: leave one there")
        if there:
            files[part] = there[0]
    return files if "train" in files else {}


def read(
    files: Mapping[str, Path], reading: Reading, role: Literal["text", "path"] = "text"
) -> OwnArrays:
    """Reads texts, or paths of files, and their labels.

    Args:
        files: The CSV file of "train", and perhaps of "test".
        reading: Names of the columns.
        role: What is labelled.

    Raises:
        RecipeError: A file cannot be used; the message says why.
    """
    wanted = reading.text_column if role == "text" else reading.path_column
    columns = {role: wanted, "label": reading.label_column}
    columns |= splitting(reading)
    tables = read_parts(files, columns)
    remarks = [
        remark for part, table in tables.items() for remark in _keep(files[part], table, role)
    ]
    train = tables["train"]
    check_labels(files["train"], train, f"--{role}-column and --label-column")
    class_names = class_names_of(train.values["label"])
    remarks += alike(class_names)
    index = {name: label for label, name in enumerate(class_names)}
    splits = {}
    for part, table in tables.items():
        unknown = [label for label in table.values["label"] if label not in index]
        if unknown:
            raise RecipeError(f"{files[part]}: label '{unknown[0]}' does not occur in train.csv")
        texts = np.empty(len(table), object)
        texts[:] = table.values[role]
        labels = np.array([index[label] for label in table.values["label"]], np.int32)
        splits[part] = Split(texts, labels, times=times_of(files[part], table))
    return OwnArrays(
        "text",
        fingerprint_of((part, file) for part, file in files.items()),
        class_names,
        splits["train"],
        splits.get("test"),
        reading={f"{role}_column": name for role, name in train.names.items()},
        remarks=tuple(remarks),
        groups=groups_of(files["train"], train),
        test_groups=groups_of(files["test"], tables["test"]) if "test" in tables else None,
        names=[f"line {line}" for line in train.lines],
    )


def splitting(reading: Reading) -> dict[str, str]:
    """Returns the names of the columns that decide on the splits, by their roles "group" and "time"."""
    wanted = {"group": reading.group_column, "time": reading.time_column}
    return {role: name for role, name in wanted.items() if name}


def read_parts(
    files: Mapping[str, Path], columns: Mapping[str, str | None], *, others: bool = False
) -> dict[str, Table]:
    """Returns the Table of each part; `columns` and `others` are those of `read_table`.

    Raises:
        RecipeError: A file cannot be used; of a test.csv without labels, what it can be used for.
    """
    tables = {}
    for part, file in files.items():
        try:
            tables[part] = read_table(file, columns, others=others)
        except MissingColumn as error:
            if (part, error.role) != ("test", "label"):
                raise
            raise RecipeError(
                f"{error}. A {file.name} without labels is for `recipes predict`: train with --data "
                f"{files['train']}, of which a part becomes the test split"
            ) from error
    return tables


def _keep(path, table, role):
    """Drops the rows without a text (or path), a label or a time, and returns the remarks on a file."""
    # Among classes and words "NA" may mean something; no time is written so.
    nothing = {"label": {""}, role: {""}, "time": MISSING}
    needed = [name for name in nothing if name in table.values]
    lacking = [
        next(
            (each for each in needed if table.values[each][row].strip().lower() in nothing[each]),
            "",
        )
        for row in range(len(table))
    ]
    kept = [row for row, name in enumerate(lacking) if not name]
    skipped = collections.Counter(filter(None, lacking))
    if skipped.total() > SKIPPED_AT_MOST * len(table):
        what = " and ".join(f"{count} without a {name}" for name, count in skipped.items())
        first = table.lines[next(row for row, name in enumerate(lacking) if name)]
        raise RecipeError(
            f"{path}: of {len(table)} rows, {what} (the first in line {first}); fill them or "
            f"remove them, or name other columns by --{role}-column and --label-column"
        )
    table.take(kept)
    if not len(table):
        raise RecipeError(f"{path} holds no rows below its header")
    names = ", ".join(f"{role} in '{name}'" for role, name in table.names.items())
    remarks = [f"{path.name}: {number(len(table))} rows; {names}{table.unusual}"]
    if role == "text":
        lengths = [len(PATTERNS.split(text)) for text in table.values["text"]]
        remarks.append(
            f"{path.name}: texts of {number(round(statistics.median(lengths)))} words in the median, "
            f"{number(max(lengths))} the longest"
        )
    skipped = {f"without a {name}": count for name, count in skipped.items()}
    if table.empty:
        skipped["that are empty"] = table.empty
    if skipped:
        what = ", ".join(f"{number(count)} {name}" for name, count in skipped.items())
        remarks.append(f"{path.name}: rows left out: {what}")
    return remarks


def check_labels(path: Path, table: Table, flags: str) -> None:
    """Refuses a column of labels in which most rows have a label that hardly any other row has.

    Args:
        path: The file.
        table: Its content.
        flags: The flags that name other columns, for the message.
    """
    counts = collections.Counter(table.values["label"])
    single = sum(count for count in counts.values() if count < TOO_FEW)
    if len(counts) > 2 * TOO_FEW and single > len(table) / 2:
        raise RecipeError(
            f"{path}: nearly every row has its own label: the label column "
            f"'{table.names['label']}' holds {len(counts)} values in {len(table)} rows. Are columns "
            f"swapped? Name others by {flags}. Is it a number to predict? `recipes list` shows which "
            "recipes predict numbers"
        )


def class_names_of(labels: Iterable[str]) -> list[str]:
    """Returns the names sorted; whole numbers by value, so that class 2 comes before class 10."""
    names = set(labels)
    numeric = all(name.isdecimal() for name in names)
    return sorted(names, key=(lambda name: (int(name), name)) if numeric else None)


def alike(class_names: Sequence[str]) -> list[str]:
    """Returns remarks on classes whose names hardly differ."""
    spellings = collections.defaultdict(list)
    for name in class_names:
        plain = unicodedata.normalize("NFKC", name).casefold()
        spellings["".join(plain.split())].append(f"'{name}'")
    return [
        f"The classes {' and '.join(names)} differ only by capitals, spaces or the encoding of "
        "characters: are they one class?"
        for names in spellings.values()
        if len(names) > 1
    ]


def groups_of(path: Path, table: Table) -> np.ndarray | None:
    """Returns the group of each row, or None without groups. A row with no group forms its own."""
    if "group" not in table.values:
        return None
    rows = zip(table.values["group"], table.lines, strict=True)
    return np.array(
        [group or f"(line {line} of {path.name}, no group)" for group, line in rows], str
    )
