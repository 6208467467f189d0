"""A linear model on fixed wavelet features, or a small convolutional network with tanh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers, ops

from common.layers.scattering import Scattering

if TYPE_CHECKING:
    from .train import Config

FEATURES = "features"
"""Name of the last layer that learns nothing, if there is one."""


def build_model(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: `features` names the network; `groups`, `filters` and `units` are its sizes.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, 28, 28, 1)`, values 0 to 255, to probabilities
        `(n, num_classes)`.
    """
    inputs = keras.Input((28, 28, 1), dtype="uint8", name="image")
    x = ops.cast(inputs, "float32") / 255.0
    x = _scattering(x, config.groups) if config.features == "scattering" else _tanh(x, config)
    # The softmax is a layer of its own: the gradients of single examples take the logits.
    x = layers.Dense(num_classes, name="logits")(x)
    outputs = layers.Activation("softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="mnist_private")


def learned_from(model: keras.Model) -> keras.KerasTensor:
    """Returns the tensor from which on a network learns: its features, or its input."""
    names = [layer.name for layer in model.layers]
    return model.get_layer(FEATURES).output if FEATURES in names else model.inputs[0]


def fixed_part(model: keras.Model) -> keras.Model:
    """Returns the part of a network that learns nothing: from images to what it learns from."""
    return keras.Model(model.inputs, learned_from(model))


def _scattering(x, groups):
    x = Scattering()(x)
    # Each image by itself: a mean over images would be one more thing that the guarantee must cover.
    x = layers.GroupNormalization(groups, epsilon=1e-5, center=False, scale=False)(x)
    return layers.Flatten(name=FEATURES)(x)


def _tanh(x, config):
    """Convolutions and pooling. Tanh bounds what a layer gives on: gradients stay short."""
    for filters, size, padding in zip(config.filters, (8, 4), ("same", "valid"), strict=True):
        x = layers.Conv2D(filters, size, strides=2, padding=padding)(x)
        x = layers.MaxPooling2D(2, strides=1)(layers.Activation("tanh")(x))
    return layers.Activation("tanh")(layers.Dense(config.units)(layers.Flatten()(x)))
