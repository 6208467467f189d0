"""The adding problem, tiny: two marked numbers of a sequence are to be added up.

recipes train adding --data sample
"""

from dataclasses import dataclass

from common.runs.bounds import Fraction, PositiveFloat, PositiveInt, Seed, check_bounds
from common.tasks.regression import Regression

TASK = Regression()


@dataclass(frozen=True)
class Config:
    """Hyperparameters."""

    seed: Seed = 0
    """Seed of initial weights and order."""
    validation_fraction: Fraction = 0.25
    """Share of the training split to validate on."""
    steps: PositiveInt = 8
    """Length of a sequence."""
    units: PositiveInt = 16
    """Width of the hidden layer."""
    learning_rate: PositiveFloat = 0.01
    """Learning rate."""
    batch_size: PositiveInt = 16
    """Examples per step."""
    epochs: PositiveInt = 2
    """Passes over the training split."""

    def __post_init__(self):
        check_bounds(self)


PRESETS = {"best": Config(epochs=20), "article": Config()}


def load_data(config, source):
    """Returns the Splits: values and marks `(n, steps)` each, targets `(n,)`; generated."""
    import numpy as np

    from common.data.types import DataInfo, Split, Splits

    def split(seed, count):
        random = np.random.default_rng([seed, config.steps])
        values = random.random((count, config.steps), "float32")
        places = np.argsort(random.random((count, config.steps)), axis=1)[:, :2]
        marks = np.zeros_like(values)
        np.put_along_axis(marks, places, 1, axis=1)
        return Split((values, marks), (values * marks).sum(axis=1))

    sizes = {"train": 160, "validation": 57, "test": 43}
    parts = [split(seed, count) for seed, count in enumerate(sizes.values())]
    info = DataInfo(
        name="adding",
        version="1",
        source="sample",
        fingerprint=f"adding-{config.steps}".ljust(64, "0"),
        kind="array",
        class_names=(),
        label="adding problem",
        note="",
        counts=sizes,
    )
    return Splits(*parts, info)


def train(config, run):
    """Trains, and scores the best epoch on the test split."""
    import keras

    from common.basics.backend import jit_compile, seed_everything
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit

    from .model import build_model

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)
    train_batches = ArrayBatches(
        splits.train.x, splits.train.y, batch_size=config.batch_size, seed=config.seed
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=256)
    model = build_model(config)
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss="mse",
        metrics=["mae"],
        jit_compile=jit_compile(),
    )
    keeper = fit(model, run, train_batches, validation, epochs=config.epochs)
    return finish(TASK, model, run, splits, keeper)


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
