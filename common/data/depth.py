"""Pixels of more than 8 bits: which of their values is black and which is white.

The range belongs to the data set and not to a single picture: a dark exposure must stay darker than a
bright one, and a prediction must be scaled as the training images were.
"""

from collections.abc import Sequence

import numpy as np

from common.basics.errors import RecipeError

BITS = (8, 10, 12, 14, 16)
"""Depths that cameras and scanners deliver, mostly in files of 16 bits."""

HINT = "say which values are to become black and white: --value-range LOW HIGH"


def default_range(low: float, high: float, whole: bool, what: object) -> tuple[float, float]:
    """Returns the values of black and white for pixels of a type.

    Args:
        low: Least value of the training images.
        high: Greatest value of the training images.
        whole: Whether the values are whole numbers. If so, white is the largest value of 8, 10, 12, 14
            or 16 bits: of the smallest depth that holds `high`. Otherwise the range is 0 to 1.
        what: Names the images in the message.

    Raises:
        RecipeError: The values do not lie in that range.
    """
    white = next((2**bits - 1 for bits in BITS if high < 2**bits), None) if whole else 1
    if low < 0 or white is None or high > white:
        kind, expected = ("whole numbers", "0..65535") if whole else ("floating-point", "0..1")
        raise RecipeError(
            f"{what}: pixels that are {kind} must lie in {expected}; found {low:g}..{high:g}. "
            f"Scale them, or {HINT}"
        )
    return 0.0, float(white)


def to_8_bits(values: np.ndarray, value_range: Sequence[float]) -> np.ndarray:
    """Returns uint8 pixels: `low` becomes 0, `high` 255, and values outside are clipped.

    Args:
        values: Numbers, of any shape.
        value_range: `(low, high)`.
    """
    low, high = value_range
    return np.round(np.clip((values - low) / (high - low) * 255.0, 0, 255)).astype(np.uint8)


def describe(low: float, high: float, value_range: Sequence[float]) -> str:
    """Returns a phrase on how pixels with values from low to high were scaled."""
    black, white = value_range
    bits = next((f" ({bits} bits)" for bits in BITS if (black, white) == (0, 2**bits - 1)), "")
    return (
        f"values {low:g} to {high:g}; {black:g} is black and {white:g} white{bits}, in all pictures "
        "alike (--value-range changes that)"
    )
