"""Intervals and paired tests against results by hand and SciPy; sizes are unequal on purpose."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from common.basics import statistics
from common.basics.errors import RecipeError
from common.basics.statistics import MCNEMAR, PERMUTATION, paired_test, wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (7, 7), (3, 11), (9950, 10000), (1, 1)])
@pytest.mark.parametrize(("confidence", "z"), [(0.8, 1.2815515655), (0.95, 1.9599639845)])
def test_wilson_interval_is_where_the_score_test_turns(successes, n, confidence, z):
    # The ends p solve |share - p| = z * sqrt(p (1 - p) / n).
    low, high = wilson_interval(successes, n, confidence)
    share = successes / n
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        assert abs(share - end) == pytest.approx(z * np.sqrt(end * (1 - end) / n), abs=1e-9)
    assert (low == 0) == (successes == 0)
    assert (high == 1) == (successes == n)
    assert high - low > 1e-4


def test_wilson_interval_by_hand_and_at_the_edges():
    # 8 of 10: centre (0.8 + z²/20) / (1 + z²/10) with z = 1.959964.
    assert wilson_interval(8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    assert wilson_interval(np.int64(8), np.int64(10)) == wilson_interval(8, 10)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="successes=4 and n=3"):
        wilson_interval(4, 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson_interval(1, 3, 95)


def test_mcnemar_by_hand():
    first = np.array([1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1])
    second = np.array([0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1])
    found = paired_test(first, second)
    assert (found.first_better, found.second_better) == (5, 1)
    assert found.difference == pytest.approx(4 / 11)
    # Two-sided: 2 * (1 + 6) / 2**6.
    assert found.p == pytest.approx(14 / 64)
    assert found.test == MCNEMAR
    assert paired_test(second, first).p == found.p
    assert paired_test(first, first).p == 1.0
    # Errors in place of right answers: the same test, the other way round.
    other = paired_test(first, second, higher_is_better=False)
    assert (other.p, other.first_better, other.second_better) == (found.p, 1, 5)


def test_mcnemar_is_exact_of_any_number_of_examples():
    from scipy.stats import binom, chi2

    right = np.zeros(100, bool), np.zeros(100, bool)
    right[0][:60] = True
    right[1][30:78] = True
    found = paired_test(*right)
    assert (found.first_better, found.second_better) == (30, 18)
    assert found.p == pytest.approx(2 * binom.cdf(18, 48, 0.5))
    assert found.p != pytest.approx(chi2.sf(11**2 / 48, 1), rel=1e-3)


def test_all_signs_of_few_scores_are_tried():
    # Differences 3, 1, -1, 0, 2: mean 1. Of the 16 signs of those that are not 0, the sums 7, 5 (twice)
    # and, as is, 5 reach 5: 3 of 16 by hand, twice for two sides.
    first, second = [3.0, 2.5, 1.0, 4.0, 2.0], [0.0, 1.5, 2.0, 4.0, 0.0]
    gains = np.subtract(first, second)
    assert gains.tolist() == [3, 1, -1, 0, 2]
    sums = [np.dot(signs, gains[gains != 0]) for signs in itertools.product((1, -1), repeat=4)]
    assert sum(total >= 5 for total in sums) == 3
    found = paired_test(first, second)
    assert found.p == pytest.approx(2 * 3 / 16)
    assert found.test == PERMUTATION
    assert (found.first_better, found.second_better, found.difference) == (3, 1, 1.0)
    other = paired_test(first, second, higher_is_better=False)
    assert (other.p, other.first_better, other.second_better) == (found.p, 1, 3)


@pytest.mark.parametrize("shift", [0.0, 0.15, 0.3])
def test_drawn_signs_agree_with_the_t_test_on_many_normal_scores(shift):
    from scipy.stats import ttest_rel

    random = np.random.default_rng(5)
    second = random.normal(size=211)
    first = second + random.normal(shift, 1, 211)
    found = paired_test(first, second)
    assert found.p == pytest.approx(ttest_rel(first, second).pvalue, abs=0.02)
    assert found == paired_test(first, second), "the same scores, the same p"


def test_blocks_hold_part_of_the_draws_and_p_has_a_least_value(monkeypatch):
    random = np.random.default_rng(1)
    first = random.normal(1, 0.1, 20_003)
    shapes, mean = [], np.mean

    def watched(values, axis=None):
        shapes.append(np.shape(values))
        return mean(values, axis=axis)

    monkeypatch.setattr(np, "mean", watched)
    found = paired_test(first, np.zeros(20_003))
    assert found.p == pytest.approx(2 / (statistics.RESAMPLES + 1))
    assert (found.first_better, found.second_better) == (20_003, 0)
    assert max(map(np.prod, shapes)) <= statistics.BLOCK


def test_scores_without_a_difference_show_none():
    scores = np.linspace(0, 3, 17)
    found = paired_test(scores, scores)
    assert (found.p, found.first_better, found.second_better, found.difference) == (1.0, 0, 0, 0.0)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1, 0, 1], [1, 0], "same examples"),
        ([], [], "at least one"),
        ([[1, 0]], [[1, 0]], "one score for each"),
        ([1.0, np.nan], [1, 0], "finite"),
        ([1.0, 2.0], [np.inf, 0], "finite"),
    ],
)
def test_scores_that_do_not_belong_together_are_refused(first, second, message):
    with pytest.raises(RecipeError, match=message):
        paired_test(first, second)


def test_importing_it_pulls_in_nothing_heavy():
    code = "import sys, common.basics.statistics; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_difference_shows_nothing():
    """Both signs of a single difference are equally far from 0."""
    found = paired_test([0.5, 2.0, 1.5], [0.5, 4.0, 1.5], higher_is_better=False)
    assert (found.p, found.first_better, found.second_better) == (1.0, 1, 0)
