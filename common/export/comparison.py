"""How far what an exported file gives may be from what its model gives."""

from common.basics.errors import RecipeError

# Largest accepted difference of a probability. Float32 arithmetic in another order gives 1e-7 to
# 1e-5; a wrong conversion (a shape fixed while tracing, a lost mask) shows far above this.
TOLERANCE = 1e-3
# Two classes this close may swap ranks by rounding alone: that is a tie, not another prediction.
TIE = 1e-5


def _difference(expected, got):
    """Returns the largest absolute difference, or says what makes two outputs incomparable."""
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


def compare_values(expected, got):
    """Returns the largest absolute difference of two arrays of any values.

    Args:
        expected: Output of the model. Integers must be equal; of other numbers the largest may differ by
            `TOLERANCE` of the largest magnitude, or of 1 where that is smaller.
        got: Output of the exported file, same shape.

    Raises:
        RecipeError: The shapes differ, a value is not finite, or the difference is larger.
    """
    import numpy as np

    exact = np.asarray(expected).dtype.kind in "iub"
    # Of large integers floats tell less than their difference.
    equal = np.array_equal(expected, got)
    expected, got = np.asarray(expected, "float64"), np.asarray(got, "float64")
    difference = _difference(expected, got)
    allowed = 0.0 if exact else TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if difference > allowed or (exact and not equal):
        raise RecipeError(
            f"its outputs differ from the model's by up to {difference:.2g} (allowed: {allowed:g})"
        )
    return difference


def compare(expected, got):
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

    expected, got = np.asarray(expected, "float64"), np.asarray(got, "float64")
    difference = _difference(expected, got)
    if difference > TOLERANCE:
        raise RecipeError(
            f"its probabilities differ from the model's by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:g})"
        )
    if expected.shape[-1] == 1:
        expected, got = (np.concatenate([1 - values, values], -1) for values in (expected, got))
    two_best = np.sort(expected, -1)[..., -2:]
    differs = expected.argmax(-1) != got.argmax(-1)
    differs &= two_best[..., 1] - two_best[..., 0] > TIE
    if differs.any():
        raise RecipeError(f"it predicts another class for {int(differs.sum())} of {differs.size}")
    return difference
