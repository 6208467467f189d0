"""The user's own data: class folders of images, a CSV of texts and labels, or an .npz file.

    PATH/<class>/<image>                      or PATH/{train,test}/<class>/<image>
    PATH.csv with columns text and label      or PATH/train.csv and PATH/test.csv
    PATH.npz with x, y                        or x_train, y_train, x_test, y_test; class_names

Where there is no test split, 15 % are cut off, stratified, by a fixed seed.
"""

from pathlib import Path

import numpy as np

from common.data import own_csv, own_images, own_npz
from common.data.split import stratified_cut
from common.data.types import Dataset
from common.errors import RecipeError, UsageError, near_match
from common.source import AS_IT_COMES

TEST_FRACTION = 0.15
TEST_SEED = 0

IMAGES_EXPECTED = "a folder with one folder of images per class, or an .npz file of images"
TEXTS_EXPECTED = "a CSV with columns text and label, or an .npz file of texts"


def load_images(path, image_size, channels, reading=AS_IT_COMES):
    """Loads images of the user's own.

    Args:
        path: Folder of class folders, or .npz file.
        image_size: `(height, width)` to resize to.
        channels: 1 or 3, to convert to.
        reading: Reading.

    Returns:
        Dataset. Its arrays have the size and channels asked for when it comes from a folder.

    Raises:
        RecipeError: What is there cannot be used; the message names the file and what to do.
    """
    path = _existing(path)
    if path.is_dir():
        if own_csv.find(path) or not own_images.class_folders(path):
            found = "CSV files of texts" if own_csv.find(path) else "no class folders"
            raise RecipeError(f"expected {IMAGES_EXPECTED}; {path} holds {found}")
        return _dataset(path, own_images.read(path, tuple(image_size), channels, reading), "image")
    if path.suffix.lower() == ".npz":
        return _dataset(path, own_npz.read(path), "image")
    raise RecipeError(f"this recipe reads images: expected {IMAGES_EXPECTED}; got {path}")


def load_texts(path, reading=AS_IT_COMES):
    """Loads texts of the user's own.

    Args:
        path: CSV file, folder with train.csv (and test.csv), or .npz file.
        reading: Reading.

    Returns:
        Dataset.

    Raises:
        RecipeError: What is there cannot be used; the message names the file and what to do.
    """
    path = _existing(path)
    files = own_csv.find(path) if path.is_dir() else {}
    if path.suffix.lower() == ".csv":
        files = {"train": path}
    if files:
        return _dataset(path, own_csv.read(files, reading), "text")
    if path.suffix.lower() == ".npz":
        return _dataset(path, own_npz.read(path), "text")
    what = "a folder without train.csv" if path.is_dir() else path.name
    raise RecipeError(f"this recipe reads texts: expected {TEXTS_EXPECTED}; got {path} ({what})")


def _existing(path):
    written = str(path)
    path = Path(path).expanduser()
    if not written or not path.exists():
        raise UsageError(
            f"no data at '{written}'{near_match(written, ['full', 'sample'])}; --data takes "
            "'full', 'sample', or the path of your own data "
            f"({IMAGES_EXPECTED}; {TEXTS_EXPECTED})"
        )
    return path


def _dataset(path, arrays, kind):
    """Checks what was read, cuts a test split where there is none, and returns the Dataset."""
    if arrays.kind != kind:
        wanted = IMAGES_EXPECTED if kind == "image" else TEXTS_EXPECTED
        raise RecipeError(
            f"this recipe reads {kind}s: expected {wanted}; {path} holds {arrays.kind}s"
        )
    class_names, train, test = arrays.class_names, arrays.train, arrays.test
    if len(class_names) < 2:
        found = f"only '{class_names[0]}'" if class_names else "none"
        raise RecipeError(f"{path}: expected at least two classes, found {found}")
    counts = np.bincount(train.y, minlength=len(class_names))
    if counts.min() < 3:
        raise RecipeError(
            f"{path}: class '{class_names[counts.argmin()]}' has {counts.min()} training examples; "
            "at least 3 are needed, for training, validation and test. Add some or drop the class"
        )
    if test is None:
        rows, test_rows = stratified_cut(train.y, TEST_FRACTION, TEST_SEED)
        train, test = train.take(rows), train.take(test_rows)
    elif len(test) == 0:
        raise RecipeError(
            f"{path}: the test split is empty; fill it, or leave it out to have "
            f"{TEST_FRACTION:.0%} of the rest cut off"
        )
    return Dataset(
        name=path.stem,
        version="",
        source="own",
        fingerprint=arrays.fingerprint,
        kind=kind,
        class_names=class_names,
        label=path.resolve().name,
        note="",
        train=train,
        load_test=lambda: test,
        test_count=len(test),
        reading=arrays.reading,
        remarks=arrays.remarks,
    )
