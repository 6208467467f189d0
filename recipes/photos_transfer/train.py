"""Transfer to your own photos: a pretrained backbone, a head in seconds, then fine-tuning.

    recipes train photos_transfer --data my_photos/           your own: a folder of class folders
    recipes train photos_transfer                             the best preset on the flowers
    recipes train photos_transfer --preset features --data my_photos/     the head alone: seconds
    recipes train photos_transfer --preset scratch            without any weights, for comparison
    recipes train photos_transfer --preset sample --data sample    built-in digits, no download
    recipes train photos_transfer --backbone ResNet50         any network of keras.applications

First the backbone, as it is, computes the features of all images once. A logistic regression on them
becomes the head. Then the whole network is trained further at a small rate, with its batch normalisation
frozen. Measured accuracy and time: README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from common import data
from common.runs.bounds import (
    AtLeast,
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

TASK = Classification("image")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `best`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples, augmentation and dropout."""
    validation_fraction: Fraction = 0.1
    """Share of the training split set aside, stratified, to choose the head's penalty and the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    draw_by_seed: bool = False
    """Whether each seed draws another subset, because few labels are a matter of luck."""
    image_size: Annotated[int, AtLeast(32), AtMost(512)] = 160
    """Height and width that images are resized to, pixels. Published backbones: 96 to 224."""
    backbone: str = "MobileNetV2"
    """A network of keras.applications, or small: three convolutions, for the built-in digits."""
    width: PositiveFloat = 0.35
    """Share of the published channels (alpha) of a MobileNet; the others come in one width."""
    weights: str = "imagenet"
    """Weights of the backbone: imagenet (published; Keras keeps them in ~/.keras/models), a file of such
    weights without the top layer, or digits: trained on the spot on the built-in digits 0 to 4."""
    transfer: Literal["fine_tune", "features", "scratch"] = "fine_tune"
    """fine_tune: head first, then all layers but batch normalisation; features: the head alone; scratch:
    random weights, all layers."""
    head_strength: NonNegativeFloat = 0.0
    """Inverse strength of the head's penalty in the first phase (C); 0: chosen on validation."""
    dropout_rate: Rate = 0.0
    """Dropout before the softmax."""
    label_smoothing: Rate = 0.1
    """Probability mass spread evenly over all classes (fine_tune, scratch)."""
    flip: bool = True
    """Augmentation: mirror each image left to right with probability 1/2."""
    crop: Rate = 0.6
    """Augmentation: a square part of each image, smaller by up to this share in height and width, is
    enlarged to the whole size."""
    learning_rate: PositiveFloat = 3e-4
    """Peak learning rate of Adam: warm-up over a 10th of the steps, then a cosine to 0."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled decay of kernels per step, as a share of the learning rate (AdamW)."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more in the loss, so that every class counts the same."""
    batch_size: PositiveInt = 32
    """Examples per step."""
    epochs: PositiveInt = 24
    """Passes over the training split (fine_tune, scratch)."""
    monitor: Literal["val_loss", "val_accuracy", "epoch"] = "val_accuracy"
    """What chooses the epoch: the lowest validation loss, the highest validation accuracy, or epoch: the
    last one."""

    def __post_init__(self):
        check_bounds(self)


BEST = Config()
PRESETS = {
    "best": BEST,
    # The head takes a second, the features take longer.
    "features": replace(BEST, transfer="features", epochs=1),
    "scratch": replace(BEST, transfer="scratch", learning_rate=4e-3, weight_decay=5e-2),
    # For the 896 built-in digits 5 to 9, with a backbone that learned the digits 0 to 4.
    "sample": replace(
        BEST,
        image_size=32,
        backbone="small",
        weights="digits",
        flip=False,
        crop=0.0,
        epochs=6,
        batch_size=16,
        monitor="val_loss",
    ),
}

# The presets are made for 2,200 photos and more.
BUDGET = Budget(steps=400, smallest_batch=16, most_epochs=100)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    return config if config.transfer == "features" else BUDGET.fit(config, examples, given)


# Published as photographs of many sizes, without a test split.
DATA = data.ImageSet(
    "tf_flowers",
    "tf_flowers",
    image_size=(160, 160),
    channels=3,
    sample="digits 5 to 9",
    test_fraction=0.2,
    published_as="jpeg",
    published_count=3670,
)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns uint8 images `(n, image_size, image_size, 3)` and integer labels."""
    return data.load_images(
        replace(DATA, image_size=(config.image_size, config.image_size)),
        source,
        config.validation_fraction,
        config.train_examples,
        subset_seed=config.seed if config.draw_by_seed else 0,
    )


def check(config: Config) -> None:
    """Checks, before any data is read, that the weights are here or can be fetched.

    Raises:
        RecipeError, UsageError: They are not; the message says which file goes where.
    """
    from .pretrained import check as check_weights

    check_weights(config)


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the chosen epoch on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    from common.basics.backend import seed_everything
    from common.training.finish import finish

    from .model import build_model
    from .phases import begin, fine_tune, settle

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)
    start = None if config.transfer == "scratch" else begin(config, run, splits)
    # What the first phase drew must not change what the second one draws.
    seed_everything(config.seed, run.options.deterministic)
    model = build_model(config, len(splits.info.class_names))
    if start is not None:
        start.put_into(model)
    if start is not None and config.transfer == "features":
        keeper = settle(config, run, model, start)
    else:
        keeper = fine_tune(config, run, splits, model, start)

    def baselines(model, outputs):
        from common.tasks.pixel_baselines import linear_on_pixels

        rows = linear_on_pixels(splits, outputs)
        return [*rows, start.beside(splits, outputs)] if config.transfer == "fine_tune" else rows

    more = {} if start is None else {"pretrained": start.facts}
    return finish(TASK, model, run, splits, keeper, baselines=baselines, more=more)


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
