"""Batches for `fit()` that are a pure function of (seed, epoch, index), on every Keras backend.

A run that is killed and resumed sees the same batches with the same augmentation as one that was
not, because nothing here carries state from one batch to the next.
"""

import copy

import keras
import numpy as np

from common.basics.errors import UsageError


class ArrayBatches(keras.utils.PyDataset):
    """Batches of arrays; shuffled and augmented when a seed is given, in order otherwise.

    A batch is `(inputs, targets)` or `(inputs, targets, weights)`, as Keras' `fit` takes it.

    Args:
        x: Array of inputs, `(n, ...)`; a memory map stays one (only a batch is read at a time). Of a
            network with several inputs a tuple or dict of such arrays.
        y: Array of targets, `(n, ...)`, or a tuple or dict of them. Integers are given as they are,
            other numbers as float32.
        batch_size: Examples per batch. The last batch may be smaller: no example is dropped.
        num_classes: `y` is one array of integer labels, `(n, ...)`, given one-hot, float32
            `(batch, ..., num_classes)`; with 1, for a sigmoid, as they are, float32 `(batch, ..., 1)`.
        seed: Seed of the order, the augmentation and the mixing. None: none of the three.
        augment: Callable `(batch of x, numpy Generator) -> batch of x`, for training.
        mix: Callable `(batch of x, targets, numpy Generator) -> (batch of x, targets)`, for training,
            called after `augment`; e.g. `common.data.augment.mixup(0.2)`.
        class_weights: float32 `(classes,)`, how much an example of each class counts in the loss; None:
            all the same.
        weights: How much each example counts in the loss, `(n,)`, or each of its parts: `(n, tokens)`,
            0 where there is no word. Or a tuple or dict, as `y` is. None: all the same. A Keras loss then
            divides by all parts, unless its reduction is "mean_with_sample_weight".

    Raises:
        UsageError: The arrays differ in length, or the arguments do not go together.
    """

    def __init__(
        self,
        x,
        y,
        *,
        batch_size,
        num_classes=None,
        seed=None,
        augment=None,
        mix=None,
        class_weights=None,
        weights=None,
    ):
        super().__init__()
        self.x, self.y, self.weights = x, y, weights
        self.batch_size = batch_size
        self.num_classes = num_classes
        self.seed = seed
        self.augment = augment
        self.mix = mix
        self.class_weights = class_weights
        self._check()
        self.set_epoch(0)

    def _check(self):
        parts = keras.tree.flatten(self.sources)
        if not all(getattr(part, "shape", ()) for part in parts):
            raise UsageError(
                "expected arrays, or tuples or dicts of arrays, with one row per example; "
                f"got {', '.join(type(part).__name__ for part in parts[:5])}"
            )
        lengths = [len(part) for part in parts]
        if len(set(lengths)) > 1:
            raise UsageError(f"expected arrays of equal length, got {lengths} rows")
        if self.num_classes is not None and keras.tree.is_nested(self.y):
            raise UsageError(
                "num_classes needs one array of labels; leave it out for several targets"
            )
        if self.class_weights is not None and self.num_classes is None:
            raise UsageError("class_weights need labels: give num_classes as well")
        if self.class_weights is not None and self.weights is not None:
            raise UsageError("class_weights and weights exclude each other: multiply them yourself")
        if self.mix is not None and (self.weights is not None or self.class_weights is not None):
            raise UsageError(
                "a mixed example has no weight of its own: give mix or weights, not both"
            )

    @property
    def sources(self):
        """The arrays whose rows the parts of a batch are made of, nested as a batch is."""
        if self.weights is not None:
            return self.x, self.y, self.weights
        return (self.x, self.y) if self.class_weights is None else (self.x, self.y, self.y)

    @property
    def count(self):
        """Examples."""
        return len(keras.tree.flatten(self.x)[0])

    @property
    def num_batches(self):
        return -(-self.count // self.batch_size)

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
        return np.random.default_rng([self.seed, epoch]).permutation(self.count)

    def rows(self, index):
        """Returns which examples a batch has: a slice, or integers `(batch,)`."""
        start, stop = index * self.batch_size, (index + 1) * self.batch_size
        if self.order is None:
            return slice(start, min(stop, self.count))
        return self.order[start:stop]

    def __getitem__(self, index):
        rows = self.rows(index)
        x, y = keras.tree.map_structure(lambda part: np.asarray(part[rows]), (self.x, self.y))
        # One generator for both: `mix` draws after `augment`.
        random = (
            None if self.seed is None else np.random.default_rng([self.seed, self.epoch, index])
        )
        if self.augment is not None and random is not None:
            x = self.augment(x, random)
        targets = self._targets(y)
        if self.mix is not None and random is not None:
            x, targets = self.mix(x, targets, random)
        if self.weights is not None:
            return x, targets, keras.tree.map_structure(lambda w: _float32(w[rows]), self.weights)
        if self.class_weights is None:
            return x, targets
        return x, targets, self.class_weights[y]

    def _targets(self, y):
        if self.num_classes is None:
            return keras.tree.map_structure(
                lambda part: part if part.dtype.kind in "iu" else _float32(part), y
            )
        if self.num_classes == 1:
            return _float32(y[..., None])
        return np.eye(self.num_classes, dtype="float32")[y]


def _float32(array):
    return np.asarray(array).astype("float32", copy=False)


class BucketBatches(ArrayBatches):
    """Batches of token ids of similar length, each cut to its longest row.

    A padded position costs as much as a word. Sorting by length within groups of batches and then
    shuffling the batches removes most padding while the order stays random.

    Args:
        ids: int32 `(n, tokens)`, padded at the end with 0.
        y: As for ArrayBatches. An array with an axis 1 as long as that of `ids` has an answer per token,
            and is cut as they are; so are `weights`.
        width: Batches are cut to a multiple of this many tokens, so that a compiled backend meets
            few different shapes.
        group: Batches sorted together. Larger: less padding; smaller: more mixing.
        **kwargs: As for ArrayBatches.
    """

    def __init__(self, ids, y, *, width=25, group=50, **kwargs):
        # Up to the last non-zero column: a 0 inside a text does not shorten it. Looked for from the end.
        words = ids != 0
        self.lengths = ids.shape[1] - np.argmax(words[:, ::-1], axis=1)
        self.lengths[~words.any(axis=1)] = 0
        self.width = width
        self.group = group
        super().__init__(ids, y, **kwargs)

    def _order(self, epoch):
        size = self.batch_size
        full = self.count // size
        if self.seed is None:
            order = np.argsort(self.lengths, kind="stable")
        else:
            random = np.random.default_rng([self.seed, epoch])
            order = random.permutation(self.count)
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

    def _per_token(self, source):
        return source.ndim > 1 and source.shape[1] == self.x.shape[1]

    @property
    def shapes(self):
        """The shapes of the parts of a batch, a flat list; None where batches differ: `feed` asks."""
        parts, sources = keras.tree.flatten(self[0]), keras.tree.flatten(self.sources)
        return [
            (None, None if self._per_token(source) else part.shape[1], *part.shape[2:])
            if part.ndim > 1
            else (None,)
            for part, source in zip(parts, sources, strict=True)
        ]

    def __getitem__(self, index):
        tokens = self._tokens(self.rows(index))
        return keras.tree.map_structure(
            lambda part, source: part[:, :tokens] if self._per_token(source) else part,
            super().__getitem__(index),
            self.sources,
        )


def balanced_weights(labels, classes):
    """Returns class weights with which every class counts as much as any other: float32 `(classes,)`.

    Their mean over the examples is 1, so the learning rate means what it did.

    Args:
        labels: Integer labels of the training split, `(n,)`.
        classes: Number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype("float32")
