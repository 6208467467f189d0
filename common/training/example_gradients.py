"""Gradients of single examples, by book-keeping: one backward pass, then products of matrices.

The gradient of a layer's kernel for one example is (what it was multiplied by)' (gradient at the layer's
output). Both are there after one backward pass over the whole batch. So the norm of each example's
gradient, and the sum of all after each was shortened, need no pass per example and no `vmap`, which
PyTorch lacks for convolutions (after Goodfellow 2015 and Rochette et al. 2019).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from common.basics.errors import RecipeError
from common.training.gradients import value_and_gradients


@dataclasses.dataclass(frozen=True)
class Clipped:
    """Gradients of the examples of a batch, each shortened, and summed."""

    losses: Any
    """Of each example, `(n,)`."""
    outputs: Any
    """The model's, `(n, ...)`."""
    norms: Any
    """Length of each example's gradient over all weights, before it was shortened, `(n,)`."""
    total: list[Any]
    """Sum over the examples, a tensor for each trainable variable."""


class ExampleGradients:
    """Gradients of the single examples of a batch.

    Args:
        model: A chain of layers from one input to one output. Those with weights are Dense and Conv2D,
            without an activation of their own (an Activation layer follows instead).
        start: Tensor inside the model that the examples are values of, after which all of its weights
            come. Default: its input.
        end: Tensor inside the model that is taken for its output. Default: its output.

    Raises:
        RecipeError: The model is no such chain.
    """

    def __init__(
        self,
        model: keras.Model,
        start: keras.KerasTensor | None = None,
        end: keras.KerasTensor | None = None,
    ) -> None:
        self.linear: list[Any] = []
        sources, taps = [], []
        start = model.inputs[0] if start is None else start
        inputs = keras.Input(batch_shape=start.shape, dtype=start.dtype)
        x = inputs
        for operation in _chain(model, start, model.outputs[0] if end is None else end):
            if not isinstance(operation, layers.Layer):
                # An operation such as x / 255 has more arguments than its input.
                operation = keras.Model(operation.input, operation.output)
            source, x = x, operation(x)
            if operation.trainable_variables:
                _check(operation)
                self.linear.append(operation)
                sources.append(source)
                # The gradient at zeros that are added to an output is the gradient at that output.
                taps.append(keras.Input(x.shape[1:], dtype="float32"))
                x = ops.add(x, taps[-1])
        self.tapped = keras.Model([inputs, *taps], [x, *sources])

    def clipped(
        self,
        weights: list[Any],
        state: list[Any],
        x: Any,
        loss: Callable[[Any], Any],
        clip: float | None,
    ) -> Clipped:
        """Returns the summed gradients of a batch, each of length `clip` at most.

        Args:
            weights: Values of the model's trainable variables.
            state: Values of the others.
            x: A batch of inputs, `(n, ...)`.
            loss: Function of the model's outputs that returns the loss of each example, `(n,)`.
            clip: Longest gradient of an example; None: any.
        """
        n = ops.shape(x)[0]
        zeros = [ops.zeros((n, *tap.shape[1:])) for tap in self.tapped.inputs[1:]]

        def summed(taps):
            (outputs, *sources), _ = self.tapped.stateless_call(
                weights, state, [x, *taps], training=True
            )
            losses = loss(outputs)
            return ops.sum(losses), (losses, outputs, sources)

        (_, (losses, outputs, sources)), deltas = value_and_gradients(summed, zeros)
        rows = [_rows(layer, source) for layer, source in zip(self.linear, sources, strict=True)]
        deltas = [ops.reshape(delta, (n, -1, delta.shape[-1])) for delta in deltas]
        parts = list(zip(self.linear, rows, deltas, strict=True))
        norms = ops.sqrt(sum(_square(*part) for part in parts))
        # No gradient, no division by zero.
        share = 1.0 if clip is None else ops.minimum(1.0, clip / ops.maximum(norms, 1e-12))
        share = ops.broadcast_to(share, (n,))[:, None, None]
        total = []
        for layer, a, d in parts:
            a, d = (ops.reshape(each, (-1, each.shape[-1])) for each in (a, d * share))
            total.append(ops.reshape(ops.matmul(ops.transpose(a), d), layer.kernel.shape))
            if layer.use_bias:
                total.append(ops.sum(d, axis=0))
        return Clipped(losses, outputs, norms, total)


def _chain(model, start, end):
    """Returns the operations of a model between two of its tensors, in their order."""
    operations = [each for each in model.operations if not isinstance(each, layers.InputLayer)]
    before, found = model.inputs[0], []
    for operation in operations:
        if operation.input is not before:
            raise RecipeError(
                f"gradients of single examples need a chain of layers; {operation.name} of {model.name} "
                "takes something else than the output of the layer before it"
            )
        if before is start or found:
            found.append(operation)
        before = operation.output
        if before is end:
            break
    return found


def _check(layer):
    plain = isinstance(layer, layers.Dense) or (
        type(layer) is layers.Conv2D
        and layer.groups == 1
        and layer.dilation_rate == (1, 1)
        and layer.data_format == "channels_last"
    )
    if not plain or layer.activation is not keras.activations.linear:
        raise RecipeError(
            "gradients of single examples are there for Dense and Conv2D layers without groups, dilation "
            f"or an activation of their own, which {layer.name} ({type(layer).__name__}) is not"
        )


def _square(layer, a, d):
    """Returns the squared length of each example's gradient in one layer, `(n,)`."""
    places, inputs, outputs = a.shape[1], a.shape[2], d.shape[2]
    if places * (inputs + outputs) < inputs * outputs:
        # |a' d|^2 is the sum of (a a') * (d d'), which are the smaller matrices here.
        products = [ops.matmul(each, ops.transpose(each, (0, 2, 1))) for each in (a, d)]
        square = ops.sum(products[0] * products[1], axis=(1, 2))
    else:
        square = ops.sum(ops.square(ops.matmul(ops.transpose(a, (0, 2, 1)), d)), axis=(1, 2))
    if layer.use_bias:
        square += ops.sum(ops.square(ops.sum(d, axis=1)), axis=1)
    return square


def _rows(layer, x):
    """Returns what a layer multiplies by its kernel, `(n, places, inputs)`."""
    if isinstance(layer, layers.Dense):
        return ops.reshape(x, (-1, int(x.shape[1]) if len(x.shape) > 2 else 1, x.shape[-1]))
    (kh, kw), (sh, sw) = layer.kernel_size, layer.strides
    if layer.padding == "same":
        pads = [
            max((-(-size // stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in zip(x.shape[1:3], (sh, sw), (kh, kw), strict=True)
        ]
        x = ops.pad(x, ((0, 0), *((pad // 2, pad - pad // 2) for pad in pads), (0, 0)))
    h, w = (x.shape[1] - kh) // sh + 1, (x.shape[2] - kw) // sw + 1
    # In the order of the kernel's axes: row, column, channel.
    parts = [
        x[:, i : i + sh * (h - 1) + 1 : sh, j : j + sw * (w - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]
    return ops.reshape(ops.concatenate(parts, axis=-1), (-1, h * w, kh * kw * x.shape[3]))
