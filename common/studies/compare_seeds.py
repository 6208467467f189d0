"""Comparing over seeds: runs that differ in the seed only make one row, and pairs of rows are tested."""

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common.runs.headline import Headline
from common.studies import plain
from common.studies.differences import NONE_SHOWN, SAME, paired, unpaired

# How the default name of a run folder ends: seed0, best-full-seed0, custom-seed0-1ede7b22.
SEED = re.compile(r"[-_/]?seed[-_]?\d+(-[0-9a-f]{8})?$")

MIXED = "test"
"""Head of the column of test figures where the runs are judged by different figures."""


Row = dict[str, Any]
"""A run as `common.studies.compare` reads it."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ in the seed only, in the order of their seeds."""

    name: str
    runs: list[Row]

    @property
    def seeds(self) -> list[int | None]:
        """Their seeds, in order."""
        return [run["seed"] for run in self.runs]

    @property
    def headline(self) -> Headline:
        """The figure by which they are judged, with the values of the first run."""
        return self.runs[0]["headline"]

    @property
    def values(self) -> list[float]:
        """Their test figures, in the order of the seeds."""
        return [run["headline"].value for run in self.runs]


def group(runs: Iterable[Row]) -> list[Group]:
    """Returns the runs in groups, in the order of their first runs. A single run is a group of one.

    Runs that are equal in the seed as well are repetitions, which tell nothing about other seeds.
    Where a group has only repetitions, each run becomes a group of its own.
    """
    found: dict[str, list[Row]] = {}
    for run in runs:
        found.setdefault(_key(run), []).append(run)
    parts: list[list[Row]] = []
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
    """Returns a name for each group: that of its folders without the seed, if no other has the same."""
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


def short_names(paths: Sequence[Path | str]) -> list[str]:
    """Returns the shortest trailing parts of the paths that still tell them apart."""
    parts = [Path(path).resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(set(parts)):
            return names
    return [str(path) for path in paths]


def heads(runs: Sequence[Row]) -> tuple[str, str]:
    """Returns the heads of the columns of test and validation figures."""
    if len({run["headline"].column for run in runs}) > 1:
        return MIXED, "val"
    shown = runs[0]["headline"]
    unit = f" {shown.unit}" if shown.unit else ""
    # Accuracy is the usual figure in per cent and needs no name.
    name = "" if shown.name == "accuracy" else f" {shown.name}{',' * bool(unit)}"
    return f"test{name}{unit}", f"val{unit}"


def tested(shown: Headline, text: str, head: str) -> str:
    """Returns the cell of a test figure, with the figure's name unless the column's head names it.

    Args:
        shown: The figure.
        text: Its value as text.
        head: Head of the column, as `heads` returns it.
    """
    return f"{text} {shown.words}" if head == MIXED else text


def comparable(one: Row, other: Row) -> bool:
    """Returns whether two runs are on the same data and judged by the same figure."""
    same = one["headline"].name == other["headline"].name
    return same and one["data_key"] == other["data_key"]


def table(groups: Sequence[Group]) -> list[tuple[str, ...]]:
    """Returns the rows of the table over seeds, the heads first."""
    test, validation = heads([run for each in groups for run in each.runs])
    rows: list[tuple[str, ...]] = [("over seeds", "n", "seeds", test, validation)]
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


def warnings(groups: Iterable[Group]) -> list[str]:
    """Returns a warning for each group that holds a seed more than once."""
    found = []
    for each in groups:
        known = [seed for seed in each.seeds if seed is not None]
        twice = sorted({seed for seed in known if known.count(seed) > 1})
        if twice:
            found.append(
                f"WARNING: {each.name} holds seed {_shown(twice)} more than once; repetitions are "
                "not independent, so leave out all but one."
            )
    return found


def verdicts(groups: Iterable[Group]) -> list[str]:
    """Returns a line for each pair of groups that can be compared: their difference and the verdict."""
    pairs = [
        (one, other)
        for one, other in itertools.combinations(groups, 2)
        if comparable(one.runs[0], other.runs[0])
    ]
    tested = [pair for pair in pairs if all(len(each.runs) > 1 for each in pair)]
    # With many pairs, some differ by chance.
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
            f"{one.name} - {other.name}: no test, {alone.name} has one seed and so no spread; "
            "train it with --seeds 5"
        )
    same = one.seeds == other.seeds and len(set(one.seeds)) == len(one.seeds)
    shown, percent = one.headline, one.headline.unit == "%"
    # Values count as alike within this distance. Shares of examples move in fixed steps; for any
    # other figure the distance depends on how large its values are.
    alike = SAME if percent else SAME * max(map(abs, one.values + other.values))
    difference = (paired if same else unpaired)(one.values, other.values, alike)
    found = difference.verdict(shown.higher, threshold)
    unit = f" {shown.unit} of" if shown.unit else ""
    unit = f" points of test {shown.name}" if percent else f"{unit or ' of'} test {shown.name}"
    text = difference.describe(unit, scale=shown.scale, digits=2 if percent else None)
    words = found if found == NONE_SHOWN else f"{one.name} is {found}"
    return f"{one.name} - {other.name}: {text}: {words}"
