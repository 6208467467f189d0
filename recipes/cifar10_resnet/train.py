"""ResNet on CIFAR-10: the residual networks of He et al. 2015, and the plain ones beside them.

    recipes train cifar10_resnet                              ResNet-20, short one-cycle schedule
    recipes train cifar10_resnet --preset article             ResNet-20, the paper's 64,000 steps
    recipes train cifar10_resnet --preset short_plain_56     plain-56 for five epochs
    recipes train cifar10_resnet --preset sample --data sample         generated images

Depth is 6 n + 2: n = 3, 5, 7, 9, 18 make ResNet-20, 32, 44, 56 and 110. With --no-residual the same
network without shortcuts shows the degradation that the paper is about: deeper and worse. Measured
accuracy and time, with the spread over seeds: README.md beside this file.
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
    """Hyperparameters. The defaults are He et al.'s for ResNet-20 (preset `article`)."""

    seed: Seed = 0
    """Seed of initial weights, order of examples and augmentation."""
    validation_fraction: Fraction = 0.1
    """Share of the training split set aside, stratified: the paper's 45,000 / 5,000."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    blocks_per_stage: PositiveInt = 3
    """n; the depth is 6 n + 2."""
    residual: bool = True
    """Shortcuts; without them the plain network of the same depth."""
    shortcut: Literal["A", "B"] = "A"
    """Where shapes differ: A pads with zeros (no parameters), B projects with a 1 x 1 convolution."""
    zero_gamma: bool = False
    """Start the last batch normalisation of each block at 0: every block begins as the identity."""
    weight_decay: NonNegativeFloat = 1e-3
    """Decay of kernels per step, as a share of the learning rate. The paper's L2 penalty of 1e-4
    passes through the momentum, which multiplies it by 1 / (1 - 0.9): decoupled, it is 1e-3."""
    flip: bool = True
    """Augmentation: mirror each image left to right with probability 1/2."""
    shift: Annotated[NonNegativeInt, AtMost(16)] = 4
    """Augmentation: pad by this many zero pixels and crop at random."""
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
    label_smoothing: Rate = 0.0
    """Probability mass spread evenly over all classes."""
    optimizer: Literal["sgd", "muon"] = "sgd"
    """sgd, or muon (Jordan 2024): orthogonal steps for the convolutions, Adam's for the rest. Both with
    momentum 0.9. What is a good rate or decay for one is not for the other."""
    schedule: Literal["drops", "one_cycle"] = "drops"
    """drops: divided by 10 at 1/2 and 3/4 of the epochs; one_cycle: warm-up, then a cosine to 0."""
    learning_rate: PositiveFloat = 0.1
    """First learning rate; with one_cycle its peak."""
    nesterov: bool = False
    """Nesterov's form of the momentum."""
    warmup_steps: NonNegativeInt = 0
    """Steps at a tenth of the learning rate first (drops only); the paper needs 400 for depth 110."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more in the loss, so that every class counts the same."""
    batch_size: PositiveInt = 128
    """Examples per step."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    """What products are computed in while training; auto: mixed_bfloat16 where it is fast."""
    epochs: PositiveInt = 182
    """Passes over the training split: 182 x 352 steps are the paper's 64,000."""
    monitor: Literal["val_loss", "val_accuracy", "epoch"] = "epoch"
    """What chooses the epoch: the lowest validation loss, the highest validation accuracy, or the last
    one whatever it scores, as in the paper."""

    def __post_init__(self):
        check_bounds(self)
        if self.class_weights != "none" and (self.mixup or self.cutmix):
            raise UsageError(
                "a mixed example has no class: leave out class_weights, or mixup and cutmix"
            )


SHORT = Config(
    validation_fraction=0.05,
    zero_gamma=True,
    weight_decay=5e-3,
    schedule="one_cycle",
    learning_rate=0.2,
    nesterov=True,
    epochs=5,
    monitor="val_accuracy",
)
PRESETS = {
    # Muon is in 24 epochs where SGD was in 54 (one run). A search of 40 trainings around these values
    # found none that were better with new seeds (tuning.json).
    "best": replace(
        SHORT,
        optimizer="muon",
        learning_rate=0.02,
        weight_decay=0.05,
        shift=2,
        label_smoothing=0.1,
        epochs=24,
    ),
    "article": Config(),
    "article_32": Config(blocks_per_stage=5),
    "article_44": Config(blocks_per_stage=7),
    "article_56": Config(blocks_per_stage=9),
    "article_110": Config(blocks_per_stage=18, warmup_steps=400),
    "plain_20": Config(residual=False),
    "plain_56": Config(residual=False, blocks_per_stage=9),
    # The same networks for five epochs: enough to see what depth does without shortcuts.
    "short_20": SHORT,
    "short_56": replace(SHORT, blocks_per_stage=9),
    "short_plain_20": replace(SHORT, residual=False),
    "short_plain_56": replace(SHORT, residual=False, blocks_per_stage=9),
    "sample": replace(
        SHORT,
        validation_fraction=0.1,
        weight_decay=2e-3,
        shift=2,
        learning_rate=0.1,
        precision="float32",
        batch_size=32,
        epochs=6,
    ),
}


# The presets are made for 45,000 images and more.
BUDGET = Budget(steps=720, smallest_batch=16, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    fitted = BUDGET.fit(config, examples, given)
    changes: dict[str, Any] = {}
    if config.optimizer == "sgd" and "learning_rate" not in given:
        # A smaller batch makes noisier steps (Goyal et al. 2017); Muon scales them anyway.
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


def make_optimizer(config: Config, steps_per_epoch: int) -> "keras.Optimizer":
    """Returns the optimizer, with its learning-rate schedule."""
    import keras

    rate = learning_rate(config, steps_per_epoch)
    options = {
        "momentum": 0.9,
        "nesterov": config.nesterov,
        "weight_decay": config.weight_decay or None,
    }
    if config.optimizer == "muon":
        from common.layers.muon import Muon

        return Muon(rate, adam_weight_decay=0, adam_lr_ratio=0.25, **options)
    optimizer = keras.optimizers.SGD(rate, **options)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def learning_rate(
    config: Config, steps_per_epoch: int
) -> "keras.optimizers.schedules.LearningRateSchedule":
    """Returns the learning-rate schedule."""
    from common.layers.schedules import drops, one_cycle

    if config.schedule == "one_cycle":
        return one_cycle(config.learning_rate, config.epochs * steps_per_epoch, 0.25)
    # Halves and three quarters of 64,000 steps are the paper's 32,000 and 48,000.
    epochs = [config.epochs // 2, config.epochs * 3 // 4]
    return drops(config.learning_rate, epochs, steps_per_epoch, config.warmup_steps)


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
            images = random_shift(images, random, config.shift, mode="constant")
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
        optimizer=make_optimizer(config, train_batches.num_batches),
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
