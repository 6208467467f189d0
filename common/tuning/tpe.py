"""Tree-structured Parzen estimator (Bergstra et al. 2011): Optuna's sampler in a SweepOracle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from common.tuning import ranges
from common.tuning import space as spaces
from common.tuning.oracle import SweepOracle
from common.tuning.ranges import Point
from common.tuning.trial import Trial

if TYPE_CHECKING:
    import optuna
    from keras_tuner.engine.hyperparameters import HyperParameter


CHANGES = 100
"""Largest number of changes to a point that was tried before; after them a random point is taken."""


class TPEOracle(SweepOracle):
    """Optuna's TPESampler. Its study is made from the trials, so that nothing else has to be stored.

    Optuna often proposes points that were tried before, most of all in a small space. Such a point is
    changed, one value after another, until it is new.

    Args:
        initial_trials: Number of random trials at the start, the same ones as in other methods.
    """

    def __init__(self, *args, initial_trials=10, **kwargs):
        super().__init__(*args, **kwargs)
        self.initial_trials = initial_trials
        self._study, self._rows = None, []

    @property
    def first_random(self) -> int:
        return self.initial_trials

    def propose(self, number: int, trials: Sequence[Trial]) -> Point | None:
        known = [t for t in trials if t.finished and self.loss(t) < math.inf]
        if number < self.first_random or len(known) < 2:
            return self.draw(number, trials)
        import optuna

        random, taken = self.random(number), self.taken(trials)
        study = self._study_of([trial for trial in trials if trial.finished], known)
        seed = int(random.integers(2**31))
        study.sampler = optuna.samplers.TPESampler(n_startup_trials=0, multivariate=True, seed=seed)
        asked = study.ask()
        point = self._suggest(asked)
        study.tell(asked, state=optuna.trial.TrialState.FAIL)  # The sampler ignores failed trials.
        for _ in range(CHANGES):
            if spaces.key(point) not in taken:
                return point
            point = self.space.mutate(point, random)
        return self.draw(number, trials)

    def _study_of(self, finished, known):
        """Returns an Optuna study of the trials. New trials are added to the last study if they fit."""
        import optuna

        worst = max(map(self.loss, known))
        rows = [(trial.values, min(self.loss(trial), worst)) for trial in finished]
        if self._study is None or self._rows != rows[: len(self._rows)]:
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            self._study, self._rows = optuna.create_study(), []
        for values, loss in rows[len(self._rows) :]:
            self._study.add_trial(self._frozen(values, loss))
        self._rows = rows
        return self._study

    def _frozen(self, values, loss):
        import optuna

        # Where a hyperparameter has two ranges under two conditions, it is two parameters for Optuna.
        entries = zip(ranges.titles(self.space.entries), self.space.entries, strict=True)
        here = {name: entry for name, entry in entries if ranges.present(entry, values)}
        return optuna.trial.create_trial(
            params={name: encode(entry, values[entry.name]) for name, entry in here.items()},
            distributions={name: distribution(entry) for name, entry in here.items()},
            value=loss,
        )

    def _suggest(self, trial):
        point = {}
        entries = self.space.entries
        for name, entry in zip(ranges.titles(entries), entries, strict=True):
            if ranges.active(entry, point) and entry.name not in point:
                point[entry.name] = decode(entry, suggest(trial, name, entry))
        return point


def distribution(entry: HyperParameter) -> optuna.distributions.BaseDistribution:
    """Returns Optuna's distribution of an entry: of indices, or of 0 to 1 for a Float without a step."""
    import optuna.distributions as od

    values = ranges.domain(entry)
    if values is None:
        return od.FloatDistribution(0.0, 1.0)
    if ranges.ordered(entry):
        return od.IntDistribution(0, len(values) - 1)
    return od.CategoricalDistribution(list(range(len(values))))


def suggest(trial: optuna.Trial, name: str, entry: HyperParameter) -> Any:
    """Returns what Optuna suggests for an entry, in terms of its `distribution`.

    Args:
        trial: Optuna's trial.
        name: Name of the entry in Optuna's study.
        entry: The hyperparameter.
    """
    values = ranges.domain(entry)
    if values is None:
        return trial.suggest_float(name, 0.0, 1.0)
    if ranges.ordered(entry):
        return trial.suggest_int(name, 0, len(values) - 1)
    return trial.suggest_categorical(name, list(range(len(values))))


def encode(entry: HyperParameter, value: Any) -> float:
    """Returns a value in terms of its entry's `distribution`: its index, or its place from 0 to 1."""
    values = ranges.domain(entry)
    return ranges.unit(entry, value) if values is None else values.index(value)


def decode(entry: HyperParameter, value: Any) -> Any:
    """Returns the value that `encode` has encoded."""
    values = ranges.domain(entry)
    if values is None:
        return entry.prob_to_value(min(value, 1.0 - 1e-12))
    return values[value]
