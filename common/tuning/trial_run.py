"""One training of a trial: its run folder, when it stops early, and what its history says."""

import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence

from common.data.types import DataInfo
from common.runs.options import Options
from common.runs.run import Run
from common.tuning.score import below_median, direction


class TrialRun(Run):
    """The run of a trial on one fold.

    Args:
        recipe: Name of the recipe.
        config: Config of the trial.
        directory: The run folder.
        splits: Data to train and validate on.
        stops: Function of the history that returns whether to stop.
    """

    is_trial = True

    def __init__(self, recipe, config, directory, splits, stops):
        super().__init__(recipe, config, Options(run_dir=directory, report=False), "trial")
        self._splits = splits
        self._stops = stops
        self.directory.mkdir(parents=True, exist_ok=True)

    def stops(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Returns whether the stopping rule ends the training."""
        return self._stops(history)

    def record_environment(self, info: DataInfo) -> None:
        """Does nothing: the sweep has recorded the environment once for all trials."""


@dataclasses.dataclass
class StoppingRule:
    """When a trial stops before its last epoch: at its limit, or by the median rule.

    Args:
        objective: Column of history.csv that is judged.
        limit: Largest number of epochs for now. None: no limit.
        epochs: Epochs of the trial's configuration.
        others: Curves of the objective in other trials, whose median is taken.
    """

    objective: str
    limit: int | None
    epochs: int
    others: list

    @property
    def direction(self) -> str:
        """ "max" or "min"."""
        return direction(self.objective)

    def __call__(self, history):
        if self.limit is not None and len(history) >= self.limit:
            return True
        return self.by_median([row[self.objective] for row in history])

    def by_median(self, values: Sequence[float]) -> bool:
        """Returns whether the median rule ends the training; `values` is the objective by epoch."""
        return below_median(values, self.others, self.direction, self.epochs)


def read_history(run: Run) -> dict[str, list[float]]:
    """Returns the columns of a run's history.csv, lists over epochs; empty where there is no file.

    A column with a value that is not a finite number is left out: JSON could not hold it.
    """
    if not run.path("history.csv").exists():
        return {}
    with run.path("history.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {name: [_number(row[name]) for row in rows] for name in (rows[0] if rows else ())}
    return {name: values for name, values in found.items() if all(map(math.isfinite, values))}


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def epochs_in(curve: Mapping[str, Sequence[float]]) -> int:
    """Returns the number of epochs in a history as `read_history` returns it."""
    return max(map(len, curve.values()), default=0)
