"""A trial is a call of the recipe's own `train`, in a run folder of its own; its result is its history.

The test split is out of reach: a trial gets Splits whose test split raises.
"""

import contextlib
import csv
import dataclasses
import gc
import math
import shutil
import time
import traceback

import keras_tuner
import numpy as np
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.errors import FailedTrialError, FatalError

from common.basics import backend
from common.basics.errors import RecipeError, UsageError, storage_error
from common.basics.files import read_json, write_json_atomic
from common.basics.passwords import hide
from common.data.subset import stratified_subset
from common.data.types import Split, Splits
from common.runs import config as configuration
from common.runs.run import Options, Run
from common.tuning import space as spaces
from common.tuning.score import at_equal_shares, below_median, best_of_curves, direction
from common.tuning.store import COMPLETED, PRUNED, RUNNING
from common.tuning.table import write_csv

CURVES = ("loss", "val_loss", "accuracy", "val_accuracy", "seconds")
# The models of the best few stay; the winner is trained again anyway.
KEEP_MODELS = 3


class TrialRun(Run):
    """The run of a trial on one fold.

    Args:
        recipe: Name of the recipe.
        config: Config of the trial.
        directory: Its folder.
        splits: What it trains and validates on.
        stops: Function of the history that says when to stop.
    """

    is_trial = True

    def __init__(self, recipe, config, directory, splits, stops):
        super().__init__(recipe, config, Options(run_dir=directory, report=False), "trial")
        self._splits = splits
        self._stops = stops
        self.directory.mkdir(parents=True, exist_ok=True)

    def stops(self, history):
        """Returns what the stopping rule says."""
        return self._stops(history)

    def record_environment(self, info):
        """Does nothing: the sweep has recorded it once for all trials."""


class RecipeTuner(BaseTuner):
    """KerasTuner's loop over trials that train a recipe.

    Args:
        oracle: SweepOracle.
        recipe: Name of the recipe.
        module: Its `train` module.
        search_space: Function `(hp, base) -> Config`.
        base: Config that the space starts from.
        source: common.data.Source.
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
        folds=1,
        prune=True,
        worker="worker",
    ):
        self.recipe, self.module = recipe, module
        self.search_space, self.base = search_space, base
        self.folds, self.prune = folds, prune
        self._frozen = False
        self._data = DataCache(module.load_data, source)
        super().__init__(
            oracle,
            hypermodel=_Declared(lambda hp: search_space(hp, base)),
            directory=str(directory.parent),
            project_name=directory.name,
        )
        self.tuner_id = worker
        self.oracle.verbose = 0
        self.oracle.epochs_of = self._epochs_of

    def run_trial(self, trial):
        """Trains one point of the space; the record takes its curves and its score."""
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
                # The epochs before an error were spent as well.
                curves.append(read_history(run))
                record.curves = curves
                record.epochs = sum(len(curve.get("loss", ())) for curve in curves)
                record.seconds = round(earlier + time.perf_counter() - started, 3)
            if rule.by_median(curves[-1][rule.objective]):
                record.status = PRUNED
                record.message = f"worse than the median at epoch {len(curves[-1]['loss'])}"
                break
        if rule.limit is not None and rule.limit < config.epochs and record.status == COMPLETED:
            record.status = PRUNED
            record.message = f"stopped at the rung of {rule.limit} epochs"
        score, record.best_epoch = best_of_curves(curves, rule.objective, rule.direction)
        return {rule.objective: score}

    def _train(self, run, record):
        """Trains a fold as far as this trial may go now, unless that has been done."""
        done = {"epoch_limit": record.epoch_limit}
        if run.path("done.json").exists() and read_json(run.path("done.json")) == done:
            return
        try:
            self.module.train(run.config, run)
        except RecipeError as error:
            # A diverged loss or a value that the recipe refuses: the same again next time.
            raise FailedTrialError(str(error)) from error
        finally:
            backend.clear()
        if not self._frozen:
            # The next collection of garbage need not look at all of TensorFlow again, nor at what else
            # the first training imported: that would take longer than everything here.
            gc.freeze()
            self._frozen = True
        write_json_atomic(run.path("done.json"), done)

    def _noting(self, record, rule):
        """Returns the rule; asking it after an epoch also notes that this start got somewhere."""
        asked = []

        def stops(history):
            asked.append(len(history))
            if record.starts > 1 and len(history) > asked[0]:
                record.starts = 1
                self.oracle.store.write(dataclasses.replace(record, status=RUNNING))
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
        """Returns the epochs of the Config of a point, which the search may vary."""
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = dict(values)
        return make_config(self.search_space, hyperparameters, self.base).epochs

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        try:
            self._run_and_update_trial(trial, *args, **kwargs)
            trial.status = TrialStatus.COMPLETED
        except (FatalError, UndeclaredError):
            raise
        except (Exception, SystemExit) as error:
            # A full disk or a database that is away says nothing of a trial, and meets the next as well.
            storage = storage_error(error)
            if storage is not None:
                self.oracle.give_back(trial)
                raise storage from error
            if isinstance(error, FailedTrialError):
                trial.status, message = TrialStatus.FAILED, str(error)
            else:
                # What calls sys.exit() inside a trial ends that trial, not the worker.
                trial.status, message = TrialStatus.INVALID, traceback.format_exc().strip()
            trial.message = hide(message)

    def on_search_begin(self):
        # The process before may have died between the end of a trial and this.
        self.tidy()

    def on_search_end(self):
        # The last trial may have been another machine's.
        self.tidy()

    def on_trial_end(self, trial):
        self.oracle.end_trial(trial)
        self.tidy()

    def tidy(self):
        """Deletes what finished trials leave behind, and writes trials.csv from the store."""
        with self.oracle.store.lock():
            trials = self.oracle.store.read()
            continuable = self.oracle.continuable(trials)
            clean(self.oracle.store, trials, self.oracle.loss, continuable)
            write_csv(self.oracle.store.directory / "trials.csv", trials, self.oracle.space.names)

    def save(self):
        """Does nothing: the trials are the state."""

    def load_model(self, trial):
        """Returns the model of one of the best trials (the last fold's)."""
        from common.training.loading import load_model

        folders = sorted(self.oracle.store.folder(trial.record).glob("fold-*/best.keras"))
        if not folders:
            raise RecipeError(f"the model of trial {trial.trial_id} was not kept")
        return load_model(folders[-1])


class _Declared(keras_tuner.HyperModel):
    """Lets KerasTuner find out the space, conditions included, by calling the function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def build(self, hp):
        return self.function(hp)


@dataclasses.dataclass
class StoppingRule:
    """When a trial stops before its last epoch: at its limit, or by the median rule.

    Args:
        objective: What is judged.
        limit: Epochs it may train for now, or None.
        epochs: Epochs of its configuration.
        others: The objective's curves that the median is taken of.
    """

    objective: str
    limit: int | None
    epochs: int
    others: list

    @property
    def direction(self):
        """ "max" or "min"."""
        return direction(self.objective)

    def __call__(self, history):
        if self.limit is not None and len(history) >= self.limit:
            return True
        return self.by_median([row[self.objective] for row in history])

    def by_median(self, values):
        """Returns whether the median rule ends the training after these epochs."""
        return below_median(values, self.others, self.direction, self.epochs)


class DataCache:
    """The Splits of the last trial, loaded again only if a field that matters to them changes.

    Args:
        load_data: The recipe's function.
        source: common.data.Source.
    """

    def __init__(self, load_data, source):
        self.load_data, self.source = load_data, source
        self.fields, self.values, self.loaded = None, None, None
        self.fold, self.fold_splits = None, None

    def splits(self, config, fold, folds):
        """Returns what fold `fold` (0-based) of `folds` trains and validates on."""
        # A subset is cut from the training part of each fold: its validation part stays whole.
        count = getattr(config, "train_examples", 0) if folds > 1 else 0
        if count:
            config = dataclasses.replace(config, train_examples=0)
        if self.loaded is None or self._values(config) != self.values:
            recorder = _Recorder(config)
            loaded = self.load_data(recorder, self.source)
            self.loaded = Splits(
                train=loaded.train, val=loaded.val, test=_no_test, info=loaded.info
            )
            self.fields = sorted(recorder.names)
            self.values = self._values(config)
            self.fold = None
        if folds == 1:
            return self.loaded
        if self.fold != (fold, folds, count):
            self.fold_splits = cut(self.loaded, fold, folds, count)
            self.fold = fold, folds, count
        return self.fold_splits

    def _values(self, config):
        return [getattr(config, name) for name in self.fields or ()]


class _Recorder:
    """A Config that notes which of its fields are read."""

    def __init__(self, config):
        self._config, self.names = config, set()

    def __getattr__(self, name):
        self.names.add(name)
        return getattr(self._config, name)


def _no_test():
    raise AssertionError("a search must not read the test split")


def cut(splits, fold, folds, train_examples=0):
    """Returns fold `fold` of the training and validation examples together, stratified.

    The folds are the same in all trials and sweeps: their seed is fixed. What belongs together is in
    one fold. Of the training part `train_examples` are kept; 0: all.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    parts, groups = (splits.train, splits.val), None
    if splits.train.groups is not None:
        groups = np.concatenate([part.groups for part in parts])
    y = np.concatenate([part.y for part in parts])
    whole = Split(np.concatenate([part.x for part in parts]), y, groups)
    of_class = [
        np.sum(y == label) if groups is None else len(np.unique(groups[y == label]))
        for label in np.unique(y)
    ]
    if min(of_class) < folds:
        what = "examples" if groups is None else "groups (copies of one example are a group)"
        raise RecipeError(
            f"--folds {folds} needs as many {what} of each class; one has {min(of_class)}"
        )
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(folds, shuffle=True, random_state=0)
    rows, validation = list(splitter.split(np.zeros(len(y)), y, groups))[fold]
    if train_examples:
        of_rows = None if groups is None else groups[rows]
        rows = rows[stratified_subset(y[rows], train_examples, groups=of_rows)]
    counts = splits.info.counts | {"train": len(rows), "validation": len(validation)}
    return Splits(
        train=whole.take(rows),
        val=whole.take(validation),
        test=_no_test,
        info=dataclasses.replace(splits.info, counts=counts),
    )


class UndeclaredError(UsageError):
    """A hyperparameter that the search does not know of."""


def check_declared(search_space, base, space, points):
    """Raises an UndeclaredError where points make the function ask for what the space has not.

    Such a hyperparameter would have its default in all trials, and nobody would know.

    Args:
        search_space: Function `(hp, base) -> Config`.
        base: Config that the search starts from.
        space: The Space found when the search began.
        points: Dicts of values.
    """
    known = space.to_list()
    for point in points:
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = dict(point)
        with contextlib.suppress(Exception):
            # What the function refuses or cannot do is found out by a trial, and told by it.
            search_space(hyperparameters, base)
        for entry in spaces.Space(hyperparameters).to_list():
            if entry not in known:
                name = entry["config"]["name"]
                where = ", ".join(f"{key} {spaces.show(value)}" for key, value in point.items())
                other = "other values of " if name in space.names else ""
                raise UndeclaredError(
                    f"search_space asks for {other}the hyperparameter {name} only in some points, e.g. "
                    f"{where}, so that no search would vary it. Say under which condition: `with "
                    'hp.conditional_scope("PARENT", [VALUES]):` around its `if`'
                )


def make_config(search_space, hyperparameters, base):
    """Returns the Config of a point; what the recipe refuses is a failed trial, not retried."""
    try:
        config = search_space(hyperparameters, base)
        # Checks types too: a float where the recipe needs a whole number would train something else.
        return configuration.from_dict(type(base), configuration.to_dict(config))
    except RecipeError as error:
        raise FailedTrialError(str(error)) from error


def read_history(run):
    """Returns history.csv of a run as a dict of lists over epochs; empty where there is none."""
    if not run.path("history.csv").exists():
        return {}
    with run.path("history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        name: [float(row[name]) for row in rows] for name in CURVES if rows and rows[0].get(name)
    }


def clean(store, trials, loss, continuable=()):
    """Deletes what finished trials leave behind, but for the models of the best few.

    Args:
        store: Store.
        trials: All of its trials.
        loss: Function of a trial, lower is better.
        continuable: Numbers of trials that the method may yet continue; theirs stays.
    """
    best = sorted((trial for trial in trials if loss(trial) < math.inf), key=loss)[:KEEP_MODELS]
    for trial in trials:
        if not trial.finished or trial.number in continuable:
            continue
        for folder in store.folder(trial).glob("fold-*"):
            # What stays of the best few is their model.
            shutil.rmtree(folder / "backup" if trial in best else folder, ignore_errors=True)
