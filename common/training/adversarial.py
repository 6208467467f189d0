"""Training on examples that an attack has moved: FGSM with a random start, PGD, TRADES.

An attack moves each pixel by at most epsilon, within the valid values of pixels. Both are in units where
0 is black and 1 is white.

Goodfellow et al. 2015 (FGSM), Madry et al. 2018 (PGD), Zhang et al. 2019 (TRADES), Wong et al. 2020 (a
random start makes FGSM worth training by).
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from common.training.gradients import Step, value_and_gradients
from common.training.logits import logit_model

HEAD = 3
"""Numbers before the start in a row of draws: epsilon, the size of a step, the number of steps."""
WHITE = 255.0
"""What a model takes for white."""


def cross_entropy(logits: Any, y: Any) -> Any:
    """Returns the cross-entropy of each example, `(n,)`, of logits and one-hot labels `(n, classes)`."""
    return -ops.sum(y * ops.log_softmax(logits, axis=-1), axis=-1)


def margin(logits: Any, y: Any) -> Any:
    """Returns by how much the best wrong class beats the right one, `(n,)`: above 0 the answer is wrong.

    Unlike the cross-entropy it has a gradient where the network is certain.
    """
    return ops.max(logits - 1e9 * y, axis=-1) - ops.sum(logits * y, axis=-1)


def divergence(logits: Any, clean: Any) -> Any:
    """Returns the Kullback-Leibler divergence of each answer from that to the clean example, `(n,)`."""
    clean = ops.log_softmax(clean, axis=-1)
    return ops.sum(ops.exp(clean) * (clean - ops.log_softmax(logits, axis=-1)), axis=-1)


def climb(loss: Callable[[Any], Any], x: Any, moved: Any, epsilon: Any, size: Any) -> Any:
    """Returns images after one step up a loss, by the sign of the gradient.

    Args:
        loss: Function of images that returns a value for each.
        x: The images as they were, float `(n, h, w, c)` in [0, 1].
        moved: The images so far.
        epsilon: Most that a pixel may differ from `x`.
        size: Length of the step.
    """
    _, gradient = value_and_gradients(lambda images: (ops.sum(loss(images)), ()), moved)
    return inside(moved + size * ops.sign(gradient), x, epsilon)


def inside(moved: Any, x: Any, epsilon: Any) -> Any:
    """Returns images moved back to at most epsilon from `x`, and into [0, 1]."""
    return ops.clip(moved, ops.maximum(x - epsilon, 0.0), ops.minimum(x + epsilon, 1.0))


def draws(
    attack: Callable[[int], tuple[float, float, int]],
) -> Callable[[np.ndarray, np.random.Generator, int], np.ndarray]:
    """Returns the `draws` of DrawnBatches for `adversarial_step`.

    Args:
        attack: Function of the index of the step that returns epsilon, the size of a step of the attack
            and the number of its steps.
    """

    def draw(x, random, index):
        start = random.uniform(-1, 1, (len(x), int(np.prod(x.shape[1:])))).astype("float32")
        head = np.tile(np.array(attack(index), "float32"), (len(x), 1))
        return np.concatenate([head, start], axis=1)

    return draw


def adversarial_step(model: keras.Model, *, trades: float = 0.0) -> Step:
    """Returns a step for `train_by` that trains a classifier on attacked images.

    The attack sees the network as it answers: without dropout, with the kept statistics of batch
    normalisation, which it does not change.

    Args:
        model: Classifier of uint8 images that ends in an activation layer with a softmax. Its batches are
            DrawnBatches of images, one-hot labels and `draws`.
        trades: 0: the loss is the cross-entropy of the attacked images. Else that of the clean ones, and
            this times the divergence of the answers to both, by which the attack goes too.

    Raises:
        ValueError: The model ends otherwise: its logits would have weights of their own.
    """
    network = logit_model(model)
    if [id(v) for v in network.variables] != [id(v) for v in model.variables]:
        raise ValueError(
            "expected a model that ends in a softmax of its own, not within a Dense layer"
        )

    def step(weights, state, batch):
        x, y, drawn = batch
        x = ops.cast(x, "float32") / WHITE
        epsilon, size, count = drawn[0, 0], drawn[0, 1], ops.cast(drawn[0, 2], "int32")

        def logits(weights, images, training):
            return network.stateless_call(weights, state, images * WHITE, training=training)

        clean = logits(weights, x, False)[0] if trades else None

        def loss(images):
            found, _ = logits(weights, images, False)
            return divergence(found, clean) if trades else cross_entropy(found, y)

        start = ops.reshape(drawn[:, HEAD:], ops.shape(x))
        moved = ops.fori_loop(
            0,
            count,
            lambda _, moved: climb(loss, x, moved, epsilon, size),
            inside(x + epsilon * start, x, epsilon),
        )
        moved = ops.stop_gradient(moved)

        def total(weights):
            if not trades:
                found, after = logits(weights, moved, True)
                return ops.mean(cross_entropy(found, y)), (found, after)
            both, after = logits(weights, ops.concatenate([x, moved]), True)
            clean, found = ops.split(both, 2)
            value = cross_entropy(clean, y) + trades * divergence(found, clean)
            return ops.mean(value), (found, after)

        (value, (found, after)), gradients = value_and_gradients(total, weights)
        return value, (y, ops.softmax(found)), after, gradients

    return step
