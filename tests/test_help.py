"""What --help says of each flag: its default once, and None only where the text says what it means."""

import dataclasses
import re

import pytest

from common.cli.entry import COMMANDS, main
from common.runs import command_line, registry
from common.runs.bounds import PositiveInt

NAMED = [
    [verb, name] for verb in ("train", "tune", "sweep", "results") for name in registry.names()
]
NAMED.append(["study", "cifar10_resnet", "depth"])
ALONE = [[name] for name in COMMANDS if name not in {words[0] for words in NAMED}]


def flags(text):
    """Returns the help of each flag by its name, as one line each."""
    found, name = {}, None
    for line in text.splitlines():
        # A box has borders or, where they cannot be shown, spaces. Further lines of a flag are indented.
        line = line.replace("│", " ").rstrip()
        begun = re.match(r"  ?(--?[\w-]+)", line)
        if begun:
            name = begun[1]
            found[name] = ""
        elif not line.startswith("   "):
            name = None
        if name:
            found[name] += f" {line}"
    return {name: " ".join(said.split()) for name, said in found.items()}


def doubtful(text):
    """Returns the flags whose default is said twice or is empty, or is a None without explanation."""
    found = {}
    for name, said in flags(text).items():
        words = said.replace("(default: None)", "").replace("{None}|", "")
        unexplained = words != said and "None" not in words
        if unexplained or said.count("(default:") > 1 or "(default: )" in said:
            found[name] = said
    return found


@pytest.mark.parametrize("words", NAMED + ALONE, ids=" ".join)
def test_each_flag_says_its_default_once(words, capsys):
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--debug" in flags(shown)
    assert doubtful(shown) == {}


@dataclasses.dataclass(frozen=True)
class Options:
    said: str | None = None
    """Where to write (default: beside the input)."""
    meant: PositiveInt | None = None
    """Epochs without a better score; None: train to the end."""
    bounded: PositiveInt | None = None
    """Only so many."""
    pair: tuple[float, float] | None = None
    """What becomes black and white."""
    many: tuple[str, ...] = ()
    """Any number of words."""
    count: PositiveInt = 3
    """How many."""


def test_none_is_named_only_where_the_text_explains_it(capsys):
    with pytest.raises(SystemExit):
        command_line.parse(Options, ["--help"], prog="recipes x", description="")
    found = flags(capsys.readouterr().out)
    assert found["--said"] == "--said STR Where to write (default: beside the input)."
    assert found["--meant"].startswith("--meant {None}|INT")
    assert found["--meant"].endswith("train to the end. (value >= 1) (default: None)")
    assert found["--bounded"] == "--bounded INT Only so many. (value >= 1)"
    assert found["--pair"] == "--pair FLOAT FLOAT What becomes black and white."
    assert found["--many"].endswith("Any number of words.")
    assert found["--count"].endswith("How many. (value >= 1) (default: 3)")


def test_values_are_read_as_before():
    words = ["--said", "a", "--pair", "0", "1.5", "--meant", "None", "--bounded", "2"]
    found = command_line.parse(Options, words, prog="recipes x", description="")
    assert found == Options(said="a", pair=(0.0, 1.5), bounded=2)


@pytest.mark.parametrize(
    "said",
    [
        "Folder (default: ours). (default: None)",
        "Folder. (default: None)",
        "Words. (default: )",
    ],
)
def test_a_doubtful_default_is_found(said):
    assert list(doubtful(f"│ --more STR  {said} │\n│ -h  x │")) == ["--more"]
