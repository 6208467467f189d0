"""What to search for spoken_digit_rnn.

    recipes tune spoken_digit_rnn --method bayesian --trials 30 --validate-on speaker
    make tune-spoken_digit_rnn METHOD=evolution TRIALS=50

With `--validate-on speaker`, a trial is judged on people it has not heard. Every Float has a step, so
that a grid is possible. Batch size and epochs are half, once and twice those that the search starts from:
other data needs others. Any other field of Config may be added: the values a trial is given are those it
trains with.
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
    return replace(
        base,
        cell=hp.Choice("cell", ["gru", "lstm", "rnn"]),
        units=hp.Choice("units", [32, 64, 96, 128]),
        layers=hp.Choice("layers", [1, 2, 3]),
        normalise=hp.Choice("normalise", ["none", "mean"]),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.5, step=0.125),
        speed=hp.Float("speed", 0.0, 0.3, step=0.1),
        noise=hp.Choice("noise", [0.0, 0.02, 0.05, 0.1]),
        learning_rate=hp.Float("learning_rate", 1e-3, 1.6e-2, step=2, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
