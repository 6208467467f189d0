"""Private training on MNIST: what a model tells of a single image is bounded, and epsilon says how much.

    recipes train mnist_private                          the best preset on the real data
    recipes train mnist_private --preset eps-1           a stronger guarantee: more noise
    recipes train mnist_private --preset cnn             a convolutional network instead of fixed features
    recipes train mnist_private --preset plain           the same network without noise and clipping
    recipes train mnist_private --preset sample --data sample     built-in digits, no download

DP-SGD: each image's gradient is shortened, noise is added to their sum. Presets with a target epsilon
need the extra [privacy], which finds the noise. Measured accuracy and time: README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from common import data
from common.basics.errors import UsageError
from common.runs.bounds import (
    Above,
    AtMost,
    Below,
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
from common.tasks.private import PrivateClassification
from common.training.budget import Budget

TASK = PrivateClassification("image")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `best`."""

    seed: Seed = 0
    """Seed of initial weights; of batches and noise only where `secret` is off."""
    validation_fraction: Fraction = 0.05
    """Share of the training split set aside, stratified, which the guarantee does not cover."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    features: Literal["scattering", "pixels"] = "scattering"
    """scattering: a linear model on fixed wavelet features, computed once; pixels: a convolutional
    network with tanh."""
    target_epsilon: PositiveFloat = 3.0
    """Epsilon of the whole training, all of its epochs, for which the noise is found."""
    delta: Annotated[float, Above(0), Below(1)] = 1e-5
    """Probability with which the bound by epsilon may fail: well below 1 / examples."""
    noise_multiplier: NonNegativeFloat | None = None
    """Standard deviation of the noise over `clip_norm`; None: found for `target_epsilon`."""
    clip_norm: PositiveFloat | None = 0.1
    """Longest gradient of an image, the others are shortened to it; None, without noise only: any."""
    secret: bool = True
    """Whether batches and noise are drawn from a secret that is deleted at the end. Else from `seed`: the
    run can be repeated, and nothing is guaranteed."""
    groups: Literal[1, 3, 9, 27, 81] = 27
    """scattering: groups of its 81 channels, each with mean 0 and variance 1 in each image."""
    filters: Annotated[tuple[PositiveInt, ...], AtMost(512)] = (16, 32)
    """pixels: filters of the two convolutions."""
    units: PositiveInt = 32
    """pixels: units of the dense layer."""
    learning_rate: PositiveFloat = 16.0
    """Peak learning rate of SGD, then a cosine to 0. Large, because a mean of gradients of length
    `clip_norm` is short."""
    momentum: Rate = 0.9
    """Momentum of SGD."""
    batch_size: PositiveInt = 4096
    """Examples per step on average: each is in a batch by chance. Large, because noise is added once."""
    epochs: PositiveInt = 40
    """Passes over the training split on average. More need more noise."""
    monitor: Literal["epoch", "val_accuracy", "val_loss"] = "epoch"
    """What chooses the epoch: epoch, the last, which asks no data; or a column of validation."""

    def __post_init__(self):
        check_bounds(self)
        if len(self.filters) != 2:
            raise UsageError(f"filters must be two values, got {len(self.filters)}")
        if self.clip_norm is None and self.noise_multiplier != 0:
            raise UsageError(
                "noise hides gradients of a known length only: with clip_norm None, noise_multiplier "
                f"must be 0, got {self.noise_multiplier}"
            )


BEST = Config()
# Nothing is drawn in secret where nothing is guaranteed.
PLAIN = replace(BEST, noise_multiplier=0.0, clip_norm=None, secret=False, learning_rate=0.1)
CNN = replace(
    BEST,
    features="pixels",
    clip_norm=0.1,
    learning_rate=8.0,
    batch_size=1024,
    epochs=15,
)
PRESETS = {
    "best": BEST,
    "eps-1": replace(BEST, target_epsilon=1.0, learning_rate=8.0, batch_size=2048, epochs=20),
    "eps-8": replace(BEST, target_epsilon=8.0),
    "plain": PLAIN,
    "cnn": CNN,
    "cnn-eps-1": replace(CNN, target_epsilon=1.0),
    "cnn-eps-8": replace(CNN, target_epsilon=8.0),
    "cnn-plain": replace(
        CNN, noise_multiplier=0.0, clip_norm=None, secret=False, learning_rate=0.1
    ),
    # For the 1,797 built-in digits. The noise is given, so that no accountant is needed, and a seed
    # draws, so that it can be repeated: this shows how it works and guarantees nothing.
    "sample": replace(
        BEST,
        validation_fraction=0.15,
        noise_multiplier=1.0,
        secret=False,
        learning_rate=8.0,
        batch_size=256,
        epochs=20,
    ),
}

# The presets are made for 57,000 images; so few steps as of 300 images need a guarantee less strict.
BUDGET = Budget(steps=200, smallest_batch=64, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    return BUDGET.fit(config, examples, given)


DATA = data.ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns uint8 images `(n, 28, 28, 1)` and integer labels."""
    return data.load_images(DATA, source, config.validation_fraction, config.train_examples)


def check(config: Config) -> None:
    """Checks, before any data is read, that the noise can be found.

    Raises:
        UsageError: dp-accounting is needed and not installed; the message says what installs it.
    """
    from common.training import accountant

    if config.noise_multiplier is None:
        accountant.require()


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the last epoch, or the chosen one, on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    import keras

    from common.basics.backend import jit_compile, seed_everything
    from common.tasks.pixel_baselines import linear_on_pixels
    from common.training import private
    from common.training.batches import ArrayBatches
    from common.training.finish import finish, parameter_count
    from common.training.fit import fit
    from common.training.gradients import train_by
    from common.training.outputs import halves_of

    from .guarantee import guarantee, noise_of
    from .model import build_model, fixed_part, learned_from

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)
    classes, examples = len(splits.info.class_names), len(splits.train)
    model = build_model(config, classes)
    start = learned_from(model)
    x = splits.train.x
    if start is not model.inputs[0]:
        x = halves_of(fixed_part(model), x)
    # A trial's model is thrown away, and its scores are not covered by any guarantee.
    secret = config.secret and not run.is_trial
    train_batches = private.PoissonBatches(
        x,
        splits.train.y,
        batch_size=min(config.batch_size, examples),
        num_classes=classes,
        seed=private.secret_of(run) if secret else config.seed,
        noise=noise_of(config, examples),
        parameters=parameter_count(model),
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=256, num_classes=classes)
    steps = config.epochs * train_batches.num_batches
    model.compile(
        optimizer=keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(config.learning_rate, steps),
            momentum=config.momentum,
        ),
        loss="categorical_crossentropy",
        # Weighted: rows that fill a batch up count nothing.
        weighted_metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    step = private.private_step(
        model, start, batch_size=train_batches.batch_size, clip=config.clip_norm
    )
    train_by(model, step)
    keeper = fit(
        model, run, train_batches, validation, epochs=config.epochs, monitor=config.monitor
    )
    more = None
    if not run.is_trial:
        private.forget(run)
        privacy = guarantee(config, examples, keeper.epochs_done, train_batches.noise)
        more = TASK.attacked(model, splits, privacy)
    return finish(
        TASK,
        model,
        run,
        splits,
        keeper,
        baselines=lambda model, outputs: linear_on_pixels(splits, outputs),
        more=more,
    )


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
