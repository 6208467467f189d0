"""Two small convolutional networks for 28 x 28 grey images."""

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
    x = ops.cast(inputs, "float32") / 255.0
    x = _plain(x, config) if config.architecture == "plain" else _blocks(x, config)
    outputs = layers.Dense(
        num_classes, activation="softmax", dtype="float32", name="probabilities"
    )(x)
    return keras.Model(inputs, outputs, name="fashion_mnist_cnn")


def _plain(x, config):
    """The network of preset `article`: a convolution and a pooling per block, flatten, a dense layer."""
    for filters in config.filters:
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(config.dense_units, activation="relu")(x)
    return layers.Dropout(config.dropout_rate)(x)


def _blocks(x, config):
    """A 2 x 2 stem, then blocks that halve the image first and convolve the small one again.

    Pooling before the second convolution is what makes this affordable: at half the resolution a
    convolution costs a quarter. The stem without padding leaves 27 x 27 pixels, the blocks 13, 6
    and 3.
    """
    x = layers.Conv2D(config.stem_filters, 2, use_bias=False)(x)
    x = _normalised(x)
    for filters in config.filters:
        x = layers.MaxPooling2D(2)(_convolution(x, filters))
        x = _normalised(x)
        x = _normalised(_convolution(x, filters))
    x = layers.GlobalMaxPooling2D()(x)
    return layers.Dropout(config.dropout_rate)(x)


def _convolution(x, filters):
    return layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)


def _normalised(x):
    # Batches are few in a short training: the default momentum of 0.99 would lag behind.
    return layers.Activation("relu")(BatchNormalization(momentum=0.9)(x))
