"""Fifteen ways to make images worse, in five severities: what a network meets outside its data set.

In the style of MNIST-C (Mu and Gilmer 2019) and CIFAR-10-C (Hendrycks and Dietterich 2019), but generated
here: figures are not comparable with those on the published files. A length is given for an image of
32 pixels and grows with the shorter side. What lies outside an image repeats its border.

    corrupt(images, "motion_blur", severity=3, seed=0)

The result is a function of the images, the name, the severity and the seed.
"""

import io
import zlib
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from common.basics.errors import UsageError, near_match

SEVERITIES = (1, 2, 3, 4, 5)
"""From hardly visible to hard for people."""

_TABLE: dict[str, tuple[Callable, tuple]] = {}


def _with(*strengths):
    """Adds a function of `(images, strength, random)` to the table, with its strength by severity."""

    def add(function):
        _TABLE[function.__name__.strip("_")] = function, strengths
        return function

    return add


def corrupt(images: np.ndarray, name: str, severity: int = 3, seed: int = 0) -> np.ndarray:
    """Returns worse copies of images.

    Args:
        images: uint8 `(n, height, width, channels)` with 1 or 3 channels.
        name: One of NAMES.
        severity: One of SEVERITIES.
        seed: Of the random numbers. Each name and each severity has a stream of its own.

    Returns:
        uint8, of the same shape.

    Raises:
        UsageError: The name or the severity is unknown, or these are no such images.
    """
    if name not in _TABLE:
        raise UsageError(
            f"unknown corruption '{name}'{near_match(name, NAMES)} (known: {', '.join(NAMES)})"
        )
    if severity not in SEVERITIES:
        raise UsageError(
            f"severity must be {SEVERITIES[0]} (hardly visible) to {SEVERITIES[-1]}, got {severity!r}"
        )
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UsageError(
            "corruptions need uint8 images (n, height, width, 1 or 3), got "
            f"{images.dtype} {images.shape}"
        )
    if not len(images):
        return images.copy()
    function, strengths = _TABLE[name]
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), severity])
    worse = function(images.astype("float32") / 255, strengths[severity - 1], random)
    return (np.clip(worse, 0, 1) * 255 + 0.5).astype("uint8")


def _unit(x):
    """Returns how many pixels stand for one of an image of 32 pixels."""
    return min(x.shape[1:3]) / 32


# Noise


@_with(0.04, 0.06, 0.08, 0.12, 0.18)
def _gaussian_noise(x, deviation, random):
    return x + random.normal(0, deviation, x.shape)


@_with(100, 50, 25, 12, 5)
def _shot_noise(x, photons, random):
    """What a camera counts in the dark: Poisson numbers, so many of them where the image is white."""
    return random.poisson(x * photons) / photons


@_with(0.01, 0.02, 0.04, 0.08, 0.15)
def _impulse_noise(x, share, random):
    """A share of the pixels, in each channel by itself, is black or white."""
    drawn = random.random(x.shape)
    return np.where(drawn < share / 2, 0, np.where(drawn < share, 1, x))


# Blur


@_with(0.4, 0.6, 0.9, 1.2, 1.6)
def _gaussian_blur(x, deviation, random):
    return _blurred(x, deviation, _unit(x))


@_with(3, 4, 5, 7, 9)
def _motion_blur(x, length, random):
    """The mean over a line of pixels, in one of four directions that each image draws."""
    length = max(round(length * _unit(x)), 2)
    line = np.arange(length) - length // 2
    direction = random.integers(0, 4, len(x))
    result = np.empty_like(x)
    for chosen, (down, right) in enumerate(((0, 1), (1, 0), (1, 1), (1, -1))):
        part = direction == chosen
        result[part] = np.mean([_moved(x[part], down * t, right * t) for t in line], axis=0)
    return result


@_with((0.4, 1), (0.7, 1), (0.7, 2), (1, 2), (1, 3))
def _glass_blur(x, strength, random):
    """A share of the pixels is taken from a random place near by, as behind frosted glass."""
    share, distance = strength
    distance = max(round(distance * _unit(x)), 1)
    count, height, width, _ = x.shape
    down, right = random.integers(-distance, distance + 1, (2, count, height, width))
    stays = random.random((count, height, width)) >= share
    down[stays] = right[stays] = 0
    rows = np.clip(np.arange(height)[:, None] + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return _blurred(x[np.arange(count)[:, None, None], rows, columns], 0.4, _unit(x))


def _blurred(x, deviation, unit):
    sigma = deviation * unit
    return ndimage.gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest")


def _moved(x, down, right):
    """Returns images of which pixel `(y, x)` was at `(y - down, x - right)`."""
    _, height, width, _ = x.shape
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return x[:, rows[:, None], columns]


# Weather and light


@_with(0.4, 0.8, 1.2, 1.6, 2.0)
def _fog(x, thickness, random):
    """Bright clouds, random grids of four sizes on top of each other, and so less contrast."""
    count, height, width, _ = x.shape
    clouds = np.zeros((count, height, width))
    for cells, weight in ((2, 0.5), (4, 0.27), (8, 0.15), (16, 0.08)):
        grid = random.random((count, cells, cells))
        clouds += weight * ndimage.zoom(grid, (1, height / cells, width / cells), order=1)
    low = clouds.min(axis=(1, 2), keepdims=True)
    span = np.ptp(clouds, axis=(1, 2), keepdims=True)
    clouds = (clouds - low) / np.maximum(span, 1e-9)
    return (x + thickness * clouds[..., None]) / (1 + thickness)


@_with(1.8, 1.5, 1.2, 0.9, 0.6)
def _spatter(x, threshold, random):
    """Drops of grey mud: where smooth noise exceeds so many of its standard deviations."""
    noise = _blurred(random.normal(size=(*x.shape[:3], 1)), 1, _unit(x))
    drops = (noise > threshold * noise.std()).astype("float32")
    drops = _blurred(drops, 0.6, _unit(x))
    return x * (1 - drops) + 0.35 * drops


@_with(0.1, 0.2, 0.3, 0.4, 0.5)
def _brightness(x, more, random):
    return x + more


@_with(0.75, 0.5, 0.4, 0.3, 0.15)
def _contrast(x, share, random):
    """A share of the distance from the image's mean is left."""
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    return mean + share * (x - mean)


# What cameras and the web do


@_with(0.8, 0.65, 0.5, 0.4, 0.3)
def _pixelate(x, share, random):
    """Shrunk to a share of its sides (means), and enlarged without smoothing."""
    from PIL import Image

    def coarse(picture):
        small = [max(round(side * share), 1) for side in picture.size]
        shrunk = picture.resize(small, Image.Resampling.BOX)
        return shrunk.resize(picture.size, Image.Resampling.NEAREST)

    return _each_picture(x, coarse)


@_with(50, 30, 20, 12, 7)
def _jpeg(x, quality, random):
    from PIL import Image

    def coded(picture):
        file = io.BytesIO()
        picture.save(file, "jpeg", quality=quality)
        return Image.open(file)

    return _each_picture(x, coded)


def _each_picture(x, change):
    from PIL import Image

    result = np.empty_like(x)
    for row, image in enumerate((x * 255 + 0.5).astype("uint8")):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        result[row] = np.asarray(change(picture), "float32").reshape(image.shape) / 255
    return result


# Geometry


@_with(8, 15, 22, 30, 40)
def _rotation(x, degrees, random):
    """By so many degrees, either way."""
    return turned(x, degrees, random)


@_with(1.1, 1.2, 1.35, 1.5, 1.8)
def _smaller(x, times, random):
    """What is shown is so many times smaller."""
    return _about_centre(x, np.tile(times * np.eye(2), (len(x), 1, 1)))


@_with(1, 2, 3, 4, 5)
def _translation(x, pixels, random):
    """Moved so far, in a direction that each image draws."""
    angles = random.uniform(0, 2 * np.pi, len(x))
    moves = pixels * _unit(x) * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return _sampled(x, np.tile(np.eye(2), (len(x), 1, 1)), moves)


def turned(x: np.ndarray, degrees: float, random: np.random.Generator) -> np.ndarray:
    """Returns images turned about their centre, to the left or to the right (bilinear).

    Args:
        x: float32 `(n, height, width, channels)`.
        degrees: By how much.
        random: Each image draws its direction.
    """
    angles = np.deg2rad(degrees) * random.choice([-1, 1], len(x))
    turns = [[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in angles]
    return _about_centre(x, np.array(turns))


def _about_centre(x, matrices):
    centre = (np.array(x.shape[1:3]) - 1) / 2
    return _sampled(x, matrices, centre - matrices @ centre)


def _sampled(x, matrices, offsets):
    """Returns images of which pixel p is that at `matrix @ p + offset` (bilinear)."""
    result = np.empty_like(x)
    for row, (matrix, offset) in enumerate(zip(matrices, offsets, strict=True)):
        for channel in range(x.shape[3]):
            result[row, ..., channel] = ndimage.affine_transform(
                x[row, ..., channel], matrix, offset, order=1, mode="nearest"
            )
    return result


NAMES = tuple(_TABLE)
"""The corruptions, in the order of reports."""
