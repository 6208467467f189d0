"""One hyperparameter of a search space (KerasTuner calls it an entry): its conditions and its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from keras_tuner.engine.hyperparameters import HyperParameter

Point = dict[str, Any]
"""Values of the active hyperparameters by name."""


def active(entry: HyperParameter, values: Point) -> bool:
    """Returns whether the conditions of an entry hold."""
    return all(condition.is_active(values) for condition in entry.conditions)


def present(entry: HyperParameter, point: Point) -> bool:
    """Returns whether a point has a value of this entry, rather than of another of the same name."""
    return active(entry, point) and entry.name in point


def conditions(entry: HyperParameter) -> list[str]:
    """Returns the conditions of an entry as texts, e.g. `optimizer is sgd or adam`."""
    return [
        f"{condition.name} is {' or '.join(map(show, condition.values))}"
        for condition in entry.conditions
    ]


def titles(entries: Sequence[HyperParameter]) -> list[str]:
    """Returns a title for each entry: its name, with its conditions if another has the same name."""
    names = [entry.name for entry in entries]
    return [
        f"{entry.name}, {', '.join(conditions(entry))}"
        if names.count(entry.name) > 1
        else entry.name
        for entry in entries
    ]


def domain(entry: HyperParameter) -> Sequence[Any] | None:
    """Returns all values that an entry can take, or None for a Float without a step."""
    kind = type(entry).__name__
    if kind == "Fixed":
        return [entry.value]
    if kind == "Boolean":
        return [False, True]
    if kind == "Choice":
        return list(entry.values)
    if entry.step is None:
        return range(entry.min_value, entry.max_value + 1) if kind == "Int" else None
    low, high, step = entry.min_value, entry.max_value, entry.step
    # A small number is added, so that rounding does not lose the last value.
    if entry.sampling == "linear":
        count = math.floor((high - low) / step + 1e-8) + 1
        values = [low + index * step for index in range(count)]
    else:
        count = math.floor(math.log(high / low, step) + 1e-8) + 1
        values = [low * step**index for index in range(count)]
        if entry.sampling == "reverse_log":
            values = [high + low - value for value in reversed(values)]
    if kind == "Int":
        return list(dict.fromkeys(round(value) for value in values))
    # Points are told apart by their values. So the rounding errors of sums like 0.1 + 2 * 0.1 have to go.
    return [float(f"{value:.12g}") for value in values]


def ordered(entry: HyperParameter) -> bool:
    """Returns whether the values of an entry have an order that a model may use."""
    kind = type(entry).__name__
    return kind in ("Int", "Float", "Boolean") or (kind == "Choice" and entry.ordered)


def contains(entry: HyperParameter, value: Any) -> bool:
    """Returns whether an entry can take a value."""
    values = domain(entry)
    return entry.min_value <= value <= entry.max_value if values is None else value in values


def sample(entry: HyperParameter, random: np.random.Generator) -> Any:
    """Returns a random value: uniform over the values, or over the range as the entry samples it."""
    values = domain(entry)
    if values is None or isinstance(values, range):
        return entry.prob_to_value(random.random())
    return values[int(random.integers(len(values)))]


def unit(entry: HyperParameter, value: Any) -> float:
    """Returns the place of a value among all values of an ordered entry, 0 to 1."""
    values = domain(entry)
    if values is None or isinstance(values, range):
        return float(entry.value_to_prob(value))
    return values.index(value) / max(len(values) - 1, 1)


def neighbour(entry: HyperParameter, value: Any, random: np.random.Generator) -> Any:
    """Returns another value at random. With an order, half of the time it is one near by."""
    values = domain(entry)
    near = ordered(entry) and random.random() < 0.5
    if values is None or isinstance(values, range):
        place = unit(entry, value)
        place = random.normal(place, 0.15) if near else random.random()
        other = entry.prob_to_value(min(max(place, 0.0), 1.0 - 1e-9))
        return sample(entry, random) if other == value else other
    index = values.index(value)
    if near:
        places = [place for place in (index - 1, index + 1) if 0 <= place < len(values)]
    else:
        places = [place for place in range(len(values)) if place != index]
    return values[places[int(random.integers(len(places)))]]


def show(value: Any) -> str:
    """Returns a value as text; a float with six significant digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
