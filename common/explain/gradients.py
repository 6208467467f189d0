"""Gradients of a model's outputs with respect to its inputs, on every Keras backend."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from common.basics.errors import RecipeError


def logit_model(model: keras.Model, start: keras.KerasTensor | None = None) -> keras.Model:
    """Returns the part of a classifier from a tensor of floats to its logits.

    Args:
        model: Functional model whose last layer is a Dense layer with a softmax or sigmoid.
        start: A tensor inside the model. Default: the input. Integer pixels have no gradient, so of
            those it is the tensor after their cast to floats.

    Returns:
        Model whose output is float32 `(n, classes)`. The single logit z of a sigmoid becomes
        (-z / 2, z / 2), which gives the same probabilities by a softmax.

    Raises:
        RecipeError: The model does not end in a Dense layer.
        ValueError: A path from the input to the logits bypasses `start`.
    """
    last = model.layers[-1]
    if not isinstance(last, layers.Dense):
        raise RecipeError(
            "explanations need a model that ends in a Dense layer, "
            f"{model.name} ends in {type(last).__name__}"
        )
    dense = layers.Dense(last.units, use_bias=last.use_bias, name="logits")
    logits = dense(last.input)
    dense.set_weights(last.get_weights())
    if last.units == 1:
        logits = ops.concatenate([-logits / 2.0, logits / 2.0], axis=-1)
    return keras.Model(pixels(model) if start is None else start, logits)


def pixels(model: keras.Model) -> keras.KerasTensor:
    """Returns the first float tensor of a model: its input, or integer pixels after their cast.

    Raises:
        RecipeError: The model does not cast its integer input.
    """
    source = model.inputs[0]
    if "int" not in source.dtype:
        return source
    for operation in model.operations:
        # The cast is the operation whose only input is the input of the model.
        if operation.input is source and "float" in operation.output.dtype:
            return operation.output
    raise RecipeError(f"{model.name} does not turn its integer input into floats")


def class_gradient(
    model: keras.Model, x: np.ndarray, classes: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the gradient of one logit of each example with respect to its inputs.

    Args:
        model: Returns logits `(n, classes)`.
        x: float32 inputs `(n, ...)`.
        classes: The class of each example, int `(n,)`.

    Returns:
        The logits, float32 `(n, classes)`, and the gradients, float32 like x.

    Raises:
        RecipeError: The Keras backend is none of tensorflow, jax and torch.
    """
    chosen = np.eye(model.output_shape[-1], dtype="float32")[np.asarray(classes)]
    return output_gradient(model, np.asarray(x, "float32"), chosen)


def output_gradient(
    model: keras.Model,
    x: np.ndarray | Sequence[np.ndarray],
    weights: np.ndarray | Sequence[np.ndarray],
) -> tuple[Any, Any]:
    """Returns the gradient of a weighted sum of a model's outputs with respect to its inputs.

    Args:
        model: Network with one or several inputs and outputs.
        x: float32 inputs `(n, ...)`, or a list of them.
        weights: Weight of each number in the outputs, float32: one array, or a list of them, as the
            model's outputs.

    Returns:
        The outputs, nested as the model returns them, and the gradients, nested as x: float32 arrays.

    Raises:
        RecipeError: The Keras backend is none of tensorflow, jax and torch.
    """
    x, weights = keras.tree.map_structure(ops.convert_to_tensor, (x, weights))

    def score_of(outputs):
        pairs = zip(keras.tree.flatten(outputs), keras.tree.flatten(weights), strict=True)
        return sum(ops.sum(one * weight) for one, weight in pairs)

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = model(x, training=False)
            score = score_of(outputs)
        gradient = tape.gradient(score, x)
    elif backend == "jax":
        import jax

        trainable = [variable.value for variable in model.trainable_variables]
        state = [variable.value for variable in model.non_trainable_variables]

        def score_with(inputs):
            outputs, _ = model.stateless_call(trainable, state, inputs, training=False)
            return score_of(outputs), outputs

        gradient, outputs = jax.grad(score_with, has_aux=True)(x)
    elif backend == "torch":
        import torch

        x = keras.tree.map_structure(lambda each: each.detach().requires_grad_(True), x)
        with torch.enable_grad():
            outputs = model(x, training=False)
            found = torch.autograd.grad(score_of(outputs), keras.tree.flatten(x))
        gradient = keras.tree.pack_sequence_as(x, list(found))
    else:
        raise RecipeError(
            f"gradients for explanations work on tensorflow, jax and torch, not on {backend}"
        )
    return keras.tree.map_structure(ops.convert_to_numpy, (outputs, gradient))


def weight_gradients(
    model: keras.Model, x: np.ndarray, y: np.ndarray, variables: Sequence[keras.Variable]
) -> list[np.ndarray]:
    """Returns the gradient of the mean cross-entropy with respect to each of some weights.

    The model runs as in training, batch normalisation included.

    Args:
        model: Returns probabilities `(n, classes)`.
        x: Inputs `(n, ...)`.
        y: One-hot labels, float32 `(n, classes)`.
        variables: Trainable variables of the model.

    Raises:
        RecipeError: The Keras backend is none of tensorflow, jax and torch.
    """

    def loss_of(probabilities):
        return ops.mean(keras.losses.categorical_crossentropy(y, probabilities))

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = loss_of(model(x, training=True))
        found = tape.gradient(loss, [variable.value for variable in variables])
    elif backend == "jax":
        import jax

        trainable = model.trainable_variables
        state = [variable.value for variable in model.non_trainable_variables]

        def loss_with(weights):
            return loss_of(model.stateless_call(weights, state, x, training=True)[0])

        everything = jax.grad(loss_with)([variable.value for variable in trainable])
        places = {id(variable): index for index, variable in enumerate(trainable)}
        found = [everything[places[id(variable)]] for variable in variables]
    elif backend == "torch":
        import torch

        with torch.enable_grad():
            loss = loss_of(model(x, training=True))
            found = torch.autograd.grad(loss, [variable.value for variable in variables])
    else:
        raise RecipeError(f"gradients work on tensorflow, jax and torch, not on {backend}")
    return [ops.convert_to_numpy(gradient) for gradient in found]
