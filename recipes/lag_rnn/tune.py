"""What to search for lag_rnn.

    recipes tune lag_rnn --method bayesian --trials 30
    make tune-lag_rnn METHOD=evolution TRIALS=50

Every Float has a step, so that a grid is possible. Batch size and epochs are half, once and twice those
that the search starts from. Any other field of Config may be added: the values a trial is given are those
it trains with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from common.tuning.space import multiples

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

    from .train import Config


def search_space(hp: HyperParameters, base: Config) -> Config:
    """Returns the Config of a point of the space.

    Args:
        hp: Asking it for a value declares the hyperparameter.
        base: What the search starts from; fields not named here keep its values.
    """
    cell = hp.Choice("cell", ["rnn", "irnn", "gru", "lstm"], default=base.cell)
    with hp.conditional_scope("cell", ["lstm"]):
        forget_bias = hp.Choice("forget_bias", ["one", "zero", "chrono"], default=base.forget_bias)
    return replace(
        base,
        cell=cell,
        forget_bias=forget_bias if cell == "lstm" else base.forget_bias,
        units=hp.Choice("units", [32, 64, 128], default=64),
        learning_rate=hp.Float("learning_rate", 5e-4, 1.6e-2, step=2, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
