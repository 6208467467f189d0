"""The user's own data: class folders of images or sound, a CSV, or an .npz file.

    PATH/<class>/<image or WAV>               or PATH/{train,test}/<class>/<image or WAV>
    PATH.csv with columns text and label      or PATH/train.csv and PATH/test.csv
    PATH.csv with columns path and label      or the same two files; the paths are those of images or WAV
    PATH.csv with any columns and label       or the same two files: a table
    PATH.npz with x, y                        or x_train, y_train, x_test, y_test; class_names

If there is no test split, 15 % of the examples become one, stratified, by a fixed seed; or the latest, if
they have times. Copies of one example, and the examples of a group, stay on one side of every split.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.wording import examples, printable
from common.data import (
    by_time,
    groups,
    own_audio,
    own_csv,
    own_images,
    own_npz,
    own_table,
    remarks,
)
from common.data.csv_form import is_csv
from common.data.folders import class_folders
from common.data.own_checks import (
    check_classes,
    check_numbers,
    check_test_fraction,
    check_units,
    check_value_range,
    refuse,
    what_instead,
)
from common.data.sets import TableSet
from common.data.source import AS_IT_COMES, Reading
from common.data.types import Dataset

TEST_FRACTION = 0.15
TEST_SEED = 0

IMAGES_EXPECTED = (
    "a folder with one folder of images per class, a CSV with columns path and label, or an .npz file "
    "of images"
)
COLUMNS = ("text_column", "path_column", "label_column", "group_column", "time_column")
TEXTS_EXPECTED = "a CSV with columns text and label, or an .npz file of texts"
SOUNDS_EXPECTED = (
    "a folder with one folder of WAV files per class, or a CSV with columns path and label"
)
TABLES_EXPECTED = "a CSV with a column label and others to learn from"
EXPECTED = {
    "image": IMAGES_EXPECTED,
    "text": TEXTS_EXPECTED,
    "audio": SOUNDS_EXPECTED,
    "table": TABLES_EXPECTED,
}


def load_images(
    path: str | Path, image_size: Sequence[int], channels: int, reading: Reading = AS_IT_COMES
) -> Dataset:
    """Loads the user's own images.

    Args:
        path: Folder of class folders, CSV file of paths and labels, folder with train.csv (and
            test.csv), or .npz file.
        image_size: `(height, width)` to resize to.
        channels: 1 or 3, to convert to.
        reading: How the data is read.

    Returns:
        Images from files have the wanted size and channels, those of an .npz file their own.

    Raises:
        UsageError: The path does not exist, or `reading` has a value that is wrong or of no use here.
        RecipeError: The data cannot be used; the message names the file and what to do.
    """
    path = _existing(path)
    check_test_fraction(reading.test_fraction)
    check_value_range(reading.value_range)
    size, files = tuple(image_size), _csv_files(path)
    if files:
        refuse(reading, ["text_column"], "CSV files of texts", path)
        refuse(reading, ["group_folders"], "folders of images", path)
        return _dataset(path, own_images.read_csv(files, size, channels, reading), "image", reading)
    refuse(reading, COLUMNS, "CSV files", path)
    if path.is_dir():
        if not class_folders(path):
            raise RecipeError(
                f"expected {IMAGES_EXPECTED}; {path} holds no class folders and no train.csv"
            )
        return _dataset(path, own_images.read(path, size, channels, reading), "image", reading)
    if path.suffix.lower() == ".npz":
        refuse(reading, ["group_folders"], "folders of images", path)
        return _dataset(path, own_npz.read(path, size, reading.value_range), "image", reading)
    raise RecipeError(
        f"this recipe reads images: expected {IMAGES_EXPECTED}; got {path}{what_instead(path)}"
    )


def load_texts(path: str | Path, reading: Reading = AS_IT_COMES) -> Dataset:
    """Loads the user's own texts.

    Args:
        path: CSV file, folder with train.csv (and test.csv), or .npz file.
        reading: How the data is read.

    Raises:
        UsageError: The path does not exist, or `reading` has a value that is of no use here.
        RecipeError: The data cannot be used; the message names the file and what to do.
    """
    path = _existing(path)
    check_test_fraction(reading.test_fraction)
    refuse(reading, ["value_range", "group_folders", "path_column"], "images", path)
    files = _csv_files(path)
    if files:
        return _dataset(path, own_csv.read(files, reading), "text", reading)
    if path.suffix.lower() == ".npz":
        refuse(reading, COLUMNS, "CSV files", path)
        return _dataset(path, own_npz.read(path), "text", reading)
    raise RecipeError(
        f"this recipe reads texts: expected {TEXTS_EXPECTED}; got {path}{what_instead(path)}"
    )


def load_audio(
    path: str | Path, rate: int, samples: int, reading: Reading = AS_IT_COMES
) -> Dataset:
    """Loads the user's own sound.

    Args:
        path: Folder of class folders of WAV files, CSV file of paths and labels, or folder with
            train.csv (and test.csv).
        rate: Samples per second; other rates are resampled.
        samples: Length of every clip, in samples.
        reading: How the data is read.

    Returns:
        `x` is float32 `(n, samples)`.

    Raises:
        UsageError: The path does not exist, or `reading` has a value that is of no use here.
        RecipeError: The data cannot be used; the message names the file and what to do.
    """
    path = _existing(path)
    check_test_fraction(reading.test_fraction)
    refuse(reading, ["value_range"], "images", path)
    files = _csv_files(path)
    if files:
        refuse(reading, ["text_column"], "CSV files of texts", path)
        refuse(reading, ["group_folders"], "folders", path)
        return _dataset(path, own_audio.read_csv(files, rate, samples, reading), "audio", reading)
    if path.is_dir() and class_folders(path):
        refuse(reading, COLUMNS, "CSV files", path)
        return _dataset(path, own_audio.read(path, rate, samples, reading), "audio", reading)
    raise RecipeError(
        f"this recipe reads sound: expected {SOUNDS_EXPECTED}; got {path}{what_instead(path)}"
    )


def load_table(
    path: str | Path, reading: Reading = AS_IT_COMES, *, numbers: bool = False
) -> Dataset:
    """Loads the user's own table.

    Args:
        path: CSV file, or folder with train.csv (and test.csv).
        reading: How the data is read.
        numbers: Whether the labels are numbers, not classes.

    Returns:
        `x` is an object array of str `(n, columns)`, '' for a missing value; `reading["columns"]`
        describes the columns.

    Raises:
        UsageError: The path does not exist, or `reading` has a value that is of no use here.
        RecipeError: The data cannot be used; the message names the file and what to do.
    """
    path = _existing(path)
    check_test_fraction(reading.test_fraction)
    refuse(reading, ["value_range", "group_folders", "path_column"], "images", path)
    refuse(reading, ["text_column"], "CSV files of texts", path)
    files = _csv_files(path)
    if files:
        return _dataset(path, own_table.read(files, reading, numbers), "table", reading)
    raise RecipeError(
        f"this recipe reads tables: expected {TABLES_EXPECTED}; got {path}{what_instead(path)}"
    )


def load_known_table(data_set: TableSet, folder: Path | None = None) -> Dataset:
    """Loads a real table from the folder where the user keeps its files.

    Args:
        data_set: Declares it.
        folder: The folder, or the one above it, where it has the name of the set; None: the one that
            the environment variable of the set names.

    Raises:
        RecipeError: The files are absent, or others than declared.
    """
    path, arrays = own_table.read_known(data_set, folder)
    return dataclasses.replace(
        _dataset(path, arrays, "table"),
        name=data_set.name,
        label=data_set.label,
        source="full",
        remarks=(),
    )


def _existing(path: str | Path) -> Path:
    written = str(path)
    path = Path(path).expanduser()
    if not written or not path.exists():
        raise UsageError(
            f"no data at '{written}'{near_match(written, ['full', 'sample'])}; --data takes "
            "'full', 'sample', or the path of your own data "
            f"({'; '.join(EXPECTED.values())})"
        )
    return path


def _csv_files(path):
    """Returns the CSV files of a path by split; nothing if it has none."""
    if path.is_dir():
        return own_csv.find(path)
    return {"train": path} if is_csv(path) else {}


def _dataset(path, arrays, kind, reading=AS_IT_COMES):
    """Checks what was read, cuts a test split where there is none, and returns the Dataset."""
    if arrays.kind != kind:
        raise RecipeError(
            f"this recipe reads {examples(kind)}: expected {EXPECTED[kind]}; {path} holds "
            f"{examples(arrays.kind)}"
        )
    class_names, train, test = arrays.class_names, arrays.train, arrays.test
    numbers = np.issubdtype(train.y.dtype, np.floating)
    if numbers:
        check_numbers(path, train.y)
    else:
        check_classes(path, train.y, class_names)
    if test is not None and len(test) == 0:
        raise RecipeError(
            f"{path}: the test split is empty; fill it, or leave it out: then {TEST_FRACTION:.0%} of "
            "the training examples become the test split"
        )
    together = groups.find(arrays)
    train = dataclasses.replace(train, groups=together.units)
    check_units(path, train, class_names, 3 if test is None else 2)
    fingerprint = arrays.fingerprint
    # The files are the same, but the split is another one than without groups or times.
    for deciding in (together.units, train.times):
        if deciding is not None:
            held = f"{fingerprint} {deciding.tolist()}"
            fingerprint = hashlib.sha256(held.encode()).hexdigest()
    given, test_seen, lines = test is not None, together.test_seen, together.remarks
    if given and reading.test_fraction is not None:
        raise UsageError(f"--test-fraction cuts a test split off, and {path} has one; leave it out")
    if not given:
        fraction = TEST_FRACTION if reading.test_fraction is None else reading.test_fraction
        if fraction != TEST_FRACTION:
            fingerprint = hashlib.sha256(f"{fingerprint} {fraction:g}".encode()).hexdigest()
        rows, test_rows = by_time.cut(train, fraction, TEST_SEED, class_names)
        if train.times is not None:
            test_seen = np.isin(together.copies[test_rows], together.copies[rows])
            lines = (*lines, *remarks.seen(test_seen))
        train, test = train.take(rows), train.take(test_rows)
    if numbers:
        read = remarks.numbers(train.y, test.y, given)
    else:
        in_class = [np.bincount(split.y, minlength=len(class_names)) for split in (train, test)]
        read = remarks.classes(class_names, *in_class, given)
    return Dataset(
        name=printable(path.stem),
        version="",
        source="own",
        fingerprint=fingerprint,
        kind=kind,
        # A class may be named after a folder, whose name may hold characters that no font draws.
        class_names=[printable(name) for name in class_names],
        label=printable(path.resolve().name),
        note="",
        train=train,
        load_test=lambda: test,
        test_count=len(test),
        reading=arrays.reading,
        remarks=(
            *read,
            *by_time.test_line(train, test, given),
            *arrays.remarks,
            *lines,
        ),
        test_seen=test_seen,
    )
