"""A search space: its size, its points in order, random points, neighbours, and points as vectors.

It wraps KerasTuner's HyperParameters, but samples itself, because KerasTuner's sampling has faults. Seeds
1 and 2 share 19 of 20 points. `seed=0` is ignored. A small space is not exhausted. A `Float` with a
linear step loses its last value by rounding (0 to 0.5 by 0.1 ends at 0.4). A log `Int` without a step has
only nine values.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from common.basics.errors import UsageError
from common.tuning.ranges import (
    Point,
    active,
    conditions,
    contains,
    domain,
    neighbour,
    ordered,
    present,
    sample,
    show,
    unit,
)

if TYPE_CHECKING:
    import numpy as np


# Number of random points that are drawn before the free points of a small space are listed instead.
ATTEMPTS = 200


class Space:
    """The hyperparameters of a search, with their conditions.

    Args:
        hyperparameters: A keras_tuner.HyperParameters in which all hyperparameters are registered.
    """

    def __init__(self, hyperparameters):
        self.entries = list(hyperparameters.space)
        self.parents = {condition.name for entry in self.entries for condition in entry.conditions}

    @classmethod
    def from_list(cls, entries: Sequence[dict[str, Any]]) -> Space:
        """Returns the space that `to_list` has described."""
        import keras_tuner

        config = {"space": entries, "values": {}}
        return cls(keras_tuner.HyperParameters.from_config(config))

    def to_list(self) -> list[dict[str, Any]]:
        """Returns a description of each hyperparameter, as it is read back from JSON."""
        found = [
            {"class_name": type(entry).__name__, "config": entry.get_config()}
            for entry in self.entries
        ]
        return json.loads(json.dumps(found))

    @property
    def names(self) -> list[str]:
        """Names of the hyperparameters, in order, each of them once."""
        return list(dict.fromkeys(entry.name for entry in self.entries))

    @functools.cached_property
    def size(self) -> float:
        """Number of different points; infinity if a Float has no step."""
        if any(domain(entry) is None for entry in self.entries):
            return math.inf
        return sum(math.prod(len(values) for _, values in branch) for branch in self._branches)

    @functools.cached_property
    def _branches(self):
        """The space as a list of products: (entry, values) pairs without conditions between them."""
        branches = []

        def walk(index, values, branch):
            if index == len(self.entries):
                branches.append(branch)
                return
            entry = self.entries[index]
            if not active(entry, values):
                walk(index + 1, values, branch)
            elif entry.name in self.parents:
                for value in domain(entry):
                    walk(index + 1, {**values, entry.name: value}, [*branch, (entry, [value])])
            else:
                walk(index + 1, values, [*branch, (entry, domain(entry))])

        walk(0, {}, [])
        return branches

    def point(self, index: int) -> Point:
        """Returns a point of a finite space.

        Args:
            index: 0 to size - 1.

        Raises:
            IndexError: There is no such point.
        """
        for branch in self._branches:
            count = math.prod(len(values) for _, values in branch)
            if index < count:
                point: Point = {}
                for entry, values in reversed(branch):
                    index, position = divmod(index, len(values))
                    point[entry.name] = values[position]
                return {name: point[name] for name in self.names if name in point}
            index -= count
        raise IndexError(index)

    def require_finite(self) -> None:
        """Checks that the space is finite.

        Raises:
            UsageError: A Float has no step; the message says what to do.
        """
        for entry in self.entries:
            if domain(entry) is None:
                step = "step=10**0.5" if entry.sampling == "log" else "step=0.1"
                raise UsageError(
                    f"a grid needs a finite space, and {entry.name} is a Float without a step; "
                    f'give it one, e.g. hp.Float("{entry.name}", ..., {step}), or search with '
                    "--method random"
                )

    def complete(self, values: Point, random: np.random.Generator) -> Point:
        """Returns a point made from `values`.

        Values that an active hyperparameter lacks are drawn at random, and others are dropped.
        """
        point: Point = {}
        for entry in self.entries:
            if active(entry, point) and entry.name not in point:
                known = entry.name in values and contains(entry, values[entry.name])
                point[entry.name] = values[entry.name] if known else sample(entry, random)
        return point

    def draw(self, random: np.random.Generator, taken: Collection[str]) -> Point | None:
        """Returns a random point that is not taken, or None where the space is exhausted.

        Args:
            random: Source of random numbers.
            taken: Keys of the points that are taken, as `key` returns them.
        """
        if len(taken) >= self.size:
            return None
        for _ in range(ATTEMPTS):
            point = self.complete({}, random)
            if key(point) not in taken:
                return point
        if self.size == math.inf:
            return None
        free = [
            point for point in map(self.point, range(int(self.size))) if key(point) not in taken
        ]
        return free[int(random.integers(len(free)))] if free else None

    def mutate(self, point: Point, random: np.random.Generator, changes: int = 1) -> Point:
        """Returns a point with `changes` values changed at random. It is valid as `complete` makes it."""
        free = [
            entry
            for entry in self.entries
            # Not where there is one value only; a Float without a step has no list of values.
            if active(entry, point) and len(domain(entry) or ()) != 1
        ]
        changed = dict(point)
        for index in random.permutation(len(free))[:changes]:
            entry = free[index]
            changed[entry.name] = neighbour(entry, point[entry.name], random)
        return self.complete(changed, random)

    def vector(self, point: Point) -> np.ndarray:
        """Returns a point as a vector for models, float64 `(n,)` in [0, 1].

        Numbers are scaled as they are sampled; categories are one-hot. An absent number is 0.5.
        """
        columns = []
        for entry in self.entries:
            here = present(entry, point)
            if ordered(entry):
                columns.append(unit(entry, point[entry.name]) if here else 0.5)
            else:
                values = domain(entry) or ()
                columns += [float(here and point[entry.name] == value) for value in values]
        import numpy as np

        return np.array(columns)

    def describe(self) -> str:
        """Returns text for a person: a line for each hyperparameter, and the size."""
        lines = []
        for entry in self.entries:
            values = domain(entry)
            if values is None:
                text = f"{entry.min_value:g} to {entry.max_value:g}, {entry.sampling}"
            elif len(values) > 8:
                text = f"{show(values[0])} to {show(values[-1])}, {len(values)} values"
            else:
                text = ", ".join(map(show, values))
            for condition in conditions(entry):
                text += f"  (if {condition})"
            lines.append(f"  {entry.name}: {text}")
        size = "no end of" if self.size == math.inf else f"{self.size:,}"
        return "\n".join([*lines, f"  {size} configurations in all"])


def multiples(number: int, factors: Sequence[float] = (0.5, 1, 2)) -> list[int]:
    """Returns the values that a search tries around a whole number of its starting configuration.

    A fixed list would fit only one size of data: batches of 64 to 256 are right for 50,000 images and
    wrong for 300.

    Args:
        number: 1 or more.
        factors: What to multiply it by; 1 should be among them.

    Returns:
        Whole numbers, 1 or more, sorted, none of them twice.
    """
    return sorted({max(1, round(number * factor)) for factor in factors})


def key(point: Point) -> str:
    """Returns a string that is equal for equal points."""
    return json.dumps(point, sort_keys=True)
