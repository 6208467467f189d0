"""Whether one way to train is better than another: means over seeds, Student's t, an interval."""

import dataclasses
import statistics

LEVEL = 0.95
# Differences that agree this closely tell no spread: accuracies move in steps of one example, and are
# written with six decimals.
SAME = 3e-6

BETTER, WORSE, NONE_SHOWN = "better", "worse", "no difference shown"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The mean of one group of runs minus that of another."""

    mean: float
    counts: tuple[int, int]
    """Runs of each."""
    paired: bool
    """Whether runs of equal seeds were compared, rather than the two means."""
    interval: tuple[float, float] | None = None
    """95 % confidence interval; None where the runs tell no spread: one each, or all alike."""
    p: float | None = None
    """Two-sided, of no difference; None where there is no interval."""

    def verdict(self, larger_is_better=True, threshold=1 - LEVEL):
        """Returns BETTER or WORSE for the first group, or NONE_SHOWN.

        Args:
            larger_is_better: Whether the measure is an accuracy rather than a loss.
            threshold: p below it is a difference; 0.05 is the same as an interval without 0.
        """
        if self.p is None or self.p >= threshold:
            return NONE_SHOWN
        return BETTER if (self.mean > 0) == larger_is_better else WORSE

    def describe(self, unit="", scale=1.0, digits=4):
        """Returns the difference with what it rests on, e.g. `+0.0123 (95 % interval ...)`.

        Args:
            unit: What follows the difference.
            scale: Factor, e.g. 100 for points of a percentage.
            digits: After the decimal point; None: four significant digits.
        """
        form = "+.4g" if digits is None else f"+.{digits}f"
        mean = f"{scale * self.mean:{form}}{unit}"
        first, second = self.counts
        seeds = f"{first} seed{'s' * (first > 1)}, paired"
        if not self.paired:
            seeds = f"{first} and {second} seeds, Welch"
        if self.interval is None:
            return f"{mean} (n = {seeds}; too few different values for an interval)"
        from common.basics.wording import p_value

        low, high = (f"{scale * end:{form}}" for end in self.interval)
        return f"{mean} (95 % interval {low} to {high}, {p_value(self.p)}, n = {seeds})"


def paired(first, second, same=SAME):
    """Returns the Difference of values that belong together, e.g. by their seed.

    Args:
        first: Values, `(n,)`.
        second: Values, `(n,)`, in the same order.
        same: Differences that agree this closely tell no spread.
    """
    gains = [one - other for one, other in zip(first, second, strict=True)]
    found = Difference(statistics.fmean(gains), (len(gains), len(gains)), paired=True)
    if len(gains) < 2 or max(gains) - min(gains) <= same:
        return found
    from scipy import stats

    return _with(found, stats.ttest_rel(first, second))


def unpaired(first, second, same=SAME):
    """Returns the Difference of independent values, by Welch's test: spreads may differ.

    Args:
        first: Values, `(n,)`.
        second: Values, `(m,)`.
        same: Values that agree this closely tell no spread.
    """
    mean = statistics.fmean(first) - statistics.fmean(second)
    found = Difference(mean, (len(first), len(second)), paired=False)
    alike = all(max(values) - min(values) <= same for values in (first, second))
    if min(found.counts) < 2 or alike:
        return found
    from scipy import stats

    return _with(found, stats.ttest_ind(first, second, equal_var=False))


def _with(difference, result):
    low, high = result.confidence_interval(LEVEL)
    interval = (float(low), float(high))
    return dataclasses.replace(difference, interval=interval, p=float(result.pvalue))
