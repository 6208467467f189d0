"""Hyperband (Li et al. 2018) that continues a promoted trial where it stopped, optimizer included.

KerasTuner's Hyperband makes a promoted trial a new one. It starts from the weights of the best epoch,
without the state of the optimizer. Here a rung is a limit of epochs for one and the same trial. From the
start its learning rate follows the schedule of a full training, and a promotion raises the limit. The
backup in the run folder then continues it exactly, as it continues a run that was killed.
"""

import itertools
import math
from collections.abc import Sequence

from common.basics.errors import UsageError
from common.tuning.oracle import SweepOracle
from common.tuning.score import best_of_curves
from common.tuning.trial import FAILED, Trial, next_number


class HyperbandOracle(SweepOracle):
    """Brackets of successive halving, from many short trials to few full ones.

    The brackets are repeated until the budget of epochs is spent.

    Args:
        trial_epochs: Epochs of a full trial.
        max_epochs: Budget of epochs (default: `max_trials` full trials).
        eta: Each rung keeps one in `eta` trials, and trains them for `eta` times the epochs.
    """

    def __init__(self, *args, max_trials=None, max_epochs=None, eta=3, **kwargs):
        super().__init__(*args, max_trials=None, max_epochs=max_epochs, **kwargs)
        if self.trial_epochs is None:
            raise UsageError("hyperband needs trial_epochs, the epochs of a full training")
        if self.max_epochs is None and max_trials is not None:
            self.max_epochs = max_trials * self.trial_epochs
        self.brackets = brackets(self.trial_epochs, eta)

    def continuable(self, trials: Sequence[Trial]) -> set[int]:
        numbers: set[int] = set()
        start = index = 0
        while True:
            bracket = self.brackets[index % len(self.brackets)]
            count = bracket[0][0]
            members = _between(trials, start, start + count)
            if not members:
                return numbers
            # A bracket is over once its last rung has been trained.
            full = [trial for trial in members if trial.finished and trial.epoch_limit is None]
            if len(full) < bracket[-1][0]:
                numbers |= {trial.number for trial in members}
            start, index = start + count, index + 1

    def choose(self, trials: Sequence[Trial]) -> Trial | None:
        start = index = 0
        while True:
            bracket = self.brackets[index % len(self.brackets)]
            count, epochs = bracket[0]
            members = _between(trials, start, start + count)
            if len(members) < count:
                number = next_number(trials)
                values = self.draw(number, trials)
                if values is None:
                    return None
                return Trial(number, values, epoch_limit=self._limit(epochs))
            promoted = self._promotion(members, bracket)
            if promoted:
                return promoted
            # This bracket is over, or waits for trials that run. Go on to the next one.
            start, index = start + count, index + 1

    def _promotion(self, members, bracket):
        """Returns a trial of a bracket to continue, or None where there is none, or none yet."""
        for (_, below), (count, epochs) in itertools.pairwise(bracket):
            if any(not trial.finished and _limit_of(trial) <= below for trial in members):
                return None
            # Trials are judged by their scores at the end of the rung, even those that have been
            # promoted since then.
            alive = [trial for trial in members if self._loss_at(trial, below) < math.inf]
            alive.sort(key=lambda trial: (self._loss_at(trial, below), trial.number))
            members = alive[:count]
            for trial in members:
                if trial.finished and _limit_of(trial) <= below:
                    trial.epoch_limit = self._limit(epochs)
                    return trial
        return None

    def _limit(self, epochs):
        return epochs if epochs < self.trial_epochs else None

    def _loss_at(self, trial, epochs):
        if trial.status == FAILED or not trial.curves:
            return self.loss(trial)
        epochs = self.own_limit(epochs, trial.values)
        score, _ = best_of_curves(
            [{name: values[:epochs] for name, values in curve.items()} for curve in trial.curves],
            self.objective.name,
            self.objective.direction,
        )
        return -score if self.objective.direction == "max" else score


def _between(trials, start, end):
    return [trial for trial in trials if start <= trial.number < end]


def _limit_of(trial):
    return math.inf if trial.epoch_limit is None else trial.epoch_limit


def brackets(epochs: int, eta: int = 3) -> list[list[tuple[int, int]]]:
    """Returns the rungs of each bracket, as (trials, epochs) pairs. The last rung trains fully.

    Args:
        epochs: Epochs of a full trial, 1 or more.
        eta: As for HyperbandOracle, 2 or more.
    """
    highest = 0
    while eta ** (highest + 1) <= epochs:
        highest += 1
    plans = []
    for bracket in range(highest, -1, -1):
        count = math.ceil((highest + 1) / (bracket + 1) * eta**bracket)
        plans.append(
            [
                (max(count // eta**rung, 1), max(round(epochs / eta ** (bracket - rung)), 1))
                for rung in range(bracket + 1)
            ]
        )
    return plans
