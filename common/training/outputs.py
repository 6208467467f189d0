"""What a model answers to batches, whatever its outputs are."""

import keras
import numpy as np

from common.training.batches import ArrayBatches, BucketBatches


def outputs_of(model, batches):
    """Returns what a model answers to unshuffled batches, in the order of the data.

    Args:
        model: A Keras model.
        batches: ArrayBatches or BucketBatches without a seed.

    Returns:
        Array `(n, ...)` of the model's own dtype, or arrays nested as its outputs are. Where batches
        differ in length, the shorter ones are filled up with 0 at the end.
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


def inference_batches(inputs, labels=None, *, num_classes=2, batch_size=256):
    """Returns unshuffled batches of model inputs: bucketed if they are token ids.

    Args:
        inputs: uint8 images `(n, h, w, c)`, int32 token ids `(n, tokens)`, other arrays `(n, ...)`, or a
            tuple or dict of arrays. One array of integers with two axes is taken for token ids.
        labels: Integer labels `(n,)`; zeros where there are none.
        num_classes: Number of classes.
        batch_size: Examples per batch.
    """
    first = keras.tree.flatten(inputs)[0]
    if labels is None:
        labels = np.zeros(len(first), "int32")
    tokens = first is inputs and inputs.ndim == 2 and inputs.dtype.kind in "iu"
    cls = BucketBatches if tokens else ArrayBatches
    return cls(inputs, labels, batch_size=batch_size, num_classes=num_classes)


def predict_splits(model, splits, encode):
    """Returns what `metrics.summarise` takes: probabilities and labels of validation and test.

    Args:
        model: As for `predict`.
        splits: common.data.Splits; its test split is read here.
        encode: Turns the x of a split into model inputs.
    """
    outputs = {}
    for name, split in (("val", splits.val), ("test", splits.test)):
        outputs[f"{name}_probabilities"] = predict(model, inference_batches(encode(split.x)))
        outputs[f"{name}_labels"] = np.asarray(split.y, "int32")
    return outputs


def predict(model, batches):
    """Returns class probabilities for unshuffled batches, in the order of the data.

    Args:
        model: A Keras model with a softmax output `(n, k)` or a sigmoid output `(n, 1)`.
        batches: ArrayBatches or BucketBatches without a seed.

    Returns:
        float32 `(n, k)`, `k >= 2`.
    """
    probabilities = outputs_of(model, batches).astype("float32")
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1.0 - probabilities, probabilities], axis=1)
    return probabilities
