"""Trials in Optuna's own form, for optuna-dashboard: direction, parameters with their ranges, curves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common.tuning import ranges
from common.tuning.ranges import Point

if TYPE_CHECKING:
    from keras_tuner.engine.hyperparameters import HyperParameter
    from optuna.distributions import BaseDistribution


class OptunaForm:
    """What Optuna has to be told of a search beside its trials.

    Args:
        objective: Column of history.csv that is judged.
        direction: "max" or "min".
        entries: Function that returns the hyperparameters; they may be declared after this is made.
    """

    def __init__(
        self, objective: str, direction: str, entries: Callable[[], Sequence[HyperParameter]]
    ):
        self.objective, self.entries = objective, entries
        self.direction = "maximize" if direction == "max" else "minimize"

    def parameters(self, values: Point) -> dict[str, tuple[Any, BaseDistribution]]:
        """Returns the parameters of a point: by title their value and Optuna's distribution."""
        entries = self.entries()
        return {
            title: (values[entry.name], distribution(entry))
            for title, entry in zip(ranges.titles(entries), entries, strict=True)
            if ranges.present(entry, values) and ranges.contains(entry, values[entry.name])
        }

    def curve(self, curves: Sequence[Mapping[str, Sequence[float]]]) -> list[float]:
        """Returns the objective after each epoch, averaged over the folds.

        Args:
            curves: For each fold the columns of its history. Epochs that a fold lacks are left out.
        """
        folds = [curve[self.objective] for curve in curves if self.objective in curve]
        return [statistics.fmean(values) for values in zip(*folds, strict=False)]


def distribution(entry: HyperParameter) -> BaseDistribution:
    """Returns the distribution of an entry in its own units, for showing.

    A factor as a step has no equal in Optuna: such an entry has the whole range there, on a log scale.
    """
    import optuna.distributions as od

    kind = type(entry).__name__
    values = ranges.domain(entry)
    if kind not in ("Int", "Float"):
        assert values is not None  # Only a Float has no list of values.
        return od.CategoricalDistribution(list(values))
    low, high = (entry.min_value, entry.max_value) if values is None else (values[0], values[-1])
    log = entry.sampling == "log"
    step = None if log or entry.sampling == "reverse_log" else entry.step
    if kind == "Int":
        return od.IntDistribution(low, high, log=log, step=step or 1)
    # Rounding may have moved the ends by the last digit.
    low, high = min(low, entry.min_value), high if step else max(high, entry.max_value)
    return od.FloatDistribution(low, high, log=log, step=step)


def finite(values: Sequence[float]) -> dict[int, float]:
    """Returns the values that are finite numbers, by epoch (1-based)."""
    return {epoch: value for epoch, value in enumerate(values, 1) if math.isfinite(value)}
