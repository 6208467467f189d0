"""Passes batches to Keras' `fit`; on TensorFlow in a faster form."""

from typing import Any

import keras
import numpy as np

# TensorFlow gets several batches per call, but at most these: Ctrl-C waits until a call ends.
BYTES_PER_CALL = 2**20
BATCHES_PER_CALL = 10


def per_call(batches: keras.utils.PyDataset) -> int:
    """Returns how many batches `feed` passes per call, for `steps_per_execution`; 1 without TensorFlow.

    On TensorFlow, a call into Python takes 2 ms for each batch and each step, a tenth to a fifth of the
    time of a step of a small network.
    """
    if keras.backend.backend() != "tensorflow":
        return 1
    largest = max(part.nbytes for part in keras.tree.flatten(batches[0]))
    return min(max(BYTES_PER_CALL // largest, 1), BATCHES_PER_CALL)


def feed(batches: keras.utils.PyDataset) -> Any:
    """Returns the data for Keras' `fit`: a `tf.data.Dataset` on TensorFlow, else the batches themselves.

    The dataset is faster than the one that Keras makes of batches, for two reasons. Several batches cross
    from Python in one call, and TensorFlow takes them apart. And the thread that tunes datasets is
    switched off: because of a race in TensorFlow (2.21) it can miss the signal to stop, and the end of an
    epoch then waits for it, for up to the duration of that epoch.

    Args:
        batches: ArrayBatches, or another PyDataset whose batches are tuples of arrays, which may be
            nested. If shapes differ in more than the number of examples, it needs a property `shapes` as
            BucketBatches has.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    first, size = batches[0], per_call(batches)

    def groups():
        waiting = []
        for batch in map(batches.__getitem__, range(batches.num_batches)):
            # Batches of different shapes cannot be stacked, so a new group begins.
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
