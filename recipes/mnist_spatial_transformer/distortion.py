"""Distorted digits: rotated; rotated, scaled and moved; or moved among pieces of other digits.

Everything is NumPy and a pure function of the images and a generator of random numbers.
"""

from __future__ import annotations

import numpy as np

from common.data.augment import affine

DIGIT = 28
"""Height and width of a digit, in pixels."""
CANVAS = {"rotation": 28, "rts": 42, "clutter": 60}
"""Height and width of the distorted image, by the name of the distortion."""
WORDS = {"rotation": "rotated", "rts": "rotated, scaled, moved", "clutter": "moved, in clutter"}
TURNS = {"rotation": 90.0, "rts": 45.0}
"""Largest rotation either way, degrees; rotations are uniform."""
SIZES = (0.7, 1.2)
"""Smallest and largest size of a digit in `rts`; sizes are uniform."""
PIECES, PIECE = 16, 6
"""Pieces of other digits in an image of `clutter`, and the height and width of a piece, in pixels."""
AT_ONCE = 500
"""Images that `distort_all` distorts at a time."""


def centred(digits: np.ndarray, distortion: str) -> np.ndarray:
    """Returns digits in the middle of the canvas of a distortion.

    Args:
        digits: uint8 `(n, 28, 28, channels)`.
        distortion: "rotation", "rts" or "clutter".

    Returns:
        uint8 `(n, canvas, canvas, channels)`, black around the digits.
    """
    margin = (CANVAS[distortion] - DIGIT) // 2
    return np.pad(digits, ((0, 0), (margin, margin), (margin, margin), (0, 0)))


def uncentred(images: np.ndarray) -> np.ndarray:
    """Returns a view of what `centred` was given."""
    margin = (images.shape[1] - DIGIT) // 2
    return images[:, margin : margin + DIGIT, margin : margin + DIGIT]


def distort(
    images: np.ndarray,
    random: np.random.Generator,
    distortion: str,
    others: np.ndarray | None = None,
) -> np.ndarray:
    """Distorts each image.

    Args:
        images: As of `centred`.
        random: Source of randomness.
        distortion: "rotation", "rts" or "clutter".
        others: For clutter the digits that pieces are cut from, uint8 `(m, 28, 28, channels)`.

    Returns:
        uint8, of the shape of `images`. The digit of `rts` and of `clutter` may lie anywhere as long as
        its 28 x 28 pixels, scaled, are inside.
    """
    count = len(images)
    if distortion == "clutter":
        assert others is not None
        return cluttered(images, random, others)
    angles = random.uniform(-TURNS[distortion], TURNS[distortion], count)
    if distortion == "rotation":
        still = np.zeros(count)
        return affine(images, angles, still + 1, still, still)
    sizes = random.uniform(*SIZES, count)
    room = (CANVAS[distortion] - DIGIT * sizes) / 2
    down, right = random.uniform(-1, 1, (2, count)) * room
    # `affine` asks from where the middle comes, not where it goes: the movement is turned back.
    cosine, sine = np.cos(np.deg2rad(angles)) / sizes, np.sin(np.deg2rad(angles)) / sizes
    return affine(
        images, angles, sizes, sine * right - cosine * down, -sine * down - cosine * right
    )


def cluttered(images: np.ndarray, random: np.random.Generator, others: np.ndarray) -> np.ndarray:
    """Moves each digit to a random place, and lays pieces of other digits at others; arguments as above.

    Where a piece lies over something the brighter pixel is seen.
    """
    count, size = len(images), CANVAS["clutter"]
    margin = (size - DIGIT) // 2
    result = np.zeros_like(images)
    rows = np.arange(count)
    # Views of all places: writing to one writes to the image.
    places = _windows(result, DIGIT)
    top, left = random.integers(0, size - DIGIT + 1, (2, count))
    places[rows, top, left] = _windows(images, DIGIT)[rows, margin, margin]
    cuts, places = _windows(others, PIECE), _windows(result, PIECE)
    for _ in range(PIECES):
        chosen = random.integers(0, len(others), count)
        cut = cuts[(chosen, *random.integers(0, DIGIT - PIECE + 1, (2, count)))]
        place = (rows, *random.integers(0, size - PIECE + 1, (2, count)))
        places[place] = np.maximum(places[place], cut)
    return result


def _windows(images, size):
    """Returns a view of all squares of a size, `(n, rows, columns, channels, size, size)`."""
    return np.lib.stride_tricks.sliding_window_view(
        images, (size, size), axis=(1, 2), writeable=images.flags.writeable
    )


def distort_all(
    images: np.ndarray, seed: int, distortion: str, others: np.ndarray | None = None
) -> np.ndarray:
    """Distorts the images of a split, always in the same way.

    Args:
        images, distortion, others: As of `distort`.
        seed: A number for each split.
    """
    result = np.empty_like(images)
    for start in range(0, len(images), AT_ONCE):
        # A training batch has a seed of three numbers, so one of four is never the same.
        random = np.random.default_rng([seed, start, 0, 2015])
        part = slice(start, start + AT_ONCE)
        result[part] = distort(images[part], random, distortion, others)
    return result
