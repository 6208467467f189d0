"""RNN, GRU and LSTM on long lags: what was seen hundreds of steps ago is to be answered at the end.

    recipes train lag_rnn                        a GRU adds two numbers marked in 200 steps
    recipes train lag_rnn --preset article       the documents' RNN: same steps, not solved
    recipes train lag_rnn --preset sample        50 steps, under a minute
    recipes train lag_rnn --task order           or copy: two other problems

Nothing is downloaded: sequences are generated, new ones in every epoch, as a function of seed, epoch and
batch. One recurrent layer, one dense layer; every run measures how far back the gradient reaches, before
and after the training. Measured times, with the spread over seeds: README.md beside this file.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Literal

from common.basics.errors import UsageError
from common.runs.bounds import (
    AtLeast,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Rate,
    Seed,
    check_bounds,
)
from recipes.lag_rnn.task import Lag

TASK = Lag()


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of preset `article`: the documents' RNN."""

    seed: Seed = 0
    """Seed of initial weights and training sequences; validation and test have seeds of their own."""
    task: Literal["adding", "order", "copy"] = "adding"
    """adding: the sum of two marked numbers; order: of two symbols among others; copy: ten symbols."""
    length: Annotated[int, AtLeast(4)] = 200
    """Steps of a sequence."""
    cell: Literal["rnn", "irnn", "gru", "lstm"] = "rnn"
    """rnn: tanh; irnn: ReLU, which starts as the identity (Le et al. 2015); gru; lstm."""
    units: PositiveInt = 64
    """Size of the state."""
    forget_bias: Literal["one", "zero", "chrono"] = "one"
    """Of the lstm at the start; chrono: log U(1, length - 1), the input gate's is its negative."""
    clip_norm: PositiveFloat | None = 1.0
    """Largest norm of the gradient over all weights; None: not clipped."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled decay of kernels per step, as a share of the learning rate (AdamW)."""
    dropout_rate: Rate = 0.0
    """Dropout of the inputs, the same channels at all steps of a sequence."""
    schedule: Literal["constant", "one_cycle"] = "one_cycle"
    """Learning rate over time; one_cycle: warm-up over a tenth of the steps, then a cosine to 0."""
    learning_rate: PositiveFloat = 5e-3
    """Adam's learning rate; with one_cycle its peak."""
    batch_size: PositiveInt = 64
    """Sequences per step."""
    epoch_examples: PositiveInt = 6_400
    """Sequences of an epoch, all new; after each the network is validated."""
    epochs: PositiveInt = 15
    """Epochs in all; none sees a sequence again."""

    def __post_init__(self):
        check_bounds(self)
        least = {"adding": 4, "order": 10, "copy": 22}[self.task]
        if self.length < least:
            raise UsageError(
                f"length must be at least {least} for the problem {self.task}, got {self.length}"
            )


BEST = Config(cell="gru")
PRESETS = {
    "best": BEST,
    "article": Config(),
    "lstm": Config(cell="lstm"),
    "chrono": Config(cell="lstm", forget_bias="chrono"),
    # Without gates larger steps throw it off.
    "irnn": Config(cell="irnn", learning_rate=1e-3),
    "sample": dataclasses.replace(BEST, length=50, epochs=6),
}
EXAMPLES = {"train": 6_400, "validation": 2_000, "test": 2_000}
"""Sequences with seeds of their own; those of train are what baselines are fitted to, and no network."""


def load_data(config, source):
    """Returns the Splits: float32 sequences `(n, length, channels)` and what they are to be answered.

    Raises:
        UsageError: The data is to be the user's own.
    """
    if not source.built_in:
        raise UsageError(
            f"lag_rnn generates its sequences and reads none: leave out --data {source.data}"
        )
    import hashlib

    import numpy as np

    from common.data import DataInfo, Split, Splits

    from .problems import ORDERS, PROBLEMS

    def split(part):
        # Four numbers, the last not 0: never those of a training batch, which are three.
        random = np.random.default_rng([list(EXAMPLES).index(part), config.length, 0, 1997])
        return Split(*PROBLEMS[config.task](EXAMPLES[part], config.length, random))

    parts = [split(part) for part in EXAMPLES]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part.x))
        digest.update(np.ascontiguousarray(part.y))
    name = {"adding": "adding problem", "order": "temporal order", "copy": "copy problem"}
    info = DataInfo(
        name=f"{config.task}-{config.length}",
        version="1",
        # Both words mean it: there is no other, real set that a sample stands in for.
        source="full",
        fingerprint=digest.hexdigest(),
        kind="sequence",
        class_names=ORDERS if config.task == "order" else (),
        label=f"{name[config.task]}, {config.length} steps",
        note="Generated; training sequences are new in every epoch.",
        counts=dict(EXAMPLES),
    )
    return Splits(*parts, info)


def train(config, run):
    """Trains, and scores the best epoch and two baselines on the test split.

    Args:
        config: Config.
        run: common.runs.run.Run, opened.

    Returns:
        The content of the run's metrics.json.
    """
    import keras

    from common.basics.backend import jit_compile, seed_everything
    from common.explain.lags import gradient_by_lag
    from common.layers.schedules import one_cycle
    from common.training.batches import ArrayBatches
    from common.training.finish import finish
    from common.training.fit import fit
    from common.training.generated import GeneratedBatches

    from . import baselines
    from .model import build_model, loss_of, sequences_solved
    from .problems import PROBLEMS

    splits = run.load(load_data)
    run.record_environment(splits.info)
    seed_everything(config.seed, run.options.deterministic)

    def make(count, random):
        return PROBLEMS[config.task](count, config.length, random)

    train_batches = GeneratedBatches(
        make, count=config.epoch_examples, batch_size=config.batch_size, seed=config.seed
    )
    validation = ArrayBatches(splits.val.x, splits.val.y, batch_size=500)

    learning_rate = config.learning_rate
    if config.schedule == "one_cycle":
        learning_rate = one_cycle(learning_rate, config.epochs * train_batches.num_batches)
    model = build_model(config)
    optimizer = keras.optimizers.Adam(
        learning_rate,
        global_clipnorm=config.clip_norm,
        weight_decay=config.weight_decay or None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(
        optimizer=optimizer,
        loss=loss_of(config.task),
        metrics=[sequences_solved],
        jit_compile=jit_compile(),
    )

    def reach():
        return gradient_by_lag(model.get_layer("recurrent"), splits.val.x[:64])

    # Of the weights that the seed alone makes: a run that goes on finds the same.
    start = None if run.is_trial else reach()
    keeper = fit(model, run, train_batches, validation, epochs=config.epochs)
    more = None
    if not run.is_trial:
        more = {
            "steps": keeper.epochs_done * train_batches.num_batches,
            "solved_at_step": solved_at(keeper.history, config.task, train_batches.num_batches),
            "solved_means": SOLVED[config.task].words,
            "gradient_by_lag": {"start": start, "end": reach()},
        }
    return finish(
        TASK,
        model,
        run,
        splits,
        keeper,
        baselines=lambda model, outputs: baselines.rows(splits, outputs),
        more=more,
    )


@dataclass(frozen=True)
class Solved:
    """When a problem counts as solved: the first epoch after which a column of the history is past it."""

    column: str
    bar: float
    higher: bool
    words: str


SOLVED = {
    "adding": Solved("val_loss", 0.01, False, "mean squared error on validation below 0.01"),
    "order": Solved("val_sequences_solved", 0.99, True, "99 % of the validation sequences right"),
    "copy": Solved("val_sequences_solved", 0.99, True, "99 % of the validation sequences right"),
}


def solved_at(history, task, steps):
    """Returns the step after which a problem was solved, or None.

    Args:
        history: List of dicts, a row for each epoch.
        task: Name of the problem.
        steps: Per epoch.
    """
    rule = SOLVED[task]
    for epoch, row in enumerate(history, start=1):
        value = row[rule.column]
        if value >= rule.bar if rule.higher else value < rule.bar:
            return epoch * steps
    return None


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
