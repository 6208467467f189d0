"""Architecture search on CIFAR-10: one of 1,024 small networks; a supernet that ranks them all.

    recipes train cifar10_nas                            the best preset on the real data
    recipes train cifar10_nas --operations conv3 pool conv1 skip conv3    any network of the space
    recipes tune cifar10_nas --method evolution --trials 50    searches the architecture
    recipes train cifar10_nas --preset sample --data sample    generated images, no download

The architecture is a field of Config. Supernet, table of all networks and replays of searches on it:
README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from common import data
from common.runs.bounds import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    check_bounds,
)
from common.runs.run import Run
from common.tasks.classification import Classification
from common.training.budget import Budget
from recipes.cifar10_nas import space
from recipes.cifar10_nas.space import Operation

if TYPE_CHECKING:
    import keras

    from common.training.batches import ArrayBatches

TASK = Classification("image")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `random`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples and augmentation."""
    validation_fraction: Fraction = 0.1
    """Share of the training split set aside, stratified, to choose the epoch and the architecture."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    operations: tuple[Operation, ...] = ("skip", "pool", "pool", "conv1", "conv1")
    """The architecture: two operations at 16 x 16 pixels, two at 8 x 8, one at 4 x 4; each conv3, conv1
    (3 x 3, 1 x 1 convolution), pool (average over 3 x 3) or skip (nothing)."""
    width: PositiveInt = 64
    """Filters of every convolution."""
    flip: bool = True
    """Augmentation: mirror each image left to right with probability 1/2."""
    learning_rate: PositiveFloat = 0.1
    """Peak of the rate of SGD with Nesterov momentum 0.9: up for a 10th of the steps, a cosine to 0."""
    weight_decay: NonNegativeFloat = 5e-3
    """Decoupled decay of kernels per step, as a share of the learning rate."""
    batch_size: PositiveInt = 128
    """Examples per step."""
    epochs: PositiveInt = 10
    """Passes over the training split."""
    monitor: Literal["val_loss", "val_accuracy", "epoch"] = "val_accuracy"
    """What chooses the epoch: the lowest validation loss, the highest validation accuracy, or the last
    one whatever it scores."""

    def __post_init__(self):
        check_bounds(self)
        space.check(self.operations)


HAND: tuple[Operation, ...] = ("conv3", "conv3", "conv3", "conv3", "conv3")
PRESETS = {
    # What a person writes down without any search. No network of table.npz has a better test score.
    "best": Config(operations=HAND),
    "hand": Config(operations=HAND),
    # The first draw of NumPy's generator with seed 0: [3, 2, 2, 1, 1] of the four operations.
    "random": Config(),
    # For the 2,000 generated images: more and smaller steps.
    "sample": Config(operations=HAND, width=16, flip=False, batch_size=32, epochs=6),
}

# The presets are made for 42,500 images and more.
BUDGET = Budget(steps=720, smallest_batch=16, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    fitted = BUDGET.fit(config, examples, given)
    changes: dict[str, Any] = {}
    if "learning_rate" not in given:
        # A smaller batch makes noisier steps (Goyal et al. 2017).
        changes["learning_rate"] = config.learning_rate * fitted.batch_size / config.batch_size
    if fitted != config and "monitor" not in given:
        # Of few validation images many epochs are equally accurate, from the third on.
        changes["monitor"] = "val_loss"
    return replace(fitted, **changes)


DATA = data.ImageSet(
    "cifar10",
    "CIFAR-10",
    image_size=(32, 32),
    channels=3,
    sample="shapes",
    host="www.cs.toronto.edu",
)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns uint8 images `(n, 32, 32, 3)` and integer labels."""
    return data.load_images(DATA, source, config.validation_fraction, config.train_examples)


def make_batches(config: Config, splits: data.Splits) -> "tuple[ArrayBatches, ArrayBatches]":
    """Returns the batches of the training and of the validation split."""
    from common.data.augment import random_flip
    from common.training.batches import ArrayBatches

    classes = len(splits.info.class_names)
    train_batches = ArrayBatches(
        splits.train.x,
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=classes,
        seed=config.seed,
        augment=random_flip if config.flip else None,
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=256, num_classes=classes)
    return train_batches, validation


def compiled(config: Config, classes: int, steps: int) -> "keras.Model":
    """Returns the network of a Config, compiled for a training of `steps` steps in all."""
    import keras

    from common.basics.backend import jit_compile
    from common.layers.schedules import one_cycle

    from .model import build_model

    model = build_model(config, classes)
    optimizer = keras.optimizers.SGD(
        one_cycle(config.learning_rate, steps, warmup_fraction=0.1),
        momentum=0.9,
        nesterov=True,
        weight_decay=config.weight_decay or None,
    )
    # Scales and offsets have nothing to lose by being large.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(
        optimizer=optimizer,
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    return model


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    from common.basics.backend import seed_everything
    from common.tasks.baselines import mirrored
    from common.tasks.pixel_baselines import linear_on_pixels
    from common.training.finish import finish
    from common.training.fit import fit

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)
    train_batches, validation = make_batches(config, splits)
    steps = config.epochs * train_batches.num_batches
    model = compiled(config, len(splits.info.class_names), steps)
    keeper = fit(
        model, run, train_batches, validation, epochs=config.epochs, monitor=config.monitor
    )

    def baselines(model, outputs):
        rows = linear_on_pixels(splits, outputs)
        return [*rows, mirrored(model, splits, outputs)] if config.flip else rows

    return finish(TASK, model, run, splits, keeper, baselines=baselines)


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
