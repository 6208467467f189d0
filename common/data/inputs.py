"""Finds the inputs of `recipes predict`: files, folders, rows, lines. input_contents.py reads them."""

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.wording import examples
from common.data import table_rows
from common.data.csv_form import BROKEN, DELIMITERS, ROLES, form_of, is_csv, opened, reader
from common.data.csv_table import read_table

TEXT_SUFFIXES = (".txt",)
FILES = {
    "image": "image files",
    "task": "image files",
    "text": "text files",
    "audio": "WAV files",
    "pair": "files of sentences, one a line",
    "table": "CSV files",
}
"""Name of the files of each kind of data that is read from files of its own."""


@dataclass(frozen=True)
class Row:
    """A text of a CSV file, or a line of a text file."""

    name: str
    """File and number of the row, e.g. "reviews.csv:12"."""
    text: str
    problem: str = ""
    """Why the row cannot be classified, or ''."""


class Given:
    """The inputs to classify. They are found and counted at once, and read during iteration.

    Iterating yields `(name, source)`. A function such as `read_image` or `read_sound` reads a source.

    Args:
        files: Paths as they were given; "-" is standard input. Folders are searched for files of
            the kind. Each row of a CSV file is an input: a text, or the path of a file.
        data: The part of the run's environment.json on its data.
        text_column: Column of a CSV file that holds the texts. None: as in the run's data.
        path_column: Column of a CSV file that names files. None: as in the run's data.

    Raises:
        UsageError: A column was named that this kind of data does not have.
        RecipeError: Something is absent or cannot be read, or holds nothing to classify.
    """

    def __init__(
        self,
        files: Sequence[str],
        data: Mapping[str, Any],
        text_column: str | None = None,
        path_column: str | None = None,
    ) -> None:
        kind = data["kind"]
        role = ROLES.get(kind, "")
        given = {"text": text_column, "path": path_column}
        for other in given.keys() - {role}:
            if given[other]:
                raise UsageError(
                    f"--{other}-column is for models of {'texts' if other == 'text' else 'files'}, and "
                    f"this one reads {examples(kind)}; leave it out"
                )
        column = given.get(role) or (data.get("reading") or {}).get(f"{role}_column")
        self.count = 0
        self.skipped = 0
        """Number of files in the folders that are not of the kind."""
        self._parts: list[Iterable[tuple[str, Any]]] = []
        for file in files:
            if file != "-" and Path(file).is_dir():
                self._add_folder(file, kind, alone=len(files) == 1)
                continue
            check_files([file])
            if kind == "table":
                rows = table_rows.read(file, data["reading"])
                self.count += len(rows)
                self._parts.append((row.name, row) for row in rows)
            elif role and is_csv(file) and not (kind == "pair" and file.lower().endswith(".tsv")):
                if role == "text":
                    self.count += sum(1 for row in _rows(file, column))
                    self._parts.append((row.name, row) for row in _rows(file, column))
                else:
                    named = _named_files(file, column, _wanted(kind))
                    self.count += len(named)
                    self._parts.append(named)
            elif kind == "pair":
                lines = list(_lines(file))
                self.count += len(lines)
                self._parts.append((line.name, line) for line in lines)
            elif kind not in FILES:
                self.count += len(_arrays(file))
                self._parts.append(_array_rows(file))
            else:
                self._parts.append([(file, file)])
                self.count += 1

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for part in self._parts:
            yield from part

    def _add_folder(self, folder, kind, alone):
        if kind in ("pair", "table"):
            raise UsageError(f"expected {FILES[kind]}, got the folder {folder}")
        if kind not in FILES:
            raise UsageError(
                f"this model reads arrays: expected .npy files, got the folder {folder}"
            )
        wanted = _wanted(kind)
        suffixes = wanted.suffixes() if wanted else TEXT_SUFFIXES
        found, others = _files_below(folder, suffixes)
        if not found:
            raise RecipeError(
                f"the folder {folder} holds nothing to classify: expected files named "
                f"{', '.join(suffixes)}, found {others} others"
            )
        self.count += len(found)
        self.skipped += others
        # Names are relative to the folder if it is the only input. Otherwise they include the folder.
        self._parts.append(
            (Path(path).relative_to(folder).as_posix() if alone else path, path) for path in found
        )


def _wanted(kind):
    """Returns what kind of file holds an example, or None."""
    from common.data import folders

    if ROLES.get(kind) != "path":
        return None
    return folders.SOUNDS if kind == "audio" else folders.IMAGES


def _named_files(file, column, wanted):
    """Returns a name and a path for each row of a CSV file of paths."""
    from common.data.named_files import locate

    table = read_table(Path(file), {"path": column})
    if not len(table):
        raise RecipeError(f"{file} holds no rows below its header")
    # A row without a path is named by its line, as which there is no file.
    names = [
        name or f"{file}, line {line}"
        for name, line in zip(table.values["path"], table.lines, strict=True)
    ]
    found = locate(Path(file), names, wanted.suffixes())
    return [
        (name, str(path or Path(file).parent / name))
        for name, path in zip(names, found, strict=True)
    ]


def _arrays(file):
    """Returns the examples in an .npy file, `(n, ...)`, mapped."""
    try:
        if not Path(file).suffix == ".npy":
            raise ValueError("its name does not end in .npy")
        # Without pickles: they could run code.
        return np.atleast_1d(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"this model reads arrays: expected an .npy file whose first axis counts the examples, got "
            f"{file} ({error})"
        ) from error


def _array_rows(file):
    for index, row in enumerate(_arrays(file)):
        yield f"{file}:{index}", row


def _files_below(folder, suffixes):
    """Returns the sorted paths of the files with these suffixes, and how many others there are."""

    def refuse(error):
        raise RecipeError(f"cannot read the folder {error.filename}: {error.strerror}") from error

    found, others = [], 0
    seen = {os.path.realpath(folder)}
    # Links to folders are followed, but not for ever if one leads back up.
    for directory, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = {name: os.path.realpath(os.path.join(directory, name)) for name in folders}
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and real[name] not in seen
        )
        seen.update(real.values())
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                found.append(os.path.join(directory, name))
            else:
                others += 1
    return found, others


def _lines(file):
    """Yields a Row for each line of a text file, empty ones too; "-" is standard input.

    Of a .tsv file, as pairs are learnt from, it is what stands before the first tab.
    """
    try:
        content = read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        name = "standard input" if file == "-" else file
        raise RecipeError(f"{name} is not UTF-8 text ({error.reason})") from error
    for number, line in enumerate(io.StringIO(content), start=1):
        text = line.partition("\t")[0] if file.lower().endswith(".tsv") else line
        yield Row(f"{file}:{number}", text.strip())


def _rows(file, column):
    """Yields the Rows of a CSV file.

    A damaged row is yielded with its problem, so that the other rows are still answered. An error that
    concerns the whole file is raised.
    """
    number = 0
    try:
        form = form_of(Path(file), {"text": column}, errors="surrogateescape")
        with opened(file, form.encoding, "surrogateescape") as stream:
            rows = reader(stream, form.delimiter)
            next(rows)
            for cells in filter(None, rows):
                number += 1
                name, text, problem = f"{file}:{number}", "", ""
                if len(cells) != len(form.header):
                    problem = (
                        f"{name} has {len(cells)} fields where the header has {len(form.header)}; "
                        f"texts with {DELIMITERS[form.delimiter]} need quotes"
                    )
                else:
                    text = cells[form.places["text"]]
                yield Row(name, text, problem)
    except (csv.Error, UnicodeError, *BROKEN) as error:
        raise RecipeError(f"{file} is not a readable CSV file: {error}") from error
    if not number:
        raise RecipeError(f"{file} holds no rows below its header")


def check_files(files: Iterable[str]) -> None:
    """Checks that files exist, before anything slow begins.

    Raises:
        RecipeError: One does not.
    """
    for file in files:
        if file == "-" and sys.stdin is None:
            raise RecipeError(
                "cannot read standard input: it is closed; name a file, or pipe one in (`... - < FILE`)"
            )
        # Not is_file: a pipe is allowed.
        if file != "-" and (Path(file).is_dir() or not Path(file).exists()):
            found = "that is a folder" if Path(file).is_dir() else "there is no such file"
            raise RecipeError(f"cannot read {file}: {found}")


def check_label(label: str, names: Sequence[str]) -> None:
    """Checks that the model knows a class.

    Raises:
        UsageError: It does not.
    """
    if label not in names:
        raise UsageError(
            f"there is no class '{label}'{near_match(label, names)} (there are: {', '.join(names)})"
        )


def read_bytes(file: str) -> bytes:
    """Returns the content of a file; "-" is standard input.

    Raises:
        RecipeError: It cannot be read.
    """
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read {file}: {error.strerror or error}") from error
