"""RecipeTuner: a trial calls the recipe's own `train`, in a run folder of its own.

The result of a trial is its history. The test split cannot be read: in a trial it raises an error.
"""

import dataclasses
import gc
import math
import shutil
import time
import traceback
from collections.abc import Callable, Collection, Sequence

import keras
import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial as TunerTrial
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.errors import FailedTrialError, FatalError

from common.basics import backend
from common.basics.errors import RecipeError, storage_error
from common.basics.files import read_json, write_json_atomic
from common.basics.passwords import hide
from common.tuning.begun import OtherDataError
from common.tuning.folds import DataCache
from common.tuning.point import Declared, UndeclaredError, check_declared, make_config
from common.tuning.score import at_equal_shares, best_of_curves
from common.tuning.store import Store
from common.tuning.table import write_csv
from common.tuning.trial import COMPLETED, PRUNED, RUNNING, Trial
from common.tuning.trial_run import StoppingRule, TrialRun, epochs_in, read_history

# Number of best trials whose models are kept. The winner is trained again anyway.
KEEP_MODELS = 3


class RecipeTuner(BaseTuner):
    """KerasTuner's loop over trials that train a recipe.

    Args:
        oracle: A SweepOracle.
        recipe: Name of the recipe.
        module: Its `train` module.
        search_space: Function `(hp, base) -> Config`.
        base: Config that the search starts from.
        source: A common.data.source.Source.
        fingerprint: Fingerprint of the data that the search began with. None: any data will do.
        directory: The sweep folder.
        folds: Folds of the cross-validation; 1: the recipe's own validation split.
        prune: Whether the median rule stops trials.
        worker: Name of this process.
    """

    def __init__(
        self,
        oracle,
        *,
        recipe,
        module,
        search_space,
        base,
        source,
        directory,
        fingerprint=None,
        folds=1,
        prune=True,
        worker="worker",
    ):
        self.recipe, self.module = recipe, module
        self.search_space, self.base = search_space, base
        self.folds, self.prune = folds, prune
        self._frozen = False
        self._data = DataCache(module.load_data, source, fingerprint, directory)
        super().__init__(
            oracle,
            hypermodel=Declared(lambda hp: search_space(hp, base)),
            directory=str(directory.parent),
            project_name=directory.name,
        )
        self.tuner_id = worker
        self.oracle.verbose = 0
        self.oracle.epochs_of = self._epochs_of

    def run_trial(self, trial: TunerTrial) -> dict[str, float]:
        """Trains one point of the space, and writes its curves and its score into its record.

        Returns:
            The score, by the name of the objective.

        Raises:
            FailedTrialError: The recipe refuses the point, or its history has no finite objective.
        """
        record = trial.record
        check_declared(self.search_space, self.base, self.oracle.space, [record.values])
        config = make_config(self.search_space, trial.hyperparameters, self.base)
        started, earlier = time.perf_counter(), record.seconds
        record.status, record.message, curves = COMPLETED, None, []
        for fold in range(self.folds):
            directory = self.oracle.store.folder(record) / f"fold-{fold + 1}"
            splits = self._data.splits(config, fold, self.folds)
            rule = self._rule(record, fold, config.epochs)
            run = TrialRun(self.recipe, config, directory, splits, self._noting(record, rule))
            try:
                self._train(run, record)
            finally:
                # Epochs before an error count as well.
                curves.append(read_history(run))
                record.curves = curves
                record.epochs = sum(map(epochs_in, curves))
                record.seconds = round(earlier + time.perf_counter() - started, 3)
            if rule.objective not in curves[-1]:
                raise FailedTrialError(
                    f"history.csv has no finite {rule.objective}; it has {', '.join(curves[-1])}"
                )
            if rule.by_median(curves[-1][rule.objective]):
                record.status = PRUNED
                record.message = f"worse than the median at epoch {epochs_in(curves[-1])}"
                break
        if rule.limit is not None and rule.limit < config.epochs and record.status == COMPLETED:
            record.status = PRUNED
            record.message = f"stopped at the rung of {rule.limit} epochs"
        score, record.best_epoch = best_of_curves(curves, rule.objective, rule.direction)
        return {rule.objective: score}

    def _train(self, run, record):
        """Trains a fold up to the trial's limit, unless that has been done."""
        done = {"epoch_limit": record.epoch_limit}
        if run.path("done.json").exists() and read_json(run.path("done.json")) == done:
            return
        try:
            self.module.train(run.config, run)
        except RecipeError as error:
            # A diverged loss, or a value that the recipe refuses. It would happen again.
            raise FailedTrialError(str(error)) from error
        finally:
            backend.clear()
        if not self._frozen:
            # Later garbage collections need not look at TensorFlow and all else that the first training
            # imported. That would take longer than the rest of a trial's overhead.
            gc.freeze()
            self._frozen = True
        write_json_atomic(run.path("done.json"), done)

    def _noting(self, record, rule):
        """Returns the rule as a function that also notes when this start has made progress."""
        asked = []

        def stops(history):
            asked.append(len(history))
            if record.starts > 1 and len(history) > asked[0]:
                record.starts = 1
                self.oracle.store.write(dataclasses.replace(record, status=RUNNING))
            if self.folds == 1:  # The mean over folds is known at the end only.
                values = [row[rule.objective] for row in history if rule.objective in row]
                self.oracle.store.progress(record, values)
            return rule(history)

        return stops

    def _rule(self, record, fold, epochs):
        objective = self.oracle.objective.name
        others = []
        if self.prune:
            others = [
                at_equal_shares(
                    other.curves[fold][objective], self._epochs_of(other.values), epochs
                )
                for other in self.oracle.store.read()
                if other.status == COMPLETED and other.number < record.number
            ]
        limit = self.oracle.own_limit(record.epoch_limit, record.values)
        return StoppingRule(objective, limit, epochs, others)

    def _epochs_of(self, values):
        """Returns the epochs of a point's Config: the search may vary them."""
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = dict(values)
        return make_config(self.search_space, hyperparameters, self.base).epochs

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        try:
            self._run_and_update_trial(trial, *args, **kwargs)
            trial.status = TrialStatus.COMPLETED
        except (FatalError, UndeclaredError):
            raise
        except OtherDataError:
            # This is not the trial's fault either.
            self.oracle.give_back(trial)
            raise
        except (Exception, SystemExit) as error:
            # A full disk or a database that is away is not the trial's fault: the next trial would meet
            # it as well.
            storage = storage_error(error)
            if storage is not None:
                self.oracle.give_back(trial)
                raise storage from error
            if isinstance(error, FailedTrialError):
                trial.status, message = TrialStatus.FAILED, str(error)
            else:
                # A sys.exit() inside a trial ends that trial, not the worker.
                trial.status, message = TrialStatus.INVALID, traceback.format_exc().strip()
            trial.message = hide(message)

    def on_search_begin(self) -> None:
        """Tidies up: an earlier process may have died before it did."""
        self.tidy()

    def on_search_end(self) -> None:
        """Tidies up: another machine may have ended the last trial."""
        self.tidy()

    def on_trial_end(self, trial: TunerTrial) -> None:
        """Stores the result of a trial, and tidies up."""
        self.oracle.end_trial(trial)
        self.tidy()

    def tidy(self) -> None:
        """Deletes files of finished trials that are not needed any more, and writes trials.csv."""
        with self.oracle.store.lock():
            trials = self.oracle.store.read()
            continuable = self.oracle.continuable(trials)
            clean(self.oracle.store, trials, self.oracle.loss, continuable)
            write_csv(self.oracle.store.directory / "trials.csv", trials, self.oracle.space.names)

    def save(self) -> None:
        """Does nothing: the trials are the state."""

    def load_model(self, trial: TunerTrial) -> keras.Model:
        """Returns the model of one of the best trials, of its last fold.

        Raises:
            RecipeError: The model was not kept.
        """
        from common.training.loading import load_model

        folders = sorted(self.oracle.store.folder(trial.record).glob("fold-*/best.keras"))
        if not folders:
            raise RecipeError(f"the model of trial {trial.trial_id} was not kept")
        return load_model(folders[-1])


def clean(
    store: Store,
    trials: Sequence[Trial],
    loss: Callable[[Trial], float],
    continuable: Collection[int] = (),
) -> None:
    """Deletes the run folders of finished trials, except for the models of the best KEEP_MODELS.

    Args:
        store: Where the trials are.
        trials: All trials.
        loss: Score of a trial such that lower is better.
        continuable: Numbers of trials that the method may still continue; their folders stay.
    """
    best = sorted((trial for trial in trials if loss(trial) < math.inf), key=loss)[:KEEP_MODELS]
    for trial in trials:
        if not trial.finished or trial.number in continuable:
            continue
        for folder in store.folder(trial).glob("fold-*"):
            # Of the best trials only the backups are deleted.
            shutil.rmtree(folder / "backup" if trial in best else folder, ignore_errors=True)
