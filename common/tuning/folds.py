"""What trials train on: the recipe's splits, or folds of them. The test split cannot be read."""

import dataclasses

import numpy as np

from common.basics.errors import RecipeError
from common.data.subset import stratified_subset
from common.data.types import Split, Splits
from common.runs.types import Config
from common.tuning.begun import check_data


class DataCache:
    """Keeps the data of the last trial, and loads it again only if a field that it depends on changes.

    Args:
        load_data: The recipe's function `(config, source) -> Splits`.
        source: A common.data.source.Source.
        fingerprint: Fingerprint of the data that the search began with; None: it is not compared.
        directory: The sweep folder, for the message.
    """

    def __init__(self, load_data, source, fingerprint=None, directory=None):
        self.load_data, self.source = load_data, source
        self.fingerprint, self.directory = fingerprint, directory
        self.fields, self.values, self.loaded = None, None, None
        self.fold, self.fold_splits = None, None

    def splits(self, config: Config, fold: int, folds: int) -> Splits:
        """Returns what a fold trains and validates on.

        Args:
            config: Config of the trial.
            fold: Number of the fold, 0-based.
            folds: Number of folds; 1: the recipe's own splits.

        Raises:
            OtherDataError: The data differs from that of the search.
            RecipeError: It cannot be cut into so many folds.
        """
        # A subset (`train_examples`) is taken from the training part of each fold. The validation part
        # stays whole.
        count = getattr(config, "train_examples", 0) if folds > 1 else 0
        if count:
            config = dataclasses.replace(config, train_examples=0)
        if self.loaded is None or self._values(config) != self.values:
            recorder = _Recorder(config)
            loaded = self.load_data(recorder, self.source)
            if self.fingerprint is not None:
                now = loaded.info.fingerprint
                check_data(self.fingerprint, now, self.source.data, self.directory)
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


def cut(splits: Splits, fold: int, folds: int, train_examples: int = 0) -> Splits:
    """Cuts training and validation examples, taken together, into folds, and returns one of them.

    Classes are stratified, and examples of a group are in one fold. The seed is fixed, so that the folds
    are the same in all trials and sweeps. Where examples have times, a fold validates on a stretch of
    time and trains on all that came before it.

    Args:
        splits: Training and validation data.
        fold: Number of the fold, 0-based.
        folds: Number of folds, 2 or more.
        train_examples: Number of training examples to keep, where there are classes; 0: all.

    Raises:
        RecipeError: There are more folds than examples, or groups of examples, in a class or in all; or
            what is validated on has another form than what is trained on.
    """
    if np.ndim(splits.train.y) != np.ndim(splits.val.y):
        raise RecipeError(
            "folds put training and validation examples together, and here these are not of one form "
            "(validation has whole tasks): leave --folds out"
        )
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    whole = _joined(splits.train, splits.val)
    y, groups = whole.y, whole.groups
    # Targets that are not classes (numbers, sentences) cannot be stratified: all count as one class.
    classes = np.issubdtype(y.dtype, np.integer) and y.ndim == 1 and splits.info.class_names
    labels = y if classes else np.zeros(len(y), int)
    of_class = [
        np.sum(labels == label) if groups is None else len(np.unique(groups[labels == label]))
        for label in np.unique(labels)
    ]
    if min(of_class) < folds:
        what = "examples" if groups is None else "groups (copies of one example are a group)"
        each = " of each class; one has" if classes else "; there are"
        raise RecipeError(f"--folds {folds} needs as many {what}{each} {min(of_class)}")
    if whole.times is None:
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        splitter = kind(folds, shuffle=True, random_state=0)
        rows, validation = list(splitter.split(np.zeros(len(y)), labels, groups))[fold]
    else:
        rows, validation = _in_time(whole, fold, folds)
    if train_examples:
        of_rows = None if groups is None else groups[rows]
        rows = rows[stratified_subset(labels[rows], train_examples, groups=of_rows)]
    counts = splits.info.counts | {"train": len(rows), "validation": len(validation)}
    return Splits(
        train=whole.take(rows),
        val=whole.take(validation),
        test=_no_test,
        info=dataclasses.replace(splits.info, counts=counts),
    )


def _joined(*parts):
    """Returns a Split of the examples of all parts."""

    def joined(name):
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    return Split(*(joined(name) for name in ("x", "y", "groups", "names", "times")))


def _in_time(whole, fold, folds):
    """Returns the rows that a fold trains and validates on; those trained on are all earlier."""
    from sklearn.model_selection import TimeSeriesSplit

    order = np.argsort(whole.times, kind="stable")
    rows, validation = (order[rows] for rows in list(TimeSeriesSplit(folds).split(order))[fold])
    earlier = whole.times[rows] < whole.times[validation].min()
    if whole.groups is not None:
        earlier &= ~np.isin(whole.groups[rows], whole.groups[validation])
    rows = np.sort(rows[earlier])
    if not len(rows):
        raise RecipeError(
            f"--folds {folds}: no example is earlier than fold {fold + 1}; take fewer folds"
        )
    return rows, np.sort(validation)
