"""Reading CSV files of any usual delimiter, Unicode encoding and column names."""

import codecs
import contextlib
import csv
import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from common.basics.errors import RecipeError, near_match

SUFFIXES = (".csv", ".tsv")
"""Of the files that are read as CSV. What stands between the columns is told from the header."""
ROLES = {"text": "text", "pair": "text", "image": "path", "task": "path", "audio": "path"}
"""What a CSV file holds for each kind of data, in a column of that name: texts, or paths of files."""
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
# Marks that spreadsheets and Windows write at the start of a file.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class MissingColumn(RecipeError):
    """A wanted column is absent; `role` says which one."""

    def __init__(self, message: str, role: str) -> None:
        super().__init__(message)
        self.role = role


@dataclasses.dataclass(frozen=True)
class Form:
    """How a CSV file is written, and where its wanted columns are."""

    encoding: str
    """The Unicode encoding, e.g. 'utf-8'."""
    delimiter: str
    """What stands between the columns: a key of `DELIMITERS`."""
    header: list[str]
    """Names of all columns, without spaces around them."""
    places: dict[str, int]
    """Position of each wanted column, by its role."""


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
        raise _unreadable(path, _other_encoding(path)) from error
    except OSError as error:
        raise _unreadable(path, error.strerror or error) from error
    except csv.Error as error:
        raise _unreadable(path, error) from error


def form_of(path: Path, columns: Mapping[str, str | None], errors: str = "strict") -> Form:
    """Finds out how a CSV file is written.

    Args:
        path, columns: As of `read_table`.
        errors: What to do about bytes that cannot be decoded, as of `open`.

    Raises:
        MissingColumn: It lacks a wanted column.
        RecipeError: It has one twice, or its header is no row of names.
        OSError, UnicodeDecodeError: It cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
    encoding = _encoding(start)
    return Form(encoding, *_columns(path, encoding, columns, errors))


def reader(file: TextIO, delimiter: str) -> Iterator[list[str]]:
    """Returns a csv.reader of rows that may be as long as any document."""
    # The default limit of 131,072 characters would refuse long documents.
    csv.field_size_limit(2**31 - 1)
    return csv.reader(file, delimiter=delimiter, strict=True)


def _encoding(start):
    """Returns the Unicode encoding of a file by its first four bytes."""
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    # UTF-16 without its mark: an ASCII letter, which the header begins with, has one zero byte.
    zeros = [byte == 0 for byte in start]
    return {(False, True): "utf-16-le", (True, False): "utf-16-be"}.get(tuple(zeros[:2]), "utf-8")


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
    with path.open(encoding=form.encoding, newline="") as file:
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


def _unreadable(path, reason):
    return RecipeError(f"{path} is not a readable UTF-8 CSV file: {reason}")


def _other_encoding(path):
    """Returns what a file that cannot be decoded seems to be, and what to do about it."""
    held = path.read_bytes()
    encoding = _encoding(held[:4])
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


def _columns(path, encoding, columns, errors):
    """Returns the delimiter that finds all wanted columns, the header, and the columns' positions."""
    headers = {}
    for delimiter in DELIMITERS:
        with (
            path.open(encoding=encoding, errors=errors, newline="") as file,
            contextlib.suppress(csv.Error),
        ):
            # A header in quotes is an error if it is read with a wrong delimiter.
            header = [name.strip() for name in next(reader(file, delimiter), [])]
            headers[delimiter] = header
    if not headers:
        raise _unreadable(path, "its header is no row of names")
    complete = [
        delimiter
        for delimiter, header in headers.items()
        if all(_place(header, name or role) is not None for role, name in columns.items())
    ]
    if not complete:
        raise _missing(path, max(headers.values(), key=len), columns)
    # Without a wanted column every delimiter finds all of them: the one that finds most columns is right.
    delimiter = max(complete, key=lambda each: len(headers[each]))
    header = headers[delimiter]
    places = {role: _place(header, name or role) for role, name in columns.items()}
    for role, place in places.items():
        if header.count(header[place]) > 1:
            raise RecipeError(
                f"{path} has several columns '{header[place]}'; rename those that do not hold the {role}s"
            )
    if len(set(places.values())) < len(places):
        raise RecipeError(
            f"{path}: one column cannot be {' and '.join(columns)} at once; "
            f"there are: {_listed(header)}"
        )
    return delimiter, header, places


def _place(header, name):
    """Returns the position of a column: of its exact name, else ignoring case; None if it is absent."""
    if name.strip() in header:
        return header.index(name.strip())
    lower = [each.lower() for each in header]
    return lower.index(name.strip().lower()) if name.strip().lower() in lower else None


def _missing(path, header, columns):
    role = next(role for role, name in columns.items() if _place(header, name or role) is None)
    name = columns[role] or role
    wanted = " and ".join(given or role for role, given in columns.items())
    flag = f"; name the column of the {role}s by --{role}-column" if name == role else ""
    return MissingColumn(
        f"{path}: expected columns {wanted}, column {name} is missing; "
        f"found: {_listed(header) or 'an empty file'}{near_match(name, header)}{flag}",
        role,
    )


def _listed(names, most=20, longest=40):
    """Returns names joined by commas, shortened: without a header they may be whole texts."""
    short = [" ".join(name.split()) for name in names]
    short = [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in short[:most]]
    return ", ".join(short) + (f" and {len(names) - most} more" if len(names) > most else "")
