"""The user's own data: class folders of images, a CSV of texts and labels, or an .npz file.

    PATH/<class>/<image>                      or PATH/{train,test}/<class>/<image>
    PATH.csv with columns text and label      or PATH/train.csv and PATH/test.csv
    PATH.npz with x, y                        or x_train, y_train, x_test, y_test; class_names

Where there is no test split, 15 % are cut off, stratified, by a fixed seed.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from common.data import cache, own_npz
from common.data.images import read_image
from common.data.split import stratified_cut
from common.data.types import Dataset, Split
from common.errors import RecipeError, UsageError, near_match
from common.wording import printable

TEST_FRACTION = 0.15
TEST_SEED = 0

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm"),
)
IMAGES_EXPECTED = "a folder with one folder of images per class, or an .npz file of images"
TEXTS_EXPECTED = "a CSV with columns text and label, or an .npz file of texts"


def load_images(path, image_size, channels):
    """Loads images of the user's own.

    Args:
        path: Folder of class folders, or .npz file.
        image_size: `(height, width)` to resize to.
        channels: 1 or 3, to convert to.

    Returns:
        Dataset. Its arrays have the size and channels asked for when it comes from a folder.

    Raises:
        RecipeError: What is there cannot be used; the message names the file and what to do.
    """
    path = _existing(path)
    if path.is_dir():
        if _csv_files(path) or not _visible_folders(path):
            found = "CSV files of texts" if _csv_files(path) else "no class folders"
            raise RecipeError(f"expected {IMAGES_EXPECTED}; {path} holds {found}")
        return _image_folder(path, tuple(image_size), channels)
    if path.suffix.lower() == ".npz":
        return _from_npz(path, "image")
    raise RecipeError(f"this recipe reads images: expected {IMAGES_EXPECTED}; got {path}")


def load_texts(path):
    """Loads texts of the user's own.

    Args:
        path: CSV file, folder with train.csv (and test.csv), or .npz file.

    Returns:
        Dataset.

    Raises:
        RecipeError: What is there cannot be used; the message names the file and what to do.
    """
    path = _existing(path)
    if path.is_dir() and _csv_files(path):
        return _csv_dataset(path, _csv_files(path))
    if path.suffix.lower() == ".csv":
        return _csv_dataset(path, {"train": path})
    if path.suffix.lower() == ".npz":
        return _from_npz(path, "text")
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


def _make(path, kind, fingerprint, class_names, train, test):
    """Checks the classes, cuts a test split where there is none, and returns the Dataset."""
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
        name=printable(path.stem),
        version="",
        source="own",
        fingerprint=fingerprint,
        kind=kind,
        # Fonts draw text only, and a class may have the name of a folder.
        class_names=[printable(name) for name in class_names],
        label=printable(path.resolve().name),
        note="",
        train=train,
        load_test=lambda: test,
        test_count=len(test),
    )


def _from_npz(path, kind):
    arrays = own_npz.read(path)
    if arrays.kind != kind:
        wanted = IMAGES_EXPECTED if kind == "image" else TEXTS_EXPECTED
        raise RecipeError(
            f"this recipe reads {kind}s: expected {wanted}; {path} holds {arrays.kind}s"
        )
    fingerprint = _fingerprint([(path.suffix, path)])
    return _make(path, kind, fingerprint, arrays.class_names, arrays.train, arrays.test)


def _fingerprint(named_files):
    digest = hashlib.sha256()
    for name, path in named_files:
        digest.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


# Folders of images


def _visible_folders(path):
    return sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _list_images(folder):
    """Returns `(class names, {class name: sorted image paths})` of a folder of class folders."""
    found = {}
    for class_folder in _visible_folders(folder):
        paths = []
        for directory, folders, names in os.walk(class_folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths += [
                Path(directory) / name
                for name in sorted(names)
                if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
            ]
        if not paths:
            raise RecipeError(
                f"the class folder {class_folder} holds no images ({', '.join(IMAGE_SUFFIXES)}); "
                "add some or remove the folder"
            )
        found[class_folder.name] = paths
    return found


def _image_folder(path, image_size, channels):
    folders = {folder.name: folder for folder in _visible_folders(path)}
    parts = {"train": path}
    if "train" in folders:
        others = sorted(set(folders) - {"train", "test"})
        if others:
            raise RecipeError(
                f"{path} holds train/, so expected only train/ and test/ beside it, found "
                f"{others[0]}/. Move its images into train/: validation is cut from there"
            )
        parts = folders
    listed = {part: _list_images(folder) for part, folder in parts.items()}
    class_names = sorted(listed["train"])
    unknown = sorted(set(listed.get("test", {})) - set(class_names))
    if unknown:
        raise RecipeError(f"{path}: class '{unknown[0]}' is in test/ and not in train/")
    files = {
        part: [(file, label) for label, name in enumerate(class_names) for file in by_class[name]]
        if part == "train"
        else [
            (file, label)
            for label, name in enumerate(class_names)
            for file in by_class.get(name, [])
        ]
        for part, by_class in listed.items()
    }
    labels = {
        part: np.array([label for _, label in rows], np.int32) for part, rows in files.items()
    }
    fingerprint = _fingerprint(
        (file.relative_to(path).as_posix(), file) for rows in files.values() for file, _ in rows
    )

    def build(folder):
        for part, rows in files.items():
            images = _read_all([file for file, _ in rows], image_size, channels)
            cache.write_split(folder, part, images, labels[part])
        if "test" not in files:
            cache.write_split(folder, "test", images[:0], labels["train"][:0])
        return {"kind": "image"}

    # Decoding photographs takes minutes where hashing them takes seconds, so the result is kept.
    size = f"{image_size[0]}x{image_size[1]}x{channels}"
    entry = cache.get("own-images", size, fingerprint, build)
    test = entry.split("test") if "test" in files else None
    return _make(path, "image", fingerprint, class_names, entry.split("train"), test)


def _read_all(files, image_size, channels):
    from concurrent.futures import ThreadPoolExecutor

    images = np.empty((len(files), *image_size, channels), np.uint8)
    # Threads help: Pillow lets go of the interpreter lock while it decodes and resizes.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        read = pool.map(lambda file: read_image(file, image_size, channels), files)
        for row, image in enumerate(read):
            images[row] = image
    return images


# CSV files


def _csv_files(path):
    files = {part: path / f"{part}.csv" for part in ("train", "test")}
    files = {part: file for part, file in files.items() if file.is_file()}
    return files if "train" in files else {}


def _csv_dataset(path, files):
    rows = {part: _read_csv(file) for part, file in files.items()}
    names = {label for _, label in rows["train"]}
    # Numbers in the order of numbers, so that class 10 does not come before class 2.
    numeric = all(name.isdecimal() for name in names)
    class_names = sorted(names, key=(lambda name: (int(name), name)) if numeric else None)
    index = {name: label for label, name in enumerate(class_names)}
    splits = {}
    for part, pairs in rows.items():
        unknown = [label for _, label in pairs if label not in index]
        if unknown:
            raise RecipeError(f"{files[part]}: label '{unknown[0]}' does not occur in train.csv")
        texts = np.empty(len(pairs), object)
        texts[:] = [text for text, _ in pairs]
        splits[part] = Split(texts, np.array([index[label] for _, label in pairs], np.int32))
    fingerprint = _fingerprint((part, file) for part, file in files.items())
    return _make(path, "text", fingerprint, class_names, splits["train"], splits.get("test"))


def _read_csv(path):
    """Returns a list of `(text, label)`."""
    import csv

    # The default limit of 131,072 characters would refuse long documents.
    csv.field_size_limit(2**31 - 1)
    rows = []
    try:
        # utf-8-sig drops the byte order mark that spreadsheets write.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            missing = [name for name in ("text", "label") if name not in header]
            if missing:
                raise RecipeError(
                    f"{path}: expected columns text and label, column {missing[0]} is missing; "
                    f"found: {', '.join(header) or 'an empty file'}"
                )
            text_column, label_column = header.index("text"), header.index("label")
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise RecipeError(
                        f"{path}, line {reader.line_num}: {len(row)} fields where the header has "
                        f"{len(header)}; texts with commas need quotes"
                    )
                text, label = row[text_column], row[label_column].strip()
                if not text.strip() or not label:
                    empty = "text" if label else "label"
                    raise RecipeError(
                        f"{path}, line {reader.line_num}: the {empty} is empty; fill it or "
                        "remove the row"
                    )
                rows.append((text, label))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(f"{path} is not a readable UTF-8 CSV file: {error}") from error
    if not rows:
        raise RecipeError(f"{path} holds no rows below its header")
    return rows
