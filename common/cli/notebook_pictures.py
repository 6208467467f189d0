"""Pictures that companion notebooks show: a cell keeps what it computes, and calls these to draw it.

Titles are findings, in a sentence. Each function returns a matplotlib figure for `notebook.show`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from common.cli.notebook import lines, panels
from common.report.drawing import INK, MUTED, STRONG, flat, new_axes

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


def gallery(
    images: Sequence[np.ndarray],
    columns: int,
    title: str,
    names: Sequence[str] = (),
    captions: Sequence[str] = (),
    size: float = 0.9,
    shades: str = "gray",
) -> Figure:
    """Draws images in rows.

    Args:
        images: Row by row, each `(height, width)` or `(height, width, channels)` with 1 or 3 channels;
            values 0 to 255, or floats in [0, 1].
        columns: Images in a row.
        title: The finding, as a sentence.
        names: What stands above images: a name for each, or for those of the first row only.
        captions: What stands below images, from the first one on; may have line breaks.
        size: Side of an image, in inches.
        shades: Colour map of images without colours.
    """
    figure, axes = panels(-(-len(images) // columns), columns, title, size)
    for place, image in zip(axes.flat, images, strict=False):
        place.imshow(flat(image), cmap=shades, vmin=0, vmax=255)
    for place, name in zip(axes.flat, names, strict=False):
        place.set_title(name, fontsize=6 if size < 1 else 7)
    for place, caption in zip(axes.flat, captions, strict=False):
        below: dict[str, Any] = {"ha": "center", "va": "top", "transform": place.transAxes}
        place.text(0.5, -0.02, caption, fontsize=4.5, **below)
    return figure


def number_grids(
    grids: Mapping[str, np.ndarray],
    title: str,
    framed: Mapping[str, tuple[int, int]] | None = None,
    size: float = 2.2,
) -> Figure:
    """Draws matrices side by side, each number in its cell.

    Args:
        grids: Matrices `(rows, columns)` by name.
        title: The finding, as a sentence.
        framed: By name of a matrix: rows and columns of a part at its top left that gets a frame.
        size: Side of a picture, in inches.
    """
    import numpy as np
    from matplotlib.patches import Rectangle

    figure, axes = panels(1, len(grids), title, size)
    most = max(float(np.abs(values).max()) for values in grids.values())
    rows, columns = np.max([values.shape for values in grids.values()], axis=0)
    for place, (name, values) in zip(axes.flat, grids.items(), strict=True):
        # Wider than the numbers: none may become black, as they are, or white, as the page is.
        place.imshow(values, cmap="gray", vmin=-1.2 * most, vmax=1.2 * most)
        place.set_title(name, fontsize=8, loc="left")
        # One scale for all, so that a cell is as large in each of them.
        place.set(xlim=(-0.55, columns - 0.45), ylim=(rows - 0.45, -0.55))
        for (row, column), value in np.ndenumerate(values):
            place.text(column, row, f"{value:g}", ha="center", va="center", fontsize=11)
        if framed and name in framed:
            tall, wide = framed[name]
            frame = Rectangle((-0.5, -0.5), wide, tall, fill=False, edgecolor="black", lw=2)
            place.add_patch(frame)
    return figure


def heat_table(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[Any], xlabel: str, title: str
) -> Figure:
    """Draws a table of percentages, the higher the darker.

    Args:
        values: `(rows, columns)`, 0 to 100.
        rows: Name of each row.
        columns: Name of each column.
        xlabel: What the columns are.
        title: The finding, as a sentence.
    """
    import numpy as np

    figure, axes = new_axes(5.0, 1.0 + 0.24 * len(rows), xlabel, "", title)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value > 60 else INK
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(columns)), [str(name) for name in columns], fontsize=8)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    return figure


def paired_bars(
    series: Mapping[str, Sequence[float]], names: Sequence[str], xlabel: str, title: str
) -> Figure:
    """Draws two bars beside each name.

    Args:
        series: Two series by name, a value for each name.
        names: What the bars belong to, from the top down.
        xlabel: What the values are.
        title: The finding, as a sentence.
    """
    import numpy as np

    figure, axes = new_axes(8.0, 0.9 + 0.42 * len(names), xlabel, "", title)
    places = np.arange(len(names))
    looks: tuple[dict[str, Any], ...] = ({"color": STRONG}, {"color": "white", "edgecolor": MUTED})
    for (name, values), look, beside in zip(series.items(), looks, (-0.2, 0.2), strict=True):
        axes.barh(places + beside, values, 0.36, label=name, **look)
    axes.set_yticks(places, list(names), fontsize=8)
    axes.invert_yaxis()
    axes.legend(fontsize=8, frameon=False)
    return figure


def dumbbells(
    ends: Mapping[str, tuple[float, float]], labels: tuple[str, str], xlabel: str, title: str
) -> Figure:
    """Draws two points for each name, and the gap between them as a line.

    Args:
        ends: Two values by name, from the top down.
        labels: What the first and the second value are.
        xlabel: What the values measure.
        title: The finding, as a sentence.
    """
    figure, axes = new_axes(7.0, 0.9 + 0.38 * len(ends), xlabel, "", title)
    first, second = zip(*ends.values(), strict=True)
    places = range(len(ends))
    axes.hlines(places, second, first, color=MUTED, lw=1.5)
    axes.plot(first, places, "o", color=STRONG, label=labels[0])
    axes.plot(second, places, "s", mfc="white", mec="black", label=labels[1])
    axes.set_yticks(places, list(ends), fontsize=8)
    axes.margins(y=0.12)
    axes.invert_yaxis()
    # Inside it would lie on a line sooner or later.
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def by_name(values: Mapping[str, float], label: str, ylabel: str, title: str) -> Figure:
    """Draws a curve over places that have names, such as layers.

    Args:
        values: Values by name, from the left; a name may have line breaks.
        label: What the curve is.
        ylabel: What the values measure; the axis begins at 0.
        title: The finding, as a sentence.
    """
    places = range(len(values))
    figure = lines({label: list(values.values())}, "", ylabel, title, x=places, marker="o")
    figure.axes[0].set_xticks(places, list(values), fontsize=7)
    figure.axes[0].set_ylim(0)
    return figure


def on_log_scale(figure: Figure, axis: Literal["x", "y"], ticks: Sequence[float]) -> Figure:
    """Gives a figure's first axes a logarithmic scale with plain numbers, and returns the figure.

    Args:
        figure: As `lines` returns it.
        axis: Which axis.
        ticks: The numbers that stand at it.
    """
    axes = figure.axes[0]
    # The scale first: it would bring its own ticks.
    getattr(axes, f"set_{axis}scale")("log")
    axes.minorticks_off()
    getattr(axes, f"set_{axis}ticks")(ticks, [f"{tick:g}" for tick in ticks])
    return figure


def clouds(
    places: Mapping[str, np.ndarray], labels: np.ndarray, names: Sequence[str], title: str
) -> Figure:
    """Draws examples as points in a plane, one picture for each way to place them.

    Args:
        places: By name: `(n, 2)`.
        labels: Class of each example, int `(n,)`.
        names: Names of the classes.
        title: The finding, as a sentence.
    """
    figure, axes = panels(1, len(places), title, size=4)
    for place, (name, found) in zip(axes.flat, places.items(), strict=True):
        for label, class_name in enumerate(names):
            place.scatter(*found[labels == label].T, s=8, label=class_name)
        place.set_title(name, fontsize=9)
    # Inside it would hide points.
    handles, texts = axes.flat[-1].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside right center", fontsize=7, frameon=False)
    return figure
