"""The picture of a study: a dot for every seed, means with intervals, and the finding as its title."""

import math
import statistics
from collections.abc import Sequence

from common.report.drawing import (
    ALERT,
    FAINT,
    INK,
    MUTED,
    STRONG,
    WEAK,
    new_axes,
    short,
    to_png,
)
from common.studies import differences, study_tuned
from common.studies.study_answer import (
    Found,
    change,
    figure_of,
    finding,
    interval,
    seeds,
    sizes,
    values,
)

# Lightness, dashes and marks differ, so that the arms can be told apart in grey as well.
STYLES = (
    (STRONG, "-", "o"),
    ("#d98200", "-", "s"),
    ("#5aa469", "--", "^"),
    ("#8e5ea2", "-.", "D"),
    (ALERT, ":", "v"),
    (INK, (0, (5, 1, 1, 1)), "P"),
    (WEAK, "--", "X"),
    (MUTED, "-", "*"),
)
WINDOW = 8
"""Points below the worst of the chosen values that the picture of the tuning shows."""
SPREAD = 0.02
"""Distance between the dots of neighbouring arms at one size, in powers of ten."""


def draw(found: Found) -> bytes:
    """Returns the picture of a study, PNG bytes."""
    return _by_size(found) if len(sizes(found)) > 1 else _by_arm(found)


def mean_interval(held: Sequence[float]) -> tuple[float, float, float]:
    """Returns the mean of values and the ends of its 95 % interval (Student's t).

    Args:
        held: One value or more. A single value is the mean and both ends.
    """
    mean = statistics.fmean(held)
    if len(held) < 2:
        return mean, mean, mean
    from scipy import stats

    reach = stats.t.ppf((1 + differences.LEVEL) / 2, len(held) - 1)
    reach *= statistics.stdev(held) / len(held) ** 0.5
    return mean, mean - float(reach), mean + float(reach)


def draw_tuned(found: Found) -> bytes:
    """Returns the picture of what was tuned, PNG bytes: a line for each arm over the field's values.

    Args:
        found: Of a study with a tuned field, as `study_answer.answer` returns it.
    """
    figure, tuned = figure_of(found), found["tuned"]
    picture, axes = new_axes(
        8.0,
        4.2,
        f"{tuned['field']} (logarithmic)",
        f"validation {figure.column}",
        _tuned_title(found),
    )
    best, order = [], sorted(tuned["values"])
    for index, (arm, held) in enumerate(tuned["arms"].items()):
        colour, dashes, mark = STYLES[index % len(STYLES)]
        by_value = dict(zip(tuned["values"], held["scores"], strict=True))
        scores = [math.nan if by_value[v] is None else figure.scale * by_value[v] for v in order]
        axes.plot(order, scores, color=colour, ls=dashes, lw=1.4, label=short(arm, 30))
        chosen = scores[order.index(held["value"])]
        axes.plot([held["value"]], [chosen], color=colour, marker=mark, ms=7)
        best.append(chosen)
    if figure.unit == "%":
        # Where training fails is as good as off the picture; what is good differs by points.
        axes.set_ylim(min(best) - WINDOW, max(best) + 0.05 * WINDOW)
    axes.set_xscale("log")
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(
        fontsize=8, frameon=False, labelcolor=INK, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    words = f"mark: the value that was chosen; seed {tuned['seed']}, {found['data']['label']}"
    picture.supxlabel(short(words, 140), x=0.01, ha="left", fontsize=7.5, color=MUTED)
    return to_png(picture)


def _tuned_title(found):
    tuned = found["tuned"]
    if found["headline"]["unit"] != "%":
        return f"Each arm has the {tuned['field']} that is best on validation."
    ends = {arm: study_tuned.good(tuned, arm) for arm in tuned["arms"]}
    widest = sorted(ends, key=lambda arm: ends[arm][0] / ends[arm][1])
    return (
        f"{widest[0]} forgives most: {tuned['field']} may be off by a factor of "
        f"{ends[widest[0]][1] / ends[widest[0]][0]:.3g} in all. {widest[-1]} least: "
        f"{ends[widest[-1]][1] / ends[widest[-1]][0]:.3g}."
    )


def _axis(figure):
    better = "right" if figure.higher else "left"
    return f"test {figure.column} (better to the {better})"


def _by_arm(found):
    """Draws a row for each arm, with its difference from the reference at the end."""
    figure, arms = figure_of(found), list(found["arms"])
    (size,) = sizes(found)
    rows = {row["arm"]: row for row in found["comparisons"]}
    title = finding(found, size, intervals=False)
    picture, axes = new_axes(8.0, 1.9 + 0.42 * len(arms), _axis(figure), "", title)
    reference = figure.scale * statistics.fmean(values(found, found["reference"], size))
    axes.axvline(reference, color=MUTED, linewidth=1, linestyle=":", zorder=1)
    for place, arm in enumerate(arms):
        held = [figure.scale * value for value in values(found, arm, size)]
        mean, low, high = mean_interval(held)
        verdict = rows[arm]["verdict"] if arm in rows else None
        colour = {differences.BETTER: STRONG, differences.WORSE: ALERT}.get(verdict, INK)
        if len(held) > 1:
            axes.plot([low, high], [place, place], color=colour, linewidth=1.6, zorder=2)
        # The dots stand above the line, so that neither hides the other.
        axes.scatter(held, [place - 0.2] * len(held), s=14, color=WEAK, zorder=2)
        axes.scatter([mean], [place], s=34, color=colour, zorder=3)
        text = "reference" if verdict is None else _row_text(figure, rows[arm])
        axes.annotate(
            text,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=colour,
            annotation_clip=False,
        )
    axes.annotate(
        "difference (95 %)",
        (1.02, -0.6),
        xycoords=("axes fraction", "data"),
        va="bottom",
        fontsize=8,
        color=MUTED,
        annotation_clip=False,
    )
    axes.set_yticks(range(len(arms)), [short(arm, 30) for arm in arms])
    axes.tick_params(axis="y", labelsize=9, labelcolor=INK, length=0)
    axes.set_ylim(len(arms) - 0.5, -0.6)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    _explain(picture, found, "small dot: one seed; large dot and line: mean and its 95 % interval")
    return to_png(picture)


def _row_text(figure, row):
    text = change(figure, row["difference"])
    if row["interval"]:
        text += f" ({interval(figure, row)})"
    return f"{text}\n{row['verdict']}"


def _by_size(found):
    """Draws a line for each arm over the numbers of training examples."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure, counts = figure_of(found), sizes(found)
    better = "higher" if figure.higher else "lower"
    picture, axes = new_axes(
        8.0,
        4.2,
        "training examples (logarithmic)",
        f"test {figure.column} ({better} is better)",
        _title(found),
    )
    arms = list(found["arms"])
    for index, arm in enumerate(arms):
        colour, dashes, mark = STYLES[index % len(STYLES)]
        # The arms stand side by side, so that dots of similar arms do not cover each other.
        aside = 10 ** (SPREAD * (index - (len(arms) - 1) / 2))
        places = [count * aside for count in counts]
        means, lows, highs = [], [], []
        for place, count in zip(places, counts, strict=True):
            held = [figure.scale * value for value in values(found, arm, count)]
            axes.scatter([place] * len(held), held, s=12, color=colour, alpha=0.45, zorder=2)
            for ends, end in zip((means, lows, highs), mean_interval(held), strict=True):
                ends.append(end)
        axes.plot(
            places, means, color=colour, ls=dashes, marker=mark, ms=5, lw=1.6, label=short(arm, 30)
        )
        axes.fill_between(places, lows, highs, color=colour, alpha=0.12, linewidth=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    _explain(picture, found, "dot: one seed; line: mean; band: its 95 % interval")
    return to_png(picture)


def _title(found):
    """Returns the finding: for each arm the sizes at which it differs from the reference."""
    parts = []
    for arm in found["arms"]:
        if arm == found["reference"]:
            continue
        where = {}
        for row in found["comparisons"]:
            if row["arm"] == arm:
                where.setdefault(row["verdict"], []).append(f"{row['size']:,}")
        shown = [
            f"{verdict} with {', '.join(where[verdict])} examples"
            for verdict in (differences.BETTER, differences.WORSE)
            if verdict in where
        ]
        parts.append(f"{arm}: {', '.join(shown) or differences.NONE_SHOWN}")
    return f"Against {found['reference']}: {'; '.join(parts)}."


def _explain(picture, found, text):
    """Writes below the axes what the dots and lines mean, the number of seeds and the data."""
    count = seeds(found)
    words = f"{text}; {count} seed{'s' * (count > 1)}, {found['data']['label']}"
    picture.supxlabel(short(words, 140), x=0.01, ha="left", fontsize=7.5, color=MUTED)
