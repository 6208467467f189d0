"""Reads the files that `recipes predict` is given: images, or texts, also from standard input."""

import io
import sys
from pathlib import Path

import numpy as np

from common.errors import RecipeError


def read_inputs(files, kind, run):
    """Reads files in the form the run's data had.

    Args:
        files: Paths; "-" is standard input.
        kind: "image" or "text".
        run: The Run, for messages.

    Returns:
        A function of the model (whose input shape says the size of images) that returns the raw
        inputs: uint8 `(n, h, w, c)` or an object array of strings `(n,)`.

    Raises:
        RecipeError: A file is absent or is no image or text.
    """
    contents = [_read(file) for file in files]
    if kind == "text":
        texts = np.empty(len(files), dtype=object)
        for index, (file, content) in enumerate(zip(files, contents, strict=True)):
            try:
                texts[index] = content.decode("utf-8")
            except UnicodeDecodeError as error:
                raise RecipeError(
                    f"{run.recipe} classifies text; {file} is not UTF-8 text ({error.reason})"
                ) from error
        return lambda model: texts
    return lambda model: np.stack(
        [
            _decode_image(file, content, *model.input_shape[1:])
            for file, content in zip(files, contents, strict=True)
        ]
    )


def _read(file):
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read {file}: {error.strerror or error}") from error


def _decode_image(file, content, height, width, channels):
    from common.data.own import image_array

    return image_array(io.BytesIO(content), file, (height, width), channels)
