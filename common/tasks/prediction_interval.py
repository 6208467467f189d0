"""Intervals around predicted numbers: split conformal prediction.

The errors on validation examples say how far answers are off. An interval of that half-width around a new
answer holds the truth as often as wanted, whatever the model and the distribution, if the new example is
one like those (Papadopoulos et al. 2002, *Inductive Confidence Machines for Regression*; Lei et al. 2018,
arXiv 1604.04173). Here the epoch is chosen on the same validation examples, so the intervals are a little
too narrow: how many of the test examples they hold is measured and stands beside them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from common.basics.statistics import wilson_interval

SHARE = 0.9
"""Share of the truths that intervals are to hold."""


def half_width(errors: np.ndarray, share: float = SHARE) -> float | None:
    """Returns the half-width of the intervals, or None if there are too few errors.

    Args:
        errors: Absolute errors of validation examples, `(n,)`.
        share: Share to hold, in (0, 1). 0.9 needs nine examples.
    """
    # One more than there are: the new example counts as one of them.
    rank = math.ceil(round(share * (len(errors) + 1), 9))
    return float(np.sort(errors)[rank - 1]) if rank <= len(errors) else None


def figures(validation: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Returns "half_width", and what the intervals hold of the test split.

    That is the share "held" with its 95 % "held_interval".

    Args:
        validation, test: Absolute errors, `(n,)` and `(m,)`.

    Returns:
        An empty dict if there are too few validation examples.
    """
    width = half_width(validation)
    if width is None:
        return {}
    held = int(np.sum(test <= width))
    return {
        "half_width": width,
        "held": held / len(test),
        "held_interval": list(wilson_interval(held, len(test))),
    }
