"""The picture of a study: a dot for every seed, means with intervals, and the finding as its title."""

import math
import statistics
from collections.abc import Sequence

from common.report.drawing import (
    ALERT,
    FAINT,
    INK,
    MUTED,
    PIXELS_PER_INCH,
    STRONG,
    WEAK,
    dress,
    new_axes,
    set_title,
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
MANY = 4
"""From so many numbers of training examples on, a curve over them is drawn in place of panels."""
WINDOW = 8
"""Points below the worst of the chosen values that the picture of the tuning shows."""


def draw(found: Found) -> bytes:
    """Returns the picture of a study, PNG bytes.

    A panel for each number of training examples; where there are many, a curve over them for each arm.
    """
    from matplotlib.figure import Figure

    figure, arms, counts = figure_of(found), list(found["arms"]), sizes(found)
    if len(counts) >= MANY:
        return _curves(found)
    one = len(counts) == 1
    picture = Figure(
        figsize=(8.0 if one else 2.0 + 3.4 * len(counts), 1.9 + 0.42 * len(arms)),
        dpi=PIXELS_PER_INCH,
        layout="constrained",
    )
    set_title(picture, finding(found, counts[0], intervals=False) if one else _title(found))
    panels = picture.subplots(1, len(counts), squeeze=False)[0]
    for axes, size in zip(panels, counts, strict=True):
        dress(axes, _axis(figure), "")
        _panel(axes, found, size, one)
        first = axes is panels[0]
        axes.set_yticks(range(len(arms)), [short(arm, 30) for arm in arms] if first else [])
        if not one:
            axes.set_title(f"{size:,} examples", loc="left", fontsize=9, color=INK)
    _explain(picture, found, "small dot: one seed; large dot and line: mean and its 95 % interval")
    return to_png(picture)


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
    factors = {arm: f"{high / low:.3g}" for arm, (low, high) in ends.items()}
    order = sorted(set(factors.values()), key=float)
    most, least = (
        f"{', '.join(arm for arm in factors if factors[arm] == factor)} (x {factor})"
        for factor in (order[-1], order[0])
    )
    if len(order) == 1:
        return (
            f"Good values of the {tuned['field']} span the same range for all arms: x {order[0]}."
        )
    return f"Good values of the {tuned['field']} span most for {most}, least for {least}."


def _axis(figure):
    better = "right" if figure.higher else "left"
    return f"test {figure.column} (better to the {better})"


def _panel(axes, found, size, more):
    """Draws a row for each arm at one size, with its difference from the reference at the end."""
    figure, arms = figure_of(found), list(found["arms"])
    rows = {row["arm"]: row for row in found["comparisons"] if row["size"] == size}
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
        text = "reference" if verdict is None else _row_text(figure, rows[arm], more)
        _beside(axes, text, place, colour, "center")
    _beside(axes, "difference (95 %)" if more else "difference", -0.6, MUTED, "bottom")
    axes.set_ylim(len(arms) - 0.5, -0.6)
    axes.tick_params(axis="y", labelsize=9, labelcolor=INK, length=0)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _beside(axes, text, place, colour, vertical):
    axes.annotate(
        text,
        (1.02, place),
        xycoords=("axes fraction", "data"),
        va=vertical,
        fontsize=8,
        color=colour,
        annotation_clip=False,
    )


def _curves(found):
    """Returns a picture with a line for each arm over the numbers of examples, its interval as a band."""
    from matplotlib.ticker import NullLocator

    figure, counts = figure_of(found), sizes(found)
    picture, axes = new_axes(
        8.0, 4.2, "training examples (logarithmic)", f"test {figure.column}", _title(found)
    )
    axes.set_xscale("log")
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())
    for index, arm in enumerate(found["arms"]):
        colour, dashes, mark = STYLES[index % len(STYLES)]
        held = [[figure.scale * value for value in values(found, arm, size)] for size in counts]
        means, lows, highs = zip(*map(mean_interval, held), strict=True)
        axes.fill_between(counts, lows, highs, color=colour, alpha=0.2, linewidth=0)
        axes.plot(counts, means, color=colour, ls=dashes, marker=mark, ms=5, label=short(arm, 30))
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    _explain(picture, found, "mark: mean over seeds; band: its 95 % interval")
    return to_png(picture)


def _row_text(figure, row, more):
    text = change(figure, row["difference"])
    if not more:
        return text if row["verdict"] == differences.NONE_SHOWN else f"{text}\n{row['verdict']}"
    if row["interval"]:
        text += f" ({interval(figure, row)})"
    return f"{text}\n{row['verdict']}"


def _title(found):
    """Returns the finding: arms with the same verdicts at all sizes stand together."""
    reference, verdicts, groups = found["reference"], {}, {}
    words = {
        differences.BETTER: f"better than {reference}",
        differences.WORSE: f"worse than {reference}",
        differences.NONE_SHOWN: f"no difference from {reference} shown",
    }
    for row in found["comparisons"]:
        verdicts.setdefault(row["arm"], {}).setdefault(row["verdict"], []).append(row["size"])
    for arm, where in verdicts.items():
        if len(where) == 1:
            text = words[next(iter(where))]
        else:
            text = " and ".join(
                f"{words[verdict]} with {_listed(where[verdict])} examples"
                for verdict in (differences.BETTER, differences.WORSE)
                if verdict in where
            )
        groups.setdefault(text, []).append(arm)
    # What was shown comes first.
    ordered = sorted(groups, key=lambda text: text == words[differences.NONE_SHOWN])
    parts = "; ".join(f"{text}: {', '.join(groups[text])}" for text in ordered)
    return f"{parts[0].upper()}{parts[1:]}."


def _listed(counts):
    return " and ".join(f"{count:,}" for count in counts)


def _explain(picture, found, text):
    """Writes below the axes what the dots and lines mean, the number of seeds and the data."""
    count = seeds(found)
    words = f"{text}; {count} seed{'s' * (count > 1)}, {found['data']['label']}"
    picture.supxlabel(short(words, 140), x=0.01, ha="left", fontsize=7.5, color=MUTED)
