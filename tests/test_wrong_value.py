"""Words on a command line that are no value of their flag: what was expected, and what came."""

import dataclasses

import pytest

from common.basics.errors import UsageError
from common.runs.bounds import PositiveInt
from common.runs.command_line import parse


@dataclasses.dataclass
class Options:
    """Some flags of each kind."""

    epochs: PositiveInt = 3
    learning_rate: float = 0.1
    filters: tuple[PositiveInt, ...] = (16, 32)
    devices: int | None = None
    flip: bool = False
    name: str = ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--epochs ten", "--epochs takes a whole number, got 'ten'"),
        ("--epochs=3.5 --flip", "--epochs takes a whole number, got '3.5'"),
        ("--learning_rate 0,1", "--learning-rate takes a number, got '0,1'"),
        ("--filters 16,32,64", "--filters takes whole numbers with spaces between, got '16,32,64'"),
        (
            "--filters 16 x --flip",
            "--filters takes whole numbers with spaces between, got '16 x'",
        ),
        ("--devices two", "--devices takes a whole number, got 'two'"),
        ("--flip yes", "--flip takes no value, got 'yes': write --flip or --no-flip"),
        ("--flip no --epochs 3", "--flip takes no value, got 'no': write --flip or --no-flip"),
        ("--flip=no", "--flip takes no value, got 'no': write --flip or --no-flip"),
        ("--epochs 3 30", "'30' is the value of no flag"),
        ("--epochs 3 4", "'4' is the value of no flag"),
        ("--epochs", "Missing value for argument '--epochs'"),
    ],
)
def test_says_what_the_flag_takes_and_what_came(words, expected):
    with pytest.raises(UsageError) as caught:
        parse(Options, words.split(), prog="recipes train", description=None)
    assert str(caught.value).startswith(expected)
    assert str(caught.value).endswith("(see recipes train --help)")


@pytest.mark.parametrize("word", ["my photos", "x" * 200, "a b " * 60])
def test_a_stray_word_is_said_whole(word):
    with pytest.raises(UsageError) as caught:
        parse(Options, ["--epochs", "3", word], prog="recipes train", description=None)
    assert str(caught.value) == f"'{word}' is the value of no flag (see recipes train --help)"
