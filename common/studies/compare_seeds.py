"""Comparing over seeds: runs that differ in the seed only are one row, and pairs of rows are tested."""

import dataclasses
import itertools
import json
import re
from pathlib import Path

from common.studies import plain
from common.studies.differences import NONE_SHOWN, SAME, paired, unpaired

# How the name of a run folder ends where nobody chose it: seed0, best-full-seed0, custom-seed0-1ede7b22.
SEED = re.compile(r"[-_/]?seed[-_]?\d+(-[0-9a-f]{8})?$")

MIXED = "test"
"""Head of the column of test figures that are not the same figure."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ in the seed only, as `common.studies.compare` reads them, by seed."""

    name: str
    runs: list

    @property
    def seeds(self):
        """Their seeds, in order."""
        return [run["seed"] for run in self.runs]

    @property
    def headline(self):
        """The Headline by which they are judged, with the values of the first."""
        return self.runs[0]["headline"]

    @property
    def values(self):
        """Their test figures, in the order of the seeds."""
        return [run["headline"].value for run in self.runs]


def group(runs):
    """Returns the runs as Groups, in the order of their first runs; one alone is a group of one.

    Runs that are equal down to the seed are repetitions: they tell nothing of other seeds, and each
    stands alone where they are all there is.
    """
    found = {}
    for run in runs:
        found.setdefault(_key(run), []).append(run)
    parts = []
    for members in found.values():
        if len({run["seed"] for run in members}) > 1:
            parts.append(sorted(members, key=lambda run: run["seed"]))
        else:
            parts += [[run] for run in members]
    return [Group(name, part) for name, part in zip(_names(parts), parts, strict=True)]


def _key(run):
    if not run["config"] or run["seed"] is None:
        return str(run["path"])
    fields = {name: value for name, value in run["config"].items() if name != "seed"}
    judged = run["headline"].name
    return json.dumps(
        [run["recipe"], judged, run["backend"], run["data_key"], fields], sort_keys=True
    )


def _names(parts):
    """Returns a name for each group: its folders' without the seed, as far as that tells them apart."""
    names = short_names([SEED.sub("", str(runs[0]["path"].resolve())) for runs in parts])
    found = []
    for name, runs in zip(names, parts, strict=True):
        first = runs[0]["name"]
        if len(runs) == 1:
            name = first
        elif names.count(name) > 1:
            name = f"{first} and {len(runs) - 1} more"
        found.append(name)
    return found


def short_names(paths):
    """Returns the shortest trailing parts of the paths that still tell them apart."""
    parts = [Path(path).resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(set(parts)):
            return names
    return [str(path) for path in paths]


def heads(runs):
    """Returns the heads of the columns of test and validation figures."""
    if len({run["headline"].column for run in runs}) > 1:
        return MIXED, "val"
    shown = runs[0]["headline"]
    unit = f" {shown.unit}" if shown.unit else ""
    # Accuracy is what everybody expects in per cent.
    name = "" if shown.name == "accuracy" else f" {shown.name}{',' * bool(unit)}"
    return f"test{name}{unit}", f"val{unit}"


def tested(shown, text, head):
    """Returns the cell of a test figure: with its name where the head of its column does not say it."""
    return f"{text} {shown.words}" if head == MIXED else text


def comparable(one, other):
    """Returns whether two runs are on the same data and judged by the same figure."""
    same = one["headline"].name == other["headline"].name
    return same and one["data_key"] == other["data_key"]


def table(groups):
    """Returns the rows of the table over seeds, the heads first."""
    test, validation = heads([run for each in groups for run in each.runs])
    rows = [("over seeds", "n", "seeds", test, validation)]
    for each in groups:
        validated = [run["headline"].validation for run in each.runs]
        validated = [value for value in validated if value is not None]
        rows.append(
            (
                each.name,
                str(len(each.runs)),
                _shown(each.seeds),
                tested(each.headline, each.headline.spread(each.values), test),
                each.headline.spread(validated) if validated else plain.ABSENT,
            )
        )
    return rows


def _shown(seeds):
    """Returns seeds as text: `0 to 4` where they follow each other."""
    if None in seeds:
        return plain.ABSENT
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def warnings(groups):
    """Returns a warning for each seed that stands twice in a group."""
    found = []
    for each in groups:
        twice = sorted({seed for seed in each.seeds if each.seeds.count(seed) > 1})
        if len(each.runs) > 1 and twice:
            found.append(
                f"WARNING: {each.name} holds seed {_shown(twice)} more than once; repetitions are "
                "not independent, leave all but one out."
            )
    return found


def verdicts(groups):
    """Returns a line for each pair of groups that can be compared: the difference and what it shows."""
    pairs = [
        (one, other)
        for one, other in itertools.combinations(groups, 2)
        if comparable(one.runs[0], other.runs[0])
    ]
    tested = [pair for pair in pairs if all(len(each.runs) > 1 for each in pair)]
    # Of many pairs, some differ by chance.
    threshold = 0.05 / max(len(tested), 1)
    lines = [_verdict(one, other, threshold) for one, other in pairs]
    if len(tested) > 1:
        lines.append(
            f"With {len(tested)} pairs, one is called better at p < {threshold:.2g} (Bonferroni)."
        )
    return lines


def _verdict(one, other, threshold):
    if min(len(one.runs), len(other.runs)) < 2:
        alone = one if len(one.runs) < 2 else other
        return (
            f"{one.name} - {other.name}: no test, {alone.name} is one seed and has no spread; "
            "train it with --seeds 5"
        )
    same = one.seeds == other.seeds and len(set(one.seeds)) == len(one.seeds)
    shown, percent = one.headline, one.headline.unit == "%"
    # A share of examples moves in steps; any other figure has the scale that its values have.
    alike = SAME if percent else SAME * max(map(abs, one.values + other.values))
    difference = (paired if same else unpaired)(one.values, other.values, alike)
    found = difference.verdict(shown.higher, threshold)
    unit = f" {shown.unit} of" if shown.unit else ""
    unit = f" points of test {shown.name}" if percent else f"{unit or ' of'} test {shown.name}"
    text = difference.describe(unit, scale=shown.scale, digits=2 if percent else None)
    words = found if found == NONE_SHOWN else f"{one.name} is {found}"
    return f"{one.name} - {other.name}: {text}: {words}"
