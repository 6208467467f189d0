"""Image augmentation in NumPy, so that it runs the same on every backend, with or without TensorFlow.

Each `random_...` function takes a batch of uint8 images `(n, height, width, channels)` and a generator
of random numbers, and returns a new batch of the same shape and dtype. What changes the targets too is in
`mixing.py`, a chain of many changes in `rand_augment.py`.
"""

from typing import Literal

import numpy as np


def random_flip(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirrors each image left to right with probability 1/2."""
    flipped = random.random(len(images)) < 0.5
    return np.where(flipped[:, None, None, None], images[:, :, ::-1], images)


def random_shift(
    images: np.ndarray,
    random: np.random.Generator,
    pixels: int,
    mode: Literal["reflect", "constant"] = "reflect",
) -> np.ndarray:
    """Shifts each image by up to `pixels` in both directions.

    Args:
        pixels: Largest shift, in pixels; offsets are uniform integers.
        mode: What fills the border: "reflect" (for natural images) or "constant" (0; for digits, and
            the padding of He et al. 2015).
    """
    count, height, width, _ = images.shape
    margin = ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0))
    padded = np.pad(images, margin, mode=mode)
    top, left = random.integers(0, 2 * pixels + 1, size=(2, count))
    # A view of every crop of every image. Indexing it copies only the chosen crop of each image.
    crops = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    return crops[np.arange(count), top, left].transpose(0, 2, 3, 1)


def random_crop(images: np.ndarray, random: np.random.Generator, least: float) -> np.ndarray:
    """Cuts a part out of each image, at a random place, and enlarges it again (bilinear).

    Args:
        images: uint8 `(n, height, width, channels)`.
        random: Source of randomness.
        least: Smallest share of the height and of the width that is left, in (0, 1]. Shares are uniform
            up to 1, the same for both sides.
    """
    from PIL import Image

    count, height, width, channels = images.shape
    share, top, left = random.random((3, count))
    share = least + (1 - least) * share
    result = np.empty_like(images)
    for row in range(count):
        high, wide = share[row] * height, share[row] * width
        y, x = top[row] * (height - high), left[row] * (width - wide)
        image = images[row, ..., 0] if channels == 1 else images[row]
        picture = Image.fromarray(np.ascontiguousarray(image)).resize(
            (width, height), Image.Resampling.BILINEAR, box=(x, y, x + wide, y + high)
        )
        result[row] = np.asarray(picture).reshape(height, width, channels)
    return result


def random_affine(
    images: np.ndarray,
    random: np.random.Generator,
    degrees: float = 0.0,
    scale: float = 0.0,
    pixels: float = 0.0,
) -> np.ndarray:
    """Rotates, scales and shifts each image with bilinear sampling. Pixels from outside are 0.

    Args:
        degrees: Largest rotation either way, in degrees.
        scale: Largest relative change of size, e.g. 0.1 for 0.9 to 1.1.
        pixels: Largest shift in either direction, in pixels; shifts are fractions of pixels.
    """
    count = len(images)
    angles = random.uniform(-degrees, degrees, count)
    sizes = 1.0 + random.uniform(-scale, scale, count)
    shift_y, shift_x = random.uniform(-pixels, pixels, (2, count))
    return affine(images, angles, sizes, shift_y, shift_x)


def affine(
    images: np.ndarray,
    angles: np.ndarray,
    sizes: np.ndarray,
    shift_y: np.ndarray,
    shift_x: np.ndarray,
) -> np.ndarray:
    """Rotates, scales and shifts images with bilinear sampling. Pixels from outside are 0.

    Args:
        images: uint8 `(n, height, width, channels)`.
        angles: Rotation about the middle of each image, degrees, `(n,)`; positive turns what is right of
            the middle downwards.
        sizes: Size of what each image shows afterwards, relative to before, `(n,)`, above 0.
        shift_y, shift_x: Row and column of the image, relative to its middle, from which the middle of
            the result comes, pixels `(n,)`.
    """
    count, height, width, channels = images.shape
    angle = np.deg2rad(angles)
    zoom = 1.0 / sizes
    shift_y = shift_y.astype("float32")[:, None]
    shift_x = shift_x.astype("float32")[:, None]
    cosine = (zoom * np.cos(angle)).astype("float32")[:, None]
    sine = (zoom * np.sin(angle)).astype("float32")[:, None]
    rows = np.arange(height, dtype="float32") - np.float32((height - 1) / 2)
    columns = np.arange(width, dtype="float32") - np.float32((width - 1) / 2)
    # Where each pixel comes from, `(n, height, width)`, in an image with a border of one zero pixel.
    # What falls outside is clipped to that border and so becomes 0. This runs for every batch, so the
    # arithmetic is in place and in single precision.
    y = (cosine * rows)[:, :, None] - (sine * columns)[:, None, :]
    y += (shift_y + np.float32((height + 1) / 2))[:, :, None]
    x = (sine * rows)[:, :, None] + (cosine * columns)[:, None, :]
    x += (shift_x + np.float32((width + 1) / 2))[:, :, None]
    np.clip(y, 0, height + 0.999, out=y)
    np.clip(x, 0, width + 0.999, out=x)
    top, left = np.floor(y), np.floor(x)
    y -= top
    x -= left
    top *= width + 2  # Whole numbers below 2 ** 24: exact.
    top += left
    index = top.astype("int64")
    index += (np.arange(count) * ((height + 2) * (width + 2)))[:, None, None]
    # The four neighbours of each position lie side by side, so that one look-up fetches them all.
    neighbours = np.zeros((count, height + 2, width + 2, 4), "uint8")
    result = np.empty(images.shape, "uint8")
    for channel in range(channels):
        image = images[..., channel]
        neighbours[:, 1:-1, 1:-1, 0] = image
        neighbours[:, 1:-1, :-2, 1] = image
        neighbours[:, :-2, 1:-1, 2] = image
        neighbours[:, :-2, :-2, 3] = image
        found = neighbours.view("uint32").reshape(-1).take(index).view("uint8")
        found = found.reshape(*index.shape, 4)
        above = _between(found[..., 0], found[..., 1], x)
        above += (_between(found[..., 2], found[..., 3], x) - above) * y
        above += 0.5  # The cast truncates, so this makes it round.
        result[..., channel] = above
    return result


def _between(first, second, share):
    """Returns `(1 - share) * first + share * second`, float32."""
    first, second = first.astype("float32"), second.astype("float32")
    second -= first
    second *= share
    first += second
    return first


def random_cutout(images: np.ndarray, random: np.random.Generator, size: int) -> np.ndarray:
    """Covers a square of each image with the image's mean colour (DeVries and Taylor 2017).

    Args:
        images: uint8 `(n, height, width, channels)`.
        random: Source of randomness.
        size: Side of the square, pixels. Its centre is any pixel, so that the border may cut some of it
            off.
    """
    count, height, width, _ = images.shape
    top = random.integers(0, height, (count,)) - size // 2
    left = random.integers(0, width, (count,)) - size // 2
    rows, columns = np.arange(height), np.arange(width)
    high = (rows >= top[:, None]) & (rows < top[:, None] + size)
    wide = (columns >= left[:, None]) & (columns < left[:, None] + size)
    covered = (high[:, :, None] & wide[:, None, :])[..., None]
    mean = np.rint(images.mean(axis=(1, 2), keepdims=True)).astype("uint8")
    return np.where(covered, mean, images)


def distort(
    images: np.ndarray,
    random: np.random.Generator,
    rotation: float = 0.0,
    magnitude: int = 0,
    cutout: int = 0,
) -> np.ndarray:
    """Rotates, changes and covers each image, in this order; what is 0 is left out and draws nothing.

    Args:
        images: uint8 `(n, height, width, channels)`.
        random: Source of randomness.
        rotation: Largest rotation either way, degrees; the corners become 0.
        magnitude: As of `rand_augment`.
        cutout: Side of the covered square, pixels.
    """
    if rotation:
        images = random_affine(images, random, degrees=rotation)
    if magnitude:
        from common.data.rand_augment import rand_augment

        images = rand_augment(images, random, magnitude)
    return random_cutout(images, random, cutout) if cutout else images
