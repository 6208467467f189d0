"""What a trial is judged by: the best epoch of its averaged fold curves, and the median rule."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from common.runs.headline import higher_is_better

# Trials that must have been trained fully before the median means anything.
STARTUP_TRIALS = 5
# Share of its epochs that no trial is stopped in: a schedule of the learning rate warms up there. Of
# four epochs of cifar10_resnet the first gave 0.16, 0.18 and 0.24, the last of the same trials 0.72,
# 0.73 and 0.69.
WARMUP = 1 / 3


def direction(objective: str) -> str:
    """Returns "max" or "min", KerasTuner's words for which way a column of the history is better."""
    return "max" if higher_is_better(objective) else "min"


def extreme(objective: str) -> str:
    """Returns what the best of many scores is: "maximum" or "minimum"."""
    return f"{direction(objective)}imum"


def digits(value: float) -> int:
    """Returns how many digits after the point tell a score: four, or four that are not leading zeros."""
    if value == 0 or abs(value) >= 0.01:
        return 4
    return 3 - math.floor(math.log10(abs(value)))


def shown(value: float) -> str:
    """Returns a score as text."""
    return f"{value:.{digits(value)}f}"


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Returns `0.8552 ± 0.0012`: mean and sample deviation, which one value does not have."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{deviation}"


def best_of_curves(
    curves: Sequence[Mapping[str, Sequence[float]]], objective: str, direction: str
) -> tuple[float, int]:
    """Averages the curves of the folds epoch by epoch, then picks the epoch.

    Averaging each fold's own best epoch instead would flatter: no single number of epochs gives it.

    Args:
        curves: A dict of lists over epochs for each fold. Epochs that not all have are left out.
        objective: Name of the list.
        direction: "max" or "min".

    Returns:
        Tuple of the best mean value and its 1-based epoch (the earliest of equals).
    """
    folds = [curve[objective] for curve in curves]
    means = [statistics.fmean(values) for values in zip(*folds, strict=False)]
    best = max(means) if direction == "max" else min(means)
    return best, means.index(best) + 1


def below_median(
    values: Sequence[float], others: Iterable[Sequence[float]], direction: str, epochs: int
) -> bool:
    """The median rule: whether to stop a trial whose best so far is worse than the others here.

    Args:
        values: The objective after each epoch so far.
        others: The same for each fully trained trial.
        direction: "max" or "min".
        epochs: Of the whole training. Nothing is stopped in its first third, nor after the last one.
    """
    epoch = len(values)
    reached = [other[epoch - 1] for other in others if len(other) >= epoch]
    if not WARMUP * epochs < epoch < epochs or len(reached) < STARTUP_TRIALS:
        return False
    if direction == "max":
        return max(values) < statistics.median(reached)
    return min(values) > statistics.median(reached)


def at_equal_shares(values: Sequence[float], own: int, epochs: int) -> list[float]:
    """Returns another trial's values where this one's epochs end, as shares of the two trainings.

    A search may vary the epochs. The learning rate of a schedule falls over the whole training, so that
    of two trainings the longer one is behind at equal epochs and yet ends higher.

    Args:
        values: Of the other trial, after each of its epochs; it may have ended early.
        own: Epochs of its configuration.
        epochs: Epochs of the configuration of the trial that is judged.
    """
    places = [max(epoch * own // epochs, 1) for epoch in range(1, epochs + 1)]
    return [values[place - 1] for place in places if place <= len(values)]
