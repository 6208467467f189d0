"""Batches of pairs of sequences, both cut to the longest in the batch."""

from typing import Any

import numpy as np

from common.data.types import Arrays
from common.training.batches import BucketBatches


class PairBatches(BucketBatches):
    """Batches of source ids and target ids of similar length, to learn the next target token.

    There are two inputs: the source, and the target moved on by one place, with START before it. What is
    learnt at each place is the target's token there. Padding has weight 0.

    Args:
        source: int32 `(n, tokens)`, padded at the end with 0.
        target: int32 `(n, tokens)`, padded likewise; each row that is not cut off has END at its end.
        start: Id of START.
        bucketing: Whether pairs of similar length share a batch, which saves padding. It does harm if
            pairs of one length are alike in other ways too: training learns badly from such batches.
        width: Both are cut to a multiple of this many tokens, so that a compiled backend meets few
            different shapes.
        **kwargs: As for ArrayBatches.
    """

    def __init__(
        self,
        source: np.ndarray,
        target: np.ndarray,
        *,
        start: int,
        bucketing: bool = True,
        width: int = 8,
        **kwargs: Any,
    ) -> None:
        before = np.concatenate([np.full_like(target[:, :1], start), target[:, :-1]], axis=1)
        # Nothing comes after END, so END is no input.
        before = np.where(target == 0, 0, before).astype("int32")
        self.before, self.after = before, target
        super().__init__(source, target, width=width, **kwargs)
        # Targets of one batch should be alike as well; a target is about as long as its source.
        self.lengths = _lengths(source) * (target.shape[1] + 1) + _lengths(target)
        if not bucketing:
            self.lengths = np.zeros(len(source), "int64")
        self.set_epoch(0)

    @property
    def sources(self) -> tuple[Arrays, ...]:
        """As of ArrayBatches: source and target before, target after, weights."""
        weights = (self.after != 0).astype("float32")
        return (self.x, self.before), self.after, weights

    @property
    def shapes(self) -> list[tuple[int | None, ...]]:
        """As of BucketBatches: source, target before, target after, weights."""
        return [(None, None)] * 4

    def __getitem__(self, index):
        rows = self.rows(index)
        source, after = self.x[rows], self.after[rows]
        source = source[:, : self._cut(source)]
        end = self._cut(after)
        after = after[:, :end]
        return (source, self.before[rows, :end]), after, (after != 0).astype("float32")

    def _cut(self, ids):
        longest = int(_lengths(ids).max())
        return min(-(-max(longest, 1) // self.width) * self.width, ids.shape[1])


def _lengths(ids):
    return np.count_nonzero(ids, axis=1)
