"""Whether one way to train is better than another: difference of means over seeds, t test, interval."""

import dataclasses
import statistics
from collections.abc import Sequence

from common.basics.wording import p_value, significant

LEVEL = 0.95
# Values this close count as equal, so that no spread can be estimated from them. Accuracies move in
# steps of one example and are written with six decimals.
SAME = 3e-6

BETTER, WORSE, NONE_SHOWN = "better", "worse", "no difference shown"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The mean of one group of runs minus that of another."""

    mean: float
    counts: tuple[int, int]
    """Number of runs in each group."""
    paired: bool
    """Whether runs with equal seeds were paired. False: the two means were compared."""
    interval: tuple[float, float] | None = None
    """95 % confidence interval; None where there is no spread: one run each, or all values alike."""
    p: float | None = None
    """Two-sided p-value of the hypothesis of no difference; None where there is no interval."""

    def verdict(self, larger_is_better: bool = True, threshold: float = 1 - LEVEL) -> str:
        """Returns BETTER or WORSE for the first group, or NONE_SHOWN.

        Args:
            larger_is_better: True for an accuracy, False for a loss.
            threshold: There is a difference if p is below it. With 0.05 that is the case if the 95 %
                interval does not contain 0.
        """
        if self.p is None or self.p >= threshold:
            return NONE_SHOWN
        return BETTER if (self.mean > 0) == larger_is_better else WORSE

    def describe(self, unit: str = "", scale: float = 1.0, digits: int | None = 4) -> str:
        """Returns the difference with interval, p and number of seeds: `+0.0123 (95 % interval ...)`.

        Args:
            unit: Text after the difference.
            scale: Factor for the numbers, e.g. 100 for percentage points.
            digits: After the decimal point; None: four significant digits.
        """

        def shown(value):
            value = scale * value
            return significant(value, sign=True) if digits is None else f"{value:+.{digits}f}"

        first, second = self.counts
        seeds = f"{first} seed{'s' * (first > 1)}, paired"
        if not self.paired:
            seeds = f"{first} and {second} seeds, Welch"
        if self.interval is None or self.p is None:
            return (
                f"{shown(self.mean)}{unit} (n = {seeds}; too few different values for an interval)"
            )
        low, high = map(shown, self.interval)
        return f"{shown(self.mean)}{unit} (95 % interval {low} to {high}, {p_value(self.p)}, n = {seeds})"


def paired(first: Sequence[float], second: Sequence[float], same: float = SAME) -> Difference:
    """Returns the difference of paired values, e.g. of runs with the same seeds, by a paired t test.

    Args:
        first: `(n,)`.
        second: `(n,)`, in the same order.
        same: There is no interval where the differences of the pairs are all this close.
    """
    gains = [one - other for one, other in zip(first, second, strict=True)]
    found = Difference(statistics.fmean(gains), (len(gains), len(gains)), paired=True)
    if len(gains) < 2 or max(gains) - min(gains) <= same:
        return found
    from scipy import stats

    return _with_test(found, stats.ttest_rel(first, second))


def unpaired(first: Sequence[float], second: Sequence[float], same: float = SAME) -> Difference:
    """Returns the difference of independent values by Welch's t test. Their spreads may differ.

    Args:
        first: `(n,)`.
        second: `(m,)`.
        same: There is no interval where the values of each group are all this close.
    """
    mean = statistics.fmean(first) - statistics.fmean(second)
    found = Difference(mean, (len(first), len(second)), paired=False)
    alike = all(max(values) - min(values) <= same for values in (first, second))
    if min(found.counts) < 2 or alike:
        return found
    from scipy import stats

    return _with_test(found, stats.ttest_ind(first, second, equal_var=False))


def _with_test(difference, result):
    low, high = result.confidence_interval(LEVEL)
    interval = (float(low), float(high))
    return dataclasses.replace(difference, interval=interval, p=float(result.pvalue))
