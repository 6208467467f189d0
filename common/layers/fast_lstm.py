"""A bidirectional LSTM that trains faster than Keras' own on CPUs: same weights, same values.

Keras runs an LSTM as a loop of small operations, each with its overhead, and multiplies the inputs step
by step. Here, for the case that recipes use (default activations, full sequences, padding at the end):

- TensorFlow on a CPU: the BlockLSTM kernel, which loops inside one operation. (Its second version,
  BlockLSTMV2, orders its gates differently, but TensorFlow registers the first one's gradient for it,
  which is then wrong: with TensorFlow 2.21 the gradient of x differs from a finite difference.)
- PyTorch: its fused LSTM.
- JAX: one product for all inputs before the loop, and both directions in one step of it.

All three go step by step and know no masks. So each row's words are laid out as a direction reads them,
with the padding after them, where it does no harm, and the states are laid back. (A shut input gate over
padding would need no laying out, but one more feature: a training step of imdb_bilstm then takes 3 %
longer with TensorFlow and JAX, and as long with PyTorch.)

Anything else falls back to Keras.
"""

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
        forward, backward = (
            [
                ops.convert_to_tensor(weight)
                for weight in (one.cell.kernel, one.cell.recurrent_kernel, one.cell.bias)
            ]
            for one in (self.forward_layer, self.backward_layer)
        )
        batch, steps = ops.shape(sequences)[:2]
        rows, times = ops.arange(batch)[None, :], ops.arange(steps)[:, None]
        ends = steps if mask is None else ops.sum(ops.cast(mask, "int32"), axis=1)[None, :]
        backwards = ops.where(times < ends, ends - 1 - times, times)
        if keras.backend.backend() == "torch":
            # Its kernel takes the batch first: words that are read as they stand may stay there.
            turned = ops.transpose(rows * steps + backwards)
            layouts = [None, (turned, turned)]
        else:
            # (batch, steps) to (steps, batch) as a direction reads, and back.
            layouts = [
                (rows * steps + places, ops.transpose(places * batch + rows))
                for places in (times, backwards)
            ]
        inputs = [_rows(sequences, *layout) if layout else sequences for layout in layouts]
        states = [
            _rows(each, *layout[::-1]) if layout else each
            for each, layout in zip(run(*inputs, forward, backward), layouts, strict=True)
        ]
        both = ops.concatenate(states, axis=-1)
        # As in Keras' Bidirectional: zeros over padding.
        return both if mask is None else both * ops.cast(mask[..., None], both.dtype)

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


def _rows(x, order, inverse):
    """Returns the vectors of a tensor in another order.

    Args:
        x: `(a, b, features)`.
        order: int `(c, d)`, numbers of vectors, each once: the result is `(c, d, features)`.
        inverse: int `(a, b)`, the order that undoes it. Gradients are copied by it: Keras would add
            each to zeros.
    """

    def move(x, order):
        flat = ops.reshape(x, (-1, x.shape[-1]))
        numbers = ops.reshape(order, (-1,))
        if keras.backend.backend() == "torch":
            # Keras' take asks first which numbers are negative.
            moved = flat.index_select(0, numbers)
        else:
            moved = ops.take(flat, numbers, axis=0)
        return ops.reshape(moved, (*ops.shape(order), x.shape[-1]))

    @ops.custom_gradient
    def there(x):
        def back(*arguments, upstream=None):
            return move(arguments[0] if upstream is None else upstream, inverse)

        return move(x, order), back

    return there(x)


def _block_lstm(there, back, forward, backward):
    import tensorflow as tf

    def run(x, weights):
        kernel, recurrent, bias = weights
        units = recurrent.shape[0]
        # The kernel's gradient reads the weights column by column. Where rows are a multiple of 1 KB
        # long, all of a column falls into the same few places of the cache: unused units make the rows
        # longer. With 64 units a training step of imdb_bilstm's `article` is 8 % shorter.
        unused = 4 if units % 64 == 0 else 0
        padding = [[0, 0], [0, unused]]
        width = units + unused
        zeros = tf.zeros((tf.shape(x)[1], width))
        peephole = tf.zeros((width,))
        weights = _icfo(tf.concat([kernel, recurrent], axis=0), padding)
        states = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.cast(tf.shape(x)[0], tf.int64),
            x=x,
            cs_prev=zeros,
            h_prev=zeros,
            w=tf.pad(weights, padding[::-1]),
            wci=peephole,
            wcf=peephole,
            wco=peephole,
            b=_icfo(bias[None], padding)[0],
            forget_bias=0.0,
            cell_clip=-1.0,
            use_peephole=False,
        ).h
        # Not a slice: its gradient is slow.
        return tf.split(states, [units, unused], axis=-1)[0] if unused else states

    return run(there, forward), run(back, backward)


def _icfo(weights, padding):
    """Reorders the gates of Keras (input, forget, cell, output) to BlockLSTM's, each padded."""
    import tensorflow as tf

    i, f, c, o = (tf.pad(gate, padding) for gate in tf.split(weights, 4, axis=-1))
    return tf.concat([i, c, f, o], axis=-1)


def _torch_lstm(there, back, forward, backward):
    import torch

    def run(x, weights):
        kernel, recurrent, bias = weights
        # PyTorch has two biases that it adds up.
        given = [kernel.T.contiguous(), recurrent.T.contiguous(), bias, torch.zeros_like(bias)]
        state = x.new_zeros(1, x.shape[0], recurrent.shape[0])
        training = torch.is_grad_enabled()
        # Biases, one layer, no dropout, one direction, batch first.
        return torch._VF.lstm(x, (state, state), given, True, 1, 0.0, training, False, True)[0]

    return run(there, forward), run(back, backward)


def _jax_lstm(there, back, forward, backward):
    import jax
    import jax.numpy as jnp

    both = jnp.stack([there, back])
    kernel, recurrent, bias = (jnp.stack(pair) for pair in zip(forward, backward, strict=True))
    inputs = jnp.einsum("dtbi,dig->tdbg", both, kernel) + bias[:, None]
    state = jnp.zeros((2, there.shape[1], recurrent.shape[1]), there.dtype)

    def step(carry, projected):
        hidden, cell = carry
        gates = projected + jnp.einsum("dbu,dug->dbg", hidden, recurrent)
        i, f, c, o = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(c)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), hidden

    _, hidden = jax.lax.scan(step, (state, state), inputs)
    return hidden[:, 0], hidden[:, 1]
