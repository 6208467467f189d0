"""Batches of generated examples, new ones in every epoch: a pure function of (seed, epoch, index)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import keras
import numpy as np


class GeneratedBatches(keras.utils.PyDataset):
    """Batches for `fit()` that are made when they are needed, and never repeat.

    A run that is killed and resumed sees the same batches as one that was not.

    Args:
        make: Function of `(count, random)` that returns inputs and targets: arrays with `count` rows,
            or nested arrays with `count` rows each.
        count: Examples of an epoch.
        batch_size: Examples per batch. The last batch may be smaller.
        seed: Seed of all batches; None is 0.
    """

    def __init__(
        self,
        make: Callable[[int, np.random.Generator], tuple[Any, Any]],
        *,
        count: int,
        batch_size: int,
        seed: int | None,
    ) -> None:
        super().__init__()
        self.make, self.count, self.batch_size, self.seed = make, count, batch_size, seed
        self.set_epoch(0)

    @property
    def num_batches(self) -> int:
        """Number of batches per epoch."""
        return -(-self.count // self.batch_size)

    def at_epoch(self, epoch: int) -> GeneratedBatches:
        """Returns these batches as they are in an epoch (0-based), without moving there."""
        batches = copy.copy(self)
        batches.set_epoch(epoch)
        return batches

    def set_epoch(self, epoch: int) -> None:
        """Moves to an epoch (0-based); `common.training.fit` calls it before each."""
        self.epoch = epoch

    def __getitem__(self, index):
        count = min(self.batch_size, self.count - index * self.batch_size)
        return self.make(count, np.random.default_rng([self.seed or 0, self.epoch, index]))
