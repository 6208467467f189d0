"""Every token of a sequence has a class: whether it is larger than the one before it.

recipes train tagging --data sample
"""

from dataclasses import dataclass

from common.runs.bounds import Fraction, PositiveFloat, PositiveInt, Seed, check_bounds
from common.tasks.tokens import TokenClassification

TASK = TokenClassification()


@dataclass(frozen=True)
class Config:
    """Hyperparameters."""

    seed: Seed = 0
    """Seed of initial weights and order."""
    validation_fraction: Fraction = 0.25
    """Share of the training split to validate on."""
    units: PositiveInt = 12
    """Filters of the convolution."""
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
    """Returns the Splits: numbers 1 to 9 and classes, int32 `(n, 12)` both; 0 is padding."""
    import numpy as np

    from common.data.types import DataInfo, Split, Splits

    def split(seed, count):
        random = np.random.default_rng(seed)
        x = random.integers(1, 10, (count, 12)).astype("int32")
        lengths = random.integers(3, 13, count)
        y = np.where(np.diff(x, axis=1, prepend=0) > 0, 2, 1).astype("int32")
        absent = np.arange(12) >= lengths[:, None]
        x[absent], y[absent] = 0, 0
        return Split(x, y)

    sizes = {"train": 160, "validation": 57, "test": 43}
    parts = [split(seed, count) for seed, count in enumerate(sizes.values())]
    info = DataInfo(
        name="tagging",
        version="1",
        source="sample",
        fingerprint="tagging".ljust(64, "0"),
        kind="array",
        class_names=("padding", "falls", "rises"),
        label="rises and falls",
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

    def batches(split, **settings):
        counted = (split.y != TASK.ignored).astype("float32")
        return ArrayBatches(split.x, split.y, weights=counted, **settings)

    model = build_model(config)
    model.compile(
        optimizer=keras.optimizers.Adam(config.learning_rate),
        # Padded positions count for nothing, in the mean too.
        loss=keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"),
        weighted_metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    keeper = fit(
        model,
        run,
        batches(splits.train, batch_size=config.batch_size, seed=config.seed),
        batches(splits.val, batch_size=256),
        epochs=config.epochs,
        monitor="val_accuracy",
    )
    return finish(TASK, model, run, splits, keeper)


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
