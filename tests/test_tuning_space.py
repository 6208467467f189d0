import math

import keras_tuner
import numpy as np
import pytest

from common.basics.errors import UsageError
from common.tuning import ranges
from common.tuning import space as spaces
from common.tuning.space import Space
from tests import toy_sweep


def declared(*entries):
    """Returns the Space of hyperparameters given as (method, arguments)."""
    hp = keras_tuner.HyperParameters()
    for method, arguments, options in entries:
        getattr(hp, method)(*arguments, **options)
    return Space(hp)


@pytest.fixture(scope="module")
def toy():
    hp = keras_tuner.HyperParameters()
    for kind in ("a", "b"):
        hp.values["kind"] = kind
        toy_sweep.search_space(hp, toy_sweep.Config())
    return Space(hp)


def test_the_size_counts_conditions_by_hand(toy):
    # rate: 7 values, units: 4; kinds a and c have no depth, b has 3.
    assert toy.size == 7 * 4 * (1 + 3 + 1)


def test_every_point_is_met_once_and_is_complete(toy):
    points = [toy.point(index) for index in range(toy.size)]
    assert len({spaces.key(point) for point in points}) == toy.size
    for point in points:
        assert ("depth" in point) == (point["kind"] == "b")
        assert toy.complete(point, None) == point
    with pytest.raises(IndexError):
        toy.point(toy.size)


def test_a_linear_float_reaches_its_last_value():
    # KerasTuner's own count, int(0.5 // 0.1 + 1), stops at 0.4.
    space = declared(("Float", ("x", 0.0, 0.5), {"step": 0.1}))
    assert ranges.domain(space.entries[0]) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_log_int_without_a_step_has_every_value():
    space = declared(("Int", ("n", 1, 100), {"sampling": "log"}))
    assert space.size == 100
    drawn = {space.draw(np.random.default_rng(n), set())["n"] for n in range(400)}
    # Log sampling: half of the draws are below 10.
    assert len([n for n in drawn if n < 10]) >= 8
    assert max(drawn) > 80


def test_a_float_without_a_step_is_no_grid():
    space = declared(("Float", ("rate", 1e-4, 1e-1), {"sampling": "log"}))
    assert space.size == math.inf
    with pytest.raises(UsageError, match=r"rate is a Float without a step.*step=10\*\*0\.5"):
        space.require_finite()


def test_drawing_exhausts_a_small_space(toy):
    taken, random = set(), np.random.default_rng(0)
    for _ in range(toy.size):
        taken.add(spaces.key(toy.draw(random, taken)))
    assert len(taken) == toy.size
    assert toy.draw(random, taken) is None


def test_a_mutation_changes_one_hyperparameter_and_mends_conditions(toy):
    random = np.random.default_rng(0)
    point = {"kind": "b", "depth": 2, "rate": 0.1, "units": 8}
    seen = set()
    for _ in range(200):
        child = toy.mutate(point, random)
        changed = {name for name in {*point, *child} if point.get(name) != child.get(name)}
        assert changed in ({"rate"}, {"units"}, {"depth"}, {"kind", "depth"})
        assert ("depth" in child) == (child["kind"] == "b")
        seen |= changed
    assert seen == {"rate", "units", "depth", "kind"}


def test_vectors_are_one_hot_for_categories_and_scaled_for_numbers(toy):
    names = ["a", "b", "c", "rate", "units", "depth"]
    assert [entry.name for entry in toy.entries] == ["kind", "rate", "units", "depth"]
    vector = toy.vector({"kind": "b", "depth": 3, "rate": 1.0, "units": 4})
    found = dict(zip(names, vector, strict=True))
    assert found == {"a": 0, "b": 1, "c": 0, "depth": 1, "rate": 1, "units": 0}
    # What is not active stands in the middle.
    assert toy.vector({"kind": "a", "rate": 1.0, "units": 4})[5] == 0.5


def test_the_description_gives_the_size(toy):
    text = toy.describe()
    assert "140 configurations in all" in text
    assert "depth: 1, 2, 3  (if kind is b)" in text


def test_multiples_are_whole_at_least_one_and_none_twice():
    assert spaces.multiples(128) == [64, 128, 256]
    assert spaces.multiples(5) == [2, 5, 10]
    assert spaces.multiples(1) == [1, 2]
    assert spaces.multiples(7, factors=(1, 3)) == [7, 21]
