"""What to search for fashion_mnist_cnn.

    recipes tune fashion_mnist_cnn --method bayesian --trials 30
    make tune-fashion_mnist_cnn METHOD=evolution TRIALS=50

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
    optimizer = hp.Choice("optimizer", ["sgd", "adam", "muon"])
    # What is a good learning rate, or decay, for one optimizer is not for the other.
    with hp.conditional_scope("optimizer", ["sgd"]):
        if optimizer == "sgd":
            learning_rate = hp.Float("sgd_rate", 0.02, 0.64, step=2, sampling="log")
            weight_decay = hp.Float("sgd_decay", 1e-3, 1e-2, step=10**0.5, sampling="log")
    with hp.conditional_scope("optimizer", ["adam"]):
        if optimizer == "adam":
            learning_rate = hp.Float("adam_rate", 5e-4, 1.6e-2, step=2, sampling="log")
            weight_decay = hp.Float("adam_decay", 1e-3, 1e-1, step=10, sampling="log")
    with hp.conditional_scope("optimizer", ["muon"]):
        if optimizer == "muon":
            learning_rate = hp.Float("muon_rate", 0.005, 0.08, step=2, sampling="log")
            weight_decay = hp.Float("muon_decay", 0.0125, 0.2, step=2, sampling="log")
    # A multiple of the widths that the search starts from.
    width = hp.Choice("width", [0.5, 1.0, 1.5])
    return replace(
        base,
        stem_filters=round(base.stem_filters * width),
        filters=tuple(round(filters * width) for filters in base.filters),
        optimizer=optimizer,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        batch_size=hp.Choice("batch_size", multiples(base.batch_size), default=base.batch_size),
        epochs=hp.Choice("epochs", multiples(base.epochs), default=base.epochs),
        dropout_rate=hp.Float("dropout_rate", 0.0, 0.5, step=0.25),
        label_smoothing=hp.Choice("label_smoothing", [0.0, 0.1]),
        shift=hp.Choice("shift", [0, 1, 2, 4]),
    )


if __name__ == "__main__":
    from common.cli import tune_script

    raise SystemExit(tune_script(__file__))
