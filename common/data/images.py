"""Reading, resizing and recolouring images. Pillow is imported where it is needed."""

import contextlib
import dataclasses
import functools
import importlib.util
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import numpy as np

from common.basics.errors import RecipeError
from common.data.depth import to_8_bits

DEEP_MODES = ("I", "F")
"""Prefixes of Pillow's modes for grey pixels deeper than 8 bits: I;16, I;16B, I and F."""

MEGAPIXELS = 512
"""Largest picture that is read; it takes gigabytes of memory meanwhile."""
LARGE_MEGAPIXELS = 64
"""Larger pictures than this are read one at a time."""
_one_large = threading.Lock()


def convert(images: np.ndarray, image_size: Sequence[int], channels: int) -> np.ndarray:
    """Converts an array of images to a size and a number of channels.

    Args:
        images: uint8 `(n, height, width, c)`, c 1 or 3.
        image_size: `(height, width)` wanted.
        channels: 1 or 3.

    Returns:
        uint8 `(n, *image_size, channels)`. It is `images` itself if nothing has to be done, so that a
        memory map stays one.
    """
    if images.shape[3] == 3 and channels == 1:
        # ITU-R 601 luma in fixed point, exactly as Pillow's convert("L").
        weighted = images.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
        images = ((weighted + 0x8000) >> 16).astype(np.uint8)[..., None]
    if images.shape[1:3] != tuple(image_size):
        images = _resize(images, image_size)
    if images.shape[3] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=3)
    return images


def _resize(images, image_size):
    from PIL import Image

    height, width = image_size
    resized = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(
            np.ascontiguousarray(image.squeeze(-1) if image.shape[2] == 1 else image)
        )
        # Pillow's bilinear filter widens with the scale, and so smooths what it shrinks.
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        resized[row] = np.asarray(picture).reshape(height, width, -1)
    return resized


@dataclasses.dataclass(frozen=True)
class Facts:
    """Properties of an image file before it was converted."""

    size: tuple[int, int]
    """Width and height in pixels, after the EXIF orientation was applied."""
    mode: str
    """Pillow's name of the pixel format: 'L', 'RGB', 'I;16', ..."""
    deep: bool
    """Whether its grey values have more than 8 bits."""
    wide: bool
    """Whether its colours have 16 bits. Pillow reads only the upper 8."""
    low: float = 0.0
    """Least value of deep pixels."""
    high: float = 0.0
    """Greatest value of deep pixels."""

    @property
    def whole(self) -> bool:
        """Whether deep pixels are whole numbers."""
        return self.mode != "F"


def read_image(
    path: Path | str | BinaryIO,
    image_size: Sequence[int],
    channels: int,
    value_range: Sequence[float] | None = None,
) -> np.ndarray:
    """Reads an image file.

    The EXIF orientation is applied (phones store pictures turned), transparent parts become white, and
    of an animation the first frame is taken.

    Args:
        path: The file.
        image_size: `(height, width)` wanted.
        channels: 1 or 3.
        value_range: `(low, high)`: the values that become black and white in pixels deeper than 8 bits,
            a property of the data set. Pixels of 8 bits are not changed.

    Returns:
        uint8 `(height, width, channels)`.

    Raises:
        RecipeError: The file is not an image Pillow can read, is too large, or is deeper than 8 bits
            and there is no value range.
    """
    image, facts = read_with_facts(path, image_size, channels, value_range)
    if image is None:
        raise RecipeError(
            f"the image {path} is deeper than 8 bits ({facts.mode}, values {facts.low:g} to "
            f"{facts.high:g}), but the model was trained on images of 8 bits, so it is not known which "
            "values are black and white; save it with 8 bits"
        )
    return image


def read_with_facts(
    path: Path | str | BinaryIO,
    image_size: Sequence[int],
    channels: int,
    value_range: Sequence[float] | None = None,
) -> tuple[np.ndarray | None, Facts]:
    """Reads an image file and its properties; arguments and errors as for `read_image`.

    Returns:
        The image and its Facts. The image is None if it is deep and there is no value range.
    """
    from PIL import ImageOps

    Image = pillow()
    height, width = image_size
    try:
        with Image.open(path) as opened, _memory_for(path, opened):
            wide = not opened.mode.startswith(DEEP_MODES) and _has_16_bits(opened)
            picture = ImageOps.exif_transpose(opened)
            deep = picture.mode.startswith(DEEP_MODES)
            facts = Facts(picture.size, picture.mode, deep, wide)
            if facts.deep:
                values = np.asarray(picture)
                facts = _measured(path, facts, values, value_range)
                if value_range is None:
                    return None, facts
                picture = Image.fromarray(to_8_bits(values, value_range))
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                white = Image.new("RGBA", picture.size, "white")
                picture = Image.alpha_composite(white, picture)
            picture = picture.convert("L" if channels == 1 else "RGB")
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError as error:
        raise RecipeError(f"no image at {path}") from error
    except (MemoryError, RecipeError):
        raise
    except Exception as error:  # Pillow's plug-ins raise many kinds of errors for damaged files.
        raise RecipeError(
            f"cannot read the image {path}: {error}; the file is damaged or not an image. "
            "Replace or remove it"
        ) from error
    return np.asarray(picture).reshape(height, width, channels), facts


@functools.cache
def pillow() -> ModuleType:
    """Returns Pillow's Image module, which reads HEIC too if pillow-heif is installed."""
    from PIL import Image

    # Pillow's own limit would refuse large but sound pictures; `_memory_for` sets another one.
    Image.MAX_IMAGE_PIXELS = None
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return Image


def _memory_for(path, opened):
    """Returns a context to decode a picture in. Only one large picture is decoded at a time.

    Raises:
        RecipeError: It is too large.
    """
    megapixels = opened.width * opened.height / 1e6
    if megapixels > MEGAPIXELS:
        raise RecipeError(
            f"the image {path} has {megapixels:,.0f} megapixels ({opened.width} x {opened.height}), at "
            f"most {MEGAPIXELS} are read; make it smaller"
        )
    return _one_large if megapixels > LARGE_MEGAPIXELS else contextlib.nullcontext()


def _has_16_bits(opened):
    """Returns whether the file holds 16 bits a channel, by the layout that Pillow decodes."""
    return any(re.search(r"[A-Za-z];16[BLNS]", str(tile[3])) for tile in opened.tile)


def _measured(path, facts, values, value_range):
    """Returns the Facts of a deep image with its least and greatest value.

    Raises:
        RecipeError: Pixels are not finite, or the value range is for floating-point pixels only.
    """
    if not np.isfinite(values).all():
        raise RecipeError(f"the image {path} holds pixels that are NaN or infinite; repair it")
    low, high = float(values.min()), float(values.max())
    if value_range is not None and facts.whole and high > 1 >= value_range[1]:
        raise RecipeError(
            f"the image {path} holds whole numbers up to {high:g}, but the value range is for "
            f"floating-point images ({value_range[0]:g} to {value_range[1]:g}); save it as one of them"
        )
    return dataclasses.replace(facts, low=low, high=high)
