"""One recurrent layer and one dense layer, so that the cell alone decides what is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from common.layers import fast_rnn

from .problems import CHANNELS, COPIED, ORDERS, SYMBOLS, TOLERANCE

if TYPE_CHECKING:
    from .train import Config


@keras.saving.register_keras_serializable(package="lag_rnn")
class Chrono(keras.initializers.Initializer):
    """Biases of an LSTM that remembers for 1 to `longest` steps (Tallec & Ollivier 2018).

    A forget gate at sigmoid(log(t - 1)) = 1 - 1 / t keeps what it holds for about t steps. So its bias
    is log U(1, longest - 1), that of the input gate is the negative, and the others are 0.

    Args:
        longest: Steps, above 2.
        seed: Seed of the biases; None: drawn from the global seed.
    """

    def __init__(self, longest: int, seed: int | None = None) -> None:
        self.longest = longest
        self.uniform = keras.initializers.RandomUniform(1.0, longest - 1.0, seed)

    def __call__(self, shape, dtype=None):
        """Returns biases `(4 * units,)` in Keras' order: input, forget, candidate, output."""
        forget = ops.log(self.uniform((shape[0] // 4,), dtype))
        return ops.concatenate([-forget, forget, ops.zeros_like(forget), ops.zeros_like(forget)])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {"longest": self.longest, "seed": self.uniform.get_config()["seed"]}


def build_model(config: Config, num_classes: int | None = None) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Its `task` and `length` say the problem, `cell` and others the recurrent layer.
        num_classes: Not used: the problem says what is answered.

    Returns:
        Model from float32 sequences `(n, length, channels)` to sums `(n, 1)`, to probabilities of
        orders `(n, 4)`, or to probabilities of symbols `(n, 10, 8)`.
    """
    inputs = keras.Input((config.length, CHANNELS[config.task]), name="sequence")
    x = recurrent_layer(config)(inputs)
    if config.task == "copy":
        x = x[:, -COPIED:]
    outputs = {
        "adding": lambda: layers.Dense(1, name="sum"),
        "order": lambda: layers.Dense(len(ORDERS), activation="softmax", name="probabilities"),
        "copy": lambda: layers.Dense(SYMBOLS, activation="softmax", name="probabilities"),
    }[config.task]()(x)
    return keras.Model(inputs, outputs, name="lag_rnn")


def recurrent_layer(config: Config) -> layers.RNN:
    """Returns a layer of the cell that `config` names; the name of the layer is "recurrent"."""
    shared = {
        "name": "recurrent",
        "return_sequences": config.task == "copy",
        "dropout": config.dropout_rate,
    }
    if config.cell == "rnn":
        return fast_rnn.SimpleRNN(config.units, **shared)
    if config.cell == "irnn":
        # Le, Jaitly & Hinton 2015: at the start it keeps its state and adds what comes in.
        return fast_rnn.SimpleRNN(
            config.units,
            activation="relu",
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
            recurrent_initializer="identity",
            **shared,
        )
    if config.cell == "gru":
        return fast_rnn.GRU(config.units, **shared)
    return fast_rnn.LSTM(
        config.units,
        unit_forget_bias=config.forget_bias == "one",
        bias_initializer=Chrono(config.length) if config.forget_bias == "chrono" else "zeros",
        **shared,
    )


def loss_of(task: str) -> str:
    """Returns the name of a problem's Keras loss: of sums the squared error, else the cross-entropy."""
    return "mse" if task == "adding" else "sparse_categorical_crossentropy"


def sequences_solved(truth: keras.KerasTensor, answers: keras.KerasTensor) -> keras.KerasTensor:
    """The metric for training: 1 for each answer that is right by the rule of `problems.right`, else 0.

    Args:
        truth: y of a problem, `(n, ...)`.
        answers: Of a network: sums `(n, 1)`, or probabilities `(n, 4)` or `(n, 10, 8)`.

    Returns:
        float32 `(n,)`.
    """
    truth = ops.convert_to_tensor(truth)
    if answers.shape[-1] == 1:
        found = ops.less(ops.abs(answers - truth), TOLERANCE)
    else:
        likeliest = ops.argmax(answers, axis=-1)
        found = ops.equal(
            likeliest, ops.cast(ops.reshape(truth, ops.shape(likeliest)), likeliest.dtype)
        )
    found = ops.reshape(ops.cast(found, "float32"), (ops.shape(answers)[0], -1))
    return ops.min(found, axis=1)
