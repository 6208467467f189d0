"""A residual network for 32 x 32 colour images, without normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

if TYPE_CHECKING:
    from .train import Config


def build_model(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Names its filters.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, 32, 32, 3)`, values 0 to 255, to probabilities
        `(n, num_classes)`.
    """
    inputs = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = ops.cast(inputs, "float32") / 255.0 - 0.5
    x = _convolution(config.filters[0], 4, 2)(x)
    for stage, filters in enumerate(config.filters):
        if stage:
            x = _convolution(filters, 3, 2)(_leaky(x))
        x = _residual(x, filters)
    x = layers.GlobalAveragePooling2D()(_leaky(x))
    # The softmax is a layer of its own: attacks and their training take the logits.
    x = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    outputs = layers.Activation("softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="cifar10_adversarial")


def _residual(x: Any, filters: int) -> Any:
    """Two convolutions beside a shortcut. The second one begins at 0, so that the block is the identity.

    That takes the place of normalisation (Zhang et al. 2019, Fixup): an attack would see other statistics
    than the training on what it found.
    """
    inner = _convolution(filters, 3, 1)(_leaky(x))
    inner = _convolution(filters, 3, 1, "zeros")(_leaky(inner))
    return layers.Add()([x, inner])


def _leaky(x: Any) -> Any:
    # A plain rectifier can die for all images while the attack is stronger than the network.
    return layers.LeakyReLU(0.1)(x)


def _convolution(filters: int, size: int, strides: int, start: str = "he_normal") -> layers.Layer:
    return layers.Conv2D(filters, size, strides, padding="same", kernel_initializer=start)
