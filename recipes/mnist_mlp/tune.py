"""What to search for mnist_mlp.

    recipes tune mnist_mlp --method bayesian --trials 30
    make tune-mnist_mlp METHOD=evolution TRIALS=50

Every Float has a step, so that a grid is possible. Batch size and epochs are half, once and twice those
that the search starts from: other data needs others. Any other field of Config may be added: the values
a trial is given are those it trains with.
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
    # A multiple of the widths that the search starts from.
    width = hp.Choice("width", [0.25, 0.5, 1.0, 1.5])
    return replace(
        base,
        hidden=tuple(round(units * width) for units in base.hidden),
        batch_norm=hp.Boolean("batch_norm", default=base.batch_norm),
        learning_rate=hp.Float("learning_rate", 3e-4, 3e-2, step=10**0.25, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
        input_dropout_rate=hp.Float("input_dropout_rate", 0.0, 0.3, step=0.1),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.5, step=0.125),
        label_smoothing=hp.Choice("label_smoothing", [0.0, 0.05, 0.1]),
        weight_decay=hp.Float("weight_decay", 1e-3, 1e-1, step=10**0.5, sampling="log"),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
