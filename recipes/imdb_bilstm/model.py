"""A bidirectional LSTM over word ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import layers, ops

from common.layers.fast_lstm import BidirectionalLSTM

if TYPE_CHECKING:
    from .train import Config


def build_model(config: Config, num_classes: int = 2) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Hyperparameters.
        num_classes: 2 makes one sigmoid output, more make a softmax.

    Returns:
        Model from int32 token ids `(n, tokens)`, 0 for padding at the end, of any length, to
        probabilities `(n, 1)` of class 1, or `(n, num_classes)`.
    """
    inputs = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(
        config.vocabulary_size, config.embedding_units, mask_zero=config.mask_padding
    )(inputs)
    # Whole embedding dimensions are dropped, not single numbers of single words.
    x = layers.SpatialDropout1D(config.embedding_dropout_rate)(x)
    # Keras' Bidirectional(LSTM), value for value, but faster on a CPU.
    x = BidirectionalLSTM(layers.LSTM(config.lstm_units, return_sequences=True))(x)
    if config.mask_padding:
        words = ops.expand_dims(ops.not_equal(inputs, 0), -1)
        counted = ops.cast(words, x.dtype)
        # As GlobalAveragePooling1D, value for value, but of no word at all the mean is 0, not NaN.
        pooled = ops.sum(x * counted, axis=1) / ops.maximum(ops.sum(counted, axis=1), 1.0)
    else:
        pooled = layers.GlobalAveragePooling1D()(x)
    if config.pooling == "mean_max":
        if config.mask_padding:
            # An LSTM's output lies between -1 and 1: padding at -1 never wins.
            x = ops.where(words, x, -1.0)
        pooled = layers.Concatenate()([pooled, ops.max(x, axis=1)])
    pooled = layers.Dropout(config.dropout_rate)(pooled)
    if num_classes == 2:
        outputs = layers.Dense(1, activation="sigmoid", name="probability")(pooled)
    else:
        outputs = layers.Dense(num_classes, activation="softmax", name="probabilities")(pooled)
    return keras.Model(inputs, outputs, name="imdb_bilstm")
