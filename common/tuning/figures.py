"""The figures of sweep.html and contest.html, as PNG bytes, in the style of the reports of runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from common.report.drawing import (
    ALERT,
    FAINT,
    INK,
    MUTED,
    STRONG,
    WEAK,
    dress,
    new_axes,
    set_title,
    short,
    to_png,
)
from common.tuning import ranges
from common.tuning.score import shown
from common.tuning.trial import COMPLETED, FAILED, PRUNED, Trial, history

if TYPE_CHECKING:
    from keras_tuner.engine.hyperparameters import HyperParameter


# Lightness and dashes differ, so that lines can be told apart in grey as well.
STYLES = (
    (STRONG, "-"),
    ("#d98200", "-"),
    ("#5aa469", "--"),
    ("#8e5ea2", "-."),
    (ALERT, ":"),
    (INK, (0, (5, 1, 1, 1))),
    (WEAK, "--"),
    (MUTED, "-"),
)


def best_so_far(
    trials: Sequence[Trial], objective: str, maximise: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how the best score of a search grew with the epochs trained.

    Args:
        trials: All trials of the search.
        objective: Name of the score.
        maximise: Whether a higher score is better.

    Returns:
        Epochs trained in all and the best score so far, after each end of a trial or of a Hyperband
        rung, both `(n,)`. The score is NaN until the first trial has one.
    """
    better = np.fmax if maximise else np.fmin
    ends = history(trials)
    scores = [math.nan if score is None else score for _, score, _ in ends]
    # fmax and fmin ignore NaN.
    return np.array([epochs for *_, epochs in ends]), better.accumulate(np.array(scores))


def progress(trials: Sequence[Trial], objective: str, maximise: bool, title: str) -> bytes:
    """Draws the score of each trial, and of each rung, and the best so far against the epochs spent."""
    figure, axes = new_axes(7.0, 3.6, "epochs trained, all trials together", objective, title)
    epochs, best = best_so_far(trials, objective, maximise)
    ends = history(trials)
    last = {trial.number: epochs for trial, _, epochs in ends}
    dots: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    for trial, score, spent in ends:
        if score is not None:
            # A rung that Hyperband continues later counts as stopped early.
            full = trial.status == COMPLETED and spent == last[trial.number]
            dots[full].append((spent, score))
    kinds = ((True, "trained to the end", STRONG, STRONG), (False, "stopped early", "white", WEAK))
    for full, label, face, edge in kinds:
        if dots[full]:
            places, scores = zip(*dots[full], strict=True)
            axes.scatter(
                places, scores, s=22, facecolor=face, edgecolor=edge, label=label, zorder=3
            )
    failed = [last[trial.number] for trial in trials if trial.status == FAILED]
    if failed:
        low = axes.get_ylim()[0]
        axes.scatter(failed, [low] * len(failed), marker="x", color=ALERT, label="failed", zorder=3)
    axes.step(epochs, best, where="post", color=INK, linewidth=1.6, label="best so far")
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    return to_png(figure)


def curves(trials: Sequence[Trial], objective: str, best: Trial, title: str) -> bytes:
    """Draws the learning curves of all trials, the best trial's in front."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_axes(7.0, 3.6, "epoch", objective, title)
    for trial in trials:
        for curve in trial.curves:
            values = curve.get(objective, [])
            if trial is not best and values:
                steps = range(1, len(values) + 1)
                dot = "." if len(values) == 1 else None
                axes.plot(steps, values, color=WEAK, linewidth=0.9, alpha=0.7, marker=dot)
    for curve in best.curves:
        values = curve[objective]
        axes.plot(range(1, len(values) + 1), values, color=STRONG, linewidth=2.2, marker="o", ms=4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    return to_png(figure)


def parallel_coordinates(
    trials: Sequence[Trial],
    entries: Sequence[HyperParameter],
    objective: str,
    maximise: bool,
    title: str,
) -> bytes:
    """Draws a line for each trial through the values of its hyperparameters; dark lines scored better."""
    from matplotlib import colormaps

    scored = [trial for trial in trials if trial.status in (COMPLETED, PRUNED)]
    scores = np.array([trial.score for trial in scored])
    ranks = scores.argsort().argsort() / max(len(scores) - 1, 1)
    ranks = ranks if maximise else 1 - ranks
    figure, axes = new_axes(max(7.0, 1.15 * (len(entries) + 1)), 4.0, "", "", title)
    span = (scores.max() - scores.min()) or 1.0
    for place in np.argsort(ranks):
        trial = scored[place]
        xs, ys = [], []
        for index, entry in enumerate(entries):
            if ranges.present(entry, trial.values):
                xs.append(index)
                ys.append(height(entry, trial.values[entry.name]))
        xs.append(len(entries))
        ys.append((scores[place] - scores.min()) / span)
        colour = colormaps["Blues"](0.2 + 0.8 * ranks[place])
        axes.plot(xs, ys, color=colour, linewidth=0.8 + 1.4 * ranks[place] ** 4)
    for index, entry in enumerate(entries):
        axes.axvline(index, color=MUTED, linewidth=0.7)
        for value, y in labels(entry):
            axes.annotate(
                short(ranges.show(value), 10), (index, y), xytext=(3, 0), fontsize=7, color=INK,
                textcoords="offset points", va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8},
            )  # fmt: skip
    axes.axvline(len(entries), color=INK, linewidth=1.2)
    for y, value in ((0, scores.min()), (1, scores.max())):
        axes.annotate(
            shown(value), (len(entries), y), xytext=(3, 0), textcoords="offset points",
            fontsize=8, color=INK, va="center",
        )  # fmt: skip
    names = [short(title, 18) for title in ranges.titles(entries)] + [objective]
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=8)
    axes.set_yticks([])
    axes.margins(x=0.06)
    axes.spines["left"].set_visible(False)
    return to_png(figure)


def height(entry: HyperParameter, value: Any) -> float:
    """Returns the place of a value on its axis, 0 to 1; categories keep the order of the search space."""
    if ranges.ordered(entry):
        return ranges.unit(entry, value)
    values = ranges.domain(entry)
    assert values is not None  # Only ordered hyperparameters have no list of values.
    return values.index(value) / max(len(values) - 1, 1)


def labels(entry: HyperParameter, most: int = 6) -> list[tuple[Any, float]]:
    """Returns the values to write beside an axis, with their heights: up to `most`, or the two ends."""
    values = ranges.domain(entry)
    if values is None:
        return [(entry.min_value, 0.0), (entry.max_value, 1.0)]
    if len(values) > most:
        values = [values[0], values[-1]]
    return [(value, height(entry, value)) for value in values]


def slices(
    trials: Sequence[Trial], entries: Sequence[HyperParameter], objective: str, title: str
) -> bytes:
    """Draws a small plot for each hyperparameter, of the score against its values."""
    from matplotlib.figure import Figure

    columns = min(4, len(entries))
    rows = math.ceil(len(entries) / columns)
    figure = Figure(figsize=(2.4 * columns, 2.2 * rows + 0.4), dpi=150, layout="constrained")
    set_title(figure, title)
    for index, (entry, name) in enumerate(zip(entries, ranges.titles(entries), strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        dress(axes, short(name, 24), objective if index % columns == 0 else "")
        for status, face, edge in ((PRUNED, "white", WEAK), (COMPLETED, STRONG, STRONG)):
            found = [
                (height(entry, trial.values[entry.name]), trial.score)
                for trial in trials
                if trial.status == status and ranges.present(entry, trial.values)
            ]
            if found:
                xs, ys = zip(*found, strict=True)
                axes.scatter(xs, ys, s=14, facecolor=face, edgecolor=edge)
        ticks = labels(entry, most=4)
        axes.set_xticks(
            [y for _, y in ticks], [short(ranges.show(value), 9) for value, _ in ticks], fontsize=7
        )
        axes.set_xlim(-0.1, 1.1)
        axes.tick_params(axis="y", labelsize=7)
        axes.grid(axis="y", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
    return to_png(figure)


def bars(names: Sequence[str], values: Sequence[float], xlabel: str, title: str) -> bytes:
    """Draws horizontal bars, the largest on top."""
    figure, axes = new_axes(6.0, 0.9 + 0.32 * len(names), xlabel, "", title)
    order = np.argsort(values)
    # Bars are placed by number: two names may be equal when they are shortened.
    axes.barh(range(len(names)), [values[i] for i in order], color=STRONG)
    axes.set_yticks(range(len(names)), [short(names[i], 24) for i in order])
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    return to_png(figure)


def race(
    lines: Mapping[str, tuple[np.ndarray, Sequence[np.ndarray]]],
    xlabel: str,
    ylabel: str,
    title: str,
    log: bool = False,
    skip: float = 0.0,
) -> bytes:
    """Draws the median curve of each method, with a band for the middle half of its searches.

    Args:
        lines: For each method x `(n,)` and the values of each search `(searches, n)`.
        xlabel: Label of the x axis.
        ylabel: Label of the y axis.
        title: Title of the figure.
        log: Whether the y axis is logarithmic.
        skip: The y axis is scaled without this share of the x axis at its start. The first scores are
            so bad that the rest would be squeezed together.
    """
    figure, axes = new_axes(7.5, 4.2, xlabel, ylabel, title)
    shown = []
    for (name, (x, searches)), (colour, style) in zip(lines.items(), STYLES * 2, strict=False):
        values = np.asarray(searches, float)
        # There is nothing to draw before the first trial ends.
        known = np.isfinite(values).any(axis=0)
        x, values = np.asarray(x)[known], values[:, known]
        median = np.nanmedian(values, axis=0)
        axes.step(
            x, median, where="post", linestyle=style, color=colour, lw=1.9, label=short(name, 40)
        )
        if len(values) > 2:
            low, high = np.nanpercentile(values, [25, 75], axis=0)
            axes.fill_between(x, low, high, step="post", color=colour, alpha=0.12, lw=0)
        shown += median[x >= skip * x.max(initial=0)].tolist()
    if log:
        axes.set_yscale("log")
    if skip and shown and (span := max(shown) - min(shown)):
        axes.set_ylim(min(shown) - span / 10, max(shown) + span / 10)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    return to_png(figure)
