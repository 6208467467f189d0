"""What to search for cifar10_adversarial: it goes by the accuracy under PGD-20 on validation.

    recipes tune cifar10_adversarial --method bayesian --trials 20
    make tune-cifar10_adversarial METHOD=evolution TRIALS=30

Every Float has a step, so that a grid is possible. Batch size and epochs are half, once and twice those
that the search starts from: other data needs others. Epsilon is the task and is not searched.
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
    # What one step moves, as a share of epsilon: steps must be able to reach it.
    share = hp.Float("share", 0.2, 0.5, step=0.1)
    return replace(
        base,
        filters=tuple(round(filters * width) for filters in base.filters),
        attack_steps=hp.Choice("attack_steps", [3, 5, 7], default=5),
        fgsm_share=hp.Float("fgsm_share", 0.0, 0.8, step=0.2),
        step_size=min(share * base.epsilon, 1.0),
        learning_rate=hp.Float("learning_rate", 3e-4, 1e-2, step=10**0.25, sampling="log"),
        weight_decay=hp.Float("weight_decay", 1e-5, 1e-2, step=10**0.5, sampling="log"),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
