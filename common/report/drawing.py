"""The figures of a run report, as PNG bytes.

They are drawn with matplotlib's object interface (no pyplot), so that a report can be written in any
thread or notebook without an effect on other figures. Every figure stays readable when printed in grey:
series differ in lightness and line style, and colour scales are monotone in lightness.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from common.basics import wording
from common.report import lettering

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1c2733"
MUTED = "#66717d"
FAINT = "#dfe4e9"
STRONG = "#12467f"
WEAK = "#8fa3b8"
ALERT = "#b3261e"

PIXELS_PER_INCH = 150
NUMBERS_UP_TO_CLASSES = 20
TITLE_LINES = 4


def new_axes(
    width: float, height: float, xlabel: str, ylabel: str, title: str
) -> tuple[Figure, Axes]:
    """Returns a figure of this size, in inches, and its only axes, in the style of the reports."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=PIXELS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    set_title(figure, title)
    dress(axes, xlabel, ylabel)
    return figure, axes


def set_title(figure: Figure, title: str) -> None:
    """Sets the title over the whole width, wrapped here: layout engines adapt to its height only."""
    characters = int(figure.get_figwidth() * 11.5)
    wrapped = textwrap.fill(title, characters, max_lines=TITLE_LINES, placeholder=" …")
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=9.5, fontweight="bold", color=INK)


def dress(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Gives axes their labels and the style of the reports."""
    axes.set_xlabel(short(xlabel, 100), color=INK, fontsize=9)
    axes.set_ylabel(short(ylabel, 60), color=INK, fontsize=9)
    axes.tick_params(labelsize=8, colors=MUTED, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)


def to_png(figure: Figure) -> bytes:
    """Renders to PNG bytes without matplotlib's version stamp, so equal figures are equal files.

    The title is among the file's texts: whoever shows it can tell those who cannot see it.
    """
    lettering.prepare(figure)
    buffer = io.BytesIO()
    texts = {"Software": None, "Description": " ".join(figure.get_suptitle().split())}
    figure.savefig(buffer, format="png", metadata=texts)
    return buffer.getvalue()


def short(name: str, length: int = 16) -> str:
    """Returns a name that can be drawn: one line of at most `length` characters."""
    return lettering.drawable(wording.shorten(name, length))


def learning_curve(
    epochs: np.ndarray,
    train: np.ndarray | None,
    validation: np.ndarray | None,
    best_epoch: int | None,
    *,
    title: str,
    ylabel: str,
    percent: bool = False,
) -> bytes:
    """Draws one quantity over the epochs, for the training and the validation data.

    Args:
        epochs: 1-based epoch numbers (n,).
        train: Values on the training data (n,), NaN where there is none.
        validation: Values on the validation data (n,), NaN where there is none.
        best_epoch: The epoch whose weights were kept.
        title: The finding, as a short sentence.
        ylabel: Name and unit of the quantity.
        percent: Whether values are fractions to be shown as percentages.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_axes(5.0, 3.4, "epoch", ylabel, title)
    scale = 100.0 if percent else 1.0
    # A line of one point is invisible; a few points are clearer with markers.
    marker = "o" if len(epochs) <= 30 else None
    for values, name, colour, style, face in (
        (train, "training", WEAK, "--", "white"),
        (validation, "validation", STRONG, "-", STRONG),
    ):
        if values is not None and np.isfinite(values).any():
            axes.plot(
                epochs,
                np.where(np.isfinite(values), values, np.nan) * scale,
                style,
                color=colour,
                marker=marker,
                markersize=4,
                markerfacecolor=face,
                linewidth=1.8,
                label=name,
            )
    if best_epoch is not None:
        axes.axvline(
            best_epoch, color=INK, linewidth=1, linestyle=":", label=f"chosen: epoch {best_epoch}"
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.margins(x=0.04)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    return to_png(figure)


def confusion(matrix: np.ndarray, class_names: Sequence[str], *, title: str) -> bytes:
    """Draws a confusion matrix: colours are shares of the row, numbers are counts.

    Colours follow the square root of the share, so that one mistake in a hundred is still visible.

    Args:
        matrix: Integers (classes, classes), true class in rows.
        class_names: One name for each class, as common.report.lettering.names_to_draw returns them.
        title: The finding, as a short sentence.
    """
    from matplotlib.colors import PowerNorm

    classes = len(matrix)
    names = [short(name) for name in class_names]
    longest = max(len(name) for name in names)
    side = float(np.clip(2.4 + 0.42 * classes, 3.6, 8.0))
    # The title needs its width even when the matrix is small.
    figure, axes = new_axes(max(side + 1.2, 5.2), side, "predicted class", "true class", title)
    support = matrix.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        share = np.where(support > 0, matrix / support, np.nan)
    # Rows of classes that are absent from the data have no share: grey, not zero.
    axes.set_facecolor("#eeeeee")
    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0.0, 1.0), aspect="equal")
    bar = figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02, ticks=[0, 0.01, 0.1, 0.5, 1])
    bar.ax.set_yticklabels(["0 %", "1 %", "10 %", "50 %", "100 %"], fontsize=8, color=MUTED)
    bar.set_label("share of the true class", fontsize=9, color=INK)
    bar.outline.set_visible(False)
    # Not all names are drawn if there is no room for them.
    step = 1 if classes <= 60 else 5 * -(-classes // 300)
    size = 8 if classes <= 20 else 6 if classes <= 40 else 5 if step == 1 else 7
    ticks = np.arange(0, classes, step)
    tilt = longest > 2 and (classes > 4 or longest > 10)
    axes.set_xticks(
        ticks,
        [names[tick] for tick in ticks],
        fontsize=size,
        rotation=90 if classes > 20 and tilt else 40 if tilt else 0,
        ha="right" if tilt and classes <= 20 else "center",
        rotation_mode="anchor" if tilt and classes <= 20 else "default",
    )
    axes.set_yticks(ticks, [names[tick] for tick in ticks], fontsize=size)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if classes <= NUMBERS_UP_TO_CLASSES:
        digits = len(str(int(matrix.max())))
        number_size = 11 if classes <= 4 else 8 if classes <= 12 and digits <= 4 else 6
        for row, column in np.ndindex(classes, classes):
            dark = np.isfinite(share[row, column]) and share[row, column] > 0.35
            axes.text(
                column,
                row,
                f"{matrix[row, column]:,}" if matrix[row, column] else "·",
                ha="center",
                va="center",
                fontsize=number_size,
                color="white" if dark else INK if matrix[row, column] else WEAK,
            )
    return to_png(figure)


def reliability(table: dict[str, np.ndarray], *, title: str, shown_from: float = 0.0) -> bytes:
    """Draws accuracy against confidence, and below it the share of predictions in each bin.

    Args:
        table: The result of `common.tasks.calibration.reliability_bins`.
        title: The finding, as a short sentence.
        shown_from: Left end of the confidence axis; 0.5 for two classes.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    from common.basics.statistics import wilson_interval

    figure = Figure(figsize=(5.0, 4.2), dpi=PIXELS_PER_INCH, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
    filled = table["count"] > 0
    middle = (table["low"] + table["high"])[filled] / 2
    width = (table["high"] - table["low"])[filled] * 0.92
    set_title(figure, title)
    dress(upper, "", "accuracy in the bin")
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="perfect calibration")
    intervals = [
        wilson_interval(int(right), int(count))
        for right, count in zip(table["right"][filled], table["count"][filled], strict=True)
    ]
    low, high = np.array(intervals).T
    shares = table["accuracy"][filled]
    upper.errorbar(
        table["confidence"][filled],
        shares,
        yerr=[np.maximum(shares - low, 0), np.maximum(high - shares, 0)],
        color=STRONG,
        ecolor=WEAK,
        marker="o",
        markersize=4.5,
        linewidth=1.6,
        elinewidth=1.2,
        capsize=2,
        label="model, 95 % interval",
    )
    upper.set_ylim(-0.02, 1.04)
    upper.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    upper.grid(color=FAINT, linewidth=0.8)
    upper.legend(fontsize=8, frameon=False, loc="upper left", labelcolor=INK)
    dress(lower, "probability of the predicted class", "share")
    lower.bar(middle, table["count"][filled] / table["count"].sum(), width, color=WEAK)
    lower.set_ylim(0, 1)
    lower.set_yticks([0, 0.5, 1])
    lower.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    lower.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    lower.set_xlim(shown_from - 0.01, 1.02)
    for axes in (upper, lower):
        axes.set_axisbelow(True)
    return to_png(figure)


def flat(image: np.ndarray) -> np.ndarray:
    """Returns a uint8 picture without its single-channel axis; floats in [0, 1] are scaled."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        scale = 255.0 if image.dtype.kind == "f" and image.max(initial=0) <= 1.0 else 1.0
        image = np.clip(np.rint(image * scale), 0, 255).astype(np.uint8)
    return image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
