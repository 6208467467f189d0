"""Batches for `fit()` that are a pure function of (seed, epoch, index), on every Keras backend.

A resumed run sees the same batches with the same augmentation as a run without interruption, because no
state is carried from one batch to the next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal

import keras
import numpy as np

from common.basics.errors import UsageError
from common.data.types import Arrays


class ArrayBatches(keras.utils.PyDataset):
    """Batches of arrays: shuffled and augmented if a seed is given, otherwise in order.

    A batch is `(inputs, targets)` or `(inputs, targets, weights)`, as Keras' `fit` takes it.

    Args:
        x: Inputs, `(n, ...)`; a tuple or dict of arrays for a network with several inputs. A memory map
            stays one: only a batch is read at a time.
        y: Targets, `(n, ...)`. Integers are passed on as they are, other numbers as float32.
        batch_size: Examples per batch. The last batch may be smaller: no example is dropped.
        num_classes: If given, `y` is one array of integer labels, `(n, ...)`, and targets are one-hot,
            float32 `(batch, ..., num_classes)`. With 1, for a sigmoid, targets are the labels, float32
            `(batch, ..., 1)`.
        seed: Seed of the order, the augmentation and the mixing. None: none of the three.
        augment: Function of `(batch of x, random)` that returns a batch of x, for training.
        mix: Function of `(batch of x, targets, random)` that returns both, for training, called after
            `augment`; e.g. `common.data.mixing.mixup(0.2)`.
        class_weights: Weight in the loss of an example of each class, float32 `(classes,)`. "balanced":
            those of `balanced_weights`. None or "none": all equal.
        weights: Weight in the loss of each example, `(n,)`, or of each of its parts, e.g. `(n, tokens)`
            with 0 for padding; nested as `y` is. None: all equal. A Keras loss divides by the number of
            all parts, unless its reduction is "mean_with_sample_weight".

    Raises:
        UsageError: The arrays differ in length, or the arguments do not go together.
    """

    def __init__(
        self,
        x: Arrays,
        y: Arrays,
        *,
        batch_size: int,
        num_classes: int | None = None,
        seed: int | None = None,
        augment: Callable[[Any, np.random.Generator], Any] | None = None,
        mix: Callable[[Any, Any, np.random.Generator], tuple[Any, Any]] | None = None,
        class_weights: np.ndarray | Literal["none", "balanced"] | None = None,
        weights: Arrays | None = None,
    ) -> None:
        super().__init__()
        self.x, self.y, self.weights = x, y, weights
        self.batch_size = batch_size
        self.num_classes = num_classes
        self.seed = seed
        self.augment = augment
        self.mix = mix
        self.class_weights = None if _is(class_weights, "none") else class_weights
        self._check()
        if _is(class_weights, "balanced"):
            # A sigmoid has one output and two classes.
            self.class_weights = balanced_weights(np.asarray(y), max(num_classes or 2, 2))
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
    def sources(self) -> tuple[Arrays, ...]:
        """The arrays from whose rows the parts of a batch are made, nested as a batch is."""
        if self.weights is not None:
            return self.x, self.y, self.weights
        return (self.x, self.y) if self.class_weights is None else (self.x, self.y, self.y)

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(keras.tree.flatten(self.x)[0])

    @property
    def num_batches(self) -> int:
        """Number of batches per epoch."""
        return -(-self.count // self.batch_size)

    def at_epoch(self, epoch: int) -> ArrayBatches:
        """Returns these batches as they are in an epoch (0-based), without moving there."""
        batches = copy.copy(self)
        batches.set_epoch(epoch)
        return batches

    def set_epoch(self, epoch: int) -> None:
        """Moves to an epoch (0-based); `common.training.fit` calls it before each one."""
        self.epoch = epoch
        self.order = self._order(epoch)

    def _order(self, epoch):
        if self.seed is None:
            return None
        return np.random.default_rng([self.seed, epoch]).permutation(self.count)

    def rows(self, index: int) -> slice | np.ndarray:
        """Returns the rows of the examples of a batch: a slice, or integers `(batch,)`."""
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
        y: As for ArrayBatches. An array whose axis 1 is as long as that of `ids` has a target per token,
            and is cut with the ids; so are `weights`.
        width: Batches are cut to a multiple of this many tokens, so that a compiled backend meets
            few different shapes.
        group: Number of batches that are sorted together. Larger: less padding; smaller: more mixing.
        **kwargs: As for ArrayBatches.
    """

    def __init__(
        self, ids: np.ndarray, y: Arrays, *, width: int = 25, group: int = 50, **kwargs: Any
    ) -> None:
        # The length reaches to the last non-zero column: a 0 inside a text does not shorten it.
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
    def shapes(self) -> list[tuple[int | None, ...]]:
        """Shapes of the parts of a batch, flattened, for `feed`. None: a length differs by batch."""
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


def _is(value, word):
    # An array is no word, and comparing it with one gives an array.
    return isinstance(value, str) and value == word


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns class weights that give all classes the same total weight: float32 `(classes,)`.

    Their mean over the examples is 1, so the learning rate keeps its meaning.

    Args:
        labels: Integer labels of the training split, `(n,)`.
        classes: Number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype("float32")
