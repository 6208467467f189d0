"""Reads the files that `recipes predict` is given: images, or texts, also from standard input."""

import io
import sys
from pathlib import Path

import numpy as np

from common.errors import RecipeError


class _StandardInput(io.BytesIO):
    def __str__(self):
        return "standard input"


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
        RecipeError: A file is absent or no text.
    """
    texts = np.empty(len(files), dtype=object)
    for index, file in enumerate(files):
        try:
            texts[index] = _bytes(file).decode("utf-8")
        except UnicodeDecodeError as error:
            raise RecipeError(
                f"this model classifies text, and {file} is not UTF-8 text ({error.reason})"
            ) from error
    return texts


def _bytes(file):
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read {file}: {error.strerror or error}") from error
