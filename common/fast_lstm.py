"""A bidirectional LSTM that trains faster than Keras' own on CPUs: same weights, same values.

Keras runs an LSTM as a loop of small operations, each with its overhead, and multiplies the inputs step
by step. Here, for the case that recipes use (default activations, full sequences, padding at the end):

- TensorFlow on a CPU: the BlockLSTM kernel, which loops inside one operation. (Its second version,
  BlockLSTMV2, orders its gates differently, but TensorFlow registers the first one's gradient for it,
  which is then wrong: with TensorFlow 2.21 the gradient of x differs from a finite difference.)
- PyTorch: its fused LSTM.
- JAX: one product for all inputs before the loop, and both directions in one step of it.

None of these kernels knows masks. Read backwards, a row begins with its padding, and must come out of it
with the state it began with, zero: a shut input gate does that (`SHUT`), since then c = f 0 + 0 g = 0 and
h = o tanh 0 = 0, exactly, and no gradient passes. Forwards the padding comes last and does no harm.

Anything else falls back to Keras.
"""

import keras
from keras import layers, ops

PLAIN = False
"""Set to True where only standard operations will do, as in an export."""

SHUT = -1e4
"""What is added before the sigmoid of an input gate to make it 0."""


@keras.saving.register_keras_serializable(package="keras_recipe_box")
class BidirectionalLSTM(layers.Bidirectional):
    """`Bidirectional(LSTM(units, return_sequences=True))` with the same weights in the same order.

    A mask must be padding at the end: True, then False. Outputs where it is False are those of Keras.

    Args:
        layer: keras.layers.LSTM with return_sequences=True.
        **kwargs: As for keras.layers.Bidirectional.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        # XLA does not know TensorFlow's LSTM kernels. Keras asks before it compiles with it.
        if keras.backend.backend() == "tensorflow":
            self.supports_jit = False

    def call(self, sequences, initial_state=None, mask=None, training=None):
        """Returns float `(batch, steps, 2 * units)`."""
        run = self._fast(initial_state)
        if run is None:
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        padding = None
        if mask is not None:
            mask = ops.cast(ops.expand_dims(mask, -1), sequences.dtype)
            padding = 1.0 - mask
        forward, backward = (
            [
                ops.convert_to_tensor(weight)
                for weight in (one.cell.kernel, one.cell.recurrent_kernel, one.cell.bias)
            ]
            for one in (self.forward_layer, self.backward_layer)
        )
        both = run(sequences, forward, backward, padding)
        # As in Keras' Bidirectional: zeros over padding.
        return both if mask is None else both * mask

    def _fast(self, initial_state):
        """Returns the function for this backend and configuration, or None."""
        layer = self.forward_layer
        standard = (
            not PLAIN
            and initial_state is None
            and isinstance(layer, layers.LSTM)
            and self.merge_mode == "concat"
            and not self.return_state
            and not self.stateful
            and layer.return_sequences
            and layer.use_bias
            and not (layer.dropout or layer.recurrent_dropout or layer.go_backwards)
            and layer.activation is keras.activations.tanh
            and layer.recurrent_activation is keras.activations.sigmoid
        )
        if not standard or layer.compute_dtype != "float32":
            return None
        backend = keras.backend.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            # Elsewhere cuDNN is at work already.
            return None if tf.config.list_physical_devices("GPU") else _block_lstm
        return {"torch": _torch_lstm, "jax": _jax_lstm}.get(backend)


def _block_lstm(x, forward, backward, padding):
    import tensorflow as tf

    x, forward, backward = _with_padding(x, forward, backward, padding)
    x = tf.transpose(x, (1, 0, 2))
    steps, batch = tf.shape(x)[0], tf.shape(x)[1]

    def run(x, weights):
        kernel, recurrent, bias = weights
        units = recurrent.shape[0]
        zeros, unused = tf.zeros((batch, units)), tf.zeros((units,))
        return tf.raw_ops.BlockLSTM(
            seq_len_max=tf.cast(steps, tf.int64),
            x=x,
            cs_prev=zeros,
            h_prev=zeros,
            w=_icfo(tf.concat([kernel, recurrent], axis=0)),
            wci=unused,
            wcf=unused,
            wco=unused,
            b=_icfo(bias),
            forget_bias=0.0,
            cell_clip=-1.0,
            use_peephole=False,
        ).h

    there = run(x, forward)
    back = tf.reverse(run(tf.reverse(x, (0,)), backward), (0,))
    return tf.transpose(tf.concat([there, back], axis=-1), (1, 0, 2))


def _icfo(weights):
    """Reorders the gates of Keras (input, forget, cell, output) to BlockLSTM's."""
    import tensorflow as tf

    i, f, c, o = tf.split(weights, 4, axis=-1)
    return tf.concat([i, c, f, o], axis=-1)


def _torch_lstm(x, forward, backward, padding):
    import torch

    x, forward, backward = _with_padding(x, forward, backward, padding)
    given = []
    for kernel, recurrent, bias in (forward, backward):
        # PyTorch has two biases that it adds up.
        given += [kernel.T.contiguous(), recurrent.T.contiguous(), bias, torch.zeros_like(bias)]
    state = x.new_zeros(2, len(x), forward[1].shape[0])
    training = torch.is_grad_enabled()
    # Biases, one layer, no dropout, both directions, batches first.
    return torch._VF.lstm(x, (state, state), given, True, 1, 0.0, training, True, True)[0]


def _with_padding(x, forward, backward, padding):
    """Makes padding one more feature, whose weights shut the input gate."""
    if padding is None:
        return x, forward, backward
    units = forward[1].shape[0]
    row = ops.concatenate([ops.full((1, units), SHUT), ops.zeros((1, 3 * units))], axis=1)
    forward, backward = (
        [ops.concatenate([kernel, row], axis=0), *rest] for kernel, *rest in (forward, backward)
    )
    return ops.concatenate([x, padding], axis=-1), forward, backward


def _jax_lstm(x, forward, backward, padding):
    import jax
    import jax.numpy as jnp

    x = jnp.swapaxes(x, 0, 1)
    both = jnp.stack([x, x[::-1]])
    kernel, recurrent, bias = (jnp.stack(pair) for pair in zip(forward, backward, strict=True))
    inputs = jnp.einsum("dtbi,dig->tdbg", both, kernel) + bias[:, None]
    units = recurrent.shape[1]
    if padding is not None:
        padding = jnp.swapaxes(padding, 0, 1)
        shut = SHUT * jnp.stack([padding, padding[::-1]], axis=1)
        inputs = inputs.at[..., :units].add(shut)
    state = jnp.zeros((2, x.shape[1], units), x.dtype)

    def step(carry, projected):
        hidden, cell = carry
        gates = projected + jnp.einsum("dbu,dug->dbg", hidden, recurrent)
        i, f, c, o = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(c)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), hidden

    _, hidden = jax.lax.scan(step, (state, state), inputs)
    hidden = jnp.concatenate([hidden[:, 0], hidden[::-1, 1]], axis=-1)
    return jnp.swapaxes(hidden, 0, 1)
