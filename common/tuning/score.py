"""How trials are judged: by the best epoch of their averaged fold curves, and by the median rule."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from common.runs.headline import higher_is_better

# Number of fully trained trials without which the median rule stops nothing.
STARTUP_TRIALS = 5
# Share of its epochs in which no trial is stopped, because a learning rate may warm up there: of four
# epochs of cifar10_resnet, the first gave 0.16, 0.18 and 0.24 in three trials, the last 0.72, 0.73 and
# 0.69.
WARMUP = 1 / 3


def direction(objective: str) -> str:
    """Returns "max" where higher values of a column of history.csv are better, else "min"."""
    return "max" if higher_is_better(objective) else "min"


def extreme(objective: str) -> str:
    """Returns whether the best of many scores is their "maximum" or their "minimum"."""
    return f"{direction(objective)}imum"


def digits(value: float) -> int:
    """Returns how many digits after the point a score is written with: four significant ones if small."""
    if value == 0 or abs(value) >= 0.01:
        return 4
    return 3 - math.floor(math.log10(abs(value)))


def shown(value: float) -> str:
    """Returns a score as text."""
    return f"{value:.{digits(value)}f}"


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Returns mean and sample deviation, e.g. `0.8552 ± 0.0012`; of a single value only the mean.

    Args:
        values: One or more.
        digits: Digits after the point.
    """
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


def best_of_curves(
    curves: Sequence[Mapping[str, Sequence[float]]], objective: str, direction: str
) -> tuple[float, int]:
    """Averages the curves of the folds epoch by epoch, then picks the best epoch.

    The mean of each fold's own best value would be too good: no single number of epochs reaches it.

    Args:
        curves: For each fold the columns of its history. Epochs that a fold lacks are left out.
        objective: Name of the column.
        direction: "max" or "min".

    Returns:
        The best mean value and its epoch, 1-based; of equal values the earliest.
    """
    folds = [curve[objective] for curve in curves]
    means = [statistics.fmean(values) for values in zip(*folds, strict=False)]
    best = max(means) if direction == "max" else min(means)
    return best, means.index(best) + 1


def below_median(
    values: Sequence[float], others: Iterable[Sequence[float]], direction: str, epochs: int
) -> bool:
    """The median rule: returns whether a trial should stop.

    It should if its best value so far is worse than the median of the others at the same epoch.

    Args:
        values: The objective after each epoch so far.
        others: The same for each fully trained trial.
        direction: "max" or "min".
        epochs: Epochs of the whole training. The rule stops nothing in the first third of them, and
            nothing after the last one.
    """
    epoch = len(values)
    reached = [other[epoch - 1] for other in others if len(other) >= epoch]
    if not WARMUP * epochs < epoch < epochs or len(reached) < STARTUP_TRIALS:
        return False
    if direction == "max":
        return max(values) < statistics.median(reached)
    return min(values) > statistics.median(reached)


def at_equal_shares(values: Sequence[float], own: int, epochs: int) -> list[float]:
    """Returns the values of another trial at the same shares of its training as this trial's epochs.

    A search may vary the epochs. The learning rate falls over the whole training, so that a longer
    training is behind at equal epochs and still ends better. At equal shares they can be compared.

    Args:
        values: Values of the other trial after each of its epochs; it may have ended early.
        own: Epochs of the other trial's configuration.
        epochs: Epochs of this trial's configuration.
    """
    places = [max(epoch * own // epochs, 1) for epoch in range(1, epochs + 1)]
    return [values[place - 1] for place in places if place <= len(values)]
