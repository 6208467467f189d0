"""CNN on MNIST: handwritten digits, the first network one trains.

    recipes train mnist_cnn                          the best preset on the real data
    recipes train mnist_cnn --preset article         network and schedule of the article it began from
    recipes train mnist_cnn --preset sample --data sample     built-in digits, no download

Two architectures: `plain`, that of `article` (convolutions, pooling, global average, dropout), and
`strided`, batch-normalised, with a seventeenth of the multiply-adds. Measured accuracy and time, with
the spread over seeds: README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from common import data
from common.basics.errors import UsageError
from common.runs.bounds import (
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
from common.tasks.classification import Classification
from common.training.budget import Budget

TASK = Classification("image")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `article`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples, augmentation and dropout."""
    validation_fraction: Fraction = 0.15
    """Share of the training split set aside, stratified, to choose the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    architecture: Literal["plain", "strided"] = "plain"
    """plain: the network of preset article; strided: batch-normalised, halves the image at once."""
    filters: tuple[PositiveInt, ...] = (64, 128)
    """plain: filters of each block of two convolutions, at most 2; strided: of each of at most 4."""
    dropout_rate: Rate = 0.5
    """Dropout before the softmax; strided: a third of it between convolutions as well."""
    label_smoothing: Rate = 0.0
    """Probability mass spread evenly over all classes."""
    shift: NonNegativeFloat = 0.0
    """Augmentation: largest shift, pixels."""
    rotation: NonNegativeFloat = 0.0
    """Augmentation: largest rotation, degrees; a 6 must not become a 9."""
    scale: Rate = 0.0
    """Augmentation: largest relative change of size."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Learning rate over time; one_cycle: warm-up over a tenth of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate; with one_cycle its peak."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled decay of kernels per step, as a share of the learning rate (AdamW)."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more in the loss, so that every class counts the same."""
    batch_size: PositiveInt = 128
    """Examples per step."""
    epochs: PositiveInt = 20
    """Largest number of passes over the training split."""
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What chooses the epoch: the lowest validation loss or the highest validation accuracy."""
    patience: PositiveInt | None = 2
    """Epochs without a better score before training stops; None: train to the end."""

    def __post_init__(self):
        check_bounds(self)
        # Convolutions without padding and pooling leave nothing of 28 x 28 pixels after these.
        deepest = {"plain": 2, "strided": 4}[self.architecture]
        if len(self.filters) > deepest:
            raise UsageError(
                f"filters must be at most {deepest} values for the {self.architecture} "
                f"architecture, got {len(self.filters)}: the image is used up"
            )


BEST = Config(
    validation_fraction=0.05,
    architecture="strided",
    filters=(32, 48, 96, 128),
    dropout_rate=0.25,
    label_smoothing=0.05,
    shift=2.0,
    rotation=10.0,
    scale=0.1,
    schedule="one_cycle",
    learning_rate=1.7e-2,
    weight_decay=3e-3,
    batch_size=32,
    epochs=8,
    patience=None,
)
PRESETS = {
    "best": BEST,
    "article": Config(),
    # For the 1,797 built-in digits: more passes make enough steps of so little.
    "sample": replace(
        BEST,
        validation_fraction=0.15,
        label_smoothing=0.1,
        learning_rate=3e-3,
        weight_decay=1e-2,
        epochs=15,
    ),
}


# The presets are made for 51,000 images and more.
BUDGET = Budget(steps=720, smallest_batch=16, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    fitted = BUDGET.fit(config, examples, given)
    if config.patience is not None and "patience" not in given:
        # As long as before, in steps.
        patience = config.patience * fitted.epochs // config.epochs
        fitted = replace(fitted, patience=max(patience, config.patience))
    return fitted


DATA = data.ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns uint8 images `(n, 28, 28, 1)` and integer labels."""
    return data.load_images(DATA, source, config.validation_fraction, config.train_examples)


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    import keras

    from common.basics.backend import jit_compile, seed_everything
    from common.data.augment import random_affine
    from common.layers.schedules import one_cycle
    from common.tasks.pixel_baselines import linear_on_pixels
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit

    from .model import build_model

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)

    def augment(images, random):
        return random_affine(images, random, config.rotation, config.scale, config.shift)

    augmented = config.rotation or config.scale or config.shift
    classes = len(splits.info.class_names)
    train_batches = ArrayBatches(
        splits.train.x,
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=classes,
        seed=config.seed,
        class_weights=config.class_weights,
        augment=augment if augmented else None,
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=256, num_classes=classes)

    learning_rate = config.learning_rate
    if config.schedule == "one_cycle":
        learning_rate = one_cycle(learning_rate, config.epochs * train_batches.num_batches)
    model = build_model(config, classes)
    optimizer = keras.optimizers.Adam(learning_rate, weight_decay=config.weight_decay or None)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    keeper = fit(
        model,
        run,
        train_batches,
        validation,
        epochs=config.epochs,
        monitor=config.monitor,
        patience=config.patience,
    )
    return finish(
        TASK,
        model,
        run,
        splits,
        keeper,
        baselines=lambda model, outputs: linear_on_pixels(splits, outputs),
    )


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
