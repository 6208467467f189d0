"""Pictures: the replayed searches, for the README; networks alone and in a supernet, for the notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from common.report import drawing

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from .replay import Table

# Told apart in grey: dashes differ as well.
STYLES = {
    "random": (drawing.MUTED, ":"),
    "evolution": ("#d98200", "--"),
    "bayesian": ("#5aa469", "-."),
    "supernet": (drawing.STRONG, "-"),
}


def draw(found: dict[str, Any], held: Table, inherited: np.ndarray) -> bytes:
    """Returns the picture as PNG.

    Args:
        found: The result of `replay.replay`.
        held: The table.
        inherited: Accuracy of all networks with the weights of the first supernet `(1024,)`.
    """
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.0), dpi=drawing.PIXELS_PER_INCH, layout="constrained")
    left, right = figure.subplots(1, 2)
    # Not a number until all searches of a method have trained a network.
    means = {name: 100 * curves.mean(axis=0) for name, curves in found["curves"].items()}
    last = [mean[-1] for mean in means.values()]
    drawing.set_title(
        figure,
        f"Kendall's tau of the first supernet: {found['taus'][0]:.2f}. Searches end at "
        f"{np.nanmin(last):.1f} to {np.nanmax(last):.1f} %; by hand {100 * found['hand']:.1f} %",
    )
    drawing.dress(left, "accuracy with inherited weights, %", "accuracy trained alone, %")
    own = 100 * held.value.mean(axis=1)
    left.scatter(100 * inherited, own, s=8, alpha=0.5, color=drawing.STRONG, linewidths=0)
    drawing.dress(right, "CPU seconds of trainings", "test accuracy of the best so far, %")
    for name, mean in means.items():
        colour, line = STYLES[name]
        right.plot(found["grid"], mean, color=colour, linestyle=line, label=name)
    right.axhline(100 * found["hand"], color=drawing.INK, linewidth=0.8, label="hand-made")
    # The scale begins where searches are after a tenth of the budget: what their first networks score
    # would press the rest together.
    right.set_ylim(bottom=min(np.nanmin(mean[len(mean) // 10 :]) for mean in means.values()))
    right.legend(frameon=False, fontsize=8)
    return drawing.to_png(figure)


def two_seeds(alone: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Draws the accuracy of each network with each seed, one row for each network, the best at the top.

    Args:
        alone: Accuracies from 0 to 1 `(networks, seeds)`.
        names: Of the networks.
        title: The finding, as a sentence.
    """
    order = alone.mean(axis=1).argsort()
    figure, axes = drawing.new_axes(7.0, 3.6, "validation accuracy, %", "", title)
    for row, place in enumerate(order):
        accuracies = 100 * alone[place]
        axes.plot(
            accuracies,
            [row] * len(accuracies),
            "o-",
            color=drawing.STRONG,
            markersize=4,
            linewidth=1,
        )
    axes.set_yticks(range(len(order)), [names[place] for place in order], fontsize=7)
    return figure


def inherited_and_own(inherited: np.ndarray, own: np.ndarray, title: str) -> Figure:
    """Draws a dot for each network: its accuracy with inherited weights, and trained alone.

    Args:
        inherited: Accuracies from 0 to 1 `(networks,)`.
        own: Likewise.
        title: The finding, as a sentence.
    """
    labels = "accuracy with inherited weights, %", "accuracy trained alone, %"
    figure, axes = drawing.new_axes(5.0, 3.6, *labels, title)
    axes.plot(100 * inherited, 100 * own, "o", color=drawing.STRONG)
    return figure
