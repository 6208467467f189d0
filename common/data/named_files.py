"""The files that the rows of CSV files name: photos or sounds, with their labels in a table."""

import collections
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from common.basics.errors import RecipeError
from common.basics.wording import number
from common.data import own_csv
from common.data.csv_form import MissingColumn
from common.data.folders import MOST_SKIPPED, Wanted
from common.data.source import Reading
from common.data.types import OwnArrays, fingerprint_of

DEPTH = 4
"""Files are looked for in so many levels of folders below that of the CSV file."""


def listed(files: Mapping[str, Path], wanted: Wanted, reading: Reading) -> OwnArrays:
    """Returns the files that CSV files name, with their labels; `x` holds their Paths.

    Rows whose file is absent are left out, and a remark says so.

    Args:
        files: The CSV file of "train", and perhaps of "test".
        wanted: The kind of file that is named.
        reading: Names of the columns.

    Raises:
        RecipeError: A CSV file cannot be used, a name may be that of several files, or more than a tenth
            of the files are absent.
    """
    try:
        table = own_csv.read(files, reading, "path")
    except MissingColumn as error:
        if error.role == "path":
            raise RecipeError(f"this recipe reads {wanted.noun}: {error}") from error
        raise
    train, rows, lines = _with_paths(files["train"], table.train, wanted)
    named = [*zip(train.names, train.x, strict=True)]
    test, groups = None, table.test_groups
    if table.test is not None:
        test, test_rows, more = _with_paths(files["test"], table.test, wanted)
        named += [*zip(test.names, test.x, strict=True)]
        lines += more
        groups = None if groups is None else groups[test_rows]
    names = table.names or []
    return dataclasses.replace(
        table,
        kind="file",
        fingerprint=fingerprint_of([*files.items(), *named]),
        train=train,
        test=test,
        remarks=(*table.remarks, *lines),
        groups=None if table.groups is None else table.groups[rows],
        test_groups=groups,
        names=[names[row] for row in rows],
    )


def locate(csv: Path, names: Sequence[str], suffixes: Sequence[str]) -> list[Path | None]:
    """Finds files by what a CSV file calls them.

    A name is a path from the folder of the CSV file, or an absolute one. Where there is no such file, it
    may be the end of a path below that folder, such as `7.jpg` or `7` of `images/7.jpg`.

    Args:
        csv: The CSV file.
        names: As it has them; backslashes may stand between folders.
        suffixes: Of the files to look for below its folder, in lower case.

    Returns:
        For each name the path of its file; None: it is absent.

    Raises:
        RecipeError: A name is the end of several paths.
    """
    paths = [Path(csv.parent, name) for name in names]
    if all(path.is_file() for path in paths):
        return list(paths)
    below = _files_below(csv.parent, tuple(suffixes))
    return [
        path if path.is_file() else _ending(csv, name, below)
        for path, name in zip(paths, names, strict=True)
    ]


def _files_below(folder, suffixes):
    """Returns the parts of the path of each file below a folder, by its name and that without suffix."""
    below = collections.defaultdict(list)
    for directory, folders, names in os.walk(folder):
        inner = Path(directory).relative_to(folder).parts
        shown = [name for name in sorted(folders) if not name.startswith(".")]
        folders[:] = shown if len(inner) < DEPTH else []
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                for key in (name, Path(name).stem):
                    below[key].append((*inner, name))
    return below


def _ending(csv, name, below):
    """Returns the only path that ends in a name, or None."""
    *above, last = PurePosixPath(name.replace("\\", "/")).parts or ("",)
    found = [
        parts for parts in below.get(last, []) if not above or [*parts[:-1]][-len(above) :] == above
    ]
    if len(found) > 1:
        either = " or ".join("/".join(parts) for parts in found[:2])
        raise RecipeError(
            f"{csv}: '{name}' may be {either}; write paths from the folder of the CSV file"
        )
    return Path(csv.parent, *found[0]) if found else None


def _with_paths(csv, split, wanted):
    """Returns a Split with Paths in place of names, its rows among those given, and remarks."""
    names = [str(name) for name in split.x]
    paths = locate(csv, names, wanted.suffixes())
    rows = np.array([row for row, path in enumerate(paths) if path is not None], int)
    lines = []
    if len(rows) < len(paths):
        absent = [name for name, path in zip(names, paths, strict=True) if path is None]
        told = f"{number(len(absent))} of {number(len(names))} files are not there"
        first = f"the first is '{absent[0]}'"
        if len(absent) > MOST_SKIPPED * len(names):
            raise RecipeError(
                f"{csv}: {told}, {first}; expected paths from the folder of the CSV file, or names of "
                f"{wanted.noun} below it"
            )
        lines.append(f"{csv.name}: rows left out: {told}, {first}")
    moved = [
        path
        for name, path in zip(names, paths, strict=True)
        if path not in (None, csv.parent / name)
    ]
    if moved:
        lines.append(
            f"{csv.name}: {number(len(moved))} files were found by the ends of their paths, the first is "
            f"{moved[0].relative_to(csv.parent).as_posix()}"
        )
    kept = split.take(rows)
    return dataclasses.replace(kept, x=[paths[row] for row in rows], names=kept.x), rows, lines
