"""Spatial transformer on distorted MNIST: the network turns, scales and moves its input itself.

    recipes train mnist_spatial_transformer                     digits rotated, scaled, moved
    recipes train mnist_spatial_transformer --preset clutter    digits among pieces of other digits
    recipes train mnist_spatial_transformer --preset plain      as best, without the transformer
    recipes train mnist_spatial_transformer --preset sample --data sample   built-in digits, no download

Training digits are distorted anew in every epoch, as a function of seed, epoch and batch; validation and
test digits once. With and without the transformer the network has as many parameters. The report shows
what the transformer makes of its input, after every epoch. Measured accuracy and time, with the spread
over seeds: README.md beside this file.
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
from common.training.budget import Budget
from recipes.mnist_spatial_transformer.task import Straightened

TASK = Straightened("image")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `best`."""

    seed: Seed = 0
    """Seed of initial weights, order and distortion of training digits, and dropout."""
    validation_fraction: Fraction = 0.05
    """Share of the training split set aside, stratified, to choose the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    distortion: Literal["rotation", "rts", "clutter"] = "rts"
    """rotation: up to 90 degrees; rts: rotated, scaled, moved; clutter: moved among other pieces."""
    transformer: bool = True
    """Whether a spatial transformer comes first; without it the rest is larger by as many parameters."""
    filters: tuple[PositiveInt, ...] = (16, 32)
    """Of the classifier's blocks of a convolution and a pooling, at most 2."""
    units: PositiveInt = 64
    """Units of the classifier's dense layer."""
    localisation_filters: PositiveInt = 32
    """Filters of both convolutions that estimate the transform."""
    localisation_units: PositiveInt = 32
    """Units of the dense layer that estimates the transform."""
    dropout_rate: Rate = 0.2
    """Dropout before the softmax."""
    learning_rate: PositiveFloat = 4e-3
    """Adam's peak; before it a warm-up over a tenth of the steps, after it a cosine to 0."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled decay of kernels per step, as a share of the learning rate (AdamW)."""
    batch_size: PositiveInt = 64
    """Examples per step."""
    epochs: PositiveInt = 6
    """Passes over the training split."""

    def __post_init__(self):
        check_bounds(self)
        if len(self.filters) > 2:
            raise UsageError(
                f"filters must be at most 2 values, got {len(self.filters)}: the image is used up"
            )


BEST = Config()
PRESETS = {
    "best": BEST,
    "plain": replace(BEST, transformer=False),
    "clutter": replace(BEST, distortion="clutter"),
    "plain-clutter": replace(BEST, distortion="clutter", transformer=False),
    "rotation": replace(BEST, distortion="rotation"),
    # For the 1,797 built-in digits: more passes make enough steps of so little.
    "sample": replace(BEST, validation_fraction=0.15, batch_size=32, epochs=30),
}


# The presets are made for 57,000 images.
BUDGET = Budget(steps=720, smallest_batch=16, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    return BUDGET.fit(config, examples, given)


DATA = data.ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns uint8 images `(n, size, size, 1)` and integer labels.

    Digits of train are upright in the middle; batches distort them. Those of validation and test are
    distorted already. Pieces in their clutter come from training digits too.
    """
    import hashlib
    from dataclasses import replace as changed

    from .distortion import WORDS, centred, distort_all

    distortion = config.distortion
    digits = data.load_images(DATA, source, config.validation_fraction)
    others = digits.train.x
    if config.train_examples:
        digits = data.load_images(DATA, source, config.validation_fraction, config.train_examples)

    def distorted(split, seed):
        images = distort_all(centred(split.x, distortion), seed, distortion, others)
        return data.Split(images, split.y, split.groups)

    info = changed(
        digits.info,
        # Another distortion is other data.
        fingerprint=hashlib.sha256(
            f"{digits.info.fingerprint} {distortion} 1".encode()
        ).hexdigest(),
        label=f"{digits.info.label}, {WORDS[distortion]}",
    )
    train = data.Split(centred(digits.train.x, distortion), digits.train.y, digits.train.groups)
    return data.Splits(
        train, distorted(digits.val, 1), lambda: distorted(digits.test, 2), info, digits.test_seen
    )


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch and a linear model on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    import keras

    from common.basics.backend import jit_compile, seed_everything
    from common.layers.schedules import one_cycle
    from common.tasks.pixel_baselines import linear_on_pixels
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit

    from .distortion import distort, distort_all, uncentred
    from .film import Film
    from .model import build_model

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)
    others = uncentred(splits.train.x)

    def augment(images, random):
        return distort(images, random, config.distortion, others)

    classes = len(splits.info.class_names)
    train_batches = ArrayBatches(
        splits.train.x,
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=classes,
        seed=config.seed,
        augment=augment,
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=250, num_classes=classes)

    model = build_model(config, classes)
    optimizer = keras.optimizers.Adam(
        one_cycle(config.learning_rate, config.epochs * train_batches.num_batches),
        weight_decay=config.weight_decay or None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(
        optimizer=optimizer,
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    film = Film(run, splits.val) if config.transformer and not run.is_trial else None
    keeper = fit(
        model,
        run,
        train_batches,
        validation,
        epochs=config.epochs,
        callbacks=[film] if film else [],
    )

    def baselines(model, outputs):
        # The linear model learns from distorted digits too.
        images = distort_all(splits.train.x, 0, config.distortion, others)
        train = data.Split(images, splits.train.y, splits.train.groups)
        return linear_on_pixels(data.Splits(train, splits.val, splits.test, splits.info), outputs)

    return finish(
        TASK,
        model,
        run,
        splits,
        keeper,
        baselines=baselines,
        more={"film": film.content} if film else None,
    )


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
