"""Reading, resizing and recolouring images. Pillow is imported where it is needed."""

import contextlib
import dataclasses
import functools
import importlib.util
import re
import threading

import numpy as np

from common.basics.errors import RecipeError
from common.data.depth import to_8_bits

DEEP_MODES = ("I", "F")
"""How Pillow's names of grey pixels deeper than 8 bits begin: I;16, I;16B, I and F."""

MEGAPIXELS = 512
"""A picture of this size takes gigabytes while it is read."""
LARGE_MEGAPIXELS = 64
"""Above this, one is read at a time."""
_one_large = threading.Lock()


def convert(images, image_size, channels):
    """Converts an array of images to a size and a number of channels.

    Args:
        images: uint8 `(n, height, width, c)`, c 1 or 3.
        image_size: `(height, width)` wanted.
        channels: 1 or 3.

    Returns:
        uint8 `(n, *image_size, channels)`; `images` itself where nothing is to be done, so that a
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
        # Pillow's bilinear filter widens with the scale, which is antialiasing.
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        resized[row] = np.asarray(picture).reshape(height, width, -1)
    return resized


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a file was before it was converted."""

    size: tuple[int, int]
    """Width and height, as a person sees it."""
    mode: str
    """Pillow's: 'L', 'RGB', 'I;16', ..."""
    deep: bool
    """Whether its grey values have more than 8 bits."""
    wide: bool
    """Whether its colours have 16 bits, of which Pillow reads the upper 8."""
    low: float = 0.0
    """Least value of deep pixels."""
    high: float = 0.0
    """Greatest value of deep pixels."""

    @property
    def whole(self):
        """Whether deep pixels are whole numbers."""
        return self.mode != "F"


def read_image(path, image_size, channels, value_range=None):
    """Reads an image file.

    The EXIF orientation is applied (phones store pictures lying down), transparency is laid on
    white, and of an animation the first frame is taken.

    Args:
        path: The file.
        image_size: `(height, width)` wanted.
        channels: 1 or 3.
        value_range: Values of deeper pixels than 8 bits that become black and white, `(low, high)`: a
            property of the data set. Pixels of 8 bits are taken as they are.

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
            f"{facts.high:g}), and no images like it were trained on, so nothing says which values are "
            "black and white; save it with 8 bits"
        )
    return image


def read_with_facts(path, image_size, channels, value_range=None):
    """Reads an image file and what it was; args and errors as of `read_image`.

    Returns:
        Tuple of the image and its Facts; the image is None where it is deep and there is no range.
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
    except Exception as error:  # Pillow's plug-ins raise many kinds for damaged files.
        raise RecipeError(
            f"cannot read the image {path}: {error}; the file is damaged or not an image. "
            "Replace or remove it"
        ) from error
    return np.asarray(picture).reshape(height, width, channels), facts


@functools.cache
def pillow():
    """Returns Pillow's Image module, made to read HEIC where pillow-heif is installed."""
    from PIL import Image

    # Its own limit calls sound pictures an attack; ours is checked for each file below.
    Image.MAX_IMAGE_PIXELS = None
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return Image


def _memory_for(path, opened):
    """Returns a context in which a picture may be decoded; large ones wait for each other.

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
    """Returns the Facts of a deep image with its values; refuses those that a range cannot suit."""
    if not np.isfinite(values).all():
        raise RecipeError(f"the image {path} holds pixels that are NaN or infinite; repair it")
    low, high = float(values.min()), float(values.max())
    if value_range is not None and facts.whole and high > 1 >= value_range[1]:
        raise RecipeError(
            f"the image {path} holds whole numbers up to {high:g}, where the value range is that of "
            f"floating-point images ({value_range[0]:g} to {value_range[1]:g}); save it as those are"
        )
    return dataclasses.replace(facts, low=low, high=high)
