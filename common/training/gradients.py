"""Gradients of functions of tensors, the same on every Keras backend, and training by them.

`value_and_gradients` differentiates; `train_by` lets Keras' own `fit` take the gradients of a step that a
recipe writes. No other file asks which backend it runs on to take a gradient.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras import ops

from common.basics.backend import no_gradients
from common.basics.errors import RecipeError

Step = Callable[[list[Any], list[Any], tuple[Any, ...]], tuple[Any, tuple[Any, ...], Any, Any]]
"""(weights, state, batch) -> (loss, (targets, predictions), state, gradients); see `train_by`."""
Score = Callable[[list[Any], list[Any], tuple[Any, ...]], tuple[Any, tuple[Any, ...]]]
"""(weights, state, batch) -> (loss, (targets, predictions)); see `validate_by`."""


def value_and_gradients(function: Callable[[Any], tuple[Any, Any]], tensors: Any) -> Any:
    """Returns what a function gives for some tensors, and the gradients of its first result.

    It can be nested: the gradients can be differentiated in turn. Where nothing is, call it within
    `common.basics.backend.no_gradients`, which saves PyTorch the book-keeping for that.

    Args:
        function: Takes the tensors and returns (value, more): the value is a scalar tensor, more is
            anything made of tensors.
        tensors: Float tensors, nested or not.

    Returns:
        (value, more), gradients: the gradients nested as the tensors are. The gradient of what the
        value does not depend on is 0.

    Raises:
        RecipeError: The Keras backend is none of tensorflow, jax and torch.
    """
    backend = keras.backend.backend()
    if backend not in _GRADIENTS:
        raise RecipeError(f"gradients work on tensorflow, jax and torch, not on {backend}")
    return _GRADIENTS[backend](function, tensors)


def _tensorflow(function, tensors):
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensors)
        value, more = function(tensors)
    none = tf.UnconnectedGradients.ZERO
    return (value, more), tape.gradient(value, tensors, unconnected_gradients=none)


def _jax(function, tensors):
    import jax

    return jax.value_and_grad(function, has_aux=True)(tensors)


def _torch(function, tensors):
    import torch

    outer = torch.is_grad_enabled()
    with torch.enable_grad():
        # What an outer gradient is taken of must stay connected with it.
        tensors = keras.tree.map_structure(
            lambda part: part if part.requires_grad else part.detach().requires_grad_(), tensors
        )
        value, more = function(tensors)
        parts = keras.tree.flatten(tensors)
        # A value that depends on none of them is no part of any graph.
        value = value + sum(part.reshape(-1)[0] for part in parts) * 0.0
        found = torch.autograd.grad(
            value, parts, create_graph=outer, allow_unused=True, materialize_grads=True
        )
    if not outer:
        value, more = keras.tree.map_structure(
            lambda part: part.detach() if torch.is_tensor(part) else part, (value, more)
        )
    return (value, more), keras.tree.pack_sequence_as(tensors, list(found))


_GRADIENTS: dict[str, Callable[..., Any]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}


def values(variables: Iterable[keras.Variable]) -> list[Any]:
    """Returns the tensors that variables hold, for functions of tensors and `stateless_call`."""
    return [ops.stop_gradient(ops.convert_to_tensor(variable.value)) for variable in variables]


def train_by(model: keras.Model, step: Step) -> None:
    """Lets Keras' `fit` train a model by a step of its own; validation and saving stay Keras'.

    Call it after `compile`. What is saved is the plain model. Chance belongs into the batches
    (`common.training.drawn`): then a step is a pure function, and a resumed run repeats it exactly.

    Args:
        model: Compiled functional model.
        step: Function of (values of the trainable variables, values of the others, a batch) that
            returns (loss, (targets, predictions), values of the others after it, gradients): a scalar,
            what the metrics get, with weights of the examples as a third item if they have some, and
            two lists. It calls `model.stateless_call`, on tensors only, and changes no variable.
    """
    trainable, others = model.trainable_variables, model.non_trainable_variables
    logs = _logs_of(model)

    def in_place(data):
        data = _tensors(data)
        with no_gradients():
            loss, seen, after, gradients = step(values(trainable), values(others), data)
            model.optimizer.apply(gradients, trainable)
            for variable, value in zip(others, after, strict=True):
                variable.assign(value)
            return logs(loss, seen)

    def stateless(state, data):
        weights, before, optimizer, metrics = state
        loss, seen, after, gradients = step(weights, before, data)
        weights, optimizer = model.optimizer.stateless_apply(optimizer, gradients, weights)
        mapping = list(zip(model.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            found = logs(loss, seen)
        metrics = [scope.get_current_value(variable) for variable in model.metrics_variables]
        return found, (weights, after, optimizer, metrics)

    model.train_step = stateless if keras.backend.backend() == "jax" else in_place


def validate_by(model: keras.Model, score: Score) -> None:
    """Lets Keras' `fit` and `evaluate` score a model by a function of your own, e.g. on tasks to learn.

    Call it after `compile`. What is saved is the plain model.

    Args:
        model: Compiled functional model.
        score: As the `step` of `train_by`, but it returns only (loss, (targets, predictions)).
    """
    trainable, others = model.trainable_variables, model.non_trainable_variables
    logs = _logs_of(model)

    def in_place(data):
        with no_gradients():
            return logs(*score(values(trainable), values(others), _tensors(data)))

    def stateless(state, data):
        weights, before, metrics = state
        mapping = list(zip(model.metrics_variables, metrics, strict=True))
        loss, seen = score(weights, before, data)
        with keras.StatelessScope(state_mapping=mapping) as scope:
            found = logs(loss, seen)
        metrics = [scope.get_current_value(variable) for variable in model.metrics_variables]
        return found, (weights, before, metrics)

    model.test_step = stateless if keras.backend.backend() == "jax" else in_place


def _tensors(data):
    # Keras passes None for weights that there are not.
    return keras.tree.map_structure(
        lambda part: part if part is None else ops.convert_to_tensor(part), data
    )


def _logs_of(model):
    """Returns the function that hands a loss and what was seen to the metrics."""

    def logs(loss, seen):
        # Keras' own name for the mean of the losses of an epoch.
        model._loss_tracker.update_state(loss)
        return model.compute_metrics(None, *seen)

    return logs
