"""Training on examples that an attack has moved: FGSM with a random start, PGD, TRADES.

An attack moves each pixel by at most epsilon, within the valid values of pixels. Both are in units where
0 is black and 1 is white.

Goodfellow et al. 2015 (FGSM), Madry et al. 2018 (PGD), Zhang et al. 2019 (TRADES), Wong et al. 2020 (a
random start makes FGSM worth training by).
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol

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


Norm = Literal["linf", "l2"]
"""How a change is measured: by its largest pixel, or by the root of the sum of all squares."""


def climb(
    loss: Callable[[Any], Any], x: Any, moved: Any, epsilon: Any, size: Any, norm: Norm = "linf"
) -> Any:
    """Returns images after one step up a loss, the steepest of its length.

    In the maximum norm that is by the sign of the gradient, in the L2 norm along the gradient.

    Args:
        loss: Function of images that returns a value for each.
        x: The images as they were, float `(n, h, w, c)` in [0, 1].
        moved: The images so far.
        epsilon: Most that an image may differ from `x`, in the norm.
        size: Length of the step.
        norm: Of the step and of the difference.
    """
    _, gradient = value_and_gradients(lambda images: (ops.sum(loss(images)), ()), moved)
    step = ops.sign(gradient) if norm == "linf" else gradient / (lengths(gradient) + 1e-12)
    return inside(moved + size * step, x, epsilon, norm)


def lengths(changes: Any) -> Any:
    """Returns the L2 norm of each change `(n, h, w, c)`, as `(n, 1, 1, 1)`."""
    return ops.sqrt(ops.sum(ops.square(changes), axis=(1, 2, 3), keepdims=True))


def inside(moved: Any, x: Any, epsilon: Any, norm: Norm = "linf") -> Any:
    """Returns images moved back to at most epsilon from `x`, and into [0, 1]."""
    if norm == "l2":
        change = moved - x
        # A clip brings each pixel nearer to x: it does not leave the ball.
        return ops.clip(
            x + change * ops.minimum(1.0, epsilon / (lengths(change) + 1e-12)), 0.0, 1.0
        )
    return ops.clip(moved, ops.maximum(x - epsilon, 0.0), ops.minimum(x + epsilon, 1.0))


class Plan(Protocol):
    """Fields of a Config that say by what attack a training goes."""

    @property
    def epsilon(self) -> float:
        """Most that a pixel changes; black is 0, white is 1."""

    @property
    def attack(self) -> str:
        """fgsm: one step, of 1.25 epsilon; pgd: `attack_steps` smaller ones."""

    @property
    def attack_steps(self) -> int:
        """pgd: number of steps."""

    @property
    def step_size(self) -> float:
        """pgd: change of a pixel in a step."""

    @property
    def fgsm_share(self) -> float:
        """pgd: share of the training that is fgsm, before it."""

    @property
    def ramp_share(self) -> float:
        """Share of the training in which epsilon grows from 0."""


def attack_of(plan: Plan, done: float) -> tuple[float, float, int]:
    """Returns epsilon, size and number of the attack's steps.

    Args:
        plan: The Config.
        done: Share of the training that is done with this step, above 0 and at most 1.
    """
    share = min(done / plan.ramp_share, 1.0) if plan.ramp_share else 1.0
    if plan.attack == "fgsm" or done < plan.fgsm_share:
        return share * plan.epsilon, 1.25 * share * plan.epsilon, 1
    return share * plan.epsilon, share * plan.step_size, plan.attack_steps


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
