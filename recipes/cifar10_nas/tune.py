"""What to search for cifar10_nas: the architecture alone, 1,024 networks.

    recipes tune cifar10_nas --method evolution --trials 50
    make tune-cifar10_nas METHOD=random TRIALS=50

Width, rates and epochs are those that the search starts from: what differs between two trials is the
architecture and nothing else. Any other field of Config may be added.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
    return replace(base, operations=tuple(operations))


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
