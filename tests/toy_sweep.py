"""A recipe that trains in microseconds, to search it thousands of times: a module, a space, a tuner."""

import csv
import dataclasses
import io
import math
import types

import numpy as np

from common.basics.errors import RecipeError
from common.basics.files import write_text_atomic
from common.data.types import DataInfo, Split, Splits


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyperparameters of nothing."""

    seed: int = 0
    rate: float = 0.1
    units: int = 8
    kind: str = "a"
    depth: int = 1
    epochs: int = 9
    validation_fraction: float = 0.25


def search_space(hp, base):
    """Returns the Config of a point; `depth` is active only for kind b."""
    kind = hp.Choice("kind", ["a", "b", "c"])
    depth = base.depth
    with hp.conditional_scope("kind", ["b"]):
        if kind == "b":
            depth = hp.Int("depth", 1, 3)
    return dataclasses.replace(
        base,
        kind=kind,
        depth=depth,
        rate=hp.Float("rate", 1e-3, 1.0, step=10**0.5, sampling="log"),
        units=hp.Choice("units", [4, 8, 16, 32]),
    )


def accuracy(config, epoch, fold):
    """Returns the validation accuracy after an epoch (1-based): smooth, best at 0.1, 16 units, b."""
    height = 0.9 - 0.1 * math.log10(config.rate / 0.1) ** 2 - 0.02 * abs(config.units - 16) / 4
    height += {"a": 0.0, "b": 0.02 * config.depth, "c": -0.1}[config.kind]
    return round(height * (1 - math.exp(-epoch / 3)) + 0.01 * fold, 6)


def load_data(config, source):
    """Returns 40 examples of two classes; reads one field of the Config."""
    labels = (np.arange(40) % 2).astype("int32")
    count = round(40 * config.validation_fraction)
    info = DataInfo("toy", "1", "sample", "f" * 64, "image", ("a", "b"), "TOY", "", {})
    x = np.arange(40)
    return Splits(
        Split(x[count:], labels[count:]), Split(x[:count], labels[:count]), lambda: 1 / 0, info
    )


def of_classifier(value):
    """Returns a row of the history of a classifier."""
    return {"loss": 1 - value, "accuracy": value, "val_loss": 1 - value, "val_accuracy": value}


def of_regression(value):
    """Returns a row of the history of a regression, whose errors are what the accuracies lack."""
    error = round(1 - value, 6)
    return {"loss": 0.5, "val_loss": 0.5, "mae": error, "val_mae": error, "seconds": 0.1}


def train(config, run, measured=of_classifier):
    """Writes a history, an epoch at a time, from where it stopped; rate 1 and units 4 diverge."""
    run.load(load_data)
    path = run.path("history.csv")
    rows = []
    if path.exists():
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(path.open())]
    fold = int(run.directory.name.split("-")[1]) - 1
    while len(rows) < config.epochs and not (rows and run.stops(rows)):
        epoch = len(rows) + 1
        if config.rate == 1.0 and config.units == 4 and epoch == 3:
            raise RecipeError("the loss is nan at step 1 of epoch 3")
        rows.append(measured(accuracy(config, epoch, fold)))
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text_atomic(path, text.getvalue())


def train_regression(config, run):
    """Trains the same as a regression."""
    train(config, run, of_regression)


MODULE = types.SimpleNamespace(load_data=load_data, train=train, Config=Config)


def make_tuner(method, directory, *, trials=30, seed=0, folds=1, prune=True, worker="w", **options):
    """Returns a RecipeTuner that searches this recipe, by `objective` ("val_accuracy")."""
    import keras_tuner

    from common.data import Source
    from common.tuning.choice import make_oracle
    from common.tuning.score import direction
    from common.tuning.tuner import RecipeTuner

    objective = options.pop("objective", "val_accuracy")
    if objective == "val_mae":
        options["module"] = {"train": train_regression, **options.get("module", {})}
    module = types.SimpleNamespace(**{**vars(MODULE), **options.pop("module", {})})
    oracle = make_oracle(
        method,
        objective=keras_tuner.Objective(objective, direction(objective)),
        seed=seed,
        max_trials=trials,
        trial_epochs=Config().epochs,
        storage=options.pop("storage", None),
        **options.pop("oracle", {}),
    )
    return RecipeTuner(
        oracle,
        recipe="toy",
        module=module,
        search_space=options.pop("space", search_space),
        base=Config(),
        source=Source("sample"),
        directory=directory,
        fingerprint=options.pop("fingerprint", None),
        folds=folds,
        prune=prune and method != "hyperband",
        worker=worker,
    )


def table(directory):
    """Returns what a sweep came to: a row per trial, without times and starts."""
    from common.tuning.store import Store

    return [
        (
            t.number,
            t.values,
            t.status,
            t.score,
            t.best_epoch,
            t.epochs,
            t.epoch_limit,
            t.curves,
            t.parts,
        )
        for t in Store(directory).read()
    ]


def check_csv(directory):
    """Checks that trials.csv says what the trial files say."""
    from common.tuning.store import Store

    with (directory / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    trials = Store(directory).read()
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in trials]
    for row, trial in zip(rows, trials, strict=True):
        assert row["status"] == trial.status
        assert row["score"] == ("" if trial.score is None else str(round(trial.score, 6)))
        assert int(row["epochs"]) == trial.epochs
        assert row["units"] == str(trial.values["units"])
