"""What a trial is judged by: the best epoch of its averaged fold curves, and the median rule."""

import statistics

# Trials that must have been trained fully before the median means anything.
STARTUP_TRIALS = 5


def direction(objective):
    """Returns "max" for an accuracy and "min" for a loss."""
    return "max" if objective.endswith("accuracy") else "min"


def best_of_curves(curves, objective, direction):
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


def below_median(values, others, direction):
    """The median rule: whether a trial's best so far is worse than the others at this epoch.

    Args:
        values: The objective after each epoch so far.
        others: The same for each fully trained trial.
        direction: "max" or "min".
    """
    epoch = len(values)
    reached = [other[epoch - 1] for other in others if len(other) >= epoch]
    if not values or len(reached) < STARTUP_TRIALS:
        return False
    if direction == "max":
        return max(values) < statistics.median(reached)
    return min(values) > statistics.median(reached)
