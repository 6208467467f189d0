"""Intervals of proportions, and whether two sets of scores of the same examples differ."""

import dataclasses

from common.basics.errors import RecipeError

RESAMPLES = 9999
"""Sign changes that are drawn where there are too many to try them all; p is at least 1 / 10,000 then."""
BLOCK = 1_000_000
"""Values held at a time while they are drawn, 8 bytes each."""

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


def wilson_interval(successes, n, confidence=0.95):
    """Returns the Wilson score interval (low, high) of a proportion, within [0, 1].

    Unlike the normal approximation it is usable at 0 %, at 100 % and for few trials. With no
    trial at all it is (0, 1): nothing is known.

    Args:
        successes: Number of successes, 0 <= successes <= n.
        n: Number of trials, >= 0.
        confidence: Coverage in (0, 1).

    Raises:
        ValueError: The numbers do not fit together.
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


def paired_test(first, second, higher_is_better=True):
    """Tests whether two answers to the same examples differ.

    Scores of 0 and 1 only, right or wrong: McNemar's exact test, binomial on the examples that one of
    the two alone gets right. Other scores: the mean difference beside those with signs drawn at random.
    The same scores give the same p.

    Args:
        first: Scores of the one, one for each example, finite, `(n,)`.
        second: Scores of the other, `(n,)`, in the same order.
        higher_is_better: Whether the better of two scores is the higher one.

    Returns:
        Paired. The test is two-sided: only its counts depend on `higher_is_better`.

    Raises:
        RecipeError: There is no example, the numbers differ, or a score is not finite.
    """
    import numpy as np

    first, second = (np.asarray(scores, np.float64) for scores in (first, second))
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise RecipeError(
            "a paired test needs the same examples, and at least one: one score for each, got scores "
            f"of shape {first.shape} and {second.shape}"
        )
    gains = first - second
    if not np.isfinite(gains).all():
        raise RecipeError("a paired test needs finite scores, got infinite ones or none (NaN)")
    higher, lower = int(np.sum(gains > 0)), int(np.sum(gains < 0))
    if all(np.isin(scores, (0, 1)).all() for scores in (first, second)):
        test, p = MCNEMAR, _binomial(higher, higher + lower)
    else:
        test, p = PERMUTATION, _signs(gains[gains != 0])
    better = (higher, lower) if higher_is_better else (lower, higher)
    return Paired(p, test, *better, difference=float(gains.mean()))


def _binomial(successes, n):
    from scipy.stats import binomtest

    return float(binomtest(successes, n).pvalue) if n else 1.0


def _signs(gains):
    """Returns p of the mean of gains, none of them 0, where each sign is as likely as the other."""
    import numpy as np
    from scipy.stats import monte_carlo_test, permutation_test

    n = len(gains)
    if n == 0:
        return 1.0
    if 2**n <= RESAMPLES:
        # All of them are tried.
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
