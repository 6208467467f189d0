"""SimpleRNN, GRU and LSTM, faster than Keras' own with PyTorch on a CPU: same weights, same values.

There Keras runs a recurrent layer as a Python loop of small operations: it calls PyTorch's kernels on a
GPU only. Here LSTM calls its kernel on a CPU as well. SimpleRNN and GRU, slow there, run by
rnn_steps.py. With TensorFlow and JAX these layers are Keras' own, and so they are wherever something
else is to be computed: masks, dropout, other activations, `stateful`, `unroll`, a GRU with
`reset_after=False`, layers without a bias.

Files name Keras' layers: a saved model needs nothing of this project.
"""

import keras
from keras import layers
from keras.src import api_export


class _Fused:
    """The part that the three layers share; it stands before Keras' layer among their bases."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        """Returns what Keras' layer returns: the states `(batch, units)`, or all, or several of these."""
        if not self.fused(sequences, mask):
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        import torch

        if self.go_backwards:
            # The outputs stay in the order in which they are computed.
            sequences = sequences.flip(1)
        if initial_state is None:
            zeros = sequences.new_zeros(sequences.shape[0], self.units)
            initial_state = [zeros] * len(keras.tree.flatten(self.state_size))
        elif not isinstance(initial_state, list | tuple):
            initial_state = [initial_state]
        given = [torch.as_tensor(state) for state in initial_state]
        cell = self.cell
        weights = [v.value for v in (cell.kernel, cell.recurrent_kernel, cell.bias)]
        outputs, states = self._run(sequences, given, *weights)
        found = outputs if self.return_sequences else outputs[:, -1]
        return (found, *states) if self.return_state else found

    def fused(self, sequences, mask=None):
        """Returns whether the fast way computes what this layer is to compute."""
        return (
            keras.backend.backend() == "torch"
            and sequences.device.type == "cpu"
            and self.compute_dtype == keras.backend.standardize_dtype(sequences.dtype) == "float32"
            and mask is None
            and self.use_bias
            and not (self.dropout or self.recurrent_dropout)
            and not (self.stateful or self.unroll)
            and self._known()
        )

    def _known(self):
        """Returns whether the layer's activations are those of the fast way."""
        raise NotImplementedError

    def _run(self, sequences, states, kernel, recurrent, bias):
        """Returns all outputs, and the last states as a list."""
        raise NotImplementedError


ACTIVATIONS = {keras.activations.tanh: "tanh", keras.activations.relu: "relu"}


class SimpleRNN(_Fused, layers.SimpleRNN):
    """`keras.layers.SimpleRNN` with the same arguments, weights and values; tanh or ReLU are fast."""

    def _known(self):
        return self.activation in ACTIVATIONS

    def _run(self, sequences, states, kernel, recurrent, bias):
        from common.layers.rnn_steps import simple_rnn

        activation = ACTIVATIONS[self.activation]
        outputs = simple_rnn(sequences, *states, kernel, recurrent, bias, activation)
        return outputs, [outputs[:, -1]]


class GRU(_Fused, layers.GRU):
    """`keras.layers.GRU` with the same arguments, weights and values."""

    def _known(self):
        return self.reset_after and _standard(self)

    def _run(self, sequences, states, kernel, recurrent, bias):
        from common.layers.rnn_steps import gru

        outputs = gru(sequences, *states, kernel, recurrent, bias)
        return outputs, [outputs[:, -1]]


class LSTM(_Fused, layers.LSTM):
    """`keras.layers.LSTM` with the same arguments, weights and values."""

    def _known(self):
        return _standard(self)

    def _run(self, sequences, states, kernel, recurrent, bias):
        import torch

        outputs, *last = torch._VF.lstm(
            sequences,
            tuple(state[None] for state in states),
            # PyTorch has two biases that it adds up.
            [kernel.T.contiguous(), recurrent.T.contiguous(), bias, 0 * bias],
            True,  # There are biases;
            1,  # one layer,
            0.0,  # no dropout;
            torch.is_grad_enabled(),
            False,  # one direction;
            True,  # the batch comes first.
        )
        return outputs, [state[0] for state in last]


class Bidirectional(layers.Bidirectional):
    """`keras.layers.Bidirectional` around one of these layers."""

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        # Keras has made both directions from what a file says, which names its own class.
        for direction in (self.forward_layer, self.backward_layer):
            direction.__class__ = type(layer)


def _standard(layer):
    return (
        layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
    )


for _layer in (SimpleRNN, GRU, LSTM, Bidirectional):
    # What Keras writes into a file for a class.
    api_export.REGISTERED_OBJS_TO_NAMES[_layer] = f"keras.layers.{_layer.__name__}"
