"""What Keras' `fit` is handed in place of batches: the same ones, faster on TensorFlow."""

import keras
import numpy as np

# What TensorFlow is handed at once: many small images, few large ones. Its steps are one call too, and
# Ctrl-C waits for that.
BYTES_PER_CALL = 2**20
BATCHES_PER_CALL = 10


def per_call(batches):
    """Returns how many batches `feed` hands over in one call, for `steps_per_execution`.

    Each is a call into Python of 2 ms on TensorFlow, and each step another: a tenth to a fifth of a
    step of a small network. 1 on the other backends.
    """
    if keras.backend.backend() != "tensorflow":
        return 1
    largest = max(part.nbytes for part in keras.tree.flatten(batches[0]))
    return min(max(BYTES_PER_CALL // largest, 1), BATCHES_PER_CALL)


def feed(batches):
    """Returns what Keras' `fit` is to be given in place of these batches: the same ones, faster.

    On TensorFlow Keras makes a PyDataset a `tf.data.Dataset`. Here it is made with several batches in
    one call, which TensorFlow takes apart, and without the thread that tunes such a dataset. That one
    works after 10, 20, 40... ms, a minute at most, and is told to stop at the end of an epoch; but
    TensorFlow (2.21) wakes it a moment before it writes down why. If it is quick it sleeps on, and the
    end of the epoch waits for it, up to as long again as the epoch took.

    Args:
        batches: ArrayBatches, or another PyDataset whose batches are tuples of arrays (nested in tuples
            and dicts). Where their shapes differ by more than the number of examples it has `shapes`, as
            BucketBatches has.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    first, size = batches[0], per_call(batches)

    def groups():
        waiting = []
        for batch in map(batches.__getitem__, range(batches.num_batches)):
            # A smaller last batch goes alone, and so does one of another length.
            if waiting and (len(waiting) == size or _shapes(batch) != _shapes(waiting[0])):
                yield _stacked(waiting)
                waiting = []
            waiting.append(batch)
        yield _stacked(waiting)

    parts = keras.tree.flatten(first)
    shapes = getattr(batches, "shapes", [(None, *part.shape[1:]) for part in parts])
    specs = [
        tf.TensorSpec((None, *shape), part.dtype) for shape, part in zip(shapes, parts, strict=True)
    ]
    signature = keras.tree.pack_sequence_as(first, specs)
    dataset = tf.data.Dataset.from_generator(groups, output_signature=signature).unbatch()
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches.num_batches))
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(max(size, 2)).with_options(options)


def _shapes(batch):
    return [part.shape for part in keras.tree.flatten(batch)]


def _stacked(batches):
    return keras.tree.map_structure(lambda *parts: np.stack(parts), *batches)
