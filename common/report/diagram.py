"""Diagrams of blocks and cells: boxes and the arrows between them, drawn from a few lines of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from common.report.drawing import INK, MUTED, PIXELS_PER_INCH, STRONG, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Place = tuple[float, float]

INCHES = (1.35, 0.75)
"""Width and height of one step between places."""
HALF_CHARACTER, HALF_LINE, MARGIN = 0.042, 0.09, 0.08
"""Half of a character's width and of a line's height, and what a box has around its text, in inches."""
CIRCLE = 0.15
"""Radius of an operation, in inches."""
BEND = 0.55
"""How far an arrow that bends leaves the straight line, in inches."""


def diagram(
    places: Mapping[str, Place],
    arrows: Sequence[str],
    title: str,
    values: Sequence[str] = (),
) -> Figure:
    """Draws boxes and arrows, for a notebook or a page.

    A name of one character, say +, is an operation and becomes a circle. Spaces at its end tell two
    of them apart. A name with line breaks becomes a box of several lines.

    Args:
        places: Where the middle of each box lies, by the name that stands in it: steps to the right and
            steps up.
        arrows: `"a > b"` goes straight from a to b. `"a > b: words"` has words beside it.
            `"a ) b"` bends to the right of its way, `"a ( b"` to the left, around what lies between.
        title: What the diagram shows, as a sentence.
        values: Names that are what goes in and comes out; they stand without a box.

    Raises:
        ValueError: An arrow begins or ends at a name that has no place.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Patch

    inches = {name: (x * INCHES[0], y * INCHES[1]) for name, (x, y) in places.items()}
    halves = {name: _half(name) for name in places}
    left = min(x - halves[name][0] for name, (x, _) in inches.items()) - 0.15
    right = max(x + halves[name][0] for name, (x, _) in inches.items()) + 0.15
    ends = [_ends(arrow, places) for arrow in arrows]
    middles = [_middle(inches[begin], inches[end], side) for begin, end, side, _ in ends]
    heights = [y for _, y in (*inches.values(), *middles)]
    # A box of three lines reaches further than 0.3.
    low = min(min(heights) - 0.3, *(y - halves[name][1] - 0.05 for name, (_, y) in inches.items()))
    high = max(max(heights) + 0.3, *(y + halves[name][1] + 0.05 for name, (_, y) in inches.items()))
    figure = Figure(
        figsize=(max(right - left, 4.0), high - low + 0.45),
        dpi=PIXELS_PER_INCH,
        layout="constrained",
    )
    axes = figure.add_subplot()
    set_title(figure, title)
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    shapes = {}
    for name, (x, y) in inches.items():
        wide, tall = halves[name]
        if len(name.strip()) == 1 and name not in values:
            shape: Patch = Circle((x, y), CIRCLE, facecolor="white", edgecolor=INK, lw=1.2)
        else:
            shape = FancyBboxPatch(
                (x - wide, y - tall),
                2 * wide,
                2 * tall,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor="none" if name in values else "#eef3f8",
                edgecolor="none" if name in values else STRONG,
                lw=1.2,
            )
        axes.add_patch(shape)
        axes.text(x, y, name.strip(), ha="center", va="center", fontsize=8.5, color=INK)
        shapes[name] = shape
    for (begin, end, side, words), (x, y) in zip(ends, middles, strict=True):
        (ax, ay), (bx, by) = inches[begin], inches[end]
        # Of a quadratic curve the middle lies half as far out as its control point.
        bend = -side * 2 * BEND / math.hypot(bx - ax, by - ay)
        axes.add_patch(
            FancyArrowPatch(
                (ax, ay),
                (bx, by),
                patchA=shapes[begin],
                patchB=shapes[end],
                connectionstyle=f"arc3,rad={bend}",
                arrowstyle="-|>",
                mutation_scale=9,
                shrinkA=1,
                shrinkB=1,
                color=MUTED,
                lw=1.2,
            )
        )
        if words:
            upright = abs(bx - ax) < abs(by - ay)
            axes.text(
                x + (0.07 if upright else 0),
                y + (0 if upright else 0.05),
                words,
                ha="left" if upright else "center",
                va="center" if upright else "bottom",
                fontsize=7.5,
                color=MUTED,
            )
    return figure


def _half(name):
    """Returns half of the width and height of a box, in inches."""
    if len(name.strip()) == 1:
        return CIRCLE, CIRCLE
    lines = name.strip().splitlines()
    longest = max(len(line) for line in lines)
    return longest * HALF_CHARACTER + MARGIN, len(lines) * HALF_LINE + MARGIN / 2


def _middle(begin, end, side):
    """Returns the middle of an arrow, which may bend to the left (side 1) or right (-1) of its way."""
    (ax, ay), (bx, by) = begin, end
    length = math.hypot(bx - ax, by - ay)
    across = -(by - ay) / length, (bx - ax) / length
    return tuple((a + b) / 2 + side * BEND * c for a, b, c in zip(begin, end, across, strict=True))


def _ends(arrow, places):
    """Returns where an arrow begins and ends, the side it bends to, and its words."""
    for sign, side in ((" > ", 0), (" ( ", 1), (" ) ", -1)):
        begin, found, rest = arrow.partition(sign)
        if not found:
            continue
        # A name may have a colon: the longest name that fits is meant.
        for end in sorted(places, key=len, reverse=True):
            if begin in places and (rest == end or rest.startswith(f"{end}: ")):
                return begin, end, side, rest[len(end) + 2 :]
    raise ValueError(f"{arrow!r} is no arrow between two of {', '.join(map(repr, places))}")
