"""Wrong labels on purpose: what a network makes of labels that nobody has checked."""

import numpy as np


def mislabel(labels: np.ndarray, share: float, classes: int, seed: int) -> np.ndarray:
    """Returns a copy of labels in which a share is wrong.

    Args:
        labels: Integers `(n,)` in `[0, classes)`.
        share: Of the labels that are replaced by another class, all others equally often; 0 to 1.
        classes: Number of classes, 2 or more.
        seed: Of the choice.
    """
    random = np.random.default_rng(seed)
    wrong = labels.copy()
    rows = random.permutation(len(labels))[: round(share * len(labels))]
    wrong[rows] = (labels[rows] + random.integers(1, classes, len(rows))) % classes
    return wrong
