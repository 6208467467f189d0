"""Intervals of proportions and means, and whether two sets of scores of the same examples differ."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from common.basics.errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RESAMPLES = 9999
"""Sign changes drawn at random where there are too many to try all; then p is at least 1 / 10,000."""
BLOCK = 1_000_000
"""Values in memory at a time while they are drawn, 8 bytes each."""

MCNEMAR, PERMUTATION = "exact McNemar", "permutation of signs"


@dataclasses.dataclass(frozen=True)
class Paired:
    """The comparison of two answers to the same examples."""

    p: float
    """Two-sided, of no difference, in [0, 1]."""
    test: str
    """MCNEMAR or PERMUTATION."""
    first_better: int
    """Examples on which the first is better than the second."""
    second_better: int
    difference: float
    """Mean score of the first minus that of the second."""


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the Wilson score interval (low, high) of a proportion, within [0, 1].

    Unlike the normal approximation it is usable at 0 %, at 100 % and for few trials. With no
    trial at all it is (0, 1): nothing is known.

    Args:
        successes: Number of successes, 0 <= successes <= n.
        n: Number of trials, >= 0.
        confidence: Coverage in (0, 1).

    Raises:
        ValueError: A number is out of its range.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= n, got successes={successes} and n={n}")
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence}")
    if n == 0:
        return 0.0, 1.0
    from scipy.stats import binomtest

    found = binomtest(int(successes), int(n)).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def mean_interval(values: ArrayLike) -> list[float] | None:
    """Returns the 95 % interval of a mean by Student's t.

    Args:
        values: `(n,)`; if they are skewed, as errors are, n should be some dozens.

    Returns:
        [low, high]; None if the values have no spread: a single one, or all equal.
    """
    import numpy as np
    from scipy import stats

    values = np.asarray(values, "float64")
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return [float(values.mean() - half), float(values.mean() + half)]


def paired_test(first: ArrayLike, second: ArrayLike, higher_is_better: bool = True) -> Paired:
    """Tests whether two answers to the same examples differ.

    If all scores are 0 or 1 (wrong or right), it is McNemar's exact test: a binomial test on the examples
    that only one of the two gets right. Otherwise it is a permutation test: the mean difference is
    compared with those under random signs. The same scores always give the same p.

    Args:
        first: Scores of the first answer, one for each example, finite, `(n,)`.
        second: Scores of the second answer, `(n,)`, in the same order.
        higher_is_better: Whether the better of two scores is the higher one.

    Returns:
        The two-sided result: `higher_is_better` changes only the counts.

    Raises:
        RecipeError: There is no example, the numbers differ, or a score is not finite.
    """
    import numpy as np

    one, other = (np.asarray(scores, np.float64) for scores in (first, second))
    if one.shape != other.shape or one.ndim != 1 or not one.size:
        raise RecipeError(
            "a paired test needs the same examples, and at least one: one score for each, got scores "
            f"of shape {one.shape} and {other.shape}"
        )
    gains = one - other
    if not np.isfinite(gains).all():
        raise RecipeError("a paired test needs finite scores, got infinite ones or none (NaN)")
    higher, lower = int(np.sum(gains > 0)), int(np.sum(gains < 0))
    if all(np.isin(scores, (0, 1)).all() for scores in (one, other)):
        test, p = MCNEMAR, _binomial(higher, higher + lower)
    else:
        test, p = PERMUTATION, _signs(gains[gains != 0])
    better = (higher, lower) if higher_is_better else (lower, higher)
    return Paired(p, test, better[0], better[1], difference=float(gains.mean()))


def _binomial(successes, n):
    from scipy.stats import binomtest

    return float(binomtest(successes, n).pvalue) if n else 1.0


def _signs(gains):
    """Returns p of the mean of `gains`, none of them 0, if both signs were equally likely."""
    import numpy as np
    from scipy.stats import monte_carlo_test, permutation_test

    n = len(gains)
    if n <= 1:  # One difference has either sign, and both are as far from 0.
        return 1.0
    if 2**n <= RESAMPLES:
        # All sign changes are tried.
        found = permutation_test(
            (gains,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, vectorized=True
        )
        return float(found.pvalue)
    random = np.random.default_rng(0)

    # `permutation_test` shuffles sample by sample: 8 s for 10,000 examples, where this takes 0.3 s.
    def draw(size):
        return gains * (1 - 2 * random.integers(0, 2, size, dtype=np.int8))

    found = monte_carlo_test(
        gains,
        draw,
        np.mean,
        n_resamples=RESAMPLES,
        vectorized=True,
        batch=max(1, BLOCK // n),
    )
    return float(found.pvalue)
