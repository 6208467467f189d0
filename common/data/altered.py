"""Images turned, moved or partly covered by an exact amount: what a network is said to be invariant to.

`common.data.corruptions` makes images worse as the world does; here one thing changes at a time.
"""

import numpy as np

from common.basics.errors import UsageError
from common.data.corruptions import turned

GREY = 128
"""What covers a part of an image."""


def alter(
    images: np.ndarray, turn: float = 0.0, shift: int = 0, cover: float = 0.0, seed: int = 0
) -> np.ndarray:
    """Returns altered copies of images.

    Args:
        images: uint8 `(n, height, width, channels)`.
        turn: Degrees about the centre, to the left or to the right as each image draws (bilinear).
        shift: Whole pixels, in one of the four directions, which each image draws.
        cover: Share of the area, 0 to 1, under a grey square at a place that each image draws.
        seed: Of what is drawn.

    Returns:
        uint8, of the same shape. What comes from outside an image repeats its border.

    Raises:
        UsageError: A shift is as long as the image, or a share is not in 0 to 1.
    """
    if not 0 <= shift < min(images.shape[1:3]):
        raise UsageError(f"shift must be 0 or more and less than the image's side, got {shift}")
    if not 0 <= cover <= 1:
        raise UsageError(f"cover must be a share of the area from 0 to 1, got {cover}")
    random = np.random.default_rng(seed)
    altered = images.copy()
    if turn:
        altered = turned(altered.astype("float32"), turn, random)
        altered = (np.clip(altered, 0, 255) + 0.5).astype("uint8")
    if shift:
        altered = _moved(altered, shift, random.integers(4, size=len(images)))
    if cover:
        _cover(altered, cover, random)
    return altered


def _moved(images, shift, directions):
    height, width = images.shape[1:3]
    padded = np.pad(images, [(0, 0), (shift, shift), (shift, shift), (0, 0)], mode="edge")
    moved = np.empty_like(images)
    for direction, (down, right) in enumerate([(1, 0), (-1, 0), (0, 1), (0, -1)]):
        rows = directions == direction
        top, left = shift - down * shift, shift - right * shift
        moved[rows] = padded[rows, top : top + height, left : left + width]
    return moved


def _cover(images, share, random):
    """Covers a part of each image, in place."""
    height, width = images.shape[1:3]
    down, right = round(height * share**0.5), round(width * share**0.5)
    tops = random.integers(height - down + 1, size=len(images))
    lefts = random.integers(width - right + 1, size=len(images))
    for image, top, left in zip(images, tops, lefts, strict=True):
        image[top : top + down, left : left + right] = GREY
