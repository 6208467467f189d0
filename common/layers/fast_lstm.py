"""A bidirectional LSTM that trains faster than Keras' own on CPUs: same weights, same values.

Keras runs an LSTM as a loop of small operations, each with its overhead, and multiplies the inputs step
by step. This layer does the following for the case that recipes use (default activations, full
sequences, padding at the end):

- TensorFlow on a CPU: the BlockLSTM kernel, which loops inside one operation. (BlockLSTMV2 must not be
  used: its gates have another order, but TensorFlow 2.21 gives it the gradient of the first version. The
  gradient of x then differs from a finite difference.)
- PyTorch: its fused LSTM.
- JAX: one product for all inputs before the loop, and both directions in one step of it.

None of the three knows masks. So the words of each row are put into the order in which a direction reads
them, with the padding after them, where it does no harm. Afterwards the states are put back into the
order of the words. (An input gate that is closed over padding would need no reordering, but one more
feature. A training step of imdb_bilstm then takes 3 % longer with TensorFlow and JAX, and as long with
PyTorch.)

Every other case is computed by Keras' own layer.
"""

import keras
from keras import layers, ops

PLAIN = False
"""Set this to True where only standard operations are allowed, as in an export."""


@keras.saving.register_keras_serializable(package="keras_recipe_box")
class BidirectionalLSTM(layers.Bidirectional):
    """`Bidirectional(LSTM(units, return_sequences=True))` with the same weights in the same order.

    A mask must be padding at the end: True, then False. Outputs where it is False are those of Keras.

    Args:
        layer: An LSTM with return_sequences=True.
        **kwargs: As for keras.layers.Bidirectional.
    """

    def __init__(self, layer: layers.LSTM, **kwargs):
        super().__init__(layer, **kwargs)
        # XLA does not know TensorFlow's LSTM kernels. Keras reads this before it compiles with XLA.
        if keras.backend.backend() == "tensorflow":
            self.supports_jit = False

    def call(
        self,
        sequences: keras.KerasTensor,
        initial_state: list[keras.KerasTensor] | None = None,
        mask: keras.KerasTensor | None = None,
        training: bool | None = None,
    ) -> keras.KerasTensor:
        """Returns float `(batch, steps, 2 * units)`.

        Args:
            sequences: float `(batch, steps, features)`.
            initial_state: With one, Keras' own layer computes the result.
            mask: bool `(batch, steps)`, False for padding; None: no padding.
            training: As in Keras.
        """
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
            # Its kernel takes the batch first, so the forward direction needs no reordering.
            turned = ops.transpose(rows * steps + backwards)
            layouts = [None, (turned, turned)]
        else:
            # From (batch, steps) to (steps, batch) in the order of a direction, and back.
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

            # On a GPU Keras uses cuDNN.
            return None if tf.config.list_physical_devices("GPU") else _block_lstm
        return {"torch": _torch_lstm, "jax": _jax_lstm}.get(backend)


def _rows(x, order, inverse):
    """Returns the vectors of a tensor in another order.

    Args:
        x: `(a, b, features)`.
        order: int `(c, d)`, numbers of vectors, each once: the result is `(c, d, features)`.
        inverse: int `(a, b)`, the order that undoes it. The gradient is copied in this order. Without
            it, Keras would add each vector to zeros.
    """

    def move(x, order):
        flat = ops.reshape(x, (-1, x.shape[-1]))
        numbers = ops.reshape(order, (-1,))
        if keras.backend.backend() == "torch":
            # Keras' take first looks for negative numbers, which takes time.
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
        # The kernel's gradient reads the weights column by column. If the length of a row is a multiple
        # of 1 KB, a whole column falls into the same few places of the cache. So unused units make the
        # rows longer. With 64 units this makes a training step of imdb_bilstm's `article` 8 % shorter.
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
        # The gradient of a slice would be slow.
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
        # PyTorch has two biases and adds them.
        given = [kernel.T.contiguous(), recurrent.T.contiguous(), bias, torch.zeros_like(bias)]
        state = x.new_zeros(1, x.shape[0], recurrent.shape[0])
        training = torch.is_grad_enabled()
        # These say: biases, one layer, no dropout, training or not, one direction, batch first.
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
