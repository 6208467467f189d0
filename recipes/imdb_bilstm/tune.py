"""What to search for imdb_bilstm.

    recipes tune imdb_bilstm --method bayesian --trials 30
    make tune-imdb_bilstm METHOD=evolution TRIALS=50

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
    return replace(
        base,
        embedding_units=hp.Choice("embedding_units", [32, 64, 128]),
        lstm_units=hp.Choice("lstm_units", [16, 32, 64]),
        pooling=hp.Choice("pooling", ["mean", "mean_max"]),
        word_dropout_rate=hp.Float("word_dropout_rate", 0.0, 0.3, step=0.15),
        embedding_dropout_rate=hp.Float("embedding_dropout_rate", 0.0, 0.5, step=0.25),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.5, step=0.25),
        learning_rate=hp.Float("learning_rate", 5e-4, 6.4e-2, step=2, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
