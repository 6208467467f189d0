"""Reading, resizing and recolouring images. Pillow is imported where it is needed."""

import numpy as np

from common.errors import RecipeError


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


def read_image(path, image_size, channels, value_range=None):
    """Reads an image file.

    The EXIF orientation is applied (phones store pictures lying down), transparency is laid on
    white, 16-bit grey is scaled to 8 bits (Pillow alone would clip it), and of an animation the
    first frame is taken.

    Args:
        path: The file.
        image_size: `(height, width)` wanted.
        channels: 1 or 3.
        value_range: `(low, high)`: values of 16-bit and float images that become 0 and 255.

    Returns:
        uint8 `(height, width, channels)`.

    Raises:
        RecipeError: The file is not an image Pillow can read.
    """
    from PIL import Image, ImageOps

    height, width = image_size
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            if picture.mode[0] in "IF" and value_range is not None:
                low, high = value_range
                values = (np.asarray(picture).astype(np.float64) - low) / (high - low) * 255
                picture = Image.fromarray(np.round(np.clip(values, 0, 255)).astype(np.uint8))
            elif picture.mode.startswith("I"):
                values = np.asarray(picture).astype(np.int64)
                values = values // 257 if values.max(initial=0) > 255 else values
                picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                white = Image.new("RGBA", picture.size, "white")
                picture = Image.alpha_composite(white, picture)
            picture = picture.convert("L" if channels == 1 else "RGB")
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError as error:
        raise RecipeError(f"no image at {path}") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plug-ins raise many kinds for damaged files.
        raise RecipeError(
            f"cannot read the image {path}: {error}; the file is damaged or not an image. "
            "Replace or remove it"
        ) from error
    return np.asarray(picture).reshape(height, width, channels)
