"""Predictions of a model for batches, whatever its outputs are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from common.data.types import Arrays, Splits
from common.training.batches import ArrayBatches, BucketBatches


def outputs_of(model: keras.Model, batches: ArrayBatches) -> Any:
    """Returns the outputs of a model for unshuffled batches, in the order of the data.

    Args:
        model: Trained network.
        batches: Without a seed.

    Returns:
        Array `(n, ...)` of the model's own dtype, or arrays nested as its outputs are. If batches
        differ in length, the shorter outputs are padded with 0 at the end.
    """
    answers = [
        keras.tree.map_structure(
            keras.ops.convert_to_numpy, model.predict_on_batch(batches[index][0])
        )
        for index in range(batches.num_batches)
    ]

    def in_order(*parts):
        longest = np.max([part.shape[1:] for part in parts], axis=0).astype(int)
        whole = np.zeros((batches.count, *longest), parts[0].dtype)
        for index, part in enumerate(parts):
            cut = tuple(slice(0, length) for length in part.shape[1:])
            whole[(batches.rows(index), *cut)] = part
        return whole

    return keras.tree.map_structure(in_order, *answers)


def halves_of(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Returns the outputs of a model for examples as float16: large features, computed once.

    Args:
        model: Has one output, whose values are not far from 1.
        x: `(n, ...)`.
    """
    batches = inference_batches(x)
    found = np.empty((len(x), *model.output_shape[1:]), "float16")
    for index in range(batches.num_batches):
        answers = model.predict_on_batch(batches[index][0])
        found[batches.rows(index)] = keras.ops.convert_to_numpy(answers)
    return found


def inference_batches(
    inputs: Arrays,
    labels: np.ndarray | None = None,
    *,
    num_classes: int = 2,
    batch_size: int = 256,
) -> ArrayBatches:
    """Returns unshuffled batches of model inputs: BucketBatches if they are token ids.

    Args:
        inputs: uint8 images `(n, h, w, c)`, int32 token ids `(n, tokens)`, other arrays `(n, ...)`, or
            several arrays. A single array of integers with two axes is taken for token ids.
        labels: Integer labels `(n,)`; None: zeros.
        num_classes: Number of classes.
        batch_size: Examples per batch.
    """
    first = keras.tree.flatten(inputs)[0]
    if labels is None:
        labels = np.zeros(len(first), "int32")
    if keras.tree.is_nested(inputs) or first.ndim != 2 or first.dtype.kind not in "iu":
        return ArrayBatches(inputs, labels, batch_size=batch_size, num_classes=num_classes)
    return BucketBatches(first, labels, batch_size=batch_size, num_classes=num_classes)


def predict_splits(
    model: keras.Model, splits: Splits, encode: Callable[[Any], Arrays]
) -> dict[str, np.ndarray]:
    """Returns the probabilities and labels of validation and test that `summary.summarise` takes.

    Args:
        model: As for `predict`.
        splits: The test split is read here.
        encode: Turns the x of a split into model inputs.
    """
    outputs = {}
    for name, split in (("val", splits.val), ("test", splits.test)):
        outputs[f"{name}_probabilities"] = predict(model, inference_batches(encode(split.x)))
        outputs[f"{name}_labels"] = np.asarray(split.y, "int32")
    return outputs


def predict(model: keras.Model, batches: ArrayBatches) -> np.ndarray:
    """Returns class probabilities for unshuffled batches, in the order of the data.

    Args:
        model: Has a softmax output `(n, k)` or a sigmoid output `(n, 1)`.
        batches: Without a seed.

    Returns:
        float32 `(n, k)`, `k >= 2`.
    """
    probabilities = outputs_of(model, batches).astype("float32")
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1.0 - probabilities, probabilities], axis=1)
    return probabilities
