"""A network of the space: a stem, five chosen operations in three stages, a softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from common.layers.batch_norm import BatchNormalization

from .space import STAGES

if TYPE_CHECKING:
    from .train import Config


def build_model(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Its `operations` are the architecture, `width` the filters of all convolutions.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, 32, 32, 3)`, values 0 to 255, to probabilities
        `(n, num_classes)`.
    """
    inputs = keras.Input((32, 32, 3), dtype="uint8", name="image")

    def operation(place, x):
        word = config.operations[place]
        if word == "skip":
            return x
        name = f"place{place + 1}_{word}"
        if word == "pool":
            return pooling(name)(x)
        x = convolution(config.width, int(word[-1]), name)(x)
        # Batches are few in a short training: the default momentum of 0.99 would lag behind.
        x = BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return layers.Activation("relu")(x)

    def normalise(name):
        return BatchNormalization(momentum=0.9, name=name)

    outputs = body(inputs, config.width, num_classes, normalise, operation)
    return keras.Model(inputs, outputs, name="cifar10_nas")


def body(
    image: Any,
    width: int,
    num_classes: int,
    normalise: Callable[[str], layers.Layer],
    operation: Callable[[int, Any], Any],
) -> Any:
    """Returns the probabilities `(n, num_classes)`: all that a network and the supernet share.

    Args:
        image: uint8 `(n, 32, 32, 3)`.
        width: Filters everywhere, so that any operation can follow any other.
        num_classes: Size of the softmax.
        normalise: Returns a normalisation layer of a name.
        operation: Function of (place, 0-based, x) that returns a tensor of the shape of x.
    """
    x = ops.cast(image, "float32") / 255.0
    x = convolution(width, 3, "stem", strides=2)(x)
    x = layers.Activation("relu")(normalise("stem_norm")(x))
    place = 0
    for stage, count in enumerate(STAGES):
        if stage:
            x = layers.MaxPooling2D(2)(x)
        for _ in range(count):
            x = operation(place, x)
            place += 1
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(num_classes, activation="softmax", name="probabilities")(x)


def convolution(width: int, size: int, name: str, strides: int = 1) -> layers.Conv2D:
    """Returns a convolution of `size` x `size` pixels without a bias."""
    return layers.Conv2D(
        width,
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )


def pooling(name: str) -> layers.AveragePooling2D:
    """Returns the average over 3 x 3 pixels, those inside the image, at every pixel."""
    return layers.AveragePooling2D(3, strides=1, padding="same", name=name)
