"""What to search for cifar10_nas: the architecture, 1,024 networks; batch size and epochs.

    recipes tune cifar10_nas --method evolution --trials 50 --fix epochs=10 batch_size=128
    make tune-cifar10_nas METHOD=random TRIALS=50

With batch size and epochs fixed, what differs between two trials is the architecture and nothing else.
Otherwise they are half, once and twice those that the search starts from: other data needs others. Any
other field of Config may be added.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from common.tuning.space import multiples

from .space import OPERATIONS

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

    from .train import Config


def search_space(hp: HyperParameters, base: Config) -> Config:
    """Returns the Config of a point of the space.

    Args:
        hp: Asking it for a value declares the hyperparameter.
        base: What the search starts from; fields not named here keep its values.
    """
    operations = [
        hp.Choice(f"operation_{place}", list(OPERATIONS), default=word)
        for place, word in enumerate(base.operations, start=1)
    ]
    return replace(
        base,
        operations=tuple(operations),
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
