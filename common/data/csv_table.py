"""Reading the columns of a CSV file of any usual delimiter, Unicode encoding and column names."""

import csv
import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.basics.errors import RecipeError
from common.data.csv_form import (
    BROKEN,
    DELIMITERS,
    encoding_of,
    form_of,
    opened,
    raw,
    reader,
    unreadable,
)


@dataclasses.dataclass
class Table:
    """The wanted columns of a CSV file."""

    names: dict[str, str]
    """Name in the file of each column, by its role ('text', 'label', ...)."""
    values: dict[str, list[str]]
    """Values of each column, by its role. Labels and groups have no spaces around them."""
    lines: list[int]
    """Line of the file in which each row ends."""
    empty: int
    """Number of rows with nothing in any field. They are not among the values."""
    unusual: str
    """What a person may not expect of the file, e.g. '; semicolons between the columns', or ''."""
    others: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """Values of the columns without a role, by their names, if they were asked for."""

    def __len__(self):
        return len(self.lines)

    def take(self, rows: Sequence[int]) -> None:
        """Keeps only the given rows."""
        self.values = {role: [column[row] for row in rows] for role, column in self.values.items()}
        self.others = {name: [column[row] for row in rows] for name, column in self.others.items()}
        self.lines = [self.lines[row] for row in rows]


def read_table(path: Path, columns: Mapping[str, str | None], *, others: bool = False) -> Table:
    """Reads columns of a CSV file.

    Args:
        path: The file, in UTF-8, or in another Unicode encoding that its first bytes name.
        columns: Name of each wanted column, by its role, e.g. "text"; None: named as its role.
        others: Whether to read the other columns too. One without a name is called after its place,
            e.g. "column 1".

    Raises:
        MissingColumn: The file lacks a wanted column.
        RecipeError: It cannot be read, is in another encoding, has a column twice, or a row with more or
            fewer fields than its header.
    """
    try:
        form = form_of(path, columns)
        rest = _others(path, form.header, form.places) if others else {}
        return _table(path, form, rest)
    except UnicodeDecodeError as error:
        raise unreadable(path, _other_encoding(path)) from error
    except (csv.Error, *BROKEN) as error:
        raise unreadable(path, getattr(error, "strerror", None) or error) from error


def _others(path, header, places):
    """Returns the positions of the columns that have no role, by their names."""
    rest = {}
    for place, name in enumerate(header):
        name = name or f"column {place + 1}"
        if place in places.values():
            continue
        if name in rest:
            raise RecipeError(f"{path} has several columns '{name}'; rename or remove all but one")
        rest[name] = place
    return rest


def _table(path, form, rest):
    header, places = form.header, form.places
    values, lines, empty = {role: [] for role in places}, [], 0
    others = {name: [] for name in rest}
    with opened(path, form.encoding) as file:
        rows = reader(file, form.delimiter)
        next(rows)
        for row in rows:
            # Spreadsheets end rows with delimiters of columns that have been deleted.
            while len(row) > len(header) and not row[-1].strip():
                row.pop()
            if not any(field.strip() for field in row):
                empty += 1
                continue
            if len(row) != len(header):
                raise RecipeError(
                    f"{path}, line {rows.line_num}: {len(row)} fields where the header has "
                    f"{len(header)}; texts with {DELIMITERS[form.delimiter]} need quotes"
                )
            for role, place in places.items():
                values[role].append(row[place] if role == "text" else row[place].strip())
            for name, place in rest.items():
                others[name].append(row[place].strip())
            lines.append(rows.line_num)
    commas, utf8 = form.delimiter == ",", form.encoding.startswith("utf-8")
    unusual = "" if commas else f"; {DELIMITERS[form.delimiter]} between the columns"
    unusual += "" if utf8 else f"; {form.encoding.upper()}"
    names = {role: header[place] for role, place in places.items()}
    return Table(names, values, lines, empty, unusual, others)


def _other_encoding(path):
    """Returns what a file that cannot be decoded seems to be, and what to do about it."""
    try:
        with raw(path) as file:
            held = file.read()
    except BROKEN:
        return "its content is damaged"
    encoding = encoding_of(held[:4])
    try:
        held.decode(encoding)
    except UnicodeDecodeError as error:
        line = held.count(b"\n", 0, error.start) + 1
    if encoding.startswith(("utf-16", "utf-32")):
        return f"it begins as {encoding.upper()}, but the rest is not; save it again"
    looks, name = _looks_like(held)
    return (
        f"line {line} is not UTF-8; {looks}. Save it as UTF-8 (in a spreadsheet 'CSV UTF-8'), or: "
        f"iconv -f {name} -t utf-8 {shlex.quote(str(path))} > utf8.csv"
    )


def _looks_like(held):
    """Returns a guess at the encoding of bytes that are not UTF-8: half a sentence, and a name."""
    # Accented letters of western Europe mostly stand alone between ASCII letters. The letters of other
    # scripts stand together.
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", held)]
    alone = sum(length == 1 for length in runs) > 0.8 * len(runs)
    if alone and not re.search(rb"[\x81\x8d\x8f\x90\x9d]", held):
        return "it looks like cp1252 (Windows, western Europe)", "cp1252"
    return (
        "it looks like an older encoding of its language (Chinese gb18030, Japanese cp932, Korean "
        "cp949, Russian cp1251, ...)",
        "ITS_ENCODING",
    )
