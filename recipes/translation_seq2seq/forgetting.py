"""What a network forgets: after its task it learns dates, and is then asked about its task again."""

from typing import TYPE_CHECKING, Any

import numpy as np

from common.training.pair_batches import PairBatches

if TYPE_CHECKING:
    from .translator import Translator


class Successive(PairBatches):
    """Batches of one task, and from an epoch on those of another.

    An epoch always has as many examples as the first task; the second task's pairs are repeated or left
    out for that.

    Args:
        first: Batches of the first task.
        then: Batches of the second; seed and batch size are those of the first.
        start: Id of START.
        switch: Epoch (0-based) that is the first of the second task.
    """

    def __init__(self, first: PairBatches, then: PairBatches, *, start: int, switch: int) -> None:
        self.examples, self.switch = first.count, switch
        super().__init__(
            _below(first.x, then.x),
            _below(first.after, then.after),
            start=start,
            bucketing=False,
            batch_size=first.batch_size,
            seed=first.seed,
        )

    @property
    def count(self) -> int:
        """Number of examples of an epoch."""
        return self.examples

    def _order(self, epoch):
        random = np.random.default_rng([self.seed, epoch])
        if epoch < self.switch:
            return random.permutation(self.examples)
        others = len(self.x) - self.examples
        passes = -(-self.examples // others)
        order = np.concatenate([random.permutation(others) for _ in range(passes)])
        return self.examples + order[: self.examples]


def _below(one, other):
    width = max(one.shape[1], other.shape[1])
    return np.concatenate(
        [np.pad(ids, ((0, 0), (0, width - ids.shape[1]))) for ids in (one, other)]
    )


def exact(translator: "Translator", ids: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Returns how many answers are exact, for metrics.json: "count", "exact" (a share) and "beam".

    Args:
        translator: Of the trained network.
        ids: Source ids, int32 `(n, source)`.
        truth: The right answers, `(n,)`.
    """
    right = np.asarray(translator.texts(ids)) == truth.astype(str)
    return {
        "count": len(truth),
        "exact": float(np.mean(right)),
        "beam": translator.decoder.width,
    }
