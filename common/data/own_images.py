"""The user's own images: a folder with one folder of images per class, or a CSV of paths and labels."""

import collections
import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError, UsageError
from common.basics.wording import printable
from common.data import cache, depth, folders, named_files, remarks
from common.data.images import read_image, read_with_facts
from common.data.progress import progress
from common.data.source import Reading
from common.data.types import OwnArrays

GREY_MODES = ("1", "L", "LA", "La")
NEARLY_BLACK = 32

KEPT = 2
"""Increased when the content of a cache entry changes. Older entries are written again."""


def read(path: Path, image_size: Sequence[int], channels: int, reading: Reading) -> OwnArrays:
    """Reads a folder of class folders, from the cache if that holds the same files.

    Args:
        path: The folder, which may hold train/ and test/.
        image_size: `(height, width)` to resize to.
        channels: 1 or 3, to convert to.
        reading: How the images are read and grouped.

    Raises:
        UsageError: Folders of groups were announced, and there are none.
        RecipeError: A file cannot be used; the message says why.
    """
    found = folders.listed(path, folders.IMAGES, reading)
    return _decoded(path, found, image_size, channels, reading.value_range)


def read_csv(
    files: Mapping[str, Path], image_size: Sequence[int], channels: int, reading: Reading
) -> OwnArrays:
    """Reads the images that CSV files name.

    Args:
        files: The CSV file of "train", and perhaps of "test".
        image_size, channels: As of `read`.
        reading: Names of the columns, and how the images are read.

    Raises:
        RecipeError: A file cannot be used; the message says why.
    """
    found = named_files.listed(files, folders.IMAGES, reading)
    return _decoded(files["train"], found, image_size, channels, reading.value_range)


def _decoded(path, found, image_size, channels, given_range):
    """Returns the OwnArrays of the images in files, from the cache if that holds the same files.

    Args:
        path: What was given as the data, for messages.
        found: OwnArrays whose x are Paths.
        image_size, channels: As of `read`.
        given_range: The value range that the user gave, or None.
    """
    splits = {"train": found.train}
    if found.test is not None:
        splits["test"] = found.test

    def build(folder):
        pictures = {
            part: _Pictures(split.x, image_size, channels, given_range)
            for part, split in splits.items()
        }
        value_range = _value_range(path, pictures, given_range)
        for part, held in pictures.items():
            cache.write_split(folder, part, held.scaled(value_range), splits[part].y)
        if found.test is None:
            nothing = np.empty((0, *image_size, channels), np.uint8)
            cache.write_split(folder, "test", nothing, found.train.y[:0])
        lines = _remarks(pictures, image_size, channels, value_range)
        return {"kind": "image", "value_range": value_range, "remarks": lines}

    # Decoding photographs takes minutes, hashing them takes seconds: so the decoded images are kept.
    size = f"{image_size[0]}x{image_size[1]}x{channels}"
    if given_range is not None:
        size += "-{:g}-{:g}".format(*given_range)
    entry = cache.get("own-images", size, f"{found.fingerprint}-{KEPT}", build)
    value_range = entry.meta["value_range"]
    lines = list(entry.meta["remarks"])
    if given_range is not None and value_range is None:
        lines.append("--value-range changes nothing: all pixels have 8 bits")
    fingerprint, how = found.fingerprint, found.reading
    if value_range is not None:
        # With another value range the pixels differ, so it is other data.
        fingerprint = hashlib.sha256(f"{fingerprint} {value_range}".encode()).hexdigest()
        how = {**how, "value_range": value_range}
    images = {
        part: dataclasses.replace(split, x=entry.split(part).x) for part, split in splits.items()
    }
    return dataclasses.replace(
        found,
        kind="image",
        fingerprint=fingerprint,
        train=images["train"],
        test=images.get("test"),
        reading=how,
        remarks=(*lines, *found.remarks),
    )


class _Pictures:
    """The decoded pictures of a part.

    Without a given value range, deep pictures are read twice: first to find the range of all of them,
    then to scale them by it.

    Args:
        files: Paths.
        image_size: `(height, width)`.
        channels: 1 or 3.
        value_range: As given by the user, or None.
    """

    def __init__(self, files, image_size, channels, value_range):
        self.files, self.image_size, self.channels = files, image_size, channels
        self.images = np.empty((len(files), *image_size, channels), np.uint8)
        self.facts = [None] * len(files)
        self.waiting = self._read(range(len(files)), value_range)

    def scaled(self, value_range):
        """Returns the images, uint8 `(n, h, w, c)`."""
        self.waiting = self._read(self.waiting, value_range)
        return self.images

    def _read(self, rows, value_range):
        """Reads the files of some rows, and returns the rows that need a value range first."""
        waiting = []
        # Threads help, because Pillow releases the interpreter lock while it decodes and resizes.
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            read = pool.map(
                lambda row: read_with_facts(
                    self.files[row], self.image_size, self.channels, value_range
                ),
                rows,
            )
            try:
                shown = progress(read, len(rows), "reading images")
                for row, (image, facts) in zip(rows, shown, strict=True):
                    self.facts[row] = facts
                    if image is None:
                        waiting.append(row)
                    else:
                        self.images[row] = image
            except BaseException:
                # Otherwise an interrupt would wait until the whole queue is done.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return waiting


def _value_range(path, pictures, given):
    """Returns the `[black, white]` of deep pixels, or None if all pixels have 8 bits."""
    deep = [fact for fact in _facts(pictures) if fact.deep]
    if given is not None:
        wide = [
            file
            for held in pictures.values()
            for file, fact in zip(held.files, held.facts, strict=True)
            if fact.wide
        ]
        if wide and not deep:
            raise RecipeError(
                f"{wide[0]} has 16 bits for each colour, of which only the upper 8 are read, so "
                "--value-range cannot be applied; save it in grey or scaled to 8 bits"
            )
        return [float(value) for value in given] if deep else None
    if not deep:
        return None
    if len({fact.whole for fact in deep}) > 1:
        raise RecipeError(
            f"{path} holds images deeper than 8 bits of two kinds, whole numbers and floating-point; "
            f"{depth.HINT}"
        )
    # The range comes from the training images only: a model in use knows no test split.
    train = [fact for fact in pictures["train"].facts if fact.deep] or deep
    whole = train[0].whole
    checked = train if whole else deep
    low, high = min(fact.low for fact in checked), max(fact.high for fact in checked)
    return list(depth.default_range(low, high, whole, path))


def _facts(pictures):
    return [fact for held in pictures.values() for fact in held.facts]


def _remarks(pictures, image_size, channels, value_range):
    """Returns lines for a person on what the pictures were."""
    facts = _facts(pictures)
    sizes = collections.Counter(fact.size for fact in facts)
    lines = [remarks.sizes(sizes, image_size)]
    wanted = "grey" if channels == 1 else "colour"
    grey = sum(fact.deep or fact.mode in GREY_MODES for fact in facts)
    other = len(facts) - grey if channels == 1 else grey
    kinds = f"{grey:,} grey, {len(facts) - grey:,} in colour"
    lines.append(f"pixels: {kinds}" + (f"; read as {wanted}" if other else ""))
    deep = [fact for fact in facts if fact.deep]
    if deep:
        low, high = min(fact.low for fact in deep), max(fact.high for fact in deep)
        count = "all" if len(deep) == len(facts) else f"{len(deep):,} of {len(facts):,}"
        lines.append(
            f"deeper than 8 bits: {count}, {depth.describe(low, high, value_range)}"
            + ("" if len(deep) == len(facts) else "; those of 8 bits are not changed")
        )
    wide = sum(fact.wide for fact in facts)
    if wide:
        lines.append(f"16 bits for each colour: {wide:,}; only the upper 8 bits are read")
    brightest = max(int(held.images.max(initial=0)) for held in pictures.values())
    if brightest < NEARLY_BLACK:
        lines.append(f"nearly black: the brightest pixel of all pictures is {brightest} of 255")
    return lines


def read_support(
    folder: Path, image_size: Sequence[int], channels: int, value_range: Sequence[float] | None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Reads the few images by which a few-shot network is told its classes.

    Args:
        folder: Folder of class folders, each with one image or more.
        image_size: `(height, width)` to resize to.
        channels: 1 or 3, to convert to.
        value_range: Of images deeper than 8 bits: values that become black and white, or None.

    Returns:
        uint8 images `(n, height, width, channels)`, the class of each, int32 `(n,)`, and the names of the
        classes, sorted.

    Raises:
        UsageError: There is no such folder.
        RecipeError: It holds no two class folders, or an image cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"--support takes a folder of class folders; there is no folder {folder}")
    found, _ = folders.list_files(folder, folders.IMAGES)
    if len(found) < 2:
        raise RecipeError(
            f"--support {folder}: expected at least two class folders with images, found {len(found)}"
        )
    names = sorted(found)
    images = [
        read_image(file, image_size, channels, value_range)
        for name in names
        for file in found[name]
    ]
    labels = np.repeat(np.arange(len(names), dtype=np.int32), [len(found[name]) for name in names])
    return np.stack(images), labels, [printable(name) for name in names]
