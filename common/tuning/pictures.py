"""Pictures of the notebook on searches: grid and random points, and a Bayesian search step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from common.report.drawing import (
    ALERT,
    INK,
    PIXELS_PER_INCH,
    STRONG,
    WEAK,
    dress,
    new_axes,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def grid_and_random(
    grid: np.ndarray, points: np.ndarray, gain: Callable[[np.ndarray], np.ndarray], title: str
) -> Figure:
    """Draws the points of two searches over two hyperparameters of which one matters.

    Args:
        grid: Points of the grid, `(n, 2)` in [0, 1]; the first coordinate is what matters.
        points: Points of the random search, `(n, 2)`.
        gain: Returns the gain, 0 to 1, at values of the hyperparameter that matters.
        title: The finding, as a sentence.
    """
    figure, axes = new_axes(
        6.0,
        3.4,
        "hyperparameter that matters (shaded: the gain, from 0 to 1)",
        "hyperparameter that does not",
        title,
    )
    x = np.linspace(0, 1, 200)
    axes.fill_between(x, 0, gain(x), color=WEAK, alpha=0.25, linewidth=0)
    axes.scatter(
        grid[:, 0], grid[:, 1], marker="s", s=30, facecolor="white", edgecolor="black", label="grid"
    )
    axes.scatter(points[:, 0], points[:, 1], s=30, color=STRONG, label="random")
    axes.legend(fontsize=8, frameon=False)
    return figure


@dataclass
class Belief:
    """What a Bayesian search of one hyperparameter knows before it proposes a trial."""

    tried: np.ndarray
    """Values tried so far, `(trials,)`."""
    losses: np.ndarray
    """Their losses, `(trials,)`."""
    mean: np.ndarray
    """Predicted loss at each candidate, `(candidates,)`."""
    deviation: np.ndarray
    """Its standard deviation, `(candidates,)`."""
    improvement: np.ndarray
    """Expected improvement at each candidate, `(candidates,)`; the highest is proposed."""


def beliefs(candidates: np.ndarray, steps: Sequence[Belief], title: str) -> Figure:
    """Draws a Bayesian search step by step, a column for each: prediction above, improvement below.

    Args:
        candidates: Values that may be proposed, `(candidates,)`, increasing.
        steps: What is known at each step.
        title: The finding, as a sentence.
    """
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(2.4 * len(steps) + 0.6, 4.4), dpi=PIXELS_PER_INCH, layout="constrained"
    )
    set_title(figure, title)
    rows = figure.subplots(
        2, len(steps), sharex=True, sharey="row", squeeze=False, height_ratios=[3, 2]
    )
    for column, step in enumerate(steps):
        above, below = rows[:, column]
        dress(above, "", "" if column else "loss")
        dress(below, "hyperparameter", "" if column else "expected improvement")
        above.set_title(f"after {len(step.tried)} trials", fontsize=9, color=INK)
        low, high = step.mean - step.deviation, step.mean + step.deviation
        above.fill_between(candidates, low, high, color=WEAK, alpha=0.3, lw=0, label="± deviation")
        above.plot(candidates, step.mean, color=STRONG, lw=1.6, label="predicted")
        above.plot(step.tried, step.losses, "o", color=INK, ms=4, label="tried")
        below.plot(candidates, step.improvement, color=STRONG, lw=1.6)
        proposed = candidates[step.improvement.argmax()]
        for axes in (above, below):
            axes.axvline(proposed, color=ALERT, lw=1, ls=":", label="proposed")
    rows[0, 0].legend(fontsize=7, frameon=False, labelcolor=INK)
    return figure
