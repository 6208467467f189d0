"""A backbone that was trained on other images, and a linear head on its features."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from common.basics.errors import UsageError, near_match
from common.layers.batch_norm import BatchNormalization

if TYPE_CHECKING:
    from .train import Config

HEAD = "probabilities"
"""Name of the last layer."""


def build_model(config: Config, num_classes: int = 5) -> keras.Model:
    """Builds the network, uncompiled, with random weights, which `pretrained.py` replaces.

    `trainable` of each layer is set here, because it counts from the moment a network is compiled.

    Args:
        config: `backbone`, `width` and `image_size` make the network, `transfer` says which of its
            layers are trained.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, image_size, image_size, 3)`, values 0 to 255, to probabilities
        `(n, num_classes)`.

    Raises:
        UsageError: Keras has no such backbone, or has it not in this width or for this size.
    """
    size = config.image_size
    inputs = keras.Input((size, size, 3), dtype="uint8", name="image")
    features = _small(inputs) if config.backbone == "small" else _published(inputs, config)
    for layer in keras.Model(inputs, features).layers:
        statistics = isinstance(layer, layers.BatchNormalization)
        if config.transfer == "scratch" and statistics:
            # Published networks average their statistics over a thousand steps: a short training
            # would end with those of its beginning.
            layer.momentum = 0.9
        # Batch normalisation that is not trainable also keeps its statistics, whatever the batch.
        layer.trainable = config.transfer == "scratch" or (
            config.transfer == "fine_tune" and not statistics
        )
    x = layers.Dropout(config.dropout_rate)(features) if config.dropout_rate else features
    outputs = layers.Dense(num_classes, activation="softmax", dtype="float32", name=HEAD)(x)
    return keras.Model(inputs, outputs, name="photos_transfer")


def backbone_of(model: keras.Model) -> keras.Model:
    """Returns the part of a network from images to features `(n, units)`; both share their layers."""
    return keras.Model(model.inputs, model.get_layer(HEAD).input, name="backbone")


def application(name: str) -> Callable[..., keras.Model]:
    """Returns the function of `keras.applications` that makes a backbone.

    Raises:
        UsageError: There is no network of that name.
    """
    names = [name for name in dir(keras.applications) if name[0].isupper()]
    if name not in names:
        raise UsageError(
            f"backbone must be 'small' or a network of keras.applications, got '{name}'"
            f"{near_match(name, names)} (there are: {', '.join(names)})"
        )
    return getattr(keras.applications, name)


def call(config: Config, **options: Any) -> keras.Model:
    """Returns a backbone of `keras.applications`, without its own head.

    Args:
        config: `backbone` and `width` count.
        **options: More arguments of Keras: `weights`, `input_shape` or `input_tensor`.

    Raises:
        UsageError: Keras refuses these arguments.
    """
    make = application(config.backbone)
    if "alpha" in inspect.signature(make).parameters:
        options["alpha"] = config.width
    try:
        return make(include_top=False, pooling="avg", **options)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"backbone {config.backbone}, width {config.width}: {reason}") from error


def _published(inputs, config):
    # Each family wants pixels in a form of its own; the function for it is beside the network.
    module = sys.modules[application(config.backbone).__module__]
    pixels = module.preprocess_input(ops.cast(inputs, "float32"))
    return call(config, weights=None, input_tensor=pixels).output


def _small(inputs):
    """The backbone trained on the spot: three convolutions, then means over a grid of 4 x 4 places."""
    x = ops.cast(inputs, "float32") / 255.0
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(BatchNormalization(momentum=0.9)(x))
    # Digits are centred: where a stroke is tells more than that it is there.
    return layers.Flatten()(layers.AveragePooling2D(max(x.shape[1] // 4, 1))(x))
