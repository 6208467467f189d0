"""What to search for mnist_private: how to spend a given epsilon.

    recipes tune mnist_private --method bayesian --trials 20
    make tune-mnist_private METHOD=evolution TRIALS=30

The guarantee of a winner does not cover the search: its trials see the same images. Search on other
images of the kind, or take what others found. Every Float has a step, so that a grid is possible.
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
    clip = base.clip_norm
    if clip is not None:
        clip = hp.Float("clip_norm", 0.01, 10.0, step=10**0.5, sampling="log")
    # The mean of gradients is as long as they are: what a step moves is the product of both.
    pace = hp.Float("pace", 0.1, 10.0, step=10**0.25, sampling="log")
    return replace(
        base,
        clip_norm=clip,
        learning_rate=pace / clip if clip else pace,
        momentum=hp.Choice("momentum", [0.0, 0.9], default=0.9),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
