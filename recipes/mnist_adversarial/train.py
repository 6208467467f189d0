"""Adversarial training on MNIST: digits that an attack may not turn.

    recipes train mnist_adversarial                          the best preset on the real data
    recipes train mnist_adversarial --preset fast            trained by FGSM with a random start alone
    recipes train mnist_adversarial --preset sample --data sample     built-in digits, no download
    recipes attack RUN                                       the whole ladder of attacks

Each step moves the images against the network first, each pixel by at most epsilon, and trains on what
comes out. Measured accuracy and time, with the spread over seeds: README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from common import data
from common.basics.errors import UsageError
from common.runs.bounds import (
    Above,
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
from common.tasks.robust_classification import RobustClassification
from common.training.budget import Budget

TASK = RobustClassification("image")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `best`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples and starts of the attacks."""
    validation_fraction: Fraction = 0.05
    """Share of the training split set aside, stratified, to choose the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    epsilon: Annotated[float, Above(0), AtMost(1)] = 0.3
    """Most that an attack changes a pixel, where black is 0 and white is 1."""
    attack: Literal["fgsm", "pgd"] = "pgd"
    """fgsm: one step of the attack, of 1.25 epsilon; pgd: `attack_steps` smaller ones."""
    attack_steps: PositiveInt = 7
    """pgd: steps of the attack on each batch; each costs as much as training on it."""
    step_size: Annotated[float, Above(0), AtMost(1)] = 0.1
    """pgd: change of a pixel in a step of the attack."""
    fgsm_share: Rate = 0.15
    """pgd: share of the training that is fgsm, before it: four times as fast."""
    ramp_share: Rate = 0.1
    """Share of the training in which epsilon grows from 0; at once, all images are answered alike."""
    trades: NonNegativeFloat = 0.0
    """0: trains on attacked images alone; else the weight of their divergence from clean ones: TRADES."""
    filters: tuple[PositiveInt, ...] = (16, 32)
    """Filters of the convolutions, each of which halves the image; at most 4."""
    units: PositiveInt = 100
    """Units of the dense layer after them."""
    learning_rate: PositiveFloat = 2e-3
    """Peak of AdamW's learning rate: up for a tenth of the steps, then a cosine to 0."""
    weight_decay: NonNegativeFloat = 1e-4
    """Decoupled decay of kernels per step, as a share of the learning rate."""
    batch_size: PositiveInt = 128
    """Examples per step."""
    epochs: PositiveInt = 42
    """Passes over the training split."""
    monitor: Literal["val_robust_accuracy", "val_accuracy", "val_loss", "epoch"] = (
        "val_robust_accuracy"
    )
    """What chooses the epoch: the accuracy under PGD-20 of up to 500 validation images, or another
    column; epoch: the last."""

    def __post_init__(self):
        check_bounds(self)
        if len(self.filters) > 4:
            raise UsageError(
                f"filters must be at most 4 values, got {len(self.filters)}: the image is used up"
            )


BEST = Config()
PRESETS = {
    "best": BEST,
    "fast": replace(BEST, attack="fgsm", ramp_share=0.3, epochs=8),
    "trades": replace(BEST, trades=3.0),
    # For the 1,797 built-in digits: more passes make enough steps of so little.
    "sample": replace(
        BEST,
        validation_fraction=0.15,
        epsilon=0.15,
        attack_steps=5,
        step_size=0.05,
        fgsm_share=0.4,
        ramp_share=0.35,
        learning_rate=3e-3,
        batch_size=64,
        epochs=14,
    ),
}

# The presets are made for 57,000 images.
BUDGET = Budget(steps=400, smallest_batch=32, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few images: smaller batches, more epochs; fields in `given` stay."""
    return BUDGET.fit(config, examples, given)


DATA = data.ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns uint8 images `(n, 28, 28, 1)` and integer labels."""
    return data.load_images(DATA, source, config.validation_fraction, config.train_examples)


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch on the test split, clean and under PGD-20.

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
    from common.training import adversarial
    from common.training.batches import ArrayBatches
    from common.training.drawn import DrawnBatches
    from common.training.finish import finish
    from common.training.fit import fit
    from common.training.gradients import train_by

    from .model import build_model

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)
    classes = len(splits.info.class_names)
    train_batches = DrawnBatches(
        splits.train.x,
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=classes,
        seed=config.seed,
        draws=adversarial.draws(
            lambda step: adversarial.attack_of(
                config, (step + 1) / (config.epochs * train_batches.num_batches)
            )
        ),
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=256, num_classes=classes)

    model = build_model(config, classes)
    optimizer = keras.optimizers.AdamW(
        one_cycle(config.learning_rate, config.epochs * train_batches.num_batches),
        weight_decay=config.weight_decay,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(
        optimizer=optimizer,
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    train_by(model, adversarial.adversarial_step(model, trades=config.trades))
    robust = TASK.validated(splits, config.epsilon)
    keeper = fit(
        model,
        run,
        train_batches,
        validation,
        epochs=config.epochs,
        monitor=config.monitor,
        callbacks=[robust],
    )
    return finish(
        TASK,
        model,
        run,
        splits,
        keeper,
        baselines=lambda model, outputs: linear_on_pixels(splits, outputs),
        more=None if run.is_trial else TASK.robustness(model, splits, config.epsilon),
    )


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
