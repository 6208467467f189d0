"""The decoder: predicts the next token of the target.

Training and search share its method `decode`. In training it gets all target tokens at once, in a search
one at a time.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from common.layers.decoding import PADDING
from common.layers.fast_rnn import LSTM

from .encoder import PACKAGE, States, Tensor, embedding


@keras.saving.register_keras_serializable(package=PACKAGE)
class Decoder(layers.Layer):
    """Predicts the next token of the target.

    Args:
        vocabulary_size, embedding_units, units, stacked, pieces: As of Encoder.
        attention: "none"; "dot" ("general" in Luong et al. 2015); or "additive" (Bahdanau et al. 2015).
            Both look at the source after the LSTMs, so that all tokens can be computed at once.
        dropout: Dropout rate after the embedding, between LSTMs and before the logits.
        sampling: Whether scheduled sampling takes place. The layer then has a weight `sampling_rate`.
        longest: Most tokens of an answer in a search, END included.
        width: Width of the beam in a search.
        penalty: Length penalty in a search.
        **kwargs: As for keras.layers.Layer.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_units: int,
        units: int,
        *,
        stacked: int = 1,
        attention: str = "dot",
        dropout: float = 0.0,
        sampling: bool = False,
        longest: int = 50,
        width: int = 1,
        penalty: float = 0.0,
        pieces: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings = {
            "vocabulary_size": vocabulary_size,
            "embedding_units": embedding_units,
            "units": units,
            "stacked": stacked,
            "attention": attention,
            "dropout": dropout,
            "sampling": sampling,
            "longest": longest,
            "width": width,
            "penalty": penalty,
            "pieces": list(pieces),
        }
        self.units, self.attention, self.sampling = units, attention, sampling
        self.longest, self.width, self.penalty = longest, width, penalty
        self.pieces = list(pieces)
        self.embedding = embedding(vocabulary_size, embedding_units)
        self.dropout = layers.Dropout(dropout, name="dropout")
        self.lstms = [
            LSTM(units, return_sequences=True, return_state=True, name=f"lstm_{index}")
            for index in range(stacked)
        ]
        if attention != "none":
            # Both directions of the encoder share the units.
            self.memory_units = 2 * ((units + 1) // 2)
            self.query = layers.Dense(self.memory_units, use_bias=False, name="query")
            self.combine = layers.Dense(units, activation="tanh", name="combine")
        if attention == "additive":
            self.key = layers.Dense(self.memory_units, name="key")
            self.score = layers.Dense(1, use_bias=False, name="score")
        self.logits = layers.Dense(vocabulary_size, name="logits")
        if sampling:
            self.seeds = keras.random.SeedGenerator(0)

    def build(self, ids_shape: tuple[int | None, ...], *others: Any) -> None:
        """Makes the weights; the shapes of the other inputs are not needed."""
        self.embedding.build(ids_shape)
        width = self.embedding.output_dim
        for lstm in self.lstms:
            lstm.build((*ids_shape, width))
            width = self.units
        rows = (None, None, self.units)
        if self.attention != "none":
            self.query.build(rows)
            self.combine.build((None, None, self.units + self.memory_units))
        if self.attention == "additive":
            self.key.build((None, None, self.memory_units))
            self.score.build((None, None, self.memory_units))
        self.logits.build(rows)
        if self.sampling:
            self.sampling_rate = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="sampling_rate"
            )

    def call(
        self, ids: Tensor, memory: Tensor, words: Tensor, state: States, training: bool = False
    ) -> Tensor:
        """Returns logits `(n, target, vocabulary_size)` for target ids with START before them.

        Args:
            ids: int32 `(n, target)`.
            memory, words: As of Encoder.
            state: The first states, as of Encoder.
            training: Whether dropout and scheduled sampling take place.
        """
        if training and self.sampling:
            ids = self._sampled(ids, memory, words, state)
        return self.decode(ids, memory, words, state, training=training)[0]

    def decode(
        self, ids: Tensor, memory: Tensor, words: Tensor, state: States, training: bool = False
    ) -> tuple[Tensor, States, Tensor | None]:
        """Reads t tokens of the target, and predicts the token after each of them.

        Args:
            ids: int32 `(n, t)`.
            memory, words: As of Encoder.
            state: The states before these tokens.
            training: Whether dropout takes place.

        Returns:
            Logits `(n, t, vocabulary_size)`; the states after the tokens; and the weights of attention,
            `(n, t, source)`, which sum to 1 over the source, or None without attention.
        """
        x, after = self.dropout(self.embedding(ids), training=training), []
        for index, lstm in enumerate(self.lstms):
            if index:
                x = self.dropout(x, training=training)
            x, *new = lstm(x, initial_state=state[index], training=training)
            after.append(new)
        looked = None
        if self.attention != "none":
            looked = self._attention(x, memory, words)
            seen = ops.matmul(looked, memory)
            x = self.combine(ops.concatenate([x, seen], axis=-1))
        return self.logits(self.dropout(x, training=training)), after, looked

    def _attention(self, x, memory, words):
        query = self.query(x)
        if self.attention == "dot":
            scores = ops.matmul(query, ops.transpose(memory, (0, 2, 1))) / self.memory_units**0.5
        else:
            both = ops.tanh(query[:, :, None] + self.key(memory)[:, None])
            scores = self.score(both)[..., 0]
        scores = ops.where(words[:, None, :], scores, -1e9)
        return ops.softmax(scores, axis=-1)

    def _sampled(self, ids, memory, words, state):
        """Replaces a share of the target's tokens by the model's own answers.

        Each of these answers is given to the true tokens before it, not to sampled ones.
        """
        logits = self.decode(ids, memory, words, state)[0]
        answers = ops.cast(ops.argmax(ops.stop_gradient(logits), axis=-1), ids.dtype)
        own = ops.concatenate([ids[:, :1], answers[:, :-1]], axis=1)
        drawn = keras.random.uniform(ops.shape(ids), seed=self.seeds) < self.sampling_rate
        return ops.where(ops.logical_and(drawn, ids != PADDING), own, ids)

    def compute_output_spec(
        self, ids: Tensor, memory: Tensor, words: Tensor, state: States, training: bool = False
    ) -> Tensor:
        """Returns what `call` returns, as a shape and a dtype without values."""
        size = self.settings["vocabulary_size"]
        return keras.KerasTensor((*ids.shape, size), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the layer."""
        return {**super().get_config(), **self.settings}
