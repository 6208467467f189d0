"""Encoder and decoder of LSTMs, with attention between them or without.

Training and search share the decoder's method `decode`. In training it gets all target tokens at once, in
a search one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
from keras import layers, ops

from common.layers.decoding import PADDING
from common.layers.fast_lstm import BidirectionalLSTM

if TYPE_CHECKING:
    from .train import Config

PACKAGE = "translation_seq2seq"

Tensor: TypeAlias = keras.KerasTensor
States: TypeAlias = list[list[Tensor]]
"""`[hidden, cell]`, `(n, units)` each, for each LSTM of the decoder."""


def build_model(
    config: Config,
    num_classes: int | None = None,
    pieces: tuple[Sequence[str], Sequence[str]] | None = None,
) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Hyperparameters.
        num_classes: Not used: an answer is a text.
        pieces: Tokens of the source and of the target, in the order of their ids. The model holds them,
            so that its file is enough to translate. None: it holds none.

    Returns:
        Model from source ids, int32 `(n, source)`, and target ids, int32 `(n, target)`, to logits
        `(n, target, vocabulary_size)` of the tokens that come next. Ids are padded at the end with 0;
        the target has START before it.
    """
    source_pieces, target_pieces = pieces or ([], [])
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    encoder = Encoder(
        config.vocabulary_size,
        config.embedding_units,
        config.units,
        stacked=config.layers,
        bidirectional=config.attention != "none",
        reverse=config.reverse_source,
        dropout=config.dropout_rate,
        pieces=source_pieces,
        name="encoder",
    )
    decoder = Decoder(
        config.vocabulary_size,
        config.embedding_units,
        config.units,
        stacked=config.layers,
        attention=config.attention,
        dropout=config.dropout_rate,
        sampling=config.sampling_rate > 0,
        longest=config.max_target,
        width=config.beam,
        penalty=config.length_penalty,
        pieces=target_pieces,
        name="decoder",
    )
    memory, words, state = encoder(source)
    logits = decoder(target, memory, words, state)
    return keras.Model([source, target], logits, name=PACKAGE)


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
        self.embedding = _embedding(vocabulary_size, embedding_units)
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
        self.embedding = _embedding(vocabulary_size, embedding_units)
        self.dropout = layers.Dropout(dropout, name="dropout")
        self.lstms = [
            layers.LSTM(units, return_sequences=True, return_state=True, name=f"lstm_{index}")
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


def _embedding(vocabulary_size, units):
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


class TokenCrossentropy(keras.losses.Loss):
    """Cross-entropy of tokens in nats, from logits. Padding has weight 0 and is left out of the mean.

    Args:
        smoothing: Probability that is spread over all tokens.
    """

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__(reduction="mean_with_sample_weight", name="token_crossentropy")
        self.smoothing = smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns the loss of each token, `(n, target)`, from ids and logits."""
        loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        if not self.smoothing:
            return loss
        spread = ops.logsumexp(y_pred, axis=-1) - ops.mean(y_pred, axis=-1)
        return (1 - self.smoothing) * loss + self.smoothing * spread

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as Keras saves them."""
        return {"smoothing": self.smoothing}


class RaiseSampling(keras.callbacks.Callback):
    """Raises the share of sampled tokens in equal steps, from 0 in the first epoch.

    Args:
        last: Share in the last epoch.
        epochs: Epochs in all.
    """

    def __init__(self, last: float, epochs: int) -> None:
        super().__init__()
        self.last, self.epochs = last, epochs

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = self.last * epoch / max(self.epochs - 1, 1)
        self.model.get_layer("decoder").sampling_rate.assign(rate)
