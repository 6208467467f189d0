"""SimpleRNN, GRU and LSTM, faster than Keras' own with PyTorch on a CPU: same weights, same values.

There Keras runs a recurrent layer as a Python loop of small operations: it calls PyTorch's kernels on a
GPU only. Here they are called on a CPU as well. With TensorFlow and JAX these layers are Keras' own, and
so they are wherever the kernels compute something else: masks, dropout, other activations,
`go_backwards`, `stateful`, `unroll`, a GRU with `reset_after=False`, layers without a bias.

Files name Keras' layers: a saved model needs nothing of this project.
"""

import keras
from keras import layers
from keras.src import api_export


class _Fused:
    """The part that the three layers share; it stands before Keras' layer among their bases."""

    kernel = ""
    """Name of PyTorch's function; of SimpleRNN without the activation."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        """Returns what Keras' layer returns: the states `(batch, units)`, or all, or several of these."""
        if not self.fused(sequences, mask):
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        import torch

        cell = self.cell
        weights = [
            self._gates(v.value).T.contiguous() for v in (cell.kernel, cell.recurrent_kernel)
        ]
        bias = cell.bias.value
        # PyTorch has two biases that it adds up, and so has Keras' GRU.
        biases = [self._gates(each) for each in bias] if bias.ndim == 2 else [bias, 0 * bias]
        if initial_state is None:
            zeros = sequences.new_zeros(sequences.shape[0], self.units)
            initial_state = [zeros] * (2 if self.kernel == "lstm" else 1)
        elif not isinstance(initial_state, list | tuple):
            initial_state = [initial_state]
        given = tuple(torch.as_tensor(state)[None] for state in initial_state)
        outputs, *states = getattr(torch._VF, self._function())(
            sequences,
            given if self.kernel == "lstm" else given[0],
            [*weights, *biases],
            True,  # There are biases;
            1,  # one layer,
            0.0,  # no dropout;
            torch.is_grad_enabled(),
            False,  # one direction;
            True,  # the batch comes first.
        )
        found = outputs if self.return_sequences else outputs[:, -1]
        return (found, *(state[0] for state in states)) if self.return_state else found

    def fused(self, sequences, mask=None):
        """Returns whether PyTorch's kernel computes what this layer is to compute."""
        return (
            keras.backend.backend() == "torch"
            and sequences.device.type == "cpu"
            and self.compute_dtype == keras.backend.standardize_dtype(sequences.dtype) == "float32"
            and mask is None
            and self.use_bias
            and not (self.dropout or self.recurrent_dropout)
            and not (self.go_backwards or self.stateful or self.unroll)
            and self._function() is not None
        )

    def _function(self):
        """Returns the name of PyTorch's function, or None where there is none."""
        raise NotImplementedError

    def _gates(self, weights):
        """Returns weights with their last axis in PyTorch's order of gates."""
        return weights


class SimpleRNN(_Fused, layers.SimpleRNN):
    """`keras.layers.SimpleRNN` with the same arguments, weights and values; tanh or ReLU are fast."""

    def _function(self):
        known = {keras.activations.tanh: "rnn_tanh", keras.activations.relu: "rnn_relu"}
        return known.get(self.activation)


class GRU(_Fused, layers.GRU):
    """`keras.layers.GRU` with the same arguments, weights and values."""

    kernel = "gru"

    def _function(self):
        return "gru" if self.reset_after and _standard(self) else None

    def _gates(self, weights):
        import torch

        # Keras has update, reset, candidate; in both 1 of the update gate keeps the state.
        update, reset, candidate = torch.chunk(weights, 3, -1)
        return torch.cat([reset, update, candidate], -1)


class LSTM(_Fused, layers.LSTM):
    """`keras.layers.LSTM` with the same arguments, weights and values."""

    kernel = "lstm"

    def _function(self):
        return "lstm" if _standard(self) else None


def _standard(layer):
    return (
        layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
    )


for _layer in (SimpleRNN, GRU, LSTM):
    # What Keras writes into a file for a class.
    api_export.REGISTERED_OBJS_TO_NAMES[_layer] = f"keras.layers.{_layer.__name__}"
