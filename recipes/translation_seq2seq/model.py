"""Encoder and decoder of LSTMs, with attention between them or without.

The decoder is one layer with one way through: `decode` takes all target tokens at once where it is
trained, and one at a time where it searches.
"""

import keras
from keras import layers, ops

from common.layers.decoding import PADDING
from common.layers.fast_lstm import BidirectionalLSTM

PACKAGE = "translation_seq2seq"


def build_model(config, num_classes=None, pieces=None):
    """Builds the network, uncompiled.

    Args:
        config: The recipe's Config.
        num_classes: Not used: an answer is a text.
        pieces: The tokens behind the ids, a pair of lists of str, of the source and of the target; the
            model carries them, so that it can be read without anything else. None: it carries none.

    Returns:
        keras.Model from source ids and target ids, int32 `(n, source)` and `(n, target)`, 0 for padding
        at the end, the target with START before it, to logits `(n, target, vocabulary_size)` of the
        tokens that come next.
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
        units: Size of each state, and of the memory of a token, rounded up to even where both
            directions share it.
        stacked: LSTMs, one above the other.
        bidirectional: Read in both directions, half of the units each; the decoder's first states are
            then made of the memory. Otherwise forwards, and it goes on where the encoder ended.
        reverse: Read the last token first (Sutskever et al. 2014).
        dropout: Rate between embedding and LSTMs.
        pieces: The tokens, for a person: list of str.
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_units,
        units,
        *,
        stacked=1,
        bidirectional=True,
        reverse=False,
        dropout=0.0,
        pieces=(),
        **kwargs,
    ):
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

    def build(self, shape):
        self.embedding.build(shape)
        width = self.embedding.output_dim
        for lstm in self.lstms:
            lstm.build((*shape, width))
            width = self.memory_units
        for bridge in self.bridges:
            bridge.build((None, self.memory_units))

    def call(self, source, training=False):
        """Returns memory `(n, source, units)`, words bool `(n, source)` and the decoder's states.

        The states are a list with `[hidden, cell]`, `(n, units)` each, for each LSTM.
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
            # What each direction knew when it had read all.
            last = ops.maximum(ops.sum(ops.cast(words, "int32"), axis=1) - 1, 0)
            forwards = ops.take_along_axis(x, last[:, None, None], axis=1)[:, 0, : self.half]
            both = ops.concatenate([forwards, x[:, 0, self.half :]], axis=-1)
            states.append(ops.split(self.bridges[index](both), 2, axis=-1))
        return x, words, states

    def compute_output_spec(self, source, training=False):
        def tensor(*shape):
            return keras.KerasTensor(shape, self.compute_dtype)

        # A tensor for each: Keras tells them apart by their identity.
        state = source.shape[0], self.units
        states = [[tensor(*state), tensor(*state)] for _ in range(self.stacked)]
        memory = tensor(*source.shape, self.memory_units)
        return memory, keras.KerasTensor(source.shape, "bool"), states

    def get_config(self):
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Decoder(layers.Layer):
    """Says what comes next in the target.

    Args:
        vocabulary_size, embedding_units, units, stacked, dropout, pieces: As of Encoder.
        attention: "none"; "dot", Luong et al. 2015, "general"; or "additive", Bahdanau et al. 2015's
            score. Both look at the source after the LSTM, so that all tokens are computed at once.
        sampling: Whether scheduled sampling takes place: `sampling_rate` is then a weight.
        longest, width, penalty: How answers are searched: tokens, width of the beam, length penalty.
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_units,
        units,
        *,
        stacked=1,
        attention="dot",
        dropout=0.0,
        sampling=False,
        longest=50,
        width=1,
        penalty=0.0,
        pieces=(),
        **kwargs,
    ):
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

    def build(self, ids_shape, *others):
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

    def call(self, ids, memory, words, state, training=False):
        """Returns logits `(n, target, vocabulary_size)` for target ids with START before them."""
        if training and self.sampling:
            ids = self._sampled(ids, memory, words, state)
        return self.decode(ids, memory, words, state, training=training)[0]

    def decode(self, ids, memory, words, state, training=False):
        """Goes through some tokens of the target.

        Args:
            ids: int32 `(n, t)`.
            memory, words: As of Encoder.
            state: Before them, as of Encoder.

        Returns:
            Logits `(n, t, vocabulary_size)`, the state after them, and where was looked: `(n, t,
            source)`, sums of 1; None without attention.
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
        """Puts the model's own answers in the place of a share of the target's tokens.

        In parallel: the answer to the true tokens before it, not to sampled ones.
        """
        logits = self.decode(ids, memory, words, state)[0]
        answers = ops.cast(ops.argmax(ops.stop_gradient(logits), axis=-1), ids.dtype)
        own = ops.concatenate([ids[:, :1], answers[:, :-1]], axis=1)
        drawn = keras.random.uniform(ops.shape(ids), seed=self.seeds) < self.sampling_rate
        return ops.where(ops.logical_and(drawn, ids != PADDING), own, ids)

    def compute_output_spec(self, ids, memory, words, state, training=False):
        size = self.settings["vocabulary_size"]
        return keras.KerasTensor((*ids.shape, size), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), **self.settings}


def _embedding(vocabulary_size, units):
    # Keras' own begin at 0.05 at most, and LSTMs hardly hear them: the generated dates took several
    # times the steps.
    start = keras.initializers.RandomNormal(stddev=1.0)
    return layers.Embedding(vocabulary_size, units, embeddings_initializer=start, name="embedding")


def reversed_ids(ids, words):
    """Returns ids in the opposite order, the padding at the end as before."""
    length = ops.sum(ops.cast(words, "int32"), axis=1, keepdims=True)
    place = ops.arange(ops.shape(ids)[1])[None]
    order = ops.where(place < length, length - 1 - place, place)
    return ops.take_along_axis(ids, order, axis=1)


class TokenCrossentropy(keras.losses.Loss):
    """Cross-entropy of tokens in nats, from logits; padding, of weight 0, is not in the mean.

    Args:
        smoothing: Probability that is spread over all tokens.
    """

    def __init__(self, smoothing=0.0):
        super().__init__(reduction="mean_with_sample_weight", name="token_crossentropy")
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        if not self.smoothing:
            return loss
        spread = ops.logsumexp(y_pred, axis=-1) - ops.mean(y_pred, axis=-1)
        return (1 - self.smoothing) * loss + self.smoothing * spread


class RaiseSampling(keras.callbacks.Callback):
    """Raises the share of sampled tokens in equal steps, from 0 in the first epoch.

    Args:
        last: Share in the last epoch.
        epochs: Epochs in all.
    """

    def __init__(self, last, epochs):
        super().__init__()
        self.last, self.epochs = last, epochs

    def on_epoch_begin(self, epoch, logs=None):
        rate = self.last * epoch / max(self.epochs - 1, 1)
        self.model.get_layer("decoder").sampling_rate.assign(rate)
