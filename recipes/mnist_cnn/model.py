"""Two small convolutional networks for 28 x 28 grey images of digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers, ops

from common.layers.batch_norm import BatchNormalization

if TYPE_CHECKING:
    from .train import Config


def build_model(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Its `architecture` chooses between the two networks.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, 28, 28, 1)`, values 0 to 255, to probabilities
        `(n, num_classes)`.
    """
    inputs = keras.Input((28, 28, 1), dtype="uint8", name="image")
    # Scaled inside the model: whoever loads it passes plain pixels.
    x = ops.cast(inputs, "float32") / 255.0
    x = _plain(x, config) if config.architecture == "plain" else _strided(x, config)
    x = layers.Dropout(config.dropout_rate)(x)
    outputs = layers.Dense(num_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="mnist_cnn")


def _plain(x, config):
    """The network of preset `article`: two convolutions a block, pooling between, global average."""
    for block, filters in enumerate(config.filters):
        if block:
            x = layers.MaxPooling2D(2)(x)
        for _ in range(2):
            x = layers.Conv2D(filters, 3, activation="relu")(x)
    return layers.GlobalAveragePooling2D()(x)


def _strided(x, config):
    """A batch-normalised network that shrinks the image at once: 13 x 13, 11 x 11, 5, 3, 1 pixels.

    A digit keeps its shape at half the resolution, where a convolution costs a quarter. The last
    convolution covers what is left, so no pooling averages its places away.
    """
    stem, *filters = config.filters
    x = _normalised(layers.Conv2D(stem, 4, strides=2, use_bias=False)(x))
    for index, count in enumerate(filters):
        x = _normalised(layers.Conv2D(count, 3, use_bias=False)(x))
        if index == 0:
            x = layers.MaxPooling2D(2)(x)
        if index < len(filters) - 1:
            # Between convolutions neighbouring pixels carry much the same: a third is enough.
            x = layers.Dropout(config.dropout_rate / 3)(x)
    return layers.Flatten()(x)


def _normalised(x):
    # Batches are few in a short training: the default momentum of 0.99 would lag behind.
    return layers.Activation("relu")(BatchNormalization(momentum=0.9)(x))
