"""How a task is learnt: by prototypes, or by steps of gradient descent (MAML, Reptile).

Everything is a pure function of tensors, on every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from common.training.gradients import Score, Step, value_and_gradients

if TYPE_CHECKING:
    from .episodes import Tasks
    from .train import Config

Call = Callable[[Sequence[Any], Any], Any]
"""(weights, images `(n, 28, 28, 1)`) -> the network's outputs `(n, ...)`."""


def prototype_logits(embeddings: Any, shot: int) -> Any:
    """Returns how near each query is to each prototype, the mean of a character's support.

    Args:
        embeddings: `(tasks, way, shot + queries, features)`; the support comes first.
        shot: Drawings in the support of each character.

    Returns:
        Logits `(tasks, way * queries, way)`: minus the squared distance, divided by the root of the
        number of features. Undivided, a softmax of so many features begins far off.
    """
    _, way, drawings, features = embeddings.shape
    prototypes = ops.mean(embeddings[:, :, :shot], axis=2)
    queries = ops.reshape(embeddings[:, :, shot:], (-1, way * (drawings - shot), features))
    squares = ops.sum(queries**2, axis=-1)[:, :, None] + ops.sum(prototypes**2, axis=-1)[:, None]
    products = ops.matmul(queries, ops.transpose(prototypes, (0, 2, 1)))
    return (2.0 * products - squares) / features**0.5


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Returns the mean cross-entropy, nats.

    Args:
        logits: `(..., classes)`.
        labels: Integers `(...)`.
    """
    wanted = ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return -ops.mean(ops.sum(wanted * ops.log_softmax(logits, axis=-1), axis=-1))


def adapted(
    call: Call,
    weights: Sequence[Any],
    images: Any,
    labels: Any,
    *,
    steps: int,
    rate: float,
    first_order: bool,
) -> list[Any]:
    """Returns the weights after some steps of gradient descent on a task's support.

    Args:
        call: The network.
        weights: Its weights before.
        images: `(n, 28, 28, 1)`.
        labels: Integers `(n,)`.
        steps: Steps; with 0 the weights are returned as they are.
        rate: Learning rate.
        first_order: Whether the gradients count as constants when the result is differentiated.
    """
    found = list(weights)

    def loss(weights):
        return cross_entropy(call(weights, images), labels), ()

    for _ in range(steps):
        _, gradients = value_and_gradients(loss, found)
        if first_order:
            gradients = [ops.stop_gradient(gradient) for gradient in gradients]
        found = [
            weight - rate * gradient for weight, gradient in zip(found, gradients, strict=True)
        ]
    return found


def training_step(model: keras.Model, config: Config) -> Step:
    """Returns the step of `common.training.gradients.train_by` for a method."""
    return (
        prototype_step(model, config) if config.learner == "prototypes" else _mapped(model, config)
    )


def prototype_step(model: keras.Model, config: Config) -> Step:
    """Returns the step of prototypical networks; a batch is images of tasks and the right answers."""

    def step(weights, state, batch):
        images, labels = batch[:2]

        def loss(weights):
            found, after = model.stateless_call(weights, state, flat(images), training=True)
            logits = prototype_logits(_by_task(found, images), config.shot)
            return cross_entropy(logits, labels), (logits, after)

        (value, (logits, after)), gradients = value_and_gradients(loss, weights)
        return value, _rows(labels, logits), after, gradients

    return step


def _mapped(model, config):
    """Returns the step of MAML and Reptile: the mean over tasks, one after the other."""

    def step(weights, state, batch):
        images, labels = batch[:2]

        def call(weights, images):
            return model.stateless_call(weights, state, images, training=True)[0]

        def one(task):
            return task_gradients(call, weights, *task, config)

        values, logits, gradients = ops.map(one, (images, labels))
        gradients = [ops.mean(gradient, axis=0) for gradient in gradients]
        return ops.mean(values), _rows(labels, logits), list(state), gradients

    return step


def task_gradients(
    call: Call, weights: Sequence[Any], images: Any, labels: Any, config: Config
) -> tuple[Any, Any, list[Any]]:
    """Returns a task's loss, its logits of the queries, and the gradients for the weights before it.

    Args:
        call: The network.
        weights: Its weights.
        images: `(way, shot + queries, 28, 28, 1)`.
        labels: Of the queries, integers `(way * queries,)`.
        config: Its `learner` is "maml" or "reptile".
    """
    support, known, queries = parts(images, config.shot)
    steps, rate = config.inner_steps, config.inner_rate

    def loss(weights):
        found = adapted(
            call,
            weights,
            support,
            known,
            steps=steps,
            rate=rate,
            first_order=config.first_order,
        )
        logits = call(found, queries)
        return cross_entropy(logits, labels), logits

    if config.learner == "maml":
        (value, logits), gradients = value_and_gradients(loss, list(weights))
        return value, logits, gradients
    # Reptile moves towards where steps on a task lead. Each step is on other drawings of the characters:
    # a step that also helps with the drawings of the next ones leads furthest (Nichol et al. 2018).
    way, drawings = images.shape[:2]
    found = list(weights)
    for step in range(steps):
        some, each = images[:, step % drawings], ops.arange(way)
        found = adapted(call, found, some, each, steps=1, rate=rate, first_order=True)
    logits = call(found, queries)
    scale = 1.0 / (rate * max(steps, 1))
    moves = [scale * (before - after) for before, after in zip(weights, found, strict=True)]
    return cross_entropy(logits, labels), logits, moves


def parts(images: Any, shot: int) -> tuple[Any, Any, Any]:
    """Returns a task's support `(way * shot, ...)`, its labels, and queries `(way * queries, ...)`."""
    way, shape = images.shape[0], (-1, *images.shape[2:])
    known = ops.repeat(ops.arange(way), shot)
    return ops.reshape(images[:, :shot], shape), known, ops.reshape(images[:, shot:], shape)


def scorer(
    model: keras.Model, shot: int, steps: int, rate: float
) -> Callable[[Any, Any, Any], Any]:
    """Returns a function that answers tasks as a finished network does.

    Each query is answered by itself: no answer depends on the other queries (it is not transductive).

    Args:
        model: Its last layer, "embedding" or "logits", says how it learns.
        shot: Drawings in the support.
        steps, rate: How weights are adapted.

    Returns:
        Function of (weights, state, images `(tasks, way, shot + queries, 28, 28, 1)`) that returns
        logits `(tasks, way * queries, way)`.
    """

    def by_prototypes(weights, state, images):
        found, _ = model.stateless_call(weights, state, flat(images), training=False)
        return prototype_logits(_by_task(found, images), shot)

    def by_gradients(weights, state, images):
        def call(weights, images):
            return model.stateless_call(weights, state, images, training=False)[0]

        def one(images):
            support, known, queries = parts(images, shot)
            found = adapted(call, weights, support, known, steps=steps, rate=rate, first_order=True)
            return call(found, queries)

        return ops.map(one, images)

    return by_prototypes if has_embeddings(model) else by_gradients


def has_embeddings(model: keras.Model) -> bool:
    """Returns whether a network's outputs are embeddings, and not logits of a task's characters."""
    return model.layers[-1].name == "embedding"


def flat(images: Any) -> Any:
    """Returns the images of tasks one after the other, `(n, 28, 28, 1)`."""
    return ops.reshape(images, (-1, *images.shape[3:]))


def _by_task(outputs, images):
    return ops.reshape(outputs, (-1, *images.shape[1:3], outputs.shape[-1]))


def _rows(labels, logits):
    """Returns labels `(n,)` and logits `(n, way)` for the metrics."""
    return ops.reshape(labels, (-1,)), ops.reshape(logits, (-1, logits.shape[-1]))


def validation_step(model: keras.Model, tasks: Tasks) -> Score:
    """Returns the step of `common.training.gradients.validate_by`.

    Args:
        model: The network.
        tasks: The tasks of validation; a batch is images of some of them and the right answers.
    """
    ask = scorer(model, tasks.shot, tasks.steps, tasks.rate)

    def step(weights, state, batch):
        images, labels = batch[:2]
        logits = ask(weights, state, images)
        return cross_entropy(logits, labels), _rows(labels, logits)

    return step


def accuracy(labels: Any, logits: Any) -> Any:
    """The metric for training: 1 for each query that is answered right, else 0, `(n,)`."""
    likeliest = ops.argmax(logits, axis=-1)
    return ops.cast(ops.equal(likeliest, ops.cast(labels, likeliest.dtype)), "float32")
