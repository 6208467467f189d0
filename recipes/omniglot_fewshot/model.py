"""Four small convolutions that turn an image of a character into a point, its embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from .form import SIZE, WAY

if TYPE_CHECKING:
    from .train import Config


def build_model(config: Config, num_classes: int | None = None) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Its `learner` says what comes out, `filters`, `pooled` and `normalisation` what is inside.
        num_classes: Not used: the classes are those of a task.

    Returns:
        Model from uint8 images `(n, 28, 28, 1)`, bright strokes on black, to embeddings
        `(n, features)`; for the methods that adapt the weights to logits `(n, 5)`.
    """
    inputs = keras.Input((SIZE, SIZE, 1), dtype="uint8", name="image")
    x = ops.cast(inputs, "float32") / 255.0
    for index, filters in enumerate(config.filters):
        pooled = index < config.pooled
        x = layers.Conv2D(filters, 3, 1 if pooled else 2, padding="same", use_bias=False)(x)
        x = _normalisation(config)(x)
        x = layers.Activation("relu")(x)
        if pooled:
            x = layers.MaxPooling2D(2)(x)
    outputs = layers.Flatten(name="embedding")(x)
    if config.learner != "prototypes":
        outputs = layers.Dense(WAY, name="logits")(outputs)
    return keras.Model(inputs, outputs, name="omniglot_fewshot")


def _normalisation(config):
    if config.learner == "prototypes" and config.normalisation == "batch":
        # An epoch has few steps: the running averages must follow.
        return layers.BatchNormalization(momentum=0.9)
    return ImageNormalisation()


@keras.saving.register_keras_serializable(package="omniglot_fewshot")
class ImageNormalisation(layers.Layer):
    """Gives each image mean 0 and variance 1, then each channel a learnt scale and shift.

    It depends on no other image of the batch. Channels are not normalised by themselves: that would lose
    how strongly each answers, nearly all there is to know in the last maps, of 2 x 2 places. It is built
    from means alone: the layers of Keras use moments, whose second derivative is wrong on TensorFlow.

    Args:
        epsilon: Added to the variance.
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="shift")

    def call(self, images: Any) -> Any:
        """Returns images `(n, height, width, channels)`, normalised."""
        centred = images - ops.mean(images, axis=(1, 2, 3), keepdims=True)
        variance = ops.mean(centred * centred, axis=(1, 2, 3), keepdims=True)
        return self.scale * centred / ops.sqrt(variance + self.epsilon) + self.shift

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}
