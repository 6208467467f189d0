"""A multilayer perceptron over encoded columns: numbers, marks of missing ones, ids of categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers, ops

from common.data.table_encoder import UNKNOWN, Layout

if TYPE_CHECKING:
    from .train import Config

ADULT = Layout(numbers=6, missing=0, categories=(9, 17, 8, 15, 7, 6, 3, 41))
"""What the columns of the census table become."""


def build_model(config: Config, num_classes: int = 2, layout: Layout = ADULT) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Hyperparameters.
        num_classes: 2 makes one sigmoid output, more make a softmax.
        layout: What stands where in a row.

    Returns:
        Model from float32 rows `(n, layout.width)` to probabilities `(n, 1)` of class 1, or
        `(n, num_classes)`. Numbers are ranks in [0, 1] if the config has bins, else standardised. An id
        outside its column's range counts as unknown.
    """
    inputs = keras.Input((layout.width,), dtype="float32", name="columns")
    parts = []
    if layout.numbers:
        numbers = inputs[:, : layout.numbers]
        if config.bins:
            numbers = in_bins(numbers, config.bins)
        parts.append(numbers)
    ids_from = layout.numbers + layout.missing
    if layout.missing:
        parts.append(inputs[:, layout.numbers : ids_from])
    for place, size in enumerate(layout.categories):
        ids = ops.cast(inputs[:, ids_from + place], "int32")
        ids = ops.where(ops.logical_and(ids >= 0, ids < size), ids, UNKNOWN)
        if config.embedding_units:
            units = min(config.embedding_units, size)
            parts.append(layers.Embedding(size, units, name=f"category_{place + 1}")(ids))
        else:
            parts.append(ops.one_hot(ids, size, dtype="float32"))
    x = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for depth in range(config.layers):
        x = layers.Dense(config.units, activation="relu", name=f"dense_{depth + 1}")(x)
        x = layers.Dropout(config.dropout_rate)(x)
    if num_classes == 2:
        outputs = layers.Dense(1, activation="sigmoid", name="probability")(x)
    else:
        outputs = layers.Dense(num_classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name="adult_mlp")


def in_bins(ranks: keras.KerasTensor, bins: int) -> keras.KerasTensor:
    """Encodes ranks piecewise linearly (Gorishniy et al. 2022): of each bin, how much of it lies below.

    With 4 bins 0.6 becomes 1, 1, 0.4, 0. So a dense layer can draw any curve with bends at the quantiles.

    Args:
        ranks: Numbers `(n, columns)` in [0, 1].
        bins: Number of bins, of equal width.

    Returns:
        `(n, columns * bins)`.
    """
    starts = ops.arange(bins, dtype="float32")
    parts = ops.clip(ops.expand_dims(ranks, -1) * bins - starts, 0.0, 1.0)
    return ops.reshape(parts, (-1, ranks.shape[1] * bins))
