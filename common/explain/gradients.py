"""Gradients of a model's outputs with respect to its inputs, on every Keras backend."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from common.basics.backend import no_gradients
from common.training.gradients import value_and_gradients, values


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
    trainable, state = values(model.trainable_variables), values(model.non_trainable_variables)

    def score(x):
        outputs, _ = model.stateless_call(trainable, state, x, training=False)
        pairs = zip(keras.tree.flatten(outputs), keras.tree.flatten(weights), strict=True)
        return sum(ops.sum(one * weight) for one, weight in pairs), outputs

    with no_gradients():
        (_, outputs), found = value_and_gradients(score, x)
    return keras.tree.map_structure(ops.convert_to_numpy, (outputs, found))


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

    trainable, state = model.trainable_variables, values(model.non_trainable_variables)
    places = {id(variable): index for index, variable in enumerate(trainable)}

    def loss(chosen):
        weights = values(trainable)
        for variable, value in zip(variables, chosen, strict=True):
            weights[places[id(variable)]] = value
        probabilities, _ = model.stateless_call(weights, state, x, training=True)
        return ops.mean(keras.losses.categorical_crossentropy(y, probabilities)), ()

    with no_gradients():
        _, found = value_and_gradients(loss, values(variables))
    return [ops.convert_to_numpy(gradient) for gradient in found]
