"""How CSV files are written: encoding, delimiter, the places of columns, perhaps compressed."""

import codecs
import contextlib
import csv
import dataclasses
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TextIO, cast

from common.basics.errors import RecipeError, near_match

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
"""Of the files that are read as CSV. What stands between the columns is told from the header."""
BROKEN = (OSError, EOFError, zlib.error)
"""Errors of reading a file that is absent, or compressed and damaged."""
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


def is_csv(path: str | Path) -> bool:
    """Returns whether a file is read as CSV, by its name."""
    return str(path).lower().endswith(SUFFIXES)


def raw(path: str | Path) -> IO[bytes]:
    """Opens a file, perhaps a compressed one."""
    if str(path).lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(path))
    return Path(path).open("rb")


def opened(path: str | Path, encoding: str, errors: str = "strict") -> TextIO:
    """Opens a file, perhaps a compressed one, as text for `reader`."""
    return io.TextIOWrapper(raw(path), encoding, errors, newline="")


def form_of(path: Path, columns: Mapping[str, str | None], errors: str = "strict") -> Form:
    """Finds out how a CSV file is written.

    Args:
        path, columns: As of `read_table`.
        errors: What to do about bytes that cannot be decoded, as of `open`.

    Raises:
        MissingColumn: It lacks a wanted column.
        RecipeError: It has one twice, or its header is no row of names.
        UnicodeDecodeError, and those of BROKEN: It cannot be read.
    """
    with raw(path) as file:
        encoding = encoding_of(file.read(4))
    return Form(encoding, *_columns(path, encoding, columns, errors))


def reader(file: TextIO, delimiter: str) -> Iterator[list[str]]:
    """Returns a csv.reader of rows that may be as long as any document."""
    # The default limit of 131,072 characters would refuse long documents.
    csv.field_size_limit(2**31 - 1)
    return csv.reader(file, delimiter=delimiter, strict=True)


def encoding_of(start: bytes) -> str:
    """Returns the Unicode encoding of a file by its first four bytes."""
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    # UTF-16 without its mark: an ASCII letter, which the header begins with, has one zero byte.
    zeros = [byte == 0 for byte in start[:2]]
    return (
        "utf-16-le"
        if zeros == [False, True]
        else "utf-16-be"
        if zeros == [True, False]
        else "utf-8"
    )


def unreadable(path: Path, reason: object) -> RecipeError:
    """Returns the error that a file cannot be read."""
    return RecipeError(f"{path} is not a readable UTF-8 CSV file: {reason}")


def _columns(path, encoding, columns, errors):
    """Returns the delimiter that finds all wanted columns, the header, and the columns' positions."""
    headers = {}
    for delimiter in DELIMITERS:
        with (
            opened(path, encoding, errors) as file,
            contextlib.suppress(csv.Error),
        ):
            # A header in quotes is an error if it is read with a wrong delimiter.
            header = [name.strip() for name in next(reader(file, delimiter), [])]
            headers[delimiter] = header
    if not headers:
        raise unreadable(path, "its header is no row of names")
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
