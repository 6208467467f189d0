"""Bidirectional LSTM on IMDB: is a film review favourable? Beside the linear model it must beat.

    recipes train imdb_bilstm                        the best preset, under 10 minutes on 2 cores
    recipes train imdb_bilstm --preset article       network and schedule of the article it began from
    recipes train imdb_bilstm --preset sample --data sample    generated reviews, no download

Words become ids, an embedding, an LSTM in both directions, pooling over the words, one sigmoid. Every
run also fits a logistic regression on word pairs (Wang & Manning 2012), which takes seconds and is
hard to beat, and the average of the two. Measured accuracy and time, with the spread over seeds:
README.md beside this file.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from common import data
from common.runs.bounds import (
    AtLeast,
    Fraction,
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
    import numpy as np

TASK = Classification("text")


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `article`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples and dropout."""
    validation_fraction: Fraction = 0.15
    """Share of the training split set aside, stratified, to choose the epoch."""
    train_examples: NonNegativeInt = 0
    """Training examples, a stratified subset; 0: all. A smaller subset lies in a larger one."""
    vocabulary_size: Annotated[int, AtLeast(3)] = 10_000
    """Ids in all: padding, unknown, and the most frequent words of the training split."""
    max_tokens: PositiveInt = 250
    """Words kept of each review, the last ones: that is where the verdict is."""
    embedding_units: PositiveInt = 64
    """Size of a word's vector."""
    lstm_units: PositiveInt = 64
    """Size of the state of each direction."""
    mask_padding: bool = True
    """Skip padding in the LSTM and in the pooling."""
    pooling: Literal["mean", "mean_max"] = "mean"
    """How a sequence becomes one vector: the mean, or the mean and the maximum."""
    word_dropout_rate: Rate = 0.0
    """Share of words replaced by the unknown one while training."""
    embedding_dropout_rate: Rate = 0.0
    """Dropout of whole embedding dimensions."""
    dropout_rate: Rate = 0.0
    """Dropout before the output."""
    bucketing: bool = False
    """Put reviews of similar length into one batch, cut to the longest: less padding to compute."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Learning rate over time; one_cycle: warm-up over a tenth of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate; with one_cycle its peak."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of the gradient over all weights; None: not clipped."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: rare classes count more in the loss, so that every class counts the same."""
    batch_size: PositiveInt = 32
    """Reviews per step."""
    epochs: PositiveInt = 3
    """Passes over the training split; that of preset article overfits from the third on."""
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What chooses the epoch: the lowest validation loss or the highest validation accuracy."""

    def __post_init__(self):
        check_bounds(self)


PRESETS = {
    "best": Config(
        validation_fraction=0.08,
        vocabulary_size=30_000,
        max_tokens=400,
        embedding_units=128,
        pooling="mean_max",
        bucketing=True,
        schedule="one_cycle",
        # High, and over after two passes: three learn the training split by heart.
        learning_rate=1.6e-2,
        clip_norm=1.0,
        batch_size=128,
        epochs=2,
        monitor="val_accuracy",
    ),
    "article": Config(),
    # For the 2,000 generated reviews: smaller, and more passes to make enough steps.
    "sample": Config(
        vocabulary_size=2_000,
        max_tokens=120,
        lstm_units=32,
        pooling="mean_max",
        dropout_rate=0.3,
        bucketing=True,
        schedule="one_cycle",
        learning_rate=5e-3,
        clip_norm=1.0,
        epochs=5,
    ),
}


# The presets are made for 21,000 reviews and more.
BUDGET = Budget(steps=170, smallest_batch=16, most_epochs=12)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few texts: smaller batches, more epochs; fields in `given` stay."""
    fitted = BUDGET.fit(config, examples, given)
    changes: dict[str, Any] = {}
    if "learning_rate" not in given:
        # Adam's steps are as long in a smaller batch, and noisier.
        scale = (fitted.batch_size / config.batch_size) ** 0.5
        changes["learning_rate"] = config.learning_rate * scale
    if fitted != config and "monitor" not in given:
        # Of few validation texts many epochs are equally accurate.
        changes["monitor"] = "val_loss"
    return replace(fitted, **changes)


DATA = data.TextSet(
    "imdb_reviews",
    "IMDB reviews",
    config="plain_text",
    sample="reviews",
    host="ai.stanford.edu",
)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns texts as an object array of strings, and integer labels."""
    return data.load_texts(DATA, source, config.validation_fraction, config.train_examples)


def encode(run: Run, texts: "np.ndarray") -> "np.ndarray":
    """Returns int32 token ids `(n, max_tokens)` by the vocabulary of a run."""
    from common.data.text import TextEncoder

    return TextEncoder.load(run.path("vocabulary.json")).encode(texts)


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch and the linear baseline on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    import numpy as np

    from common.basics.backend import jit_compile, seed_everything
    from common.data.text import PADDING, UNKNOWN, TextEncoder, tell_unknown
    from common.layers.fast_adam import FusedAdam
    from common.layers.schedules import one_cycle
    from common.training.batches import ArrayBatches, BucketBatches
    from common.training.finish import finish
    from common.training.fit import fit

    from .model import build_model

    splits = run.load(load_data)
    run.record_environment(splits.info)
    encoder = TextEncoder.fit(splits.train.x, config.vocabulary_size, config.max_tokens)
    encoder.save(run.path("vocabulary.json"))
    seed_everything(config.seed, run.options.deterministic)

    def drop_words(ids, random):
        dropped = (random.random(ids.shape) < config.word_dropout_rate) & (ids != PADDING)
        return np.where(dropped, np.int32(UNKNOWN), ids)

    classes = len(splits.info.class_names)
    # Two classes are one sigmoid.
    outputs = 1 if classes == 2 else classes
    make_batches = BucketBatches if config.bucketing else ArrayBatches
    train_batches = make_batches(
        encoder.encode(splits.train.x),
        splits.train.y,
        batch_size=config.batch_size,
        num_classes=outputs,
        seed=config.seed,
        class_weights=config.class_weights,
        augment=drop_words if config.word_dropout_rate else None,
    )
    validation_ids = encoder.encode(splits.val.x)
    unknown = encoder.unknown_share(validation_ids)
    if not run.is_trial:
        tell_unknown(unknown)
    validation = BucketBatches(validation_ids, splits.val.y, batch_size=256, num_classes=outputs)

    learning_rate = config.learning_rate
    if config.schedule == "one_cycle":
        learning_rate = one_cycle(learning_rate, config.epochs * train_batches.num_batches)
    model = build_model(config, classes)
    model.compile(
        optimizer=FusedAdam(learning_rate, global_clipnorm=config.clip_norm),
        loss="binary_crossentropy" if classes == 2 else "categorical_crossentropy",
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
        encode=encoder.encode,
        baselines=lambda model, outputs: linear_baseline(splits, outputs),
        more={"unknown_words": round(unknown, 4)},
    )


def linear_baseline(
    splits: data.Splits, outputs: Mapping[str, "np.ndarray"]
) -> list[dict[str, Any]]:
    """Fits NB-weighted logistic regression and compares it, and the average, with the LSTM.

    Args:
        splits: The data.
        outputs: The LSTM's probabilities and labels, as in predictions.npz.

    Returns:
        Two rows for metrics.json.
    """
    from common.tasks.baselines import beside
    from common.tasks.ngram_baselines import nbsvm

    labels, lstm = outputs["test_labels"], outputs["test_probabilities"]
    (linear,) = nbsvm(splits.train.x, splits.train.y, [splits.test.x])
    average = (linear + lstm) / 2
    return [
        beside("logistic regression on NB-weighted 1-2-grams", labels, linear, lstm),
        beside("average of the LSTM and the logistic regression", labels, average, lstm),
    ]


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
