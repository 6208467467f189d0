"""What the user's own data must have before it is split, and which flags are of use for it."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError, UsageError
from common.basics.flags import flag
from common.data.source import Reading
from common.data.types import Split

SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
FRAMES = (".parquet", ".feather", ".json", ".jsonl")
LEAST_NUMBERS = 20
"""Least number of rows with a number to predict."""


def check_value_range(value_range: Sequence[float] | None) -> None:
    """Raises a UsageError if black is not less than white, or one is no number; None is right, too."""
    if value_range is None:
        return
    low, high = value_range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(
            f"--value-range takes the value of black, then a greater one for white, got {low:g} {high:g}"
        )


def refuse(reading: Reading, names: Sequence[str], what: str, path: Path) -> None:
    """Refuses flags that would change nothing.

    Args:
        reading: What the user gave.
        names: Fields that are of no use for the data.
        what: What they are for, a plural noun for the message.
        path: The data.

    Raises:
        UsageError: One of the fields of a Reading is set.
    """
    given = [flag(name) for name in names if name in reading.to_dict()]
    if given:
        raise UsageError(f"{given[0]} is for {what}, and {path} is not one; leave it out")


def check_test_fraction(fraction: float | None) -> None:
    """Raises a UsageError if a share for the test split is none; None is right, too."""
    if fraction is not None and not 0 < fraction < 1:
        raise UsageError(
            f"--test-fraction must be greater than 0 and less than 1, got {fraction:g}"
        )


def what_instead(path: Path) -> str:
    """Returns what a path is that holds no data of the wanted form, and how to make it one; or ''."""
    if path.is_dir():
        return ", a folder without class folders and without train.csv"
    suffix = path.suffix.lower()
    if suffix in SPREADSHEETS:
        return "; save the sheet as 'CSV UTF-8' in the spreadsheet program"
    if suffix in FRAMES:
        name = f"read_{suffix[1:]}" if suffix != ".jsonl" else "read_json"
        more = ", lines=True" if suffix == ".jsonl" else ""
        read = f"pandas.{name}({str(path)!r}{more})"
        return f"; with pandas, {read}.to_csv('data.csv', index=False) writes a CSV"
    return ""


def check_classes(path: Path, labels: np.ndarray, class_names: Sequence[str]) -> None:
    """Raises a RecipeError if there are too few classes, or too few examples of one."""
    if len(class_names) < 2:
        found = f"only '{class_names[0]}'" if class_names else "none"
        raise RecipeError(f"{path}: expected at least two classes, found {found}")
    counts = np.bincount(labels, minlength=len(class_names))
    if counts.min() < 3:
        raise RecipeError(
            f"{path}: class '{class_names[int(counts.argmin())]}' has {counts.min()} training examples; "
            "at least 3 are needed, for training, validation and test. Add some or drop the class"
        )


def check_numbers(path: Path, values: np.ndarray) -> None:
    """Raises a RecipeError if there are too few numbers to predict, or if all are equal."""
    if len(values) < LEAST_NUMBERS:
        raise RecipeError(
            f"{path}: expected at least {LEAST_NUMBERS} rows with a number to predict, found "
            f"{len(values)}"
        )
    if np.ptp(values) == 0:
        raise RecipeError(f"{path}: the number to predict is {values[0]:g} in every row")


def check_units(path: Path, train: Split, class_names: Sequence[str], needed: int) -> None:
    """Checks that each class has enough groups to put into different splits.

    Args:
        path, train: The data.
        class_names: Names of the classes; none of numbers, which count as one class.
        needed: Least number of groups.

    Raises:
        RecipeError: One has too few.
    """
    if train.groups is None:
        return
    if not class_names:
        units = len(np.unique(train.groups))
        if units < needed:
            raise RecipeError(
                f"{path}: the {len(train)} training examples fall into too few groups ({units}), and a "
                f"group stays on one side of every split; at least {needed} are needed. Copies of one "
                "example are a group, and join the groups that they are in: add columns that tell them "
                "apart, or leave the groups out"
            )
    for label, name in enumerate(class_names):
        units = len(np.unique(train.groups[train.y == label]))
        if units < needed:
            raise RecipeError(
                f"{path}: the {np.sum(train.y == label)} training examples of class '{name}' fall into "
                f"{units} groups, and a group stays on one side of every split (copies of one example, "
                f"as it is read, are a group); at least {needed} are needed. Add others, or drop the "
                "class"
            )
