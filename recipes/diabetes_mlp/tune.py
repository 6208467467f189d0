"""What to search for diabetes_mlp.

    recipes tune diabetes_mlp --method bayesian --trials 30 --folds 5
    make tune-diabetes_mlp METHOD=evolution TRIALS=50 FOLDS=5

How columns are prepared is searched together with the network. Every Float has a step, so that a grid is
possible. Any other field of Config may be added: the values a trial is given are those it trains with.
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
        bins=hp.Choice("bins", [0, 4, 16, 32]),
        units=hp.Choice("units", [16, 32, 64, 128, 256]),
        layers=hp.Choice("layers", [1, 2, 3]),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.6, step=0.15),
        weight_decay=hp.Choice("weight_decay", [0.0, 0.01, 0.05, 0.2]),
        learning_rate=hp.Float("learning_rate", 5e-4, 1.6e-2, step=2, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
