"""A multi-layer perceptron: hidden layers that each see all of the one before, and a softmax."""

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
        config: Hyperparameters.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, 28, 28, 1)`, values 0 to 255, to probabilities
        `(n, num_classes)`.
    """
    inputs = keras.Input((28, 28, 1), dtype="uint8", name="image")
    # Scaled inside the model: whoever loads it passes plain pixels.
    x = layers.Flatten()(ops.cast(inputs, "float32") / 255.0)
    if config.input_dropout_rate:
        x = layers.Dropout(config.input_dropout_rate)(x)
    for index, units in enumerate(config.hidden):
        dense = _dense(config, units, f"hidden_{index + 1}")
        if not config.residual:
            x = _activated(dense(x), config)
        elif index == 0:
            x = dense(x)
        else:
            # Normalised and activated before the layer, so that the sum passes through untouched.
            x = x + dense(_activated(x, config))
    if config.residual:
        x = _activated(x, config)
    outputs = layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")
    return keras.Model(inputs, outputs(x), name="mnist_mlp")


def _dense(config, units, name):
    return layers.Dense(
        units,
        use_bias=not config.batch_norm,
        kernel_initializer=config.initializer,
        kernel_regularizer=keras.regularizers.L1L2(config.l1, config.l2)
        if config.l1 or config.l2
        else None,
        # Axis 0: each column of a kernel leads into one unit.
        kernel_constraint=keras.constraints.MaxNorm(config.max_norm, axis=0)
        if config.max_norm
        else None,
        name=name,
    )


def _activated(x, config):
    if config.batch_norm:
        # Batches are few in a short training: the default momentum of 0.99 would lag behind.
        x = BatchNormalization(momentum=0.9)(x)
    x = layers.Activation(config.activation)(x)
    if config.dropout_rate:
        dropout = layers.AlphaDropout if config.activation == "selu" else layers.Dropout
        x = dropout(config.dropout_rate)(x)
    return x
