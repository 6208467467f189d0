"""Batches with random numbers for a step of one's own (`common.training.gradients.train_by`)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from common.training.batches import ArrayBatches


class DrawnBatches(ArrayBatches):
    """Batches `(inputs, targets, draws)`: chance is a function of (seed, epoch, index), as all else is.

    So a resumed run draws what an uninterrupted one draws, on every backend.

    Args:
        *arrays: As for ArrayBatches.
        draws: Function of (batch of x, random, index of the step since the first epoch) that returns an
            array with a row for each example, float32 `(batch, ...)`.
        **settings: As for ArrayBatches, without weights.
    """

    def __init__(
        self,
        *arrays: Any,
        draws: Callable[[Any, np.random.Generator, int], np.ndarray],
        **settings: Any,
    ) -> None:
        self.draws = draws
        super().__init__(*arrays, **settings)

    def __getitem__(self, index):
        x, targets = super().__getitem__(index)
        # The last number keeps these draws apart from those of augmentation.
        random = np.random.default_rng([self.seed or 0, self.epoch, index, 1])
        return x, targets, self.draws(x, random, self.epoch * self.num_batches + index)
