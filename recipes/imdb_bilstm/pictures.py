"""Pictures of the companion notebook: gates word by word, and accuracies with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_UNITS = 24
"""Units that a heat map has room for."""


def gate_map(gate: np.ndarray, words: Sequence[str], name: str, title: str) -> Figure:
    """Draws a gate as a heat map: a column for each word, a row for each unit.

    Of more than MOST_UNITS units those are shown whose gate changes most over the words.

    Args:
        gate: Values of the gate, 0 to 1, `(words, units)`.
        words: One for each step.
        name: Name of the gate.
        title: The finding, as a sentence.
    """
    from common.report.drawing import new_axes

    order = np.argsort(gate.std(axis=0))[::-1][:MOST_UNITS]
    ylabel = f"the {len(order)} of {gate.shape[1]} units that change most"
    figure, axes = new_axes(9.0, 4.2, "", ylabel, title)
    image = axes.imshow(gate[:, order].T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, label=name)
    axes.set_yticks([])
    axes.set_xticks(range(len(words)), words, rotation=90, fontsize=7)
    return figure


def by_word(
    series: Mapping[str, Sequence[float]], words: Sequence[str], ylabel: str, title: str
) -> Figure:
    """Draws curves over the words of a text, with the words below.

    Args:
        series: Values of each curve by its name, `(words,)`.
        words: One for each step.
        ylabel: What the values are.
        title: The finding, as a sentence.
    """
    from common.cli.notebook import lines

    figure = lines(series, "word", ylabel, title, x=range(len(words)))
    figure.axes[0].set_xticks(range(len(words)), words, rotation=90, fontsize=7)
    return figure


def accuracies(rows: Sequence[tuple[str, float]], count: int, title: str) -> Figure:
    """Draws accuracies as points, the first on top, with their 95 % intervals (Wilson 1927).

    Args:
        rows: Name and accuracy, 0 to 1, of each model.
        count: Examples that each was tested on.
        title: The finding, as a sentence.
    """
    from common.basics.statistics import wilson_interval
    from common.report.drawing import new_axes

    names = [name for name, _ in rows]
    figure, axes = new_axes(8.0, 2.2, "test accuracy, %, with 95 % interval", "", title)
    for place, (_, accuracy) in enumerate(rows):
        low, high = wilson_interval(round(accuracy * count), count)
        axes.plot([100 * low, 100 * high], [place, place], color="black", lw=1.5)
        axes.plot(100 * accuracy, place, "o", color="black")
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    return figure
