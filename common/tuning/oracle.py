"""A KerasTuner Oracle with its trials in a Store: a kill at any moment loses and repeats nothing.

KerasTuner keeps a search in memory and writes parts of it at several moments. A kill between two of
them damages it: of 100 kills, 11 left unreadable files, 10 lost trials, and 22 repeated finished ones.
Here the trial files are the only state, and each is replaced as a whole. A search method is a function
of the seed, the number of the trial, and the trials so far. Many processes may share a store.
"""

import contextlib
import copy
import math
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial as TunerTrial
from keras_tuner.engine.trial import TrialStatus

from common.basics.errors import StorageError
from common.tuning import space as spaces
from common.tuning.failures import check_hope
from common.tuning.optuna_form import OptunaForm
from common.tuning.ranges import Point
from common.tuning.shared_store import make_store
from common.tuning.store import Store
from common.tuning.trial import COMPLETED, FAILED, PRUNED, RETRY, RUNNING, Trial, next_number

WAIT = "wait"
POLL_SECONDS = 0.2
# A trial is tried again after an error, which may be temporary (another process held the memory).
MAX_FAILURES = 2
# A trial that crashes the machine leaves no error. It fails after so many starts without progress.
MAX_STARTS = 10


class SweepOracle(keras_tuner.Oracle):
    """Base class of all methods, which override `propose`.

    Args:
        objective: As for keras_tuner.Oracle: a name, or keras_tuner.Objective.
        seed: Seed of the search, 0 or more. Trial n draws from a generator seeded by (seed, n).
        max_trials: Number of trials. None: until the budget of epochs or the space is exhausted.
        max_epochs: Budget: no trial is started once so many epochs have been trained. None: no limit.
        trial_epochs: Epochs of a full trial, for methods that stop trials early. None: not known.
        hyperparameters: The search space, if no HyperModel declares it.
        storage: URL of a database, for workers on several machines. None: files in the project folder.
        study: Name of the search in the database. None: that of the project.
    """

    store: Store
    """The trials; set by the tuner."""

    def __init__(
        self,
        objective=None,
        *,
        seed=0,
        max_trials=None,
        max_epochs=None,
        trial_epochs=None,
        hyperparameters=None,
        storage=None,
        study=None,
    ):
        super().__init__(
            objective=objective, max_trials=max_trials, hyperparameters=hyperparameters
        )
        self.seed = seed
        self.max_epochs = max_epochs
        self.trial_epochs = trial_epochs
        self.storage, self.study = storage, study
        # A function from a trial's values to its epochs, set by a tuner whose trials may differ in them.
        self.epochs_of = None
        self._space = None

    @property
    def first_random(self) -> int:
        """Number of trials drawn at random before the method begins."""
        return 0

    def propose(self, number: int, trials: Sequence[Trial]) -> Point | None:
        """Returns the values of a new trial.

        Args:
            number: Number of the new trial, the lowest that is free.
            trials: All trials so far, in order; some may be running.

        Returns:
            The values, or None where the space is exhausted.
        """
        raise NotImplementedError

    def choose(self, trials: Sequence[Trial]) -> Trial | str | None:
        """Returns the trial to start next: a new one, or an earlier one to continue.

        Returns:
            The trial; None where there is nothing more to try; WAIT where that depends on trials that
            still run.
        """
        number = next_number(trials)
        values = self.propose(number, trials)
        return None if values is None else Trial(number=number, values=values)

    def continuable(self, trials: Sequence[Trial]) -> Collection[int]:
        """Returns the numbers of finished trials that `choose` may still continue."""
        return ()

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns what KerasTuner asks for: the status and the values of a new trial."""
        values = self.propose(int(trial_id), self.store.read())
        if values is None:
            return {"status": TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": values}

    # What methods use.

    @property
    def space(self) -> spaces.Space:
        """The search space."""
        if self._space is None:
            self._space = spaces.Space(self.hyperparameters)
        return self._space

    def random(self, number: int, *more: int) -> np.random.Generator:
        """Returns the random generator of a trial, independent of those of other seeds and trials."""
        return np.random.default_rng([self.seed, number, *more])

    def draw(self, number: int, trials: Sequence[Trial]) -> Point | None:
        """Returns random values that no trial has, or None where the space is exhausted.

        With the same seed they are the same in all methods.
        """
        return self.space.draw(self.random(number), self.taken(trials))

    @staticmethod
    def taken(trials: Sequence[Trial]) -> set[str]:
        """Returns the keys of the points that have been tried."""
        return {spaces.key(trial.values) for trial in trials}

    def own_limit(self, epochs: int | None, values: Point) -> int | None:
        """Returns a limit of epochs, converted for a trial that trains for more or fewer epochs.

        Methods that stop trials early compare them at equal shares of their trainings.

        Args:
            epochs: Limit for a trial of `trial_epochs`. None: no limit.
            values: Values of the trial.
        """
        if epochs is None or self.trial_epochs is None or self.epochs_of is None:
            return epochs
        return math.ceil(epochs * self.epochs_of(values) / self.trial_epochs)

    def loss(self, trial: Trial) -> float:
        """Returns the score of a finished trial such that lower is better; infinity if it failed."""
        if trial.status == FAILED or trial.score is None:
            return math.inf
        return -trial.score if self.objective.direction == "max" else trial.score

    # What a Tuner calls.

    def _set_project_dir(self, directory, project_name):
        super()._set_project_dir(directory, project_name)
        form = OptunaForm(self.objective.name, self.objective.direction, lambda: self.space.entries)
        self.store = make_store(self._project_dir, self.storage, self.study or project_name, form)

    def create_trial(self, tuner_id: str) -> TunerTrial:
        """Starts a trial: one whose process died, one to try again after an error, or a new one.

        Args:
            tuner_id: Name of the process that will run it.

        Raises:
            RecipeError: The first trials have all failed.
        """
        with self.store.choosing():
            trial = self._start(tuner_id)
        if isinstance(trial, Trial):
            return self._wrapped(trial)
        if trial == WAIT:
            # KerasTuner asks again at once.
            time.sleep(POLL_SECONDS)
            return TunerTrial(self.get_space(), status=TrialStatus.IDLE)
        return TunerTrial(self.get_space(), status=TrialStatus.STOPPED)

    def _start(self, tuner_id):
        trials = self.store.read()
        for trial in trials:
            if trial.status in (RUNNING, RETRY) and self.store.claim(trial):
                if trial.starts < MAX_STARTS:
                    return self._started(trial, tuner_id)
                trial.status = FAILED
                trial.message = (
                    f"started {trial.starts} times and its process ended each time: out of memory?"
                )
                trial.note_end(trials)
                self.store.write(trial)
                self.store.release(trial)
        check_hope(trials)
        trial = None if self._over(trials) else self.choose(trials)
        if trial is None and any(trial.status == RUNNING for trial in trials):
            # The processes of running trials may still die. Then this one has to take over.
            return WAIT
        if isinstance(trial, Trial):
            # An earlier trial that is continued begins to count anew.
            trial.status, trial.starts, trial.worker = RUNNING, 1, tuner_id
            if not self.store.claim(trial):
                return WAIT
            self.store.write(trial)
        return trial

    def _started(self, trial, tuner_id):
        trial.status, trial.worker = RUNNING, tuner_id
        trial.starts += 1
        self.store.write(trial)
        return trial

    def spent(self, trials: Sequence[Trial]) -> int:
        """Returns how much of the budget is spent: epochs if it is in epochs, else trials."""
        if self.max_epochs is None:
            return len(trials)
        # A failure before the first epoch costs one epoch, so that a search in which nearly all trials
        # fail comes to an end.
        return sum(max(trial.epochs, 1 if trial.status == FAILED else 0) for trial in trials)

    def _over(self, trials):
        limit = self.max_trials if self.max_epochs is None else self.max_epochs
        return limit is not None and self.spent(trials) >= limit

    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> TunerTrial:
        """Takes the score of a trial from its metrics.

        Args:
            trial_id: Name of the trial.
            metrics: Has the objective by its name.
            step: Epoch of the score, where the record has none.
        """
        self._check_objective_found(metrics)
        trial = self.trials[trial_id]
        trial.record.score = float(metrics[self.objective.name])
        if trial.record.best_epoch is None:
            trial.record.best_epoch = int(step)
        return trial

    def end_trial(self, trial: TunerTrial) -> None:
        """Stores the result of a trial.

        Raises:
            StorageError: The disk or the database cannot be used; the trial is given back.
        """
        record = trial.record
        if trial.status == TrialStatus.COMPLETED:
            if record.score is None or not math.isfinite(record.score):
                trial.status, trial.message = TrialStatus.FAILED, f"the score is {record.score}"
                record.score = None
            elif record.status != PRUNED:
                record.status = COMPLETED
        if trial.status != TrialStatus.COMPLETED:
            record.failures += 1
            record.message = trial.message
            again = trial.status == TrialStatus.INVALID and record.failures < MAX_FAILURES
            record.status = RETRY if again else FAILED
        try:
            with self.store.lock():
                if record.finished:
                    record.note_end(self.store.read())
                self.store.write(record)
        except StorageError:
            self.give_back(trial)
            raise
        self.store.release(record)
        trial.score, trial.best_step = record.score, record.best_epoch
        self._display.on_trial_end(trial) if self.verbose else None

    def give_back(self, trial: TunerTrial) -> None:
        """Gives back a trial that could not be stored, as it was before. This start does not count."""
        record = trial.begun
        # Fewer, where the trial made progress: that resets its starts.
        record.starts = min(record.starts, trial.record.starts) - 1
        # Storing may fail again. The trial is run again all the same.
        with contextlib.suppress(StorageError):
            self.store.write(record)
        with contextlib.suppress(StorageError):
            self.store.release(record)

    def _wrapped(self, record):
        """Returns KerasTuner's view of a trial."""
        hyperparameters = self.get_space()
        hyperparameters.values = dict(record.values)
        status = TrialStatus.RUNNING
        if record.finished:
            status = TrialStatus.FAILED if record.status == FAILED else TrialStatus.COMPLETED
        trial = TunerTrial(hyperparameters, record.name, status, record.message)
        trial.record, trial.begun = record, copy.deepcopy(record)
        trial.score, trial.best_step = record.score, record.best_epoch
        self.trials[record.name] = trial
        return trial

    def get_best_trials(self, num_trials: int = 1) -> list[TunerTrial]:
        """Returns the best trials, best first. Failed trials are never among them.

        Args:
            num_trials: Largest number of trials.
        """
        finished = [trial for trial in self.store.read() if self.loss(trial) < math.inf]
        return [self._wrapped(trial) for trial in sorted(finished, key=self.loss)[:num_trials]]

    def update_space(self, hyperparameters: keras_tuner.HyperParameters) -> None:
        """As KerasTuner's; the space is made anew when it is asked for."""
        super().update_space(hyperparameters)
        self._space = None

    def save(self) -> None:
        """Does nothing: the trials are the state."""

    def reload(self) -> None:
        """Does nothing: the trials are read whenever they are needed."""
