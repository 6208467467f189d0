"""Batches of pairs of sequences, both cut to what the batch needs."""

import numpy as np

from common.training.batches import BucketBatches


class PairBatches(BucketBatches):
    """Batches of source ids and target ids of similar length, to learn the next target token.

    The inputs are the source and the target with START before it and without its last token; the target
    of each position is the token that comes next; padding weighs nothing.

    Args:
        source: int32 `(n, tokens)`, padded at the end with 0.
        target: int32 `(n, tokens)`, likewise, each with its END.
        start: Id of START.
        bucketing: Whether pairs of similar length share a batch: less padding, but where the length tells
            what kind of pair it is, batches of one kind each, which training bears badly.
        width: Both are cut to a multiple of this many tokens, so that a compiled backend meets few
            different shapes.
        **kwargs: As for ArrayBatches.
    """

    def __init__(self, source, target, *, start, bucketing=True, width=8, **kwargs):
        before = np.concatenate([np.full_like(target[:, :1], start), target[:, :-1]], axis=1)
        # Ended: END itself is nothing to go on from.
        before = np.where(target == 0, 0, before).astype("int32")
        self.before, self.after = before, target
        super().__init__(source, target, width=width, **kwargs)
        # Targets of one batch should be alike as well; a target is about as long as its source.
        self.lengths = _lengths(source) * (target.shape[1] + 1) + _lengths(target)
        if not bucketing:
            self.lengths = np.zeros(len(source), "int64")
        self.set_epoch(0)

    @property
    def sources(self):
        weights = (self.after != 0).astype("float32")
        return (self.x, self.before), self.after, weights

    @property
    def shapes(self):
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
