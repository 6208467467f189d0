"""The CIFAR-10 networks of He et al. 2015, "Deep Residual Learning", section 4.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers, ops

from common.layers.batch_norm import BatchNormalization

if TYPE_CHECKING:
    from .train import Config


def build_model(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the residual network of depth 6 n + 2, or the plain one of the same depth, uncompiled.

    A 3 x 3 convolution, then three stages of n blocks of two convolutions with 16, 32 and 64 filters
    on 32 x 32, 16 x 16 and 8 x 8 maps, global average pooling, softmax.

    Args:
        config: Hyperparameters.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, 32, 32, 3)`, values 0 to 255, to probabilities
        `(n, num_classes)`.
    """
    inputs = keras.Input((32, 32, 3), dtype="uint8", name="image")
    # He et al. subtract the mean image. Constants near the data's mean and deviation do as well and
    # keep the model free of data.
    x = (ops.cast(inputs, "float32") - 120.0) / 64.0
    x = layers.Activation("relu")(_convolution(x, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(config.blocks_per_stage):
            strides = 2 if stage > 0 and block == 0 else 1
            x = _block(x, filters, strides, config)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(
        num_classes, activation="softmax", dtype="float32", name="probabilities"
    )(x)
    return keras.Model(inputs, outputs, name=f"cifar10_resnet{6 * config.blocks_per_stage + 2}")


def _convolution(x, filters, strides=1, kernel_size=3, zero_gamma=False):
    """Convolution and batch normalisation."""
    # Symmetric padding as in the paper: "same" with stride 2 would pad on one side only.
    if kernel_size > 1:
        x = layers.ZeroPadding2D(1)(x) if strides > 1 else x
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="valid" if strides > 1 else "same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)
    return BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer="zeros" if zero_gamma else "ones"
    )(x)


def _block(x, filters, strides, config):
    shortcut = x
    x = layers.Activation("relu")(_convolution(x, filters, strides))
    x = _convolution(x, filters, zero_gamma=config.zero_gamma and config.residual)
    if config.residual:
        if strides > 1:
            if config.shortcut == "A":
                # Every second pixel, and zeros for the new channels: no parameters. (Pooling over
                # one pixel has a faster gradient than a slice.)
                shortcut = layers.MaxPooling2D(1, strides=2)(shortcut)
                missing = filters - shortcut.shape[-1]
                shortcut = ops.pad(
                    shortcut, ((0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2))
                )
            else:
                shortcut = _convolution(shortcut, filters, strides, kernel_size=1)
        x = layers.Add()([x, shortcut])
    return layers.Activation("relu")(x)
