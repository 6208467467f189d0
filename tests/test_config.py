"""Config: bounds, JSON, presets, command line."""

import dataclasses
import json
from typing import Annotated, Literal

import pytest

from common.basics.errors import SYNONYMS, UsageError, near_match
from common.basics.flags import flag
from common.runs import bounds, command_line, registry
from common.runs import config as configuration
from common.runs.bounds import AtLeast, AtMost, Fraction, NonNegativeInt, PositiveInt
from common.runs.options import Options


@dataclasses.dataclass(frozen=True)
class Config:
    """A Config for these tests."""

    batch_size: PositiveInt = 8
    """Examples per step."""
    learning_rate: Fraction = 0.1
    """Learning rate."""
    filters: Annotated[tuple[int, ...], AtLeast(1)] = (4, 8)
    """Filters."""
    padding: Literal["same", "valid"] = "same"
    """Border."""
    patience: PositiveInt | None = 2
    """Patience."""
    flip: bool = False
    """Mirror."""
    shift: Annotated[NonNegativeInt, AtMost(16)] = 0
    """Pixels."""
    offset: float = 0.0
    """Any number."""
    names: tuple[str, ...] = ()
    """May be none."""

    def __post_init__(self):
        bounds.check_bounds(self)


def parse(*words, default=None):
    return command_line.parse(Config, words, prog="test", description="", default=default)


FIELDS = (
    "seed",
    "validation_fraction",
    "architecture",
    "filters",
    "dropout_rate",
    "label_smoothing",
)
FIELDS += ("optimizer", "weight_decay", "ema_momentum", "learning_rate", "batch_size", "epochs")
FIELDS += ("flip", "no_flip", "data", "data_dir", "run_dir", "overwrite", "precision", "patience")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lr", "learning_rate"),
        ("bs", "batch_size"),
        ("batch", "batch_size"),
        ("wd", "weight_decay"),
        ("decay", "weight_decay"),
        ("epoch", "epochs"),
        ("n-epochs", "epochs"),
        ("dropout", "dropout_rate"),
        ("ema", "ema_momentum"),
        ("smoothing", "label_smoothing"),
        ("opt", "optimizer"),
        ("val-split", "validation_fraction"),
        ("output-dir", "run_dir"),
        ("force", "overwrite"),
        ("early_stopping", "patience"),
        ("Batch_Size", "batch_size"),
        ("learning-rat", "learning_rate"),
        ("frobnicate", None),
        ("", None),
    ],
)
def test_what_people_write_finds_what_there_is(written, meant):
    flags = [flag(name) for name in FIELDS]
    expected = f"; did you mean '{flag(meant)}'?" if meant else ""
    assert near_match(f"--{written}", flags) == expected


def test_only_what_there_is_is_suggested():
    for written, names in SYNONYMS.items():
        found = near_match(written, ["zzz", names[-1]])
        assert found == f"; did you mean '{names[-1]}'?", written
        assert near_match(written, ["zzz"]) == ""


def test_json_round_trip_keeps_every_field():
    config = Config(batch_size=3, filters=(1, 2, 3), patience=None, flip=True)
    text = json.dumps(configuration.to_dict(config))
    assert configuration.from_dict(Config, json.loads(text)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batchsize": 3}, "unknown key 'batchsize'.*did you mean 'batch_size'"),
        ({"lr": 3}, "unknown key 'lr'.*did you mean 'learning_rate'"),
        ({"batch_size": "3"}, "batch_size must be of type int, got '3'"),
        ({"batch_size": True}, "batch_size must be of type int"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"filters": [4, 0]}, "filters must be at least 1, got 0"),
        ({"learning_rate": 1.0}, "^learning_rate must be below 1, got 1.0$"),
        ({"learning_rate": 0}, "^learning_rate must be above 0, got 0.0$"),
        ({"shift": -1}, "^shift must be at least 0, got -1$"),
        ({"shift": 17}, "^shift must be at most 16, got 17$"),
        ({"patience": 0}, "^patience must be at least 1, got 0$"),
        ({"patience": "x"}, r"^patience must be of type int \| None, got 'x'$"),
        ({"offset": float("nan")}, "^offset must be a finite number, got nan$"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number, got nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number, got inf"),
        ({"filters": []}, "filters needs at least one value"),
        ({"padding": "full"}, "padding must be of type"),
    ],
)
def test_from_dict_refuses(values, message):
    with pytest.raises(UsageError, match=message):
        configuration.from_dict(Config, values)


def test_an_integer_will_do_for_a_float():
    assert configuration.from_dict(Config, {"learning_rate": 0.5}).learning_rate == 0.5
    with pytest.raises(UsageError, match="below 1"):
        configuration.from_dict(Config, {"learning_rate": 1})


def test_flags_change_single_fields_of_the_default():
    base = Config(batch_size=5, flip=True)
    config = parse("--filters", "1", "2", "3", "--no-flip", "--patience", "None", default=base)
    assert config == dataclasses.replace(base, filters=(1, 2, 3), flip=False, patience=None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batchsize", "3"], "unknown flag '--batchsize'; did you mean '--batch-size'"),
        (["--batch-size", "x"], "batch-size.*'x'"),
        (["--padding", "full"], "invalid choice 'full'"),
        (
            ["--lr", "1"],
            r"unknown flag '--lr'; did you mean '--learning-rate'\? \(see test --help\)",
        ),
        (["--no-batch-size"], "did you mean '--batch-size'"),
        (["--noflip"], "did you mean '--no-flip'"),
        (["--nonsense"], r"^unknown flag '--nonsense' \(see test --help\)$"),
        (["--\udcff=3"], "unknown flag '--\udcff'"),
        (["-lr", "1"], "unknown flag '-lr'; did you mean '--learning-rate'"),
        (["--learning-rate", "-1"], "learning_rate must be above 0, got -1"),
        (["stray"], "'stray' is the value of no flag"),
        (["--batch-size=0"], "batch_size must be at least 1"),
        (["--filters"], "filters needs at least one value"),
    ],
)
def test_command_line_mistakes_are_one_line(words, message):
    with pytest.raises(UsageError, match=message) as error:
        parse(*words)
    assert "\n" not in str(error.value)
    assert "─" not in str(error.value)


def test_values_at_the_bounds_are_allowed():
    values = {"batch_size": 1, "filters": [1], "shift": 16, "offset": -1e9, "patience": None}
    config = configuration.from_dict(Config, values)
    assert (config.filters, config.shift, config.patience) == ((1,), 16, None)
    assert configuration.from_dict(Config, {"shift": 0, "patience": 1}).patience == 1


def test_help_shows_the_bounds_behind_the_description(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for expected in (
        "--batch-size INT Examples per step. (value >= 1) (default: 8)",
        "Learning rate. (0 < value < 1) (default: 0.1)",
        "Filters. (value >= 1) (default: 4 8)",
        "Patience. (value >= 1) (default: 2)",
        "--shift INT Pixels. (0 <= value <= 16) (default: 0)",
        "--offset FLOAT Any number. (default: 0.0)",
    ):
        assert expected in text


def test_help_says_whose_defaults_it_shows(capsys, tmp_path):
    module = registry.load("mnist_cnn")
    file = tmp_path / "best.json"
    file.write_text('{"batch_size": 77}')
    for words, head, default in (
        ([], "Defaults of preset best:", "(default: strided)"),
        (["--preset", "article"], "Defaults of preset article:", "(default: plain)"),
        (["--config", str(file)], "Defaults of ", "(default: 77)"),
    ):
        with pytest.raises(SystemExit):
            command_line.parse_recipe(
                module, [*words, "--help"], Options, prog="test", description=""
            )
        text = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert head in text
        assert default in text
        assert "The defaults are" not in text


def test_underscores_will_do_in_flags():
    assert parse("--batch_size", "9").batch_size == 9


def test_a_field_that_came_later_counts_as_stored_with_its_default():
    config = Config(batch_size=3, filters=(1, 2))
    stored = configuration.to_dict(config)
    assert configuration.changes(config, stored) == []
    del stored["flip"]
    assert configuration.changes(config, stored) == []
    flipped = dataclasses.replace(config, flip=True, filters=(1, 3))
    changes = configuration.changes(flipped, stored)
    assert changes == ["filters: [1, 2] -> [1, 3]", "flip: False -> True"]
    # One that is gone had an effect that no recipe has any more.
    assert configuration.changes(config, stored | {"depth": 3}) == ["depth: 3 -> (absent)"]


def test_config_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"recipe": "a", "preset": "best", "config": {"batch_size": 4}}))
    assert configuration.read_config_file(path, Config, "a") == Config(batch_size=4)
    with pytest.raises(UsageError, match="is a configuration of a, not of b"):
        configuration.read_config_file(path, Config, "b")
    path.write_text('{"batch_size": 6}')
    assert configuration.read_config_file(path, Config, "b") == Config(batch_size=6)
    for content in ("{", "[1]", ""):
        path.write_text(content)
        with pytest.raises(UsageError, match="JSON"):
            configuration.read_config_file(path, Config, "a")
    # A run's metrics.json, and a config.json that somebody broke.
    for content in ({"recipe": "a", "preset": "best", "test": {}}, {"recipe": "a", "config": [1]}):
        path.write_text(json.dumps(content))
        with pytest.raises(UsageError, match="config.json is not a configuration"):
            configuration.read_config_file(path, Config, "a")
    with pytest.raises(UsageError, match="no configuration file"):
        configuration.read_config_file(tmp_path / "absent.json", Config, "a")


def test_differences_name_the_field_and_both_values():
    old, new = {"a": 1, "b": 2, "gone": 3}, {"a": 1, "b": 5, "new": 4}
    assert configuration.differences(old, new) == [
        "b: 2 -> 5",
        "gone: 3 -> (absent)",
        "new: (absent) -> 4",
    ]


def test_split_option():
    split = command_line.split_option
    assert split(["--x", "1"], "--x") == "1"
    assert split(["--y", "--x=2"], "--x") == "2"
    assert split([], "--x", "3") == "3"
    with pytest.raises(UsageError, match="--x needs a value"):
        split(["--x"], "--x")
