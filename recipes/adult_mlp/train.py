"""MLP on a census table: numbers and categories, beside gradient boosting; which groups it serves worst.

    recipes train adult_mlp                          the best preset on the census table (ADULT_DIR)
    recipes train adult_mlp --preset sample --data sample    generated customers, no download
    recipes train adult_mlp --data my.csv --label-column churned    any table
    recipes evaluate RUN --slice sex                 accuracy and errors of each group

Types of columns are inferred and printed, missing values get a category or a mark of their own. What
prepares a row (means, quantiles, categories) is learnt from the training split and kept in the run.
Measured accuracy and time: README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from common import data
from common.runs.bounds import (
    AtMost,
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rate,
    Seed,
    check_bounds,
)
from common.runs.run import Run
from common.tasks.classification import Classification
from common.training.budget import Budget

if TYPE_CHECKING:
    import numpy as np

TASK = Classification("table")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `plain`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples and dropout."""
    validation_fraction: Fraction = 0.15
    """Share of the training split set aside, stratified, to choose the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    drop_columns: str = ""
    """Columns that the model must not see, separated by commas. They can still be slices."""
    reweigh_column: str = ""
    """Column whose groups are weighed so that, in the loss, class and group are independent (Kamiran &
    Calders 2012); '': none."""
    bins: Annotated[NonNegativeInt, AtMost(256)] = 0
    """Quantile bins of a column of numbers, encoded piecewise linearly; 0: numbers are standardised."""
    embedding_units: NonNegativeInt = 0
    """Largest size of the vector of a category; 0: one-hot."""
    rare: PositiveInt = 10
    """A category in fewer training rows than this counts as unknown, as new ones do."""
    unknown_rate: Rate = 0.0
    """Share of categories replaced by the unknown one while training."""
    layers: PositiveInt = 2
    """Number of hidden layers."""
    units: PositiveInt = 64
    """Size of a hidden layer."""
    dropout_rate: Rate = 0.0
    """Dropout after each hidden layer."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Learning rate over time; one_cycle: warm-up over a tenth of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate; with one_cycle its peak."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more in the loss, so that every class counts the same."""
    batch_size: PositiveInt = 128
    """Rows per step."""
    epochs: PositiveInt = 10
    """Passes over the training split."""
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What chooses the epoch: the lowest validation loss or the highest validation accuracy."""

    def __post_init__(self):
        check_bounds(self)


BEST = Config(
    bins=64,
    embedding_units=8,
    unknown_rate=0.05,
    units=128,
    dropout_rate=0.3,
    schedule="one_cycle",
    learning_rate=4e-3,
    batch_size=256,
    epochs=15,
)
PRESETS = {
    "best": BEST,
    # What one writes first: standardised numbers, one-hot categories, no regularisation.
    "plain": Config(),
    # For the 1,700 generated rows.
    "sample": replace(BEST, bins=16, units=64, batch_size=32, epochs=10),
}

# The presets are made for 27,000 rows.
BUDGET = Budget(steps=700, smallest_batch=16, most_epochs=40)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few rows: smaller batches, more epochs; fields in `given` stay."""
    fitted = BUDGET.fit(config, examples, given)
    if "learning_rate" in given:
        return fitted
    # Adam's steps are as long in a smaller batch, and noisier.
    scale = (fitted.batch_size / config.batch_size) ** 0.5
    return replace(fitted, learning_rate=config.learning_rate * scale)


DATA = data.TableSet(
    "adult",
    "Adult (census income)",
    sample="customers",
    files={"train": ("adult_train.csv", "adult.data"), "test": ("adult_test.csv", "adult.test")},
    columns=(
        "age",
        "workclass",
        "fnlwgt",
        "education",
        "education_num",
        "marital_status",
        "occupation",
        "relationship",
        "race",
        "sex",
        "capital_gain",
        "capital_loss",
        "hours_per_week",
        "native_country",
        "income",
    ),
    label_column="income",
    counts=(32_561, 16_281),
    variable="ADULT_DIR",
    where="adult.data and adult.test are in the zip file of archive.ics.uci.edu/dataset/2/adult",
)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns rows of strings, an object array `(n, columns)`, and integer labels."""
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
    import numpy as np

    from common.basics.backend import jit_compile, seed_everything
    from common.data.columns import columns_of, split_names
    from common.data.table_encoder import UNKNOWN, TableEncoder
    from common.layers.schedules import one_cycle
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit

    from .baselines import rows
    from .model import build_model

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
    first = encoder.layout.numbers + encoder.layout.missing

    def forget(x, random):
        ids = x[:, first:]
        unknown = random.random(ids.shape) < config.unknown_rate
        return np.concatenate([x[:, :first], np.where(unknown, np.float32(UNKNOWN), ids)], axis=1)

    classes = len(splits.info.class_names)
    # Two classes are one sigmoid.
    outputs = 1 if classes == 2 else classes
    train_batches = ArrayBatches(
        encoder.encode(splits.train.x),
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=outputs,
        seed=config.seed,
        augment=forget if config.unknown_rate else None,
        **weights_of(config, splits),
    )
    validation = ArrayBatches(
        encoder.encode(splits.val.x), splits.val.y, batch_size=1024, num_classes=outputs
    )

    learning_rate = config.learning_rate
    if config.schedule == "one_cycle":
        learning_rate = one_cycle(learning_rate, config.epochs * train_batches.num_batches)
    model = build_model(config, classes, encoder.layout)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="binary_crossentropy" if classes == 2 else "categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    keeper = fit(
        model, run, train_batches, validation, epochs=config.epochs, monitor=config.monitor
    )
    return finish(
        TASK,
        model,
        run,
        splits,
        keeper,
        encode=encoder.encode,
        baselines=lambda model, outputs: rows(splits, encoder, outputs),
    )


def weights_of(config: Config, splits: data.Splits) -> dict[str, Any]:
    """Returns the arguments of ArrayBatches that weigh the training rows, a dict.

    Raises:
        UsageError: There is no column `reweigh_column`.
    """
    from common.data.columns import check_name, columns_of
    from common.tasks.slices import groups_of, reweighing
    from common.training.batches import balanced_weights

    if not config.reweigh_column:
        return {"class_weights": config.class_weights}
    columns, labels = columns_of(splits.info.reading), splits.train.y
    place = check_name(config.reweigh_column, columns)
    weights = reweighing(labels, groups_of(splits.train.x[:, place], columns[place]))
    if config.class_weights == "balanced":
        weights = weights * balanced_weights(labels, len(splits.info.class_names))[labels]
    return {"weights": weights}


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
