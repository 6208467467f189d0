"""Figures that only some tasks add to the report, as PNG bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.basics.wording import significant
from common.report.drawing import FAINT, MUTED, STRONG, new_axes, to_png

POINTS = 2000
"""Largest number of examples in a picture; of more than these, a random part is drawn."""


def answers(truth: np.ndarray, found: np.ndarray, title: str, unit: str = "") -> bytes:
    """Draws answers against the truth.

    Args:
        truth: True numbers `(n,)`.
        found: Answers `(n,)`.
        title: Title, which names the finding.
        unit: Unit of both, or "".
    """
    from matplotlib.ticker import MaxNLocator

    chosen = np.random.default_rng(0).permutation(len(truth))[:POINTS]
    shown = f" ({unit})" if unit else ""
    figure, axes = new_axes(4.6, 4.2, f"truth{shown}", f"answer{shown}", title)
    low, high = (
        float(end) for end in (min(truth.min(), found.min()), max(truth.max(), found.max()))
    )
    axes.plot([low, high], [low, high], linestyle=":", color=MUTED, label="right answers")
    axes.scatter(truth[chosen], found[chosen], s=9, alpha=0.5, color=STRONG, linewidths=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(lambda value, _: significant(value, 6))
    axes.legend(frameon=False, fontsize=8)
    return to_png(figure)


def positions(places: np.ndarray, shares: np.ndarray, title: str) -> bytes:
    """Draws the share of right tokens by position in the sequence.

    Args:
        places: 1-based positions, `(n,)`.
        shares: Share of right tokens there, `(n,)`, in [0, 1].
        title: Title, which names the finding.
    """
    figure, axes = new_axes(6.4, 3.0, "position in the sequence", "right tokens (%)", title)
    marker = "o" if len(places) <= 40 else None
    axes.plot(places, 100 * np.asarray(shares), color=STRONG, marker=marker, markersize=3)
    axes.set_ylim(top=101)
    return to_png(figure)


def attention(
    source: Sequence[str], target: Sequence[str], weights: np.ndarray, title: str
) -> bytes:
    """Draws which tokens of the source a decoder looked at for each token of its answer.

    Args:
        source: Tokens of the source.
        target: Tokens of the answer.
        weights: `(target, source)`; each row sums to 1.
        title: Title, which says what is shown.
    """
    from common.report.drawing import short

    width = min(1.6 + 0.2 * len(source), 9.0)
    height = min(1.4 + 0.2 * len(target), 9.0)
    figure, axes = new_axes(max(width, 3.4), max(height, 2.2), "source", "answer", title)
    axes.imshow(np.asarray(weights), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    longest = max(map(len, source), default=1)
    size = 8 if len(source) <= 40 else 6
    axes.set_xticks(
        range(len(source)),
        [short(token, 14) for token in source],
        rotation=0 if longest == 1 else 60,
        ha="center" if longest == 1 else "right",
        fontsize=size,
    )
    axes.set_yticks(range(len(target)), [short(token, 14) for token in target], fontsize=size)
    return to_png(figure)


def corruptions(models: Sequence[Mapping[str, Any]], title: str) -> bytes:
    """Draws the accuracy of models under each corruption, the worst of the first model on top.

    Args:
        models: Each with "name" and "rows", a list of dicts with "name" and "accuracy" in [0, 1], in
            the same order.
        title: Title, which names the finding.
    """
    rows = models[0]["rows"]
    order = sorted(range(len(rows)), key=lambda place: -rows[place]["accuracy"])
    figure, axes = new_axes(6.4, 0.9 + 0.23 * len(rows), "accuracy (%)", "", title)
    for model, marker, face in zip(models, "os^", (STRONG, "white", "white"), strict=False):
        values = [100 * model["rows"][place]["accuracy"] for place in order]
        colour = STRONG if face == STRONG else MUTED
        axes.plot(values, range(len(rows)), marker, color=colour, mfc=face, label=model["name"])
    names = [rows[place]["name"].replace("_", " ") for place in order]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set_xlim(0, 101)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False)
    return to_png(figure)
