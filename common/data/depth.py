"""Pixels of more than 8 bits: which of their values is black and which is white.

That is a property of the data set, never of one picture: a dark exposure must stay darker than a
bright one, and a prediction must see what training saw.
"""

import numpy as np

from common.basics.errors import RecipeError

BITS = (8, 10, 12, 14, 16)
"""What cameras and scanners deliver, mostly in files of 16 bits."""

HINT = "say which values are to become black and white: --value-range LOW HIGH"


def default_range(low, high, whole, what):
    """Returns the `(black, white)` of pixels by their type.

    Args:
        low: Least value of the training images.
        high: Greatest value of them.
        whole: Whether they are whole numbers: then white is the most that 8, 10, 12, 14 or 16 bits
            hold, of which the first that suffices is taken. Floating-point pixels lie in 0 to 1.
        what: What the message names.

    Raises:
        RecipeError: The values do not lie there.
    """
    white = next((2**bits - 1 for bits in BITS if high < 2**bits), None) if whole else 1
    if low < 0 or white is None or high > white:
        kind, expected = ("whole numbers", "0..65535") if whole else ("floating-point", "0..1")
        raise RecipeError(
            f"{what}: pixels that are {kind} must lie in {expected}; found {low:g}..{high:g}. "
            f"Scale them, or {HINT}"
        )
    return 0.0, float(white)


def to_8_bits(values, value_range):
    """Returns uint8 pixels: `low` becomes 0, `high` 255, and what lies outside is clipped.

    Args:
        values: Array of numbers.
        value_range: `(low, high)`.
    """
    low, high = value_range
    return np.round(np.clip((values - low) / (high - low) * 255.0, 0, 255)).astype(np.uint8)


def describe(low, high, value_range):
    """Returns what was done with deep pixels, for a person."""
    black, white = value_range
    bits = next((f" ({bits} bits)" for bits in BITS if (black, white) == (0, 2**bits - 1)), "")
    return (
        f"values {low:g} to {high:g}; {black:g} is black and {white:g} white{bits}, in all pictures "
        "alike (--value-range changes that)"
    )
