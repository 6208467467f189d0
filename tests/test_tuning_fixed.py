"""`--fix NAME=VALUE`: the space without it, the Config with it, conditions, mistakes."""

import dataclasses
import json

import keras_tuner
import pytest

from common.basics.errors import UsageError
from common.cli import main
from common.runs import registry
from common.tuning import fixed
from common.tuning.definition import search_space_of
from common.tuning.fixed import FixedSpace
from common.tuning.space import Space
from tests import toy_sweep


def asked(search_space, kinds=("a", "b", "c")):
    """Returns the Space of what the function still asks for, and the Config at its defaults."""
    hp = keras_tuner.HyperParameters()
    for kind in kinds:
        hp.values["kind"] = kind
        search_space(hp, toy_sweep.Config())
    return Space(hp), search_space(keras_tuner.HyperParameters(), toy_sweep.Config())


def scope_only(hp, base):
    """A space that leaves conditions to KerasTuner: no `if` around what is conditional."""
    kind = hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        inner = hp.Choice("inner", ["x", "y"])
        with hp.conditional_scope("inner", ["y"]):
            depth = hp.Int("depth", 1, 3)
    return dataclasses.replace(base, kind=kind + inner, depth=depth)


def test_what_is_fixed_is_searched_no_more_and_is_in_every_config():
    space, config = asked(FixedSpace(toy_sweep.search_space, {"units": "16", "rate": "0.1"}))
    assert space.names == ["kind", "depth"]
    assert (config.units, config.rate) == (16, 0.1)
    assert type(config.units) is int


def test_a_fixed_parent_settles_its_conditions():
    space, config = asked(FixedSpace(toy_sweep.search_space, {"kind": "b"}))
    assert space.names == ["depth", "rate", "units"]
    assert space.size == 3 * 7 * 4
    assert config.kind == "b"
    space, config = asked(FixedSpace(toy_sweep.search_space, {"kind": "a"}))
    assert space.names == ["rate", "units"]


def test_what_a_fixed_parent_shuts_is_not_declared_without_an_if_either():
    assert asked(FixedSpace(scope_only, {"kind": "a"}))[0].names == []
    assert asked(FixedSpace(scope_only, {"kind": "b"}))[0].names == ["inner", "depth"]
    space, config = asked(FixedSpace(scope_only, {"kind": "b", "inner": "y"}))
    assert (space.names, config.kind) == (["depth"], "by")


def test_a_number_that_is_a_parent_may_be_written_in_any_way():
    def search_space(hp, base):
        momentum = hp.Choice("momentum", [0.0, 0.5])
        with hp.conditional_scope("momentum", [0.5]):
            return momentum, hp.Boolean("nesterov")

    hp = keras_tuner.HyperParameters()
    assert FixedSpace(search_space, {"momentum": ".50"})(hp, None) == (0.5, False)
    assert Space(hp).names == ["nesterov"]


@pytest.mark.parametrize(
    ("kind", "arguments", "text", "value"),
    [
        ("Choice", (["a", "b"],), "b", "b"),
        ("Choice", ([0.5, 1.0],), "1", 1.0),
        ("Int", (0, 4), "3", 3),
        ("Boolean", (), "True", True),
        ("Boolean", (), "false", False),
        ("Float", (0.0, 1.0), "0.123", 0.123),
    ],
)
def test_values_are_read_as_the_kind_they_are(kind, arguments, text, value):
    space = FixedSpace(lambda hp, base: getattr(hp, kind)("x", *arguments), {"x": text})
    found = space(keras_tuner.HyperParameters(), None)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("Choice", ([16, 32],), "x is one of 16, 32"),
        ("Int", (0, 400), "x is one of 0, 1, ..., 400"),
        ("Float", (0.0, 1.0), "x is a number from 0 to 1"),
    ],
)
@pytest.mark.parametrize("text", ["17.5", "wide"])
def test_a_value_outside_the_space_is_refused(kind, arguments, message, text):
    space = FixedSpace(lambda hp, base: getattr(hp, kind)("x", *arguments), {"x": text})
    with pytest.raises(UsageError, match=message):
        space(keras_tuner.HyperParameters(), None)


@pytest.mark.parametrize("words", [["width"], ["=3"], ["width="], ["width=1", "width=2"]])
def test_words_that_are_no_name_and_value(words):
    with pytest.raises(UsageError, match="--fix"):
        fixed.parse(words)


def test_flags_that_the_space_overrides_are_found():
    start = registry.load("cifar10_cnn").PRESETS["best"]
    changed = {"batch_size": 2 * start.batch_size, "epochs": 3, "filters": (8, 16, 24)}
    changed["learning_rate"] = start.learning_rate / 2
    base = dataclasses.replace(start, **changed)
    search_space = search_space_of("cifar10_cnn")
    # Widths, epochs and batch sizes are multiples of those that are given, so they are not overridden.
    assert fixed.ignored_fields(search_space, start, base) == ["learning_rate"]


@pytest.mark.parametrize(
    ("epochs", "held"),
    # Of a preset with 10 epochs: held outside of what is searched around those, and inside.
    [(3, "3"), (3, "6"), (5, "5"), (20, "20"), (20, "10")],
)
def test_a_flag_that_moves_what_is_searched_is_not_overridden_where_that_is_held(epochs, held):
    start = registry.load("cifar10_cnn").PRESETS["best"]
    start = dataclasses.replace(start, epochs=10)
    search_space = search_space_of("cifar10_cnn", {"epochs": held})
    base = dataclasses.replace(start, epochs=epochs)
    assert fixed.ignored_fields(search_space, start, base) == []
    other = dataclasses.replace(base, learning_rate=start.learning_rate / 2)
    assert fixed.ignored_fields(search_space, start, other) == ["learning_rate"]
    assert search_space(keras_tuner.HyperParameters(), base).epochs == int(held)


def test_what_a_held_branch_leaves_alone_is_not_overridden():
    def search_space(hp, base):
        kind, rate = hp.Choice("kind", ["a", "b"]), base.rate
        with hp.conditional_scope("kind", ["a"]):
            if kind == "a":
                rate = hp.Choice("rate", [0.1, 0.2])
        return dataclasses.replace(base, kind=kind, rate=rate)

    start = toy_sweep.Config()
    base = dataclasses.replace(start, rate=0.7)
    assert fixed.ignored_fields(FixedSpace(search_space, {}), start, base) == ["rate"]
    assert fixed.ignored_fields(FixedSpace(search_space, {"kind": "b"}), start, base) == []


FAST = ["--preset", "sample", "--data", "sample", "--epochs", "1", "--retrain", "0"]


def test_on_the_command_line(in_tmp, capsys):
    words = ["tune", "mnist_cnn", "--trials", "1", *FAST, "--sweep-dir", "s"]
    assert main([*words, "--learning-rate", "0.1"]) == 2
    assert "--learning-rate: recipes/mnist_cnn/tune.py searches it" in capsys.readouterr().err
    assert main([*words, "--fix", "batchsize=64"]) == 2
    assert "did you mean 'batch_size'?" in capsys.readouterr().err
    assert main([*words, "--fix", "batch_size=64", "width=0.5"]) == 0
    assert "held: width 0.5" in capsys.readouterr().out
    best = json.loads((in_tmp / "s/best.json").read_text())
    assert best["config"]["batch_size"] == 64
    assert "width" not in best["values"]
    assert "batch_size 64, width 0.5" in (in_tmp / "s/sweep.html").read_text()
    # Without it, it is another search.
    assert main(words) == 2
    assert "search space, batch_size: (absent)" in capsys.readouterr().err


def nested_on_one(hp, base):
    """The second scope of the parent stands inside the first."""
    number = hp.Int("number", 1, 2)
    with hp.conditional_scope("number", [2]):
        if number == 2:
            rate = hp.Choice("rate", [0.1, 0.2])
            with hp.conditional_scope("number", [2]):
                return rate, hp.Choice("units", [8, 16])


def nested_on_another(hp, base):
    """The parent of the inner scope is declared outside of the outer one."""
    hp.Int("number", 1, 2)
    hp.Boolean("deep")
    with hp.conditional_scope("number", [2]), hp.conditional_scope("deep", [True]):
        return hp.Choice("units", [8, 16])


def misspelt(hp, base):
    """The parent was never asked for."""
    hp.Int("number", 1, 2)
    with hp.conditional_scope("nunber", [2]):
        return hp.Choice("units", [8, 16])


@pytest.mark.parametrize(
    ("search_space", "message"),
    [
        (nested_on_one, 'conditional_scope."number", ....* one scope per parent is enough'),
        (
            nested_on_another,
            "asks for deep outside of it.*ask for it there, or put one scope after",
        ),
        (misspelt, "before it asks for nunber; did you mean 'number'"),
    ],
)
def test_a_scope_that_kerastuner_refuses_is_named_with_the_way_round(search_space, message):
    hp = keras_tuner.HyperParameters()
    hp.values["number"] = 2
    with pytest.raises(UsageError, match=message) as caught:
        FixedSpace(search_space, {})(hp, None)
    assert "not defined" not in str(caught.value)


def test_nested_scopes_of_a_parent_are_named_where_a_search_begins(tmp_path, monkeypatch):
    from common.runs import config as configuration
    from common.tuning.definition import Definition, make_tuner
    from recipes.mnist_cnn import tune

    monkeypatch.setattr(tune, "search_space", nested_on_one)
    base = configuration.to_dict(registry.load("mnist_cnn").PRESETS["sample"])
    definition = Definition("mnist_cnn", "random", base, "sample", trials=2, data="sample")
    with pytest.raises(UsageError, match="one scope per parent is enough"):
        make_tuner(definition, tmp_path / "s")


def test_one_scope_after_another_is_what_the_message_advises():
    def search_space(hp, base):
        number = hp.Int("number", 1, 2)
        found = []
        for _ in range(2):
            with hp.conditional_scope("number", [2]):
                if number == 2:
                    found.append(hp.Choice(f"units{len(found)}", [8, 16]))
        return found

    hp = keras_tuner.HyperParameters()
    hp.values["number"] = 2
    assert FixedSpace(search_space, {})(hp, None) == [8, 8]
