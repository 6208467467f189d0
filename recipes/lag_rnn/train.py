"""RNN, GRU and LSTM on long lags: the answer at the end depends on hundreds of steps ago.

    recipes train lag_rnn                        a GRU adds two numbers marked in 200 steps
    recipes train lag_rnn --preset article       the RNN of the article it began from: not solved
    recipes train lag_rnn --preset sample        50 steps, under a minute
    recipes train lag_rnn --task order           or copy: two other problems

Nothing is downloaded: sequences are generated, new ones in every epoch, as a function of seed, epoch and
batch. The network is one recurrent and one dense layer. Every run measures how far back the gradient
reaches, before and after training. Times, with the spread over seeds: README.md beside this file.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from common import data
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
from common.runs.run import Run
from recipes.lag_rnn.task import Lag

TASK = Lag()


@dataclass(frozen=True)
class Config:
    """Hyperparameters. The defaults are those of the preset `article`."""

    seed: Seed = 0
    """Seed of initial weights and training sequences; validation and test have seeds of their own."""
    task: Literal["adding", "order", "copy"] = "adding"
    """Answer. adding: sum of two marked numbers; order: that of two symbols; copy: ten symbols again."""
    length: Annotated[int, AtLeast(4)] = 200
    """Steps of a sequence."""
    cell: Literal["rnn", "irnn", "gru", "lstm"] = "rnn"
    """rnn: tanh; irnn: ReLU, which starts as the identity (Le et al. 2015); gru; lstm."""
    units: PositiveInt = 64
    """Size of the state."""
    forget_bias: Literal["one", "zero", "chrono"] = "one"
    """Of the lstm at the start; chrono: log U(1, length - 1), with the negative at the input gate."""
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
    """Sequences of an epoch, all new; the network is validated after each epoch."""
    epochs: PositiveInt = 15
    """Number of epochs; no sequence comes twice."""

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
    "sample": replace(BEST, length=50, epochs=6),
}
EXAMPLES = {"train": 6_400, "validation": 2_000, "test": 2_000}
"""Sequences with seeds of their own. Baselines are fitted to those of train; no network sees them."""


def load_data(config: Config, source: data.Source) -> data.Splits:
    """Returns float32 sequences `(n, length, channels)` and the true answers to them.

    Raises:
        UsageError: The source is the user's own data.
    """
    if not source.built_in:
        raise UsageError(
            f"lag_rnn generates its sequences and reads none: leave out --data {source.data}"
        )
    import hashlib

    import numpy as np

    from .problems import ORDERS, PROBLEMS

    def split(part):
        # A training batch has a seed of three numbers, so one of four is never the same.
        random = np.random.default_rng([list(EXAMPLES).index(part), config.length, 0, 1997])
        return data.Split(*PROBLEMS[config.task](EXAMPLES[part], config.length, random))

    parts = [split(part) for part in EXAMPLES]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part.x).data)
        digest.update(np.ascontiguousarray(part.y).data)
    name = {"adding": "adding problem", "order": "temporal order", "copy": "copy problem"}
    info = data.DataInfo(
        name=f"{config.task}-{config.length}",
        version="1",
        # `--data sample` means the same: there is no real set that a sample stands in for.
        source="full",
        fingerprint=digest.hexdigest(),
        kind="sequence",
        class_names=ORDERS if config.task == "order" else (),
        label=f"{name[config.task]}, {config.length} steps",
        note="Generated; training sequences are new in every epoch.",
        counts=dict(EXAMPLES),
    )
    train, validation, test = parts
    return data.Splits(train, validation, test, info)


def train(config: Config, run: Run) -> dict[str, Any]:
    """Trains, and scores the best epoch and two baselines on the test split.

    Args:
        config: Hyperparameters.
        run: The run, opened.

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
    from .solved import SOLVED, solved_at

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

    # These weights depend on the seed alone, so a resumed run measures the same.
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


if __name__ == "__main__":
    from common.cli import run_script

    raise SystemExit(run_script(__file__))
