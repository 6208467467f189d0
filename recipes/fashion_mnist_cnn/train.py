"""CNN on Fashion-MNIST: small grey photographs of clothes; the recipe of CIFAR-10, copied.

    recipes train fashion_mnist_cnn                          the best preset on the real data
    recipes train fashion_mnist_cnn --preset article         what the copied recipe trains as it came
    recipes train fashion_mnist_cnn --preset sample --data sample    generated images, no download

A recipe on another data set is a copy and a few lines: README.md beside this file counts them. Both
networks are those of cifar10_cnn: `plain`, that of `article` (convolution, pooling, flatten, dense), and
`blocks`, batch-normalised, which pools early.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from common import data
from common.basics.errors import UsageError
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
from common.tasks.classification import Classification
from common.training.budget import Budget

if TYPE_CHECKING:
    import keras

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
    architecture: Literal["plain", "blocks"] = "plain"
    """plain: the network of preset article; blocks: batch-normalised, pools early."""
    stem_filters: PositiveInt = 32
    """Filters of the first convolution (blocks only)."""
    filters: tuple[PositiveInt, ...] = (32, 64)
    """Filters of each block; each halves the image."""
    dense_units: PositiveInt = 128
    """Width of the dense layer before the softmax (plain only)."""
    dropout_rate: Rate = 0.5
    """Dropout before the softmax."""
    label_smoothing: Rate = 0.0
    """Probability mass spread evenly over all classes."""
    flip: bool = False
    """Augmentation: mirror each image left to right with probability 1/2."""
    shift: Annotated[NonNegativeInt, AtMost(16)] = 0
    """Augmentation: largest shift, pixels; the border is reflected."""
    rotation: NonNegativeFloat = 0.0
    """Augmentation: largest rotation either way, degrees; the corners become black."""
    randaugment: Annotated[NonNegativeInt, AtMost(30)] = 0
    """Augmentation: magnitude of two changes drawn from fourteen (RandAugment); 0: none."""
    cutout: Annotated[NonNegativeInt, AtMost(64)] = 0
    """Augmentation: side of a square that is covered, pixels; 0: none."""
    mixup: NonNegativeFloat = 0.0
    """Augmentation: mix pairs of images, with shares from Beta(mixup, mixup); 0: none."""
    cutmix: NonNegativeFloat = 0.0
    """Augmentation: paste parts of other images, with shares from Beta(cutmix, cutmix); 0: none."""
    optimizer: Literal["adam", "sgd", "muon"] = "adam"
    """adam; sgd with Nesterov momentum 0.9; or muon (Jordan 2024), with the same, which gives the
    convolutions orthogonal steps and Adam's to the rest."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled decay of weights per step, as a share of the learning rate."""
    ema_momentum: Rate = 0.0
    """Momentum of the moving average of weights that is validated and kept; 0: no average."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Learning rate over time; one_cycle: warm-up over a 20th of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 1e-3
    """Learning rate; with one_cycle its peak."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more in the loss, so that every class counts the same."""
    batch_size: PositiveInt = 32
    """Examples per step."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "float32"
    """What products are computed in while training; auto: mixed_bfloat16 where it is fast."""
    epochs: PositiveInt = 10
    """Passes over the training split."""
    monitor: Literal["val_loss", "val_accuracy", "epoch"] = "val_loss"
    """What chooses the epoch: the lowest validation loss, the highest validation accuracy, or the last
    one whatever it scores."""

    def __post_init__(self):
        check_bounds(self)
        if self.class_weights != "none" and (self.mixup or self.cutmix):
            raise UsageError(
                "a mixed example has no class: leave out class_weights, or mixup and cutmix"
            )
        # Each block halves 28 x 28 pixels, or the 27 x 27 that the stem of `blocks` leaves.
        deepest = 4
        if len(self.filters) > deepest:
            raise UsageError(
                f"filters must be at most {deepest} values for the {self.architecture} "
                f"architecture, got {len(self.filters)}: the image is used up"
            )


BEST = Config(
    validation_fraction=0.05,
    architecture="blocks",
    stem_filters=24,
    filters=(32, 96, 192),
    dropout_rate=0.0,
    label_smoothing=0.1,
    flip=True,
    shift=1,
    optimizer="muon",
    weight_decay=0.05,
    ema_momentum=0.95,
    schedule="one_cycle",
    learning_rate=0.04,
    batch_size=64,
    precision="auto",
    epochs=10,
    monitor="val_accuracy",
)
PRESETS = {
    "best": BEST,
    "article": Config(),
    # For the 2,000 generated images: a smaller network, more and smaller steps.
    "sample": replace(
        BEST,
        filters=(16, 32, 64),
        batch_size=32,
        epochs=6,
        flip=False,
        precision="float32",
    ),
}


# The presets are made for 51,000 images and more.
BUDGET = Budget(steps=720, smallest_batch=16, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    fitted = BUDGET.fit(config, examples, given)
    changes: dict[str, Any] = {}
    if config.optimizer == "sgd" and "learning_rate" not in given:
        # A smaller batch makes noisier steps (Goyal et al. 2017); Adam and Muon scale them anyway.
        changes["learning_rate"] = config.learning_rate * fitted.batch_size / config.batch_size
    if fitted != config and "monitor" not in given:
        # Of few validation images many epochs are equally accurate, from the third on.
        changes["monitor"] = "val_loss"
    return replace(fitted, **changes)


DATA = data.ImageSet(
    "fashion_mnist", "Fashion-MNIST", image_size=(28, 28), channels=1, sample="shapes"
)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns uint8 images `(n, 28, 28, 1)` and integer labels."""
    return data.load_images(DATA, source, config.validation_fraction, config.train_examples)


def make_optimizer(config: Config, steps: int) -> "keras.Optimizer":
    """Returns the optimizer for a training of `steps` steps in all."""
    import keras

    from common.layers.schedules import one_cycle

    learning_rate = config.learning_rate
    if config.schedule == "one_cycle":
        learning_rate = one_cycle(learning_rate, steps, warmup_fraction=0.05)
    options = {"weight_decay": config.weight_decay or None}
    if config.ema_momentum:
        options |= {"use_ema": True, "ema_momentum": config.ema_momentum}
    if config.optimizer == "muon":
        from common.layers.muon import Muon

        return Muon(learning_rate, momentum=0.9, adam_weight_decay=0, adam_lr_ratio=0.25, **options)
    if config.optimizer == "adam":
        optimizer = keras.optimizers.Adam(learning_rate, **options)
    else:
        optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True, **options)
    # Scales and offsets have nothing to lose by being large.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


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
    from common.data.augment import distort, random_flip, random_shift
    from common.data.mixing import mixing
    from common.tasks.baselines import mirrored
    from common.tasks.pixel_baselines import linear_on_pixels
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit
    from common.training.precision import precision

    from .model import build_model

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)

    def augment(images, random):
        if config.flip:
            images = random_flip(images, random)
        if config.shift:
            images = random_shift(images, random, config.shift)
        return distort(images, random, config.rotation, config.randaugment, config.cutout)

    classes = len(splits.info.class_names)
    train_batches = ArrayBatches(
        splits.train.x,
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=classes,
        seed=config.seed,
        class_weights=config.class_weights,
        augment=augment,
        mix=mixing(config.mixup, config.cutmix),
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=256, num_classes=classes)

    with precision(config.precision):
        model = build_model(config, classes)
    model.compile(
        optimizer=make_optimizer(config, config.epochs * train_batches.num_batches),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
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
