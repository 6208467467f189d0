"""What a study found: differences paired by seed, their intervals, and the sentence that tells them."""

import dataclasses

from common.basics.errors import RecipeError
from common.basics.files import read_json
from common.runs import config as configuration
from common.runs import headline
from common.runs.run import read_metrics
from common.studies import differences
from common.studies.study import SIZE


def holm(values):
    """Returns p-values corrected for their number by Holm's step-down method, in the order given.

    Args:
        values: p-values, `(n,)`. None is a comparison that tells none: it counts, and stays None.
    """
    corrected, largest = [None] * len(values), 0.0
    known = sorted((p, index) for index, p in enumerate(values) if p is not None)
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, (len(values) - rank) * p))
        corrected[index] = largest
    return corrected


def answer(planned, title, study, command):
    """Returns what study.json holds, of trainings that are all finished.

    Args:
        planned: List of `common.studies.study.Planned`.
        title: Name of the study.
        study: Study.
        command: The command line that makes it again.

    Raises:
        RecipeError: Trainings that are compared were on different data.
    """
    runs, machines, commits, prints, first = [], {}, {}, {}, None
    for one in planned:
        directory = one.run.directory
        metrics = read_metrics(directory)
        environment = read_json(directory / "environment.json", "environment")
        timing = read_json(directory / "timing.json", "timing")
        first = first or metrics
        print_ = metrics["data"]["fingerprint"]
        other = prints.setdefault(one.size, (print_, directory))
        if other[0] != print_:
            raise RecipeError(
                f"{directory} and {other[1]} were trained on different data; delete the folder of the "
                "older data and repeat the command"
            )
        machines[_machine(environment)] = commits[environment["commit"] or "unknown"] = None
        value = headline.of(metrics).value
        seconds = timing["train_wall_seconds"]
        runs.append(
            {"arm": one.arm, "size": one.size, "seed": one.seed, "value": value, "seconds": seconds}
        )
    figure = headline.of(first)
    arms = list(dict.fromkeys(one.arm for one in planned))
    found = {
        "recipe": planned[0].run.recipe,
        "study": title,
        "question": study.question,
        "base": study.base,
        "settings": study.settings,
        "sizes": study.sizes,
        "reference": study.reference if study.reference in arms else arms[0],
        "arms": {arm: _arm(planned, arm, study) for arm in arms},
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
    config = next(one.run.config for one in planned if one.arm == arm)
    values = configuration.to_dict(config)
    return {"sets": study.arms[arm], "config": _without(values)}


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


def sizes(found):
    """Returns the sizes of a study, `(None,)` where it has none."""
    return list(dict.fromkeys(run["size"] for run in found["runs"]))


def values(found, arm, size):
    """Returns the headlines of an arm's trainings, in the order of their seeds."""
    runs = [run for run in found["runs"] if (run["arm"], run["size"]) == (arm, size)]
    return [run["value"] for run in sorted(runs, key=lambda run: run["seed"])]


def figure_of(found):
    """Returns the Headline of a study, without values."""
    return headline.Headline(**found["headline"])


def compare(found):
    """Returns a dict for each arm and size but the reference: how it differs from that.

    The p-values are corrected for the number of all of them; the intervals are not.
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


def change(figure, value):
    """Returns a difference of headlines with its sign and without unit, e.g. "+1.20"."""
    return f"{100 * value:+.2f}" if figure.unit == "%" else f"{value:+.3g}"


def interval(figure, row):
    """Returns e.g. "+0.40 to +2.00", a dash where there is none."""
    ends = row["interval"]
    return "-" if ends is None else " to ".join(change(figure, end) for end in ends)


def finding(found, size, intervals=True):
    """Returns what a study found at one size, the arms in groups by their verdict.

    Args:
        found: As `answer` returns it.
        size: One of `sizes(found)`.
        intervals: Whether to give them.
    """
    figure, groups = figure_of(found), {}
    order = (differences.BETTER, differences.WORSE, differences.NONE_SHOWN)
    rows = [row for row in found["comparisons"] if row["size"] == size]
    rows.sort(key=lambda row: order.index(row["verdict"]))
    for row in rows:
        # Said once: the others are in the same unit.
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


def sentences(found):
    """Returns the answer to the question of a study, one sentence for each size, and what it rests on."""
    count, number = seeds(found), len(found["comparisons"])
    rests = f"{count} seeds, paired" if count > 1 else "one seed of each: no interval"
    if count > 1 and number > 1:
        rests += f"; verdicts corrected for {number} comparisons (Holm), intervals not"
    return " ".join([*(finding(found, size) for size in sizes(found)), f"({rests}.)"])


def seeds(found):
    """Returns the number of seeds that every arm was trained with."""
    return len({run["seed"] for run in found["runs"]})
