"""A multilayer perceptron over encoded columns that answers with a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from common.data.table_encoder import UNKNOWN, Layout

if TYPE_CHECKING:
    from .train import Config

DIABETES = Layout(numbers=10, missing=0, categories=())
"""What the columns of the diabetes table become."""


def build_model(
    config: Config, layout: Layout = DIABETES, mean: float = 0.0, scale: float = 1.0
) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Hyperparameters.
        layout: What stands where in a row.
        mean: Mean of the numbers to predict in the training split.
        scale: Their standard deviation. The last layer works in these units, and its answer is turned
            back into those of the table inside the model.

    Returns:
        Model from float32 rows `(n, layout.width)` to numbers `(n, 1)`. Numbers of a row are ranks in
        [0, 1] if the config has bins, else standardised. An id outside its column's range counts as
        unknown.
    """
    inputs = keras.Input((layout.width,), dtype="float32", name="columns")
    parts = []
    if layout.numbers:
        numbers = inputs[:, : layout.numbers]
        parts.append(in_bins(numbers, config.bins) if config.bins else numbers)
    ids_from = layout.numbers + layout.missing
    if layout.missing:
        parts.append(inputs[:, layout.numbers : ids_from])
    for place, size in enumerate(layout.categories):
        ids = ops.cast(inputs[:, ids_from + place], "int32")
        ids = ops.where(ops.logical_and(ids >= 0, ids < size), ids, UNKNOWN)
        parts.append(ops.one_hot(ids, size, dtype="float32"))
    x = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for depth in range(config.layers):
        x = layers.Dense(config.units, activation="relu", name=f"dense_{depth + 1}")(x)
        x = layers.Dropout(config.dropout_rate)(x)
    x = layers.Dense(1, name="standardised")(x)
    outputs = layers.Rescaling(scale, mean, name="answer")(x)
    return keras.Model(inputs, outputs, name="diabetes_mlp")


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


@keras.saving.register_keras_serializable(package="diabetes_mlp")
class ScaledError(keras.losses.Loss):
    """Mean squared or absolute error in units of the standard deviation of the targets.

    Always answering the mean has a squared error of about 1, whatever is predicted: euros or millimetres.

    Args:
        kind: "squared" or "absolute".
        scale: The standard deviation.
    """

    def __init__(self, kind: str, scale: float, name: str = "scaled_error", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.kind, self.scale = kind, scale

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the error of each example, `(n,)`, of numbers `(n, 1)` in the table's units."""
        error = (ops.cast(y_true, y_pred.dtype) - y_pred) / self.scale
        return ops.mean(ops.square(error) if self.kind == "squared" else ops.abs(error), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "scale": self.scale}
