"""How far the outputs of an exported file may be from those of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.basics.errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Largest accepted difference of a probability. Float32 arithmetic in another order gives 1e-7 to
# 1e-5. A wrong conversion (a shape fixed while tracing, a lost mask) gives far more than this.
TOLERANCE = 1e-3
# Rounding alone may swap two classes whose probabilities are this close: that is a tie.
TIE = 1e-5


def _difference(expected, got):
    """Returns the largest absolute difference; a RecipeError says why outputs cannot be compared."""
    import numpy as np

    if expected.shape != got.shape:
        raise RecipeError(f"it gives outputs of shape {got.shape}, the model {expected.shape}")
    if not np.isfinite(expected).all():
        raise RecipeError(
            "the model itself gives values that are not finite for these inputs, with which no "
            "file can be compared"
        )
    if not np.isfinite(got).all():
        raise RecipeError("it gives values that are not finite")
    return float(np.abs(expected - got).max())


def compare_values(expected: ArrayLike, got: ArrayLike) -> float:
    """Returns the largest absolute difference of two arrays of any values.

    Integers must be equal. Other numbers may differ by `TOLERANCE` times the largest magnitude, or by
    `TOLERANCE` if that magnitude is below 1.

    Args:
        expected: Output of the model.
        got: Output of the exported file, same shape.

    Raises:
        RecipeError: The shapes differ, a value is not finite, or the difference is larger.
    """
    import numpy as np

    exact = np.asarray(expected).dtype.kind in "iub"
    # As floats, two large integers may look equal and are not.
    equal = np.array_equal(expected, got)
    wanted, found = np.asarray(expected, "float64"), np.asarray(got, "float64")
    difference = _difference(wanted, found)
    allowed = 0.0 if exact else TOLERANCE * max(1.0, float(np.abs(wanted).max()))
    if difference > allowed or (exact and not equal):
        raise RecipeError(
            f"its outputs differ from the model's by up to {difference:.2g} (allowed: {allowed:g})"
        )
    return difference


def compare(expected: ArrayLike, got: ArrayLike) -> float:
    """Returns the largest absolute difference of two arrays of probabilities.

    Args:
        expected: Probabilities of the model, float `(n, classes)`; `(n, 1)` is read as the
            probability of the second of two classes.
        got: Probabilities of the exported file, same shape.

    Raises:
        RecipeError: The shapes differ, a value is not finite, the difference is above `TOLERANCE`,
            or an example is given another class.
    """
    import numpy as np

    wanted, found = np.asarray(expected, "float64"), np.asarray(got, "float64")
    difference = _difference(wanted, found)
    if difference > TOLERANCE:
        raise RecipeError(
            f"its probabilities differ from the model's by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:g})"
        )
    if wanted.shape[-1] == 1:
        wanted, found = (np.concatenate([1 - values, values], -1) for values in (wanted, found))
    two_best = np.sort(wanted, -1)[..., -2:]
    differs = wanted.argmax(-1) != found.argmax(-1)
    differs &= two_best[..., 1] - two_best[..., 0] > TIE
    if differs.any():
        raise RecipeError(f"it predicts another class for {int(differs.sum())} of {differs.size}")
    return difference
