"""What to search for photos_transfer.

    recipes tune photos_transfer --method bayesian --trials 30
    make tune-photos_transfer METHOD=evolution TRIALS=50

Every Float has a step, so that a grid is possible. Batch size and epochs are half, once and twice those
that the search starts from: other data needs others. Any other field of Config may be added: the values
a trial is given are those it trains with. The features of a backbone are computed by the first trial.
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
        learning_rate=hp.Float("learning_rate", 1e-4, 1e-2, step=10**0.25, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.5, step=0.125),
        label_smoothing=hp.Choice("label_smoothing", [0.0, 0.05, 0.1]),
        crop=hp.Float("crop", 0.0, 0.6, step=0.15),
        weight_decay=hp.Float("weight_decay", 1e-3, 1e-1, step=10**0.5, sampling="log"),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
