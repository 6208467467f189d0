"""What to search for omniglot_fewshot: it goes by the accuracy on tasks of a held-out alphabet.

    recipes tune omniglot_fewshot --method bayesian --trials 20
    make tune-omniglot_fewshot METHOD=evolution TRIALS=30

Every Float has a step, so that a grid is possible. Epochs are half, once and twice those that the search
starts from. Any other field of Config may be added.
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
    width = hp.Choice("width", [0.5, 1.0, 1.5])
    return replace(
        base,
        filters=tuple(round(filters * width) for filters in base.filters),
        way=hp.Choice("way", [5, 20, 60], default=60),
        rotation=hp.Float("rotation", 0.0, 30.0, step=7.5),
        learning_rate=hp.Float("learning_rate", 5e-4, 8e-3, step=2, sampling="log"),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
