"""The encoder: reads the source, and returns what the decoder starts from and may look at."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
from keras import layers, ops

from common.layers.decoding import PADDING
from common.layers.fast_lstm import BidirectionalLSTM

PACKAGE = "translation_seq2seq"

Tensor: TypeAlias = keras.KerasTensor
States: TypeAlias = list[list[Tensor]]
"""`[hidden, cell]`, `(n, units)` each, for each LSTM of the decoder."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Encoder(layers.Layer):
    """Reads the source.

    Args:
        vocabulary_size: Ids in all.
        embedding_units: Size of a token's vector.
        units: Size of each state, and of what is remembered of a token. With two directions the latter
            is rounded up to an even number.
        stacked: Number of LSTMs, one above the other.
        bidirectional: Whether each LSTM reads in both directions, with half of the units each. The
            decoder's first states are then computed from the memory. Otherwise the encoder reads
            forwards, and the decoder's first states are the encoder's last ones.
        reverse: Whether the last token is read first (Sutskever et al. 2014).
        dropout: Dropout rate after the embedding and between LSTMs.
        pieces: The tokens as text, in the order of their ids.
        **kwargs: As for keras.layers.Layer.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_units: int,
        units: int,
        *,
        stacked: int = 1,
        bidirectional: bool = True,
        reverse: bool = False,
        dropout: float = 0.0,
        pieces: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings = {
            "vocabulary_size": vocabulary_size,
            "embedding_units": embedding_units,
            "units": units,
            "stacked": stacked,
            "bidirectional": bidirectional,
            "reverse": reverse,
            "dropout": dropout,
            "pieces": list(pieces),
        }
        self.units, self.stacked = units, stacked
        self.bidirectional, self.reverse = bidirectional, reverse
        self.half = (units + 1) // 2
        self.memory_units = 2 * self.half if bidirectional else units
        self.pieces = list(pieces)
        self.embedding = embedding(vocabulary_size, embedding_units)
        self.dropout = layers.Dropout(dropout, name="dropout")
        if bidirectional:
            self.lstms = [
                BidirectionalLSTM(
                    layers.LSTM(self.half, return_sequences=True), name=f"lstm_{index}"
                )
                for index in range(stacked)
            ]
            self.bridges = [
                layers.Dense(2 * units, activation="tanh", name=f"bridge_{index}")
                for index in range(stacked)
            ]
        else:
            self.lstms = [
                layers.LSTM(units, return_sequences=True, return_state=True, name=f"lstm_{index}")
                for index in range(stacked)
            ]
            self.bridges = []

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Makes the weights."""
        self.embedding.build(shape)
        width = self.embedding.output_dim
        for lstm in self.lstms:
            lstm.build((*shape, width))
            width = self.memory_units
        for bridge in self.bridges:
            bridge.build((None, self.memory_units))

    def call(self, source: Tensor, training: bool = False) -> tuple[Tensor, Tensor, States]:
        """Reads sources.

        Args:
            source: int32 `(n, source)`.
            training: Whether dropout takes place.

        Returns:
            The memory of each token, `(n, source, memory_units)`; which tokens are no padding, bool
            `(n, source)`; and the decoder's first states.
        """
        words = ops.not_equal(source, PADDING)
        if self.reverse:
            source = reversed_ids(source, words)
        x = self.dropout(self.embedding(source), training=training)
        states = []
        for index, lstm in enumerate(self.lstms):
            if index:
                x = self.dropout(x, training=training)
            if not self.bidirectional:
                x, *state = lstm(x, mask=words, training=training)
                states.append(state)
                continue
            x = lstm(x, mask=words, training=training)
            # The state of each direction when it had read all.
            last = ops.maximum(ops.sum(ops.cast(words, "int32"), axis=1) - 1, 0)
            forwards = ops.take_along_axis(x, last[:, None, None], axis=1)[:, 0, : self.half]
            both = ops.concatenate([forwards, x[:, 0, self.half :]], axis=-1)
            states.append(ops.split(self.bridges[index](both), 2, axis=-1))
        return x, words, states

    def compute_output_spec(
        self, source: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor, States]:
        """Returns what `call` returns, as shapes and dtypes without values."""

        def tensor(*shape):
            return keras.KerasTensor(shape, self.compute_dtype)

        # A tensor for each: Keras tells them apart by their identity.
        state = source.shape[0], self.units
        states = [[tensor(*state), tensor(*state)] for _ in range(self.stacked)]
        memory = tensor(*source.shape, self.memory_units)
        return memory, keras.KerasTensor(source.shape, "bool"), states

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the layer."""
        return {**super().get_config(), **self.settings}


def embedding(vocabulary_size: int, units: int) -> layers.Embedding:
    """Returns the layer of token vectors of the encoder or the decoder, `(n, tokens, units)`."""
    # Keras' own begin below 0.05. With these the generated dates took several times the steps.
    start = keras.initializers.RandomNormal(stddev=1.0)
    return layers.Embedding(vocabulary_size, units, embeddings_initializer=start, name="embedding")


def reversed_ids(ids: Tensor, words: Tensor) -> Tensor:
    """Returns ids in the opposite order, int32 `(n, tokens)`, with the padding still at the end.

    Args:
        ids: int32 `(n, tokens)`, padded at the end.
        words: Which ids are no padding, bool `(n, tokens)`.
    """
    length = ops.sum(ops.cast(words, "int32"), axis=1, keepdims=True)
    place = ops.arange(ops.shape(ids)[1])[None]
    order = ops.where(place < length, length - 1 - place, place)
    return ops.take_along_axis(ids, order, axis=1)
