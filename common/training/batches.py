"""Batches for `fit()` that are a pure function of (seed, epoch, index), on every Keras backend.

A run that is killed and resumed sees the same batches with the same augmentation as one that was
not, because nothing here carries state from one batch to the next.
"""

import copy

import keras
import numpy as np

# What TensorFlow is handed at once: many small images, few large ones. Its steps are one call too, and
# Ctrl-C waits for that.
BYTES_PER_CALL = 2**20
BATCHES_PER_CALL = 10


class ArrayBatches(keras.utils.PyDataset):
    """Batches of arrays; shuffled and augmented when a seed is given, in order otherwise.

    Args:
        x: Array of inputs, `(n, ...)`; a memory map stays one (only a batch is read at a time).
        y: Integer labels, `(n,)`.
        batch_size: Examples per batch. The last batch may be smaller: no example is dropped.
        num_classes: Labels are given one-hot, float32 `(batch, num_classes)`; with 1, for a sigmoid,
            as they are, float32 `(batch, 1)`.
        seed: Seed of the order and the augmentation. None: no shuffling, no augmentation.
        augment: Callable `(batch of x, numpy Generator) -> batch of x`, for training.
        class_weights: float32 `(classes,)`, how much an example of each class counts in the loss; None:
            all the same. With weights a batch is a triple, as Keras' `fit` takes it.
    """

    def __init__(
        self, x, y, *, batch_size, num_classes, seed=None, augment=None, class_weights=None
    ):
        super().__init__()
        self.x, self.y = x, y
        self.batch_size = batch_size
        self.num_classes = num_classes
        self.seed = seed
        self.augment = augment
        self.class_weights = class_weights
        self.set_epoch(0)

    @property
    def num_batches(self):
        return -(-len(self.y) // self.batch_size)

    def at_epoch(self, epoch):
        """Returns these batches as they are in an epoch (0-based), without moving there."""
        batches = copy.copy(self)
        batches.set_epoch(epoch)
        return batches

    def set_epoch(self, epoch):
        """Moves to an epoch (0-based); `common.training.fit` calls it before each."""
        self.epoch = epoch
        self.order = self._order(epoch)

    def _order(self, epoch):
        if self.seed is None:
            return None
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.y))

    def _rows(self, index):
        start, stop = index * self.batch_size, (index + 1) * self.batch_size
        if self.order is None:
            return slice(start, min(stop, len(self.y)))
        return self.order[start:stop]

    def __getitem__(self, index):
        rows = self._rows(index)
        x = np.asarray(self.x[rows])
        if self.augment is not None and self.seed is not None:
            x = self.augment(x, np.random.default_rng([self.seed, self.epoch, index]))
        y = np.asarray(self.y[rows])
        if self.num_classes == 1:
            targets = y[:, None].astype("float32")
        else:
            targets = np.eye(self.num_classes, dtype="float32")[y]
        if self.class_weights is None:
            return x, targets
        return x, targets, self.class_weights[y]


class BucketBatches(ArrayBatches):
    """Batches of token ids of similar length, each cut to its longest row.

    A padded position costs as much as a word. Sorting by length within groups of batches and then
    shuffling the batches removes most padding while the order stays random.

    Args:
        ids: int32 `(n, tokens)`, padded at the end with 0.
        labels: Integer labels, `(n,)`.
        width: Batches are cut to a multiple of this many tokens, so that a compiled backend meets
            few different shapes.
        group: Batches sorted together. Larger: less padding; smaller: more mixing.
        **kwargs: As for ArrayBatches.
    """

    def __init__(self, ids, labels, *, width=25, group=50, **kwargs):
        # Up to the last non-zero column: a 0 inside a text does not shorten it. Looked for from the end.
        words = ids != 0
        self.lengths = ids.shape[1] - np.argmax(words[:, ::-1], axis=1)
        self.lengths[~words.any(axis=1)] = 0
        self.width = width
        self.group = group
        super().__init__(ids, labels, **kwargs)

    def _order(self, epoch):
        size = self.batch_size
        full = len(self.y) // size
        if self.seed is None:
            order = np.argsort(self.lengths, kind="stable")
        else:
            random = np.random.default_rng([self.seed, epoch])
            order = random.permutation(len(self.y))
            for start in range(0, len(order), size * self.group):
                part = order[start : start + size * self.group]
                part[:] = part[np.argsort(self.lengths[part], kind="stable")]
            # The short last batch stays last: only full batches change places.
            order[: full * size] = (
                order[: full * size].reshape(full, size)[random.permutation(full)].reshape(-1)
            )
        return order

    def _tokens(self, rows):
        longest = int(np.max(self.lengths[rows]))
        return min(-(-max(longest, 1) // self.width) * self.width, self.x.shape[1])

    def __getitem__(self, index):
        x, *rest = super().__getitem__(index)
        return x[:, : self._tokens(self._rows(index))], *rest


def balanced_weights(labels, classes):
    """Returns class weights with which every class counts as much as any other: float32 `(classes,)`.

    Their mean over the examples is 1, so the learning rate means what it did.

    Args:
        labels: Integer labels of the training split, `(n,)`.
        classes: Number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype("float32")


def per_call(batches):
    """Returns how many batches `feed` hands over in one call, for `steps_per_execution`.

    Each is a call into Python of 2 ms on TensorFlow, and each step another: a tenth to a fifth of a
    step of a small network. 1 on the other backends.
    """
    if keras.backend.backend() != "tensorflow":
        return 1
    return min(max(BYTES_PER_CALL // batches[0][0].nbytes, 1), BATCHES_PER_CALL)


def feed(batches):
    """Returns what Keras' `fit` is to be given in place of these batches: the same ones, faster.

    On TensorFlow Keras makes a PyDataset a `tf.data.Dataset`. Here it is made with several batches in
    one call, which TensorFlow takes apart, and without the thread that tunes such a dataset. That one
    works after 10, 20, 40... ms, a minute at most, and is told to stop at the end of an epoch; but
    TensorFlow (2.21) wakes it a moment before it writes down why. If it is quick it sleeps on, and the
    end of the epoch waits for it, up to as long again as the epoch took.

    Args:
        batches: ArrayBatches.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    first, size = batches[0], per_call(batches)

    def groups():
        waiting = []
        for batch in map(batches.__getitem__, range(batches.num_batches)):
            # A smaller last batch goes alone, and so does one of another length.
            if waiting and (len(waiting) == size or batch[0].shape != waiting[0][0].shape):
                yield _stacked(waiting)
                waiting = []
            waiting.append(batch)
        yield _stacked(waiting)

    shapes = [part.shape[1:] for part in first]
    if isinstance(batches, BucketBatches):
        shapes[0] = (None,)
    signature = tuple(
        tf.TensorSpec((None, None, *shape), part.dtype)
        for shape, part in zip(shapes, first, strict=True)
    )
    dataset = tf.data.Dataset.from_generator(groups, output_signature=signature).unbatch()
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches.num_batches))
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(max(size, 2)).with_options(options)


def _stacked(batches):
    return tuple(np.stack(parts) for parts in zip(*batches, strict=True))


def inference_batches(inputs, labels=None, *, num_classes=2, batch_size=256):
    """Returns unshuffled batches of model inputs: bucketed if they are token ids.

    Args:
        inputs: uint8 images `(n, h, w, c)` or int32 token ids `(n, tokens)`.
        labels: Integer labels `(n,)`; zeros where there are none.
        num_classes: Number of classes.
        batch_size: Examples per batch.
    """
    if labels is None:
        labels = np.zeros(len(inputs), "int32")
    cls = BucketBatches if inputs.ndim == 2 else ArrayBatches
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


def outputs_of(model, batches):
    """Returns what a model returns for unshuffled batches, in the order of the data, `(n, ...)`."""
    outputs = np.concatenate(
        [
            keras.ops.convert_to_numpy(model.predict_on_batch(batches[index][0]))
            for index in range(batches.num_batches)
        ]
    )
    if batches.order is not None:
        restored = np.empty_like(outputs)
        restored[batches.order] = outputs
        return restored
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
