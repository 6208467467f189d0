"""Intervals around predicted numbers: split conformal prediction, by the size of the answer.

The errors on validation examples say how far answers are off. An interval of that half-width around a new
answer holds the truth as often as wanted, whatever the model and the distribution, if the new example is
one like those (Papadopoulos et al. 2002, *Inductive Confidence Machines for Regression*; Lei et al. 2018,
arXiv 1604.04173). Dear houses are missed by more than cheap ones, so answers of different size have
half-widths of their own, if there are examples enough: the Mondrian predictors of Vovk et al. 2005,
*Algorithmic Learning in a Random World*. Here the epoch is chosen on the same validation examples, so the
intervals are a little too narrow: how many of the test examples they hold is measured and stands beside
them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from common.basics.statistics import wilson_interval

SHARE = 0.9
"""Share of the truths that intervals are to hold."""
IN_EACH = 50
"""Validation examples that a half-width is taken from, or more."""
MOST = 10
"""Largest number of half-widths."""


def half_width(errors: np.ndarray, share: float = SHARE) -> float | None:
    """Returns the half-width of intervals, or None if there are too few errors.

    Args:
        errors: Absolute errors of validation examples, `(n,)`.
        share: Share to hold, in (0, 1). 0.9 needs nine examples.
    """
    # One more than there are: the new example counts as one of them.
    rank = math.ceil(round(share * (len(errors) + 1), 9))
    return float(np.sort(errors)[rank - 1]) if rank <= len(errors) else None


def fitted(answers: np.ndarray, errors: np.ndarray) -> dict[str, list[float]] | None:
    """Returns the half-widths for answers of every size, or None if there are too few examples.

    Args:
        answers: Answers for validation examples, `(n,)`.
        errors: Their absolute errors, `(n,)`.

    Returns:
        "half_widths", b of them, and "edges", the b - 1 answers up to which each but the last one counts.
    """
    if half_width(errors) is None:
        return None
    parts = max(1, min(MOST, len(errors) // IN_EACH))
    edges = np.unique(np.quantile(answers, np.arange(1, parts) / parts, method="inverted_cdf"))
    edges = edges[edges < answers.max()]
    part = np.searchsorted(edges, answers)
    widths = [half_width(errors[part == each]) for each in range(len(edges) + 1)]
    if None in widths:  # Many answers are equal, and leave few for a part.
        edges, widths = edges[:0], [half_width(errors)]
    return {
        "edges": edges.tolist(),
        "half_widths": [width for width in widths if width is not None],
    }


def widths_at(answers: np.ndarray, intervals: dict[str, Any]) -> np.ndarray:
    """Returns the half-width at each answer, `(m,)`, of the result of `fitted`."""
    return np.asarray(intervals["half_widths"])[np.searchsorted(intervals["edges"], answers)]


def measured(
    validation: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any] | None:
    """Returns the result of `fitted`, and the share "held" of the test examples, with "held_interval".

    Args:
        validation: Truths and answers, `(n,)` each.
        test: The same of the test split, `(m,)`.

    Returns:
        The interval of the share is of 95 %. None if there are too few validation examples.
    """
    truth, answers = validation
    found = fitted(answers, np.abs(answers - truth))
    if found is None:
        return None
    truth, answers = test
    held = int(np.sum(np.abs(answers - truth) <= widths_at(answers, found)))
    interval = wilson_interval(held, len(truth))
    return {**found, "held": held / len(truth), "held_interval": list(interval)}
