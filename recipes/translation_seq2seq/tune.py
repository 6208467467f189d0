"""What to search for translation_seq2seq.

    recipes tune translation_seq2seq --preset dates --method bayesian --trials 20
    make tune-translation_seq2seq METHOD=evolution TRIALS=50

Every Float has a step, so that a grid is possible. The beam and the length penalty are not searched
here: they need no training, and the report of every run compares them on the validation split.
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
        units=hp.Choice("units", multiples(base.units), default=base.units),
        attention=hp.Choice("attention", ["dot", "additive"]),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.5, step=0.1),
        label_smoothing=hp.Float("label_smoothing", 0.0, 0.2, step=0.1),
        learning_rate=hp.Float("learning_rate", 5e-4, 3.2e-2, step=2, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
