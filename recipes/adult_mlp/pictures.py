"""Pictures of the notebook: the accuracy of each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.report import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from common.tasks.slices import Slice


def group_accuracies(found: Sequence[Slice], title: str) -> Figure:
    """Draws the accuracy of each group with its 95 % interval, one row for each group.

    Args:
        found: The groups, the first at the top.
        title: The finding, as a sentence.
    """
    figure, axes = drawing.new_axes(6.4, 1.2 + 0.4 * len(found), "accuracy, %", "", title)
    for row, each in enumerate(found):
        low, high = (100 * end for end in each.accuracy_interval)
        axes.plot([low, high], [row, row], color=drawing.WEAK, linewidth=6, solid_capstyle="butt")
        axes.plot(100 * each.accuracy, row, "o", color=drawing.STRONG)
    names = [f"{drawing.short(each.group)} ({each.count:,})" for each in found]
    axes.set_yticks(range(len(found)), names)
    axes.invert_yaxis()
    return figure
