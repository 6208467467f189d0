"""A bidirectional LSTM that trains faster than Keras' own on CPUs: same weights, same values.

Keras runs an LSTM as a loop of small operations, each with its overhead, and multiplies the inputs step
by step. Here, for the case that recipes use (default activations, full sequences, padding at the end):

- TensorFlow on a CPU: the BlockLSTM kernel, which loops inside one operation. (Its second version,
  BlockLSTMV2, orders its gates differently, but TensorFlow registers the first one's gradient for it,
  which is then wrong: with TensorFlow 2.21 the gradient of x differs from a finite difference.)
- PyTorch: its fused LSTM on padded rows, reversed by hand for the second direction.
- JAX: one product for all inputs before the loop, and both directions in one step of it.

Anything else falls back to Keras.
"""

import functools

import keras
from keras import layers, ops

PLAIN = False
"""Set to True where only standard operations will do, as in an export."""


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
        lengths = None
        if mask is not None:
            lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
        forward, backward = (
            [
                ops.convert_to_tensor(weight)
                for weight in (one.cell.kernel, one.cell.recurrent_kernel, one.cell.bias)
            ]
            for one in (self.forward_layer, self.backward_layer)
        )
        there, back = run(sequences, forward, backward, lengths)
        both = ops.concatenate([there, back], axis=-1)
        # As in Keras' Bidirectional: zeros over padding.
        return both if mask is None else both * ops.cast(ops.expand_dims(mask, -1), both.dtype)

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


def _block_lstm(x, forward, backward, lengths):
    import tensorflow as tf

    batch, steps, features = tf.shape(x)[0], tf.shape(x)[1], x.shape[2]
    most = steps if lengths is None else tf.reduce_max(lengths)
    rows, times = tf.range(batch)[None, :], tf.range(steps)[:, None]
    # Step by step, each row's words as they stand, and backwards with its padding where it is.
    ends = steps if lengths is None else lengths[None, :]
    there, back = times, tf.where(times < ends, ends - 1 - times, times)

    def run(weights, times):
        kernel, recurrent, bias = weights
        units = recurrent.shape[0]
        zeros, unused = tf.zeros((batch, units)), tf.zeros((units,))
        # (batch, steps) to (steps, batch) in this order, and back: one copy of rows each way.
        into, out_of = rows * steps + times, tf.transpose(times * batch + rows)
        out = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.cast(most, tf.int64),
            x=tf.reshape(_rows(flat, into, out_of), (steps, batch, features)),
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
        )
        hidden = _rows(tf.reshape(out.h, (-1, units)), out_of, into)
        return tf.reshape(hidden, (batch, steps, units))

    flat = tf.reshape(x, (-1, features))
    return run(forward, there), run(backward, back)


def _rows(x, order, inverse):
    """Returns the rows of x in this order; its gradient is a copy of rows too, not a sum of them."""
    import tensorflow as tf

    @tf.custom_gradient
    def move(x):
        def gradient(upstream):
            return tf.gather(upstream, tf.reshape(inverse, (-1,)))

        return tf.gather(x, tf.reshape(order, (-1,))), gradient

    return move(x)


def _icfo(weights):
    """Reorders the gates of Keras (input, forget, cell, output) to BlockLSTM's."""
    import tensorflow as tf

    i, f, c, o = tf.split(weights, 4, axis=-1)
    return tf.concat([i, c, f, o], axis=-1)


def _torch_lstm(x, forward, backward, lengths):
    import torch

    batch, steps, features = x.shape
    rows = torch.arange(batch, device=x.device)[None, :]
    times = torch.arange(steps, device=x.device)[:, None]
    # The same orders as for TensorFlow. (PyTorch would pack rows of unequal lengths, but what runs on
    # packed rows is a loop, on whole ones oneDNN's kernel.)
    ends = steps if lengths is None else lengths[None, :]
    there, back = times, torch.where(times < ends, ends - 1 - times, times)
    move = _torch_rows()

    def run(weights, times):
        kernel, recurrent, bias = weights
        into = (rows * steps + times).reshape(-1)
        out_of = (times * batch + rows).T.reshape(-1)
        # PyTorch has two biases that it adds up.
        given = [kernel.T.contiguous(), recurrent.T.contiguous(), bias, torch.zeros_like(bias)]
        state = x.new_zeros(1, batch, recurrent.shape[0])
        training = torch.is_grad_enabled()
        out, _, _ = torch._VF.lstm(
            move(flat, into, out_of).view(steps, batch, features),
            (state, state),
            given,
            True,
            1,
            0.0,
            training,
            False,
            False,
        )
        return move(out.reshape(steps * batch, -1), out_of, into).view(batch, steps, -1)

    flat = x.reshape(-1, features)
    return run(forward, there), run(backward, back)


@functools.cache
def _torch_rows():
    """Returns PyTorch's `_rows`."""
    import torch

    class Rows(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, order, inverse):
            ctx.save_for_backward(inverse)
            return x.index_select(0, order)

        @staticmethod
        def backward(ctx, upstream):
            return upstream.index_select(0, *ctx.saved_tensors), None, None

    return Rows.apply


def _jax_lstm(x, forward, backward, lengths):
    import jax
    import jax.numpy as jnp

    steps = x.shape[1]
    if lengths is None:
        places = jnp.broadcast_to(jnp.arange(steps)[::-1], x.shape[:2])
    else:
        # Each row's own words backwards; its padding stays where it is.
        places = jnp.arange(steps)[None]
        places = jnp.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    places = places[..., None]
    both = jnp.stack([x, jnp.take_along_axis(x, places, axis=1)])
    kernel, recurrent, bias = (jnp.stack(pair) for pair in zip(forward, backward, strict=True))
    inputs = jnp.einsum("dbti,dig->tdbg", both, kernel) + bias[:, None]
    state = jnp.zeros((2, x.shape[0], recurrent.shape[1]), x.dtype)

    def step(carry, projected):
        hidden, cell = carry
        gates = projected + jnp.einsum("dbu,dug->dbg", hidden, recurrent)
        i, f, c, o = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(c)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), hidden

    _, hidden = jax.lax.scan(step, (state, state), inputs)
    there, back = (jnp.swapaxes(each, 0, 1) for each in (hidden[:, 0], hidden[:, 1]))
    return there, jnp.take_along_axis(back, places, axis=1)
