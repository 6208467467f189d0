"""Reads single inputs of `recipes predict`, from a file or standard input, as training data is read."""

import io
from collections.abc import Sequence

import numpy as np

from common.basics.errors import RecipeError
from common.data.inputs import Row, read_bytes


class _StandardInput(io.BytesIO):
    def __repr__(self):  # Pillow's messages show it.
        return "standard input"


def read_array(row: np.ndarray) -> np.ndarray:
    """Reads one example of an .npy file, a row of a memory map."""
    return np.asarray(row)


def read_line(row: Row) -> str:
    """Returns the text of a row, which may be empty.

    Raises:
        RecipeError: The row has a problem.
    """
    if row.problem:
        raise RecipeError(row.problem)
    return row.text.strip()


def read_image(
    file: str,
    image_size: Sequence[int],
    channels: int,
    value_range: Sequence[float] | None = None,
) -> np.ndarray:
    """Reads an image file, resized and converted as training images are.

    Args:
        file: Path; "-" is standard input.
        image_size: `(height, width)` wanted.
        channels: 1 or 3.
        value_range: `(low, high)`: the values that are black and white in 16-bit and float images of
            the training data; None: the training images had 8 bits.

    Returns:
        uint8 `(height, width, channels)`.

    Raises:
        RecipeError: The file is absent or not an image.
    """
    from common.data import images

    opened = _StandardInput(read_bytes("-")) if file == "-" else file
    return images.read_image(opened, image_size, channels, value_range)


def read_sound(file: str, samples: int, rate: int) -> np.ndarray:
    """Reads a WAV file, or standard input if `file` is "-", as training clips are read: `read_wave`."""
    from common.data.audio import read_wave

    return read_wave(_StandardInput(read_bytes("-")) if file == "-" else file, rate, samples)


def read_text(source: str | Row) -> str:
    """Reads a text.

    Args:
        source: Path of a UTF-8 file, "-" for standard input, or a Row.

    Raises:
        RecipeError: The source is absent, damaged, empty or not text.
    """
    if isinstance(source, Row):
        if source.problem:
            raise RecipeError(source.problem)
        name, content = source.name, source.text.encode("utf-8", "surrogateescape")
    else:
        name = "standard input" if source == "-" else source
        content = read_bytes(source)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"this model classifies text, and {name} is not UTF-8 text ({error.reason})"
        ) from error
    if not text.strip():
        raise RecipeError(f"{name} holds no text to classify")
    return text


def read_texts(sources: Sequence[str | Row]) -> np.ndarray:
    """Reads texts as `read_text` does, into an object array of str `(n,)`."""
    texts = np.empty(len(sources), dtype=object)
    texts[:] = [read_text(source) for source in sources]
    return texts
