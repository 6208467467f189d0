"""Reads the files that `recipes predict` is given: images, or texts, also from standard input."""

import io
import sys
from pathlib import Path

import numpy as np

from common.errors import RecipeError, UsageError, near_match


class _StandardInput(io.BytesIO):
    def __repr__(self):  # Pillow's messages show it.
        return "standard input"


def check_files(files):
    """Checks that files are there, before anything slow begins.

    Raises:
        RecipeError: One is not.
    """
    for file in files:
        if file == "-" and sys.stdin is None:
            raise RecipeError(
                "cannot read standard input: it is closed; name a file, or pipe one in (`... - < FILE`)"
            )
        # Not is_file: a pipe will do.
        if file != "-" and (Path(file).is_dir() or not Path(file).exists()):
            found = "that is a folder" if Path(file).is_dir() else "there is no such file"
            raise RecipeError(f"cannot read {file}: {found}")


def check_label(label, names):
    """Checks that a class is among those that a model knows.

    Raises:
        UsageError: It is not.
    """
    if label not in names:
        raise UsageError(
            f"there is no class '{label}'{near_match(label, names)} (there are: {', '.join(names)})"
        )


def read_images(files, image_size, channels):
    """Reads image files, resized and converted as training images are.

    Args:
        files: Paths; "-" is standard input.
        image_size: `(height, width)` wanted.
        channels: 1 or 3.

    Returns:
        uint8 `(n, height, width, channels)`.

    Raises:
        RecipeError: A file is absent or no image.
    """
    from common.data.images import read_image

    return np.stack(
        [
            read_image(_StandardInput(_bytes("-")) if file == "-" else file, image_size, channels)
            for file in files
        ]
    )


def read_texts(files):
    """Reads UTF-8 text files, one text a file.

    Args:
        files: Paths; "-" is standard input.

    Returns:
        Object array of str `(n,)`.

    Raises:
        RecipeError: A file is absent, empty or no text.
    """
    texts = np.empty(len(files), dtype=object)
    for index, file in enumerate(files):
        name = "standard input" if file == "-" else file
        try:
            texts[index] = _bytes(file).decode("utf-8")
        except UnicodeDecodeError as error:
            raise RecipeError(
                f"this model classifies text, and {name} is not UTF-8 text ({error.reason})"
            ) from error
        if not texts[index].strip():
            raise RecipeError(f"{name} holds no text to classify")
    return texts


def _bytes(file):
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read {file}: {error.strerror or error}") from error
