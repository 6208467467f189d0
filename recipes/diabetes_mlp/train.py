"""MLP on a table with a number to predict: diabetes after a year, or a price in a CSV of yours.

    recipes train diabetes_mlp                       the best preset on the diabetes table, no download
    recipes train diabetes_mlp --preset sample --data sample    generated houses and their prices
    recipes train diabetes_mlp --data my.csv --label-column price    any table with a number to predict

Types of columns are inferred and printed, missing values get a category or a mark of their own. What
prepares a row (means, quantiles, categories) is learnt from the training split and kept in the run.
Ridge regression and gradient boosting on the same columns stand beside the network. Measured errors and
time: README.md beside this file. A table with classes to predict is for adult_mlp.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from common import data
from common.runs.bounds import (
    AtMost,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rate,
    Seed,
    check_bounds,
)
from common.runs.run import Run
from common.tasks.regression import Regression
from common.training.budget import Budget

if TYPE_CHECKING:
    import numpy as np

TASK = Regression("table")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `plain`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples and dropout."""
    validation_fraction: Fraction = 0.15
    """Share of the training split set aside to choose the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a random subset; 0: all. A smaller subset lies in a larger one."""
    drop_columns: str = ""
    """Columns that the model must not see, separated by commas."""
    bins: Annotated[NonNegativeInt, AtMost(256)] = 0
    """Quantile bins of a column of numbers, encoded piecewise linearly; 0: numbers are standardised."""
    rare: PositiveInt = 10
    """A category in fewer training rows than this counts as unknown, as new ones do."""
    layers: PositiveInt = 2
    """Number of hidden layers."""
    units: PositiveInt = 64
    """Size of a hidden layer."""
    dropout_rate: Rate = 0.0
    """Dropout after each hidden layer."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled decay of weights per step, as a share of the learning rate."""
    loss: Literal["squared", "absolute"] = "squared"
    """squared: the network learns the mean of what is likely; absolute: its median, which outliers in
    the numbers to predict hardly move."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Learning rate over time; one_cycle: warm-up over a tenth of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 1e-3
    """Learning rate of Adam with decoupled decay; with one_cycle its peak."""
    batch_size: PositiveInt = 16
    """Rows per step."""
    epochs: PositiveInt = 30
    """Passes over the training split. The best by validation loss is kept."""

    def __post_init__(self):
        check_bounds(self)


BEST = Config(
    bins=32,
    units=128,
    dropout_rate=0.3,
    weight_decay=0.01,
    schedule="one_cycle",
    epochs=30,
)
PRESETS = {
    "best": BEST,
    # What one writes first: standardised numbers, no regularisation.
    "plain": Config(),
    # For the 1,700 generated houses.
    "sample": replace(BEST, dropout_rate=0.1, learning_rate=4e-3, batch_size=32, epochs=20),
}

# The presets are made for 300 rows. This suits 27,000, and is cut down to fewer.
LARGE = {"batch_size": 256, "epochs": 20}
BUDGET = Budget(steps=700, smallest_batch=16, most_epochs=40)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for other tables: larger batches for many rows, more epochs for few.

    Fields in `given` stay.
    """
    large: dict[str, Any] = {name: LARGE[name] for name in LARGE if name not in given}
    fitted = BUDGET.fit(replace(config, **large), examples, given)
    if "learning_rate" in given:
        return fitted
    # Adam's steps are as long in a smaller batch, and noisier.
    scale = (fitted.batch_size / config.batch_size) ** 0.5
    return replace(fitted, learning_rate=config.learning_rate * scale)


DATA = data.NumberTable(
    "diabetes",
    "Diabetes (Efron et al. 2004)",
    target="progression",
    sample="houses",
    test_fraction=0.25,
)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns rows of strings, an object array `(n, columns)`, and numbers, float64 `(n,)`."""
    return data.load_table(DATA, source, config.validation_fraction, config.train_examples)


def encode(run: Run, x: "np.ndarray") -> "np.ndarray":
    """Returns float32 rows `(n, width)` by the columns of a run."""
    from common.data.table_encoder import TableEncoder

    return TableEncoder.load(run.path("columns.json")).encode(x)


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch and two other models on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    import keras

    from common.basics.backend import jit_compile, seed_everything
    from common.data.columns import columns_of, split_names
    from common.data.table_encoder import TableEncoder
    from common.layers.schedules import one_cycle
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit

    from .baselines import rows
    from .model import ScaledError, build_model

    splits = run.load(load_data)
    run.record_environment(splits.info)
    encoder = TableEncoder.fit(
        splits.train.x,
        columns_of(splits.info.reading),
        bins=config.bins,
        rare=config.rare,
        drop=split_names(config.drop_columns),
    )
    encoder.save(run.path("columns.json"))
    seed_everything(config.seed, run.options.deterministic)
    train_batches = ArrayBatches(
        encoder.encode(splits.train.x),
        splits.train.y[:, None],
        batch_size=config.batch_size,
        seed=config.seed,
    )
    validation = ArrayBatches(encoder.encode(splits.val.x), splits.val.y[:, None], batch_size=1024)

    learning_rate = config.learning_rate
    if config.schedule == "one_cycle":
        learning_rate = one_cycle(learning_rate, config.epochs * train_batches.num_batches)
    # A subset may hold one number only.
    mean, scale = float(splits.train.y.mean()), float(splits.train.y.std()) or 1.0
    model = build_model(config, encoder.layout, mean, scale)
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate, weight_decay=config.weight_decay),
        loss=ScaledError(config.loss, scale),
        jit_compile=jit_compile(),
    )
    keeper = fit(model, run, train_batches, validation, epochs=config.epochs, monitor="val_loss")
    return finish(
        TASK,
        model,
        run,
        splits,
        keeper,
        encode=encoder.encode,
        baselines=lambda model, outputs: rows(splits, encoder, outputs),
    )


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
