"""Answers `recipes predict`: which class of a support is each image of?"""

from __future__ import annotations

import keras
import numpy as np

from common.basics.backend import no_gradients
from common.training.gradients import values
from common.training.outputs import inference_batches, outputs_of

from .episodes import prepared
from .learners import adapted, has_embeddings


def probabilities(
    model: keras.Model,
    support: tuple[np.ndarray, np.ndarray],
    images: np.ndarray,
    *,
    steps: int,
    rate: float,
) -> np.ndarray:
    """Returns the probability of each class of a support for each image, float32 `(n, classes)`.

    Args:
        model: Trained network.
        support: uint8 images `(m, 28, 28, 1)` and their classes, integers `(m,)` from 0; each class has
            one or more, not all as many.
        images: uint8 `(n, 28, 28, 1)`.
        steps, rate: How a network that ends in logits adapts its weights.
    """
    known, labels = prepared(support[0]), support[1].astype("int32")
    asked = prepared(images)
    if not has_embeddings(model):
        logits = _after_adapting(model, known, labels, asked, steps, rate)
    else:
        points, queries = (
            outputs_of(model, inference_batches(part)).astype("float64") for part in (known, asked)
        )
        prototypes = np.stack(
            [points[labels == label].mean(axis=0) for label in range(labels.max() + 1)]
        )
        distances = ((queries[:, None] - prototypes) ** 2).sum(axis=-1)
        logits = -distances / points.shape[1] ** 0.5
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (shares / shares.sum(axis=-1, keepdims=True)).astype("float32")


def _after_adapting(model, known, labels, asked, steps, rate):
    state = values(model.non_trainable_variables)

    def call(weights, images):
        return model.stateless_call(weights, state, images, training=False)[0]

    known, labels, asked = map(keras.ops.convert_to_tensor, (known, labels, asked))
    with no_gradients():
        found = adapted(
            call,
            values(model.trainable_variables),
            known,
            labels,
            steps=steps,
            rate=rate,
            first_order=True,
        )
        return keras.ops.convert_to_numpy(call(found, asked))
