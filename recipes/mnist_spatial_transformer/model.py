"""A spatial transformer before a small convolutional network, and a plain network of its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers, ops

from .distortion import CANVAS, DIGIT

if TYPE_CHECKING:
    from .train import Config

KERNEL = 5
"""Height and width of the kernels, in pixels."""
REACH = 0.7
"""Largest movement of the window, as a share of half the image."""


def build_model(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Its `transformer` chooses between the two networks, its `distortion` the size of images.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, size, size, 1)`, values 0 to 255, to probabilities
        `(n, num_classes)`. Both networks have the same number of parameters, within 2 %. In that with a
        transformer the layer `transform` returns the affine transform and the layer `straightened` what
        the classifier sees.
    """
    size = CANVAS[config.distortion]
    inputs = keras.Input((size, size, 1), dtype="uint8", name="image")
    # Scaled inside the model: whoever loads it passes plain pixels.
    x = ops.cast(inputs, "float32") / 255.0
    filters, units = config.filters, config.units
    if config.transformer:
        x = Sampler(DIGIT, DIGIT, name="straightened")([x, _transform(x, config)])
    else:
        wanted = sum(map(sum, _transformer_parts(config, num_classes)))
        filters, units = plain_widths(config, num_classes, wanted)
    for count in filters:
        x = layers.Conv2D(count, KERNEL, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(units, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(config.dropout_rate)(x)
    outputs = layers.Dense(num_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="mnist_spatial_transformer")


def _transform(x, config):
    """The localisation network: where in the image to look (c, f), and in what form (a, b, d, e)."""
    if _halved(config):
        x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(config.localisation_filters, KERNEL, activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(config.localisation_filters, KERNEL, activation="relu")(x)
    size, count = x.shape[1], x.shape[3]
    # Every place of the map has a score; the softmax over places says where to look. A bias would add the
    # same to all scores, and change nothing.
    scores = ops.reshape(layers.Conv2D(1, 1, use_bias=False)(x), (-1, 1, size * size))
    shares = layers.Softmax(name="attention")(scores)
    line = np.linspace(-REACH, REACH, size, dtype="float32")
    places = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    place = ops.matmul(shares, places)[:, 0]
    seen = ops.matmul(shares, ops.reshape(x, (-1, size * size, count)))[:, 0]
    # With ReLU all units may die early: the window then has the same form in every image.
    seen = layers.Dense(config.localisation_units, activation="tanh")(seen)
    form = layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01))(seen)
    parts = ops.concatenate([form, place], axis=-1)
    start = DIGIT / CANVAS[config.distortion]
    return layers.Rescaling(1.0, offset=[start, 0.0, 0.0, 0.0, start, 0.0], name="transform")(
        ops.take(parts, np.array([0, 1, 4, 2, 3, 5]), axis=-1)
    )


def _halved(config):
    """Whether the localisation network looks at the image at half its resolution."""
    return CANVAS[config.distortion] > DIGIT


def _transformer_parts(config, num_classes):
    """Returns the parameters of each layer of the localisation network, and those of the classifier."""
    count, units = config.localisation_filters, config.localisation_units
    localisation = [
        _conv(1, count),
        _conv(count, count),
        count,  # scores
        _dense(count, units),
        _dense(units, 4),
    ]
    return localisation, _classifier_parts(DIGIT, config.filters, config.units, num_classes)


def _classifier_parts(size, filters, units, num_classes):
    counts, before = [], 1
    for count in filters:
        counts.append(_conv(before, count))
        size, before = (size - KERNEL + 1) // 2, count
    return [*counts, _dense(size * size * before, units), _dense(units, num_classes)]


def _conv(inputs, outputs):
    return KERNEL * KERNEL * inputs * outputs + outputs


def _dense(inputs, outputs):
    return (inputs + 1) * outputs


def plain_widths(config: Config, num_classes: int, wanted: int) -> tuple[tuple[int, ...], int]:
    """Returns the filters and units with which the plain network has as many parameters as wanted.

    It has the blocks of the classifier, and one more if the image leaves room for it.

    Args:
        config: Its `filters` are those of the classifier.
        num_classes: Size of the softmax.
        wanted: Parameters.
    """
    size, filters = CANVAS[config.distortion], config.filters
    for _ in filters:
        size = (size - KERNEL + 1) // 2
    if size >= 2 * KERNEL:
        filters = (*filters, filters[-1])

    def missing(units):
        parts = _classifier_parts(CANVAS[config.distortion], filters, units, num_classes)
        return wanted - sum(parts)

    units = max(round(missing(0) / (missing(0) - missing(1))), 1)
    return filters, units


@keras.saving.register_keras_serializable(package="mnist_spatial_transformer")
class Sampler(layers.Layer):
    """Reads an image at the places that an affine transform tells, between pixels linearly.

    Of images float32 `(n, height, width, channels)` and transforms `(n, 6)` it makes images
    `(n, rows, columns, channels)`. The gradient reaches both. Outside an image is 0.

    A transform a, b, c, d, e, f takes the result's pixel at (x, y) from (a x + b y + c, d x + e y + f).
    x and y are -1 at the first column and row of an image, 1 at the last.

    Args:
        rows, columns: Height and width of the result, in pixels, at least 2.
    """

    def __init__(self, rows: int, columns: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.columns = rows, columns

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rows": self.rows, "columns": self.columns}

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """As of Keras."""
        images, _ = input_shape
        return (images[0], self.rows, self.columns, images[3])

    def call(self, inputs: Any) -> keras.KerasTensor:
        """Returns the sampled images; `inputs` are images and transforms."""
        images, transforms = inputs
        _, height, width, channels = images.shape
        x, y = np.meshgrid(np.linspace(-1, 1, self.columns), np.linspace(-1, 1, self.rows))
        grid = np.stack([x.ravel(), y.ravel(), np.ones(x.size)]).astype("float32")
        places = ops.matmul(ops.reshape(transforms, (-1, 2, 3)), grid)
        # Counted in pixels of the image with a border of one zero pixel. What falls outside is clipped to
        # the border and becomes 0.
        x = ops.clip((places[:, 0] + 1) * ((width - 1) / 2) + 1, 0.0, width + 1.0)
        y = ops.clip((places[:, 1] + 1) * ((height - 1) / 2) + 1, 0.0, height + 1.0)
        left = ops.clip(ops.floor(x), 0.0, float(width))
        top = ops.clip(ops.floor(y), 0.0, float(height))
        x, y = (x - left)[..., None], (y - top)[..., None]
        # The four neighbours of a place lie side by side, so that one look-up fetches them all.
        shifts = [(0, 0), (0, 1), (1, 0), (1, 1)]
        padded = ops.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        parts = [padded[:, i : i + height + 1, j : j + width + 1] for i, j in shifts]
        size = (height + 1) * (width + 1)
        neighbours = ops.reshape(ops.concatenate(parts, axis=-1), (-1, 4 * channels))
        first = ops.arange(ops.shape(images)[0], dtype="int32")[:, None] * size
        index = ops.cast(top * (width + 1) + left, "int32") + first
        found = ops.take(neighbours, index, axis=0)
        a, b, c, d = (found[..., i * channels : (i + 1) * channels] for i in range(4))
        above, below = a + (b - a) * x, c + (d - c) * x
        return ops.reshape(above + (below - above) * y, (-1, self.rows, self.columns, channels))
