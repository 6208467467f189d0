"""MLP on MNIST: dense layers alone, of any depth, and everything that is said to help them.

    recipes train mnist_mlp                          the best preset on the real data
    recipes train mnist_mlp --preset plain           one hidden layer of 800 units, nothing else
    recipes train mnist_mlp --preset dropout         no moved images, more dropout
    recipes train mnist_mlp --preset deep            30 layers
    recipes train mnist_mlp --images fashion_mnist   clothes in place of digits
    recipes train mnist_mlp --preset sample --data sample     built-in digits, no download

Activation, initial weights, normalisation, shortcuts, augmentation, five kinds of regularisation and six
optimizers are fields: studies.py compares them. Measured accuracy and time: README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

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

if TYPE_CHECKING:
    import keras

TASK = Classification("image")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `plain`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples, augmentation and dropout."""
    validation_fraction: Fraction = 0.1
    """Share of the training split set aside, stratified, to choose the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    label_noise: Rate = 0.0
    """Share of the training labels that are replaced by a wrong class: a study of what that does."""
    images: Literal["mnist", "fashion_mnist"] = "mnist"
    """What `--data full` is: digits, or clothes in the same form."""
    hidden: tuple[PositiveInt, ...] = (800,)
    """Units of each hidden layer."""
    activation: Literal["relu", "leaky_relu", "elu", "selu", "gelu", "tanh", "sigmoid"] = "relu"
    """Activation of the hidden layers."""
    initializer: Literal["glorot_uniform", "he_normal", "lecun_normal"] = "he_normal"
    """Initial kernels: variance 2 / (inputs + outputs), 2 / inputs or 1 / inputs."""
    batch_norm: bool = False
    """Batch normalisation before each activation."""
    residual: bool = False
    """A shortcut around each hidden layer after the first: x + dense(activation(x))."""
    input_dropout_rate: Rate = 0.0
    """Share of pixels that are set to 0."""
    dropout_rate: Rate = 0.0
    """Dropout after each activation. With selu it is alpha dropout, which keeps mean and variance."""
    l1: NonNegativeFloat = 0.0
    """Added to the loss: this times the sum of the absolute values of all hidden kernels."""
    l2: NonNegativeFloat = 0.0
    """Added to the loss: this times the sum of the squares. Textbooks have a half before it."""
    weight_decay: NonNegativeFloat = 0.0
    """Decay of kernels per step, as a share of the learning rate, not through the gradient (AdamW)."""
    max_norm: PositiveFloat | None = None
    """Largest length of the weights that lead into one hidden unit; longer ones are cut to it."""
    label_smoothing: Rate = 0.0
    """Probability mass spread evenly over all classes."""
    shift: NonNegativeFloat = 0.0
    """Augmentation: largest shift, pixels."""
    rotation: NonNegativeFloat = 0.0
    """Augmentation: largest rotation, degrees; a 6 must not become a 9."""
    scale: Rate = 0.0
    """Augmentation: largest change of size; 0.1 means between 0.9 and 1.1."""
    optimizer: Literal["sgd", "momentum", "rmsprop", "adagrad", "adam", "muon"] = "adam"
    """momentum: SGD with Nesterov momentum 0.9; adam: with weight_decay it is AdamW; muon: orthogonal
    steps for the hidden kernels, Adam's for the rest."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Learning rate over time; one_cycle: warm-up over a tenth of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 1e-3
    """Learning rate; with one_cycle its peak."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of the gradient over all weights; None: not clipped."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more in the loss, so that every class counts the same."""
    batch_size: PositiveInt = 128
    """Examples per step."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "float32"
    """What products are computed in while training; auto: mixed_bfloat16 where it is fast."""
    epochs: PositiveInt = 20
    """Largest number of passes over the training split."""
    monitor: Literal["val_crossentropy", "val_accuracy", "epoch"] = "val_accuracy"
    """What chooses the epoch; epoch: the last one, whatever it scores. val_crossentropy is the validation
    loss without the penalties of l1 and l2 and without smoothing: with them, losses of different settings
    cannot be compared."""
    patience: PositiveInt | None = None
    """Early stopping: epochs without a better score before training ends; None: train to the end."""

    def __post_init__(self):
        check_bounds(self)
        if self.residual and len(set(self.hidden)) > 1:
            raise UsageError(
                f"residual needs hidden layers of one size, got {', '.join(map(str, self.hidden))}: a "
                "shortcut adds a layer's input to its output"
            )
        if self.patience is not None and self.schedule == "one_cycle":
            raise UsageError(
                "patience and schedule one_cycle contradict each other: the rate falls to 0 at the last "
                "epoch, and early stopping ends before it; take --schedule constant"
            )


BEST = Config(
    validation_fraction=0.05,
    hidden=(1024, 1024),
    batch_norm=True,
    dropout_rate=0.25,
    weight_decay=0.05,
    label_smoothing=0.05,
    # Dense layers do not know that a digit a pixel further is the same digit; moved ones tell them.
    shift=1.0,
    rotation=10.0,
    scale=0.1,
    schedule="one_cycle",
    learning_rate=4e-3,
    precision="auto",
    epochs=25,
)
PRESETS = {
    "best": BEST,
    # The digits as they are: what dropout is worth, as in Srivastava et al. 2014.
    "dropout": replace(
        BEST,
        input_dropout_rate=0.2,
        dropout_rate=0.5,
        shift=0.0,
        rotation=0.0,
        scale=0.0,
        epochs=40,
    ),
    # The size of Simard et al. 2003.
    "plain": Config(),
    # Each layer of a deep network has to pass on what it gets: see picture.py.
    "deep": Config(
        hidden=(64,) * 30,
        batch_norm=True,
        residual=True,
        optimizer="momentum",
        schedule="one_cycle",
        learning_rate=0.05,
    ),
    # For the 1,797 built-in digits: fewer units, more passes.
    "sample": replace(
        BEST,
        validation_fraction=0.15,
        hidden=(256, 256),
        batch_size=32,
        learning_rate=3e-3,
        precision="float32",
        epochs=20,
    ),
}


# The presets are made for 54,000 images and more.
BUDGET = Budget(steps=720, smallest_batch=16, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    return BUDGET.fit(config, examples, given)


DATA = data.ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")
FASHION = replace(DATA, name="fashion_mnist", label="Fashion-MNIST")


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns uint8 images `(n, 28, 28, 1)` and integer labels."""
    images = DATA if config.images == "mnist" else FASHION
    return data.load_images(images, source, config.validation_fraction, config.train_examples)


def make_optimizer(config: Config, steps: int) -> "keras.Optimizer":
    """Returns the optimizer for a training of `steps` steps in all."""
    import keras

    from common.layers.schedules import one_cycle

    rate: Any = config.learning_rate
    if config.schedule == "one_cycle":
        rate = one_cycle(config.learning_rate, steps)
    options = {"weight_decay": config.weight_decay or None, "global_clipnorm": config.clip_norm}
    optimizers = keras.optimizers
    if config.optimizer == "muon":
        return optimizers.Muon(
            rate,
            exclude_layers=["probabilities"],
            momentum=0.9,
            adam_weight_decay=0,
            adam_lr_ratio=0.25,
            **options,
        )
    made = {
        "sgd": lambda: optimizers.SGD(rate, **options),
        "momentum": lambda: optimizers.SGD(rate, momentum=0.9, nesterov=True, **options),
        "rmsprop": lambda: optimizers.RMSprop(rate, **options),
        "adagrad": lambda: optimizers.Adagrad(rate, **options),
        "adam": lambda: optimizers.Adam(rate, **options),
    }[config.optimizer]()
    # Scales and offsets have nothing to lose by being large.
    made.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return made


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
    from common.data.label_noise import mislabel
    from common.tasks.pixel_baselines import (
        forest_on_pixels,
        linear_on_pixels,
        neighbours_on_pixels,
    )
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit
    from common.training.precision import precision

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
        mislabel(splits.train.y, config.label_noise, classes, config.seed),
        batch_size=config.batch_size,
        num_classes=classes,
        seed=config.seed,
        class_weights=config.class_weights,
        augment=augment if augmented else None,
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=256, num_classes=classes)

    with precision(config.precision):
        model = build_model(config, classes)
    model.compile(
        optimizer=make_optimizer(config, config.epochs * train_batches.num_batches),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
        # The loss of Keras has the penalties in it, on the validation split too.
        metrics=["accuracy", keras.metrics.CategoricalCrossentropy(name="crossentropy")],
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

    def baselines(model, outputs):
        others = (linear_on_pixels, neighbours_on_pixels, forest_on_pixels)
        return [row for other in others for row in other(splits, outputs)]

    return finish(TASK, model, run, splits, keeper, baselines=baselines)


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
