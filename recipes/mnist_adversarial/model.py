"""A small convolutional network for 28 x 28 grey images, without normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers, ops

if TYPE_CHECKING:
    from .train import Config


def build_model(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Names its filters and units.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, 28, 28, 1)`, values 0 to 255, to probabilities
        `(n, num_classes)`.
    """
    inputs = keras.Input((28, 28, 1), dtype="uint8", name="image")
    x = ops.cast(inputs, "float32") / 255.0
    for filters in config.filters:
        # Strides instead of pooling: an attack is one pass more for each of its steps.
        x = layers.Conv2D(filters, 4, strides=2, padding="same", activation="relu")(x)
    x = layers.Dense(config.units, activation="relu")(layers.Flatten()(x))
    # The softmax is a layer of its own: attacks and their training take the logits.
    x = layers.Dense(num_classes, name="logits")(x)
    outputs = layers.Activation("softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="mnist_adversarial")
