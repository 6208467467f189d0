"""Differences over seeds, against results by hand."""

import math

import pytest
from scipy import stats

from common.studies.differences import BETTER, NONE_SHOWN, WORSE, paired, unpaired


def test_paired_by_hand():
    # Differences 2, 4, 2: mean 8/3, deviation sqrt(4/3), standard error 2/3, so t = 4 with 2 degrees
    # of freedom, of which p = 1 - t / sqrt(2 + t^2); 4.302653 is the table's t for 95 %.
    found = paired([90, 92, 94], [88, 88, 92])
    assert found.mean == pytest.approx(8 / 3)
    assert found.counts == (3, 3)
    assert found.p == pytest.approx(1 - 4 / math.sqrt(18))
    low, high = 8 / 3 - 4.302653 * 2 / 3, 8 / 3 + 4.302653 * 2 / 3
    assert found.interval == pytest.approx((low, high), abs=1e-5)
    assert found.verdict() == NONE_SHOWN, "0 is inside"


def test_unequal_sizes_by_hand():
    first, second = [1, 2, 3], [2, 6]
    # Means 2 and 4, variances 1 and 8: standard error sqrt(1/3 + 8/2); Welch's degrees of freedom.
    error = math.sqrt(1 / 3 + 4)
    freedom = (1 / 3 + 4) ** 2 / ((1 / 3) ** 2 / 2 + 4**2 / 1)
    found = unpaired(first, second)
    assert (found.mean, found.counts, found.paired) == (-2, (3, 2), False)
    assert found.p == pytest.approx(2 * stats.t.cdf(-2 / error, freedom))
    reach = stats.t.ppf(0.975, freedom) * error
    assert found.interval == pytest.approx((-2 - reach, -2 + reach))
    assert "n = 3 and 2 seeds, Welch" in found.describe()


def test_verdicts_follow_the_direction_of_the_measure():
    high, low = [0.91, 0.92, 0.93], [0.81, 0.82, 0.831]
    assert paired(high, low).verdict() == BETTER
    assert paired(low, high).verdict() == WORSE
    assert paired(high, low).verdict(larger_is_better=False) == WORSE
    assert paired(low, high).verdict(larger_is_better=False) == BETTER
    assert paired(high, low).verdict(threshold=1e-9) == NONE_SHOWN


def test_what_tells_no_spread_shows_no_difference():
    # One seed; and equal differences, the second ones equal but for rounding.
    for first, second in (([0.9], [0.5]), ([0.9, 0.8], [0.5, 0.4]), ([0.95, 0.9], [0.85, 0.8])):
        found = paired(first, second)
        assert (found.interval, found.p, found.verdict()) == (None, None, NONE_SHOWN)
    assert paired([0.9], [0.5]).describe().startswith("+0.4000 (n = 1 seed, paired;")
    assert unpaired([0.9, 0.8], [0.5]).p is None
    assert unpaired([0.9, 0.9], [0.5, 0.5]).p is None


def test_points():
    text = paired([0.9, 0.92, 0.94], [0.88, 0.88, 0.92]).describe(scale=100, digits=2)
    assert text == "+2.67 (95 % interval -0.20 to +5.54, p = 0.057, n = 3 seeds, paired)"


def test_steps_of_one_example_that_are_rounded_tell_no_spread():
    """One of 58 validation examples more with both seeds, written with six decimals."""
    found = paired([0.982759, 0.965517], [0.965517, 0.948276])
    assert found.interval is None
    assert found.verdict() == NONE_SHOWN


def test_values_of_any_size_are_told_apart_where_the_caller_says_how_closely():
    small, large = [2e-6, 4e-6, 3e-6], [8e-6, 9e-6, 1.1e-5]
    assert paired(small, large).p is None, "shares of examples: equal"
    found = paired(small, large, same=0)
    # Differences -6, -5 and -8 millionths: mean -19/3.
    assert found.mean == pytest.approx(-19e-6 / 3)
    assert found.verdict(larger_is_better=False) == BETTER
    assert found.describe(" m", digits=None).startswith("-6.333e-06 m (95 % interval -1.0")
    assert unpaired(small, large, same=0).p < 0.05
    # All alike, down to the last digit.
    assert paired([1.0, 1.0], [1.0, 1.0], same=0).p is None
    assert unpaired([0.0, 0.0], [0.0, 0.0], same=0).p is None
