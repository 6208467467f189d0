"""RNN, GRU or LSTM on spoken digits, tested on a person it has never heard.

    recipes train spoken_digit_rnn                   the best preset on the real recordings
    recipes train spoken_digit_rnn --split take      the published split: the same people, other takes
    recipes train spoken_digit_rnn --preset sample --data sample    generated syllables, no download
    recipes train spoken_digit_rnn --data my_words/  PATH/<word>/<WAV>, or PATH/{train,test}/<word>/<WAV>

The model takes a waveform, computes log-mel frames, and reads them with recurrent layers. Five people
recorded the set. Each seed leaves another person out, so five seeds test on all of them. Measured
accuracy and time: README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from common import data
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
from common.tasks.classification import Classification
from common.training.budget import Budget

TASK = Classification("audio")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `plain`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples, augmentation and dropout."""
    validation_fraction: Fraction = 0.1
    """Share of the training split set aside, stratified, to choose the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    split: Literal["speaker", "take"] = "speaker"
    """Test split. speaker: one person; take: takes 0 to 4 of every person, the published split."""
    held_out: NonNegativeInt | None = None
    """Number of the person tested on, from 0 in alphabetical order; None: each seed takes the next."""
    validate_on: Literal["takes", "speaker"] = "takes"
    """takes: validate on other takes of the people trained on; speaker: on other people."""
    mel_bands: Annotated[int, Above(1), AtMost(80)] = 40
    """Bands of the mel scale in a frame, from 60 to 4,000 Hz."""
    frame_step: Annotated[int, Above(0), AtMost(256)] = 128
    """Samples from one frame to the next, at 8,000 a second; a frame has 256."""
    normalise: Literal["none", "mean"] = "none"
    """mean: subtract each band's mean over the clip, which is the colour of voice and microphone."""
    cell: Literal["rnn", "gru", "lstm"] = "gru"
    """Kind of the recurrent layers."""
    bidirectional: bool = False
    """Read forwards and backwards, with `units` in each direction."""
    layers: PositiveInt = 2
    """Number of recurrent layers."""
    units: PositiveInt = 64
    """Size of a layer's state in each direction."""
    pooling: Literal["last", "mean", "mean_max"] = "last"
    """How a sequence becomes one vector: the last state, the mean, or the mean and the maximum."""
    dropout_rate: Rate = 0.0
    """Dropout between the recurrent layers and before the output."""
    label_smoothing: Rate = 0.0
    """Probability mass spread evenly over all classes."""
    speed: Rate = 0.0
    """Augmentation: largest relative change of speed, which changes the pitch too."""
    shift: NonNegativeFloat = 0.0
    """Augmentation: largest shift, seconds."""
    noise: Rate = 0.0
    """Augmentation: largest deviation of white noise, as a share of the loudest sample; 0: none."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Learning rate over time; one_cycle: warm-up over a tenth of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate; with one_cycle its peak."""
    clip_norm: PositiveFloat | None = 1.0
    """Largest norm of the gradient over all weights; None: not clipped."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more in the loss, so that every class counts the same."""
    batch_size: PositiveInt = 64
    """Clips per step."""
    epochs: PositiveInt = 12
    """Passes over the training split."""
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What chooses the epoch: the lowest validation loss or the highest validation accuracy."""

    def __post_init__(self):
        check_bounds(self)


BEST = Config(
    normalise="mean",
    bidirectional=True,
    pooling="mean_max",
    dropout_rate=0.3,
    label_smoothing=0.1,
    speed=0.15,
    shift=0.1,
    noise=0.02,
    schedule="one_cycle",
    learning_rate=4e-3,
)
PRESETS = {
    "best": BEST,
    # A first attempt: no normalisation, augmentation or regularisation.
    "plain": Config(),
    # For the 400 generated syllables.
    "sample": replace(BEST, units=48, layers=1, batch_size=16, epochs=20),
}

# The presets are made for 1,800 clips.
BUDGET = Budget(steps=340, smallest_batch=16, most_epochs=60)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few clips: smaller batches, more epochs; fields in `given` stay."""
    return BUDGET.fit(config, examples, given)


DATA = data.AudioSet(
    "spoken_digit",
    "Free Spoken Digit Dataset",
    rate=8000,
    seconds=1.0,
    sample="syllables",
    host="github.com",
)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns float32 waveforms `(n, 8000)` and integer labels."""
    from .speakers import hold_out

    return data.load_audio(
        DATA,
        source,
        config.validation_fraction,
        config.train_examples,
        hold_out=lambda names: hold_out(config, names),
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
    from common.data.augment_audio import random_noise, random_speed
    from common.layers.schedules import one_cycle
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit

    from .linear import linear_baseline
    from .model import build_model

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)

    def augment(waves, random):
        if config.speed or config.shift:
            waves = random_speed(waves, random, config.speed, config.shift * DATA.rate)
        return random_noise(waves, random, config.noise) if config.noise else waves

    classes = len(splits.info.class_names)
    train_batches = ArrayBatches(
        splits.train.x,
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=classes,
        seed=config.seed,
        class_weights=config.class_weights,
        augment=augment,
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=256, num_classes=classes)

    learning_rate = config.learning_rate
    if config.schedule == "one_cycle":
        learning_rate = one_cycle(learning_rate, config.epochs * train_batches.num_batches)
    model = build_model(config, classes)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate, global_clipnorm=config.clip_norm),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing),
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
        baselines=lambda model, outputs: [linear_baseline(model, splits, outputs)],
    )


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
