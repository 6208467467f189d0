"""Batches of generated examples, new ones in every epoch: a pure function of (seed, epoch, index)."""

import copy

import keras
import numpy as np


class GeneratedBatches(keras.utils.PyDataset):
    """Batches for `fit()` that nothing repeats and nothing stores.

    A run that is killed and resumed sees the same batches as one that was not.

    Args:
        make: Function `(count, numpy Generator) -> (inputs, targets)`, arrays or nested ones with `count`
            rows each.
        count: Examples of an epoch.
        batch_size: Examples per batch. The last batch may be smaller.
        seed: Integer; None is 0.
    """

    def __init__(self, make, *, count, batch_size, seed):
        super().__init__()
        self.make, self.count, self.batch_size, self.seed = make, count, batch_size, seed
        self.set_epoch(0)

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

    def __getitem__(self, index):
        count = min(self.batch_size, self.count - index * self.batch_size)
        return self.make(count, np.random.default_rng([self.seed or 0, self.epoch, index]))
