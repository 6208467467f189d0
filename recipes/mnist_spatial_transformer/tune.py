"""What to search for mnist_spatial_transformer.

    recipes tune mnist_spatial_transformer --method bayesian --trials 30
    recipes tune mnist_spatial_transformer --preset plain --trials 30

The same space serves the network without a transformer, whose layers grow with those of the transformer.
Every Float has a step, so that a grid is possible. Batch size and epochs are half, once and twice those
that the search starts from: other data needs others. Not with `--folds`: the digits of train are upright.
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
    # Multiples of the widths that the search starts from.
    width = hp.Choice("width", [0.5, 0.75, 1.0, 1.5])
    localisation = hp.Choice("localisation_width", [0.5, 1.0, 1.5])
    return replace(
        base,
        filters=tuple(round(filters * width) for filters in base.filters),
        localisation_filters=round(base.localisation_filters * localisation),
        learning_rate=hp.Float("learning_rate", 3e-4, 1e-2, step=10**0.25, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.5, step=0.125),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
