"""What a model answers to batches, whatever its outputs are."""

import keras
import numpy as np


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
