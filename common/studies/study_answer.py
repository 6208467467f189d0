"""What a study found: differences paired by seed, their intervals, and the answer in words."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common.basics.errors import RecipeError
from common.basics.files import read_json
from common.runs import config as configuration
from common.runs import headline
from common.runs.finished import read_metrics
from common.studies import differences
from common.studies.study import SIZE, Study
from common.studies.study_plan import Planned
from common.studies.study_tuned import Tuned

Found = dict[str, Any]
"""What study.json holds, as `answer` returns it."""


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Returns p-values corrected for their number by Holm's step-down method, in the order given.

    Args:
        values: p-values. None is a comparison without a test: it counts in the number, and stays None.
    """
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    known = sorted((p, index) for index, p in enumerate(values) if p is not None)
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(values) - rank) * p))
        corrected[index] = largest
    return corrected


def answer(
    planned: Sequence[Planned],
    title: str,
    study: Study,
    command: str,
    *,
    conditions: Sequence[Mapping[str, float]] = (),
    tuned: Tuned | None = None,
) -> Found:
    """Returns what study.json holds.

    Args:
        planned: One training or more, all finished.
        title: Name of the study.
        study: What is compared.
        command: The command line that repeats the study.
        conditions: For each training its score under each condition, if the study has conditions.
        tuned: What was tuned before, if the study has a field to tune.

    Raises:
        RecipeError: Trainings that are compared were on different data.
    """
    runs: list[dict[str, Any]] = []
    # Dicts without values: sets that keep the order.
    machines: dict[str, None] = {}
    commits: dict[str, None] = {}
    prints: dict[int | None, tuple[str, Path]] = {}
    first = read_metrics(planned[0].run.directory)
    for index, one in enumerate(planned):
        directory = one.run.directory
        metrics = read_metrics(directory)
        environment = read_json(directory / "environment.json", "environment")
        timing = read_json(directory / "timing.json", "timing")
        print_ = metrics["data"]["fingerprint"]
        other = prints.setdefault(one.size, (print_, directory))
        if other[0] != print_:
            raise RecipeError(
                f"{directory} and {other[1]} were trained on different data; delete the folder of the "
                "older data and repeat the command"
            )
        machines[_machine(environment)] = commits[environment["commit"] or "unknown"] = None
        scores = conditions[index] if conditions else {one.arm: headline.of(metrics).value}
        row = {"size": one.size, "seed": one.seed, "seconds": timing["train_wall_seconds"]}
        runs += [{"arm": name, "value": value, **row} for name, value in scores.items()]
    figure = headline.of(first)
    arms = list(dict.fromkeys(run["arm"] for run in runs))
    found = {
        "recipe": planned[0].run.recipe,
        "study": title,
        "question": study.question,
        "base": study.base,
        "settings": study.settings,
        "sizes": study.sizes,
        "reference": study.reference if study.reference in arms else arms[0],
        "arms": {arm: _arm(planned, arm, study) for arm in arms},
        "conditions": bool(conditions),
        "tuned": tuned,
        "headline": {"name": figure.name, "unit": figure.unit, "better": figure.better},
        "test_count": figure.count,
        "runs": runs,
        "data": first["data"],
        "machines": list(machines),
        "commits": list(commits),
        "command": command,
    }
    found["comparisons"] = compare(found)
    found["answer"] = sentences(found)
    return found


def _arm(planned, arm, study):
    # All conditions are those of one network.
    config = next(one.run.config for one in planned if one.arm == arm or study.conditions)
    sets = study.arms.get(arm) or study.conditions.get(arm, {})
    return {"sets": sets, "config": _without(configuration.to_dict(config))}


def _without(config):
    return {name: value for name, value in config.items() if name not in ("seed", SIZE)}


def _machine(environment):
    device = ", ".join(environment["accelerators"])
    device = device or f"{environment['cpu_count']} cores of {environment['cpu']}"
    versions, backend = environment["versions"], environment["backend"]
    return (
        f"{device}, Keras {versions['keras']} on {backend} {versions.get(backend, '')}, "
        f"Python {environment['python']}"
    )


def sizes(found: Found) -> list[int | None]:
    """Returns the numbers of training examples of a study, `[None]` where all examples are used."""
    return list(dict.fromkeys(run["size"] for run in found["runs"]))


def values(found: Found, arm: str, size: int | None) -> list[float]:
    """Returns the test figures of an arm at one size, in the order of their seeds."""
    runs = [run for run in found["runs"] if (run["arm"], run["size"]) == (arm, size)]
    return [run["value"] for run in sorted(runs, key=lambda run: run["seed"])]


def figure_of(found: Found) -> headline.Headline:
    """Returns the figure that a study judges by, without values."""
    return headline.Headline(**found["headline"])


def compare(found: Found) -> list[dict[str, Any]]:
    """Returns for each size and each other arm how it differs from the reference.

    The verdicts follow from p-values that are corrected for the number of all comparisons. The
    intervals are not corrected.
    """
    figure, reference = figure_of(found), found["reference"]
    others = [arm for arm in found["arms"] if arm != reference]
    pairs = [(size, arm) for size in sizes(found) for arm in others]
    each = [
        differences.paired(values(found, arm, size), values(found, reference, size))
        for size, arm in pairs
    ]
    corrected = holm([one.p for one in each])
    return [
        {
            "arm": arm,
            "size": size,
            "difference": one.mean,
            "interval": one.interval and list(one.interval),
            "p": one.p,
            "p_corrected": p,
            "verdict": dataclasses.replace(one, p=p).verdict(figure.higher),
        }
        for (size, arm), one, p in zip(pairs, each, corrected, strict=True)
    ]


def change(figure: headline.Headline, value: float) -> str:
    """Returns a difference between two values of a figure, signed and without unit, e.g. "+1.20"."""
    return f"{100 * value:+.2f}" if figure.unit == "%" else f"{value:+.3g}"


def interval(figure: headline.Headline, row: dict[str, Any]) -> str:
    """Returns the interval of a row of `compare`, e.g. "+0.40 to +2.00"; "-" where there is none."""
    ends = row["interval"]
    return "-" if ends is None else " to ".join(change(figure, end) for end in ends)


def finding(found: Found, size: int | None, intervals: bool = True) -> str:
    """Returns what a study found at one size, a sentence in which the arms are grouped by verdict.

    Args:
        found: As `answer` returns it.
        size: One of `sizes(found)`.
        intervals: Whether to give the intervals.
    """
    figure = figure_of(found)
    groups: dict[str, list[str]] = {}
    order = (differences.BETTER, differences.WORSE, differences.NONE_SHOWN)
    rows = [row for row in found["comparisons"] if row["size"] == size]
    rows.sort(key=lambda row: order.index(row["verdict"]))
    for row in rows:
        # Only the first difference has its unit: the others are in the same.
        unit = figure.difference_unit if row is rows[0] else ""
        text = f"{row['arm']} {change(figure, row['difference'])}{unit}"
        if intervals and row["interval"]:
            text += f" (95 % {interval(figure, row)})"
        groups.setdefault(row["verdict"], []).append(text)
    starts = {
        differences.BETTER: f"better than {found['reference']}",
        differences.WORSE: f"worse than {found['reference']}",
        differences.NONE_SHOWN: f"no difference from {found['reference']} shown",
    }
    parts = [
        f"{starts[verdict]}: {', '.join(groups[verdict])}"
        for verdict in starts
        if verdict in groups
    ]
    text = "; ".join(parts)
    if size is not None:
        return f"{size:,} examples: {text}."
    return f"{text[0].upper()}{text[1:]}."


def sentences(found: Found) -> str:
    """Returns the answer to a study's question: a sentence for each size, then the number of seeds."""
    count, number = seeds(found), len(found["comparisons"])
    rests = f"{count} seeds, paired" if count > 1 else "one seed of each: no interval"
    if count > 1 and number > 1:
        rests += f"; verdicts corrected for {number} comparisons (Holm), intervals not"
    return " ".join([*(finding(found, size) for size in sizes(found)), f"({rests}.)"])


def seeds(found: Found) -> int:
    """Returns the number of seeds that every arm was trained with."""
    return len({run["seed"] for run in found["runs"]})
