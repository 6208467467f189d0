"""LSTM encoder-decoder with attention: captions to German, dates, sums; beside a translation memory.

    recipes train translation_seq2seq --data pairs.tsv    your own pairs: source, tab, target
    recipes train translation_seq2seq --preset dates      generated dates, about a minute
    recipes train translation_seq2seq                     Multi30k; MULTI30K_DIR names its folder
    recipes predict RUN - < sentences.txt                 translates, one sentence a line

The encoder reads the source in both directions. The decoder writes the answer token by token, and looks
back at the source for each token. While it learns, the tokens before are the true ones (teacher forcing);
afterwards a beam search looks for the likeliest answer. Measured figures: README.md beside this file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from common import data
from common.basics.errors import UsageError
from common.runs.bounds import (
    AtLeast,
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
from common.tasks.translation import Translation
from common.training.budget import Budget

if TYPE_CHECKING:
    import keras
    import numpy as np

    from .translator import Translator


def translator(model: "keras.Model") -> "Translator":
    """Returns the translator of a model of this recipe."""
    from .translator import Translator

    return Translator(model)


TASK = Translation(translator)


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of preset `dates`."""

    seed: Seed = 0
    """Seed of initial weights, order of examples, dropout and sampling."""
    validation_fraction: Fraction = 0.1
    """Share of the training pairs set aside to choose the epoch, where the data has no such split."""
    train_examples: NonNegativeInt = 0
    """Training pairs, a subset; 0: all. A smaller subset lies in a larger one."""
    task: Literal["dates", "addition", "pairs", "tatoeba"] = "dates"
    """What `--data full` is: generated dates or sums, Multi30k English to German (pairs), or Tatoeba
    English to Spanish."""
    unit: Literal["character", "piece"] = "character"
    """What a token is: a character, or a part of a word (byte pair encoding)."""
    vocabulary_size: Annotated[int, AtLeast(8)] = 96
    """Ids in all on each side: padding, unknown, START, END, and the tokens."""
    max_source: PositiveInt = 60
    """Tokens kept of each source, the first ones."""
    max_target: PositiveInt = 24
    """Tokens of the longest answer, END among them."""
    embedding_units: PositiveInt = 64
    """Size of a token's vector."""
    units: PositiveInt = 96
    """Size of the states of encoder (both directions together) and decoder."""
    layers: PositiveInt = 1
    """LSTMs above each other, on each side."""
    attention: Literal["none", "dot", "additive"] = "dot"
    """How the decoder looks at the source; none: the encoder reads forwards only, and the decoder knows
    nothing but its last states."""
    reverse_source: bool = False
    """Read the source backwards (Sutskever et al. 2014)."""
    sampling_rate: Rate = 0.0
    """Share of target tokens that the model's own answers replace in the last epoch (scheduled sampling);
    it rises to this in equal steps, from 0 in the first epoch."""
    label_smoothing: Rate = 0.0
    """Probability that the loss spreads over all tokens."""
    dropout_rate: Rate = 0.0
    """Dropout of embeddings, between LSTMs and before the output."""
    bucketing: bool = False
    """Put pairs of similar length into one batch: less padding. Bad for dates: each batch would hold one
    way of writing them, and learning from such batches is slow."""
    schedule: Literal["constant", "one_cycle"] = "one_cycle"
    """Learning rate over time; one_cycle: warm-up over a tenth of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate; with one_cycle its peak."""
    clip_norm: PositiveFloat | None = 1.0
    """Largest norm of the gradient over all weights; None: not clipped."""
    batch_size: PositiveInt = 128
    """Pairs per step."""
    epochs: PositiveInt = 5
    """Passes over the training pairs."""
    then_dates: NonNegativeInt = 0
    """Epochs of generated dates after those, with the same network; the last one is kept, and the scores
    stay those of `task`. It shows what is forgotten."""
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What chooses the epoch: the lowest validation loss, or the highest accuracy over tokens; of both,
    each token is predicted from the true ones before it. Of dates and sums all tokens of the validation
    split are right early, and the loss goes on to tell epochs apart."""
    beam: PositiveInt = 4
    """Answers that the search keeps of each source; 1: greedy."""
    length_penalty: NonNegativeFloat = 0.6
    """Answers are compared by log p / ((5 + tokens) / 6) ** this; 0: by log p."""

    def __post_init__(self):
        check_bounds(self)
        if self.then_dates and self.bucketing:
            raise UsageError("then_dates needs batches of one task: leave out bucketing")


_PAIRS = Config(
    task="pairs",
    unit="piece",
    vocabulary_size=6_000,
    max_source=60,
    max_target=60,
    embedding_units=256,
    units=256,
    label_smoothing=0.1,
    dropout_rate=0.3,
    bucketing=True,
    learning_rate=2e-3,
    batch_size=64,
    epochs=12,
    monitor="val_accuracy",
)

PRESETS = {
    "best": _PAIRS,
    # Sutskever et al. 2014, smaller: no attention, stacked LSTMs, the source backwards.
    "article": replace(
        _PAIRS,
        layers=2,
        attention="none",
        reverse_source=True,
        label_smoothing=0.0,
        beam=2,
        length_penalty=0.0,
    ),
    "no_attention": replace(_PAIRS, attention="none"),
    # Sentences of six words in the median, four times as many.
    "tatoeba": replace(
        _PAIRS, task="tatoeba", validation_fraction=0.02, max_source=40, max_target=40, epochs=6
    ),
    "dates": Config(),
    "addition": Config(
        task="addition", vocabulary_size=16, max_source=8, max_target=6, units=128, epochs=8
    ),
    # For the 1,000 generated dates: more passes to make enough steps.
    "sample": Config(batch_size=32, epochs=12, learning_rate=5e-3),
}

# The presets are made for 20,000 pairs and more.
BUDGET = Budget(steps=750, smallest_batch=16, most_epochs=30)


def fit_to(config: Config, examples: int, given: Collection[str]) -> Config:
    """Returns the Config for few pairs: smaller batches, more epochs; fields in `given` stay."""
    fitted = BUDGET.fit(config, examples, given)
    if "learning_rate" in given:
        return fitted
    # Adam's steps are as long in a smaller batch, and noisier.
    scale = (fitted.batch_size / config.batch_size) ** 0.5
    return replace(fitted, learning_rate=config.learning_rate * scale)


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns sources and targets, object arrays of str `(n,)`; sets.py says of what."""
    from .sets import load

    return load(config, source)


def encode(run: Run, texts: "np.ndarray") -> "np.ndarray":
    """Returns int32 source ids `(n, tokens)` by the vocabulary of a run."""
    from common.data.pieces import PieceEncoder

    config = cast(Config, run.config)
    return PieceEncoder.load(run.path("source.model")).encode(texts, config.max_source)


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch and its baselines on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    import keras
    import numpy as np

    from common.basics.backend import jit_compile, seed_everything
    from common.data.pieces import START, PieceEncoder
    from common.layers.fast_adam import FusedAdam
    from common.layers.schedules import one_cycle
    from common.training.finish import finish
    from common.training.fit import fit
    from common.training.pair_batches import PairBatches

    from .forgetting import Successive, exact
    from .model import build_model
    from .teaching import RaiseSampling, TokenCrossentropy

    splits = run.load(load_data)
    run.record_environment(splits.info)
    # What is learnt later shares the tokens.
    dates = Config(task="dates")
    later = load_data(dates, data.Source("full")) if config.then_dates else None
    learnt = [splits.train, later.train] if later else [splits.train]
    source, target = (
        PieceEncoder.fit(np.concatenate(texts), config.vocabulary_size, config.unit)
        for texts in ([split.x for split in learnt], [split.y for split in learnt])
    )
    source.save(run.path("source.model"))
    target.save(run.path("target.model"))

    def batches(split, **settings):
        ids = source.encode(split.x, config.max_source)
        answers = target.encode(split.y, config.max_target, end=True)
        settings["bucketing"] = config.bucketing
        return PairBatches(ids, answers, start=START, **settings)

    shuffled = {"batch_size": config.batch_size, "seed": config.seed}
    train_batches = batches(splits.train, **shuffled)
    if later:
        train_batches = Successive(
            train_batches, batches(later.train, **shuffled), start=START, switch=config.epochs
        )
    epochs = config.epochs + config.then_dates
    validation = batches(splits.val, batch_size=256)
    seed_everything(config.seed, run.options.deterministic)
    learning_rate = config.learning_rate
    if config.schedule == "one_cycle":
        learning_rate = one_cycle(learning_rate, epochs * train_batches.num_batches)
    model = build_model(config, pieces=(source.pieces, target.pieces))
    model.compile(
        optimizer=FusedAdam(learning_rate, global_clipnorm=config.clip_norm),
        loss=TokenCrossentropy(config.label_smoothing),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=jit_compile(),
    )
    sampling = [RaiseSampling(config.sampling_rate, epochs)] * (config.sampling_rate > 0)
    keeper = fit(
        model,
        run,
        train_batches,
        validation,
        epochs=epochs,
        monitor="epoch" if later else config.monitor,
        callbacks=sampling,
    )

    def encoded(texts):
        return source.encode(texts, config.max_source)

    def greedy(model, outputs):
        answers = translator(model).texts(encoded(splits.test.x), width=1)
        return [TASK.beside("the same network, greedy search", outputs, answers)]

    more: dict[str, Any] = {
        "searches": [] if run.is_trial else TASK.searches(model, splits.val, encoded)
    }
    if later:
        more["later"] = exact(translator(model), encoded(later.test.x), later.test.y)
    return finish(TASK, model, run, splits, keeper, encode=encoded, baselines=greedy, more=more)


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
