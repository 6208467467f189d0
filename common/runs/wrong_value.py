"""What is said of a word on a command line that is no value of its flag."""

import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from common.basics.flags import flag

KINDS = {int: ("a whole number", "whole numbers"), float: ("a number", "numbers")}
"""What a flag takes: one, and several."""
UNKNOWN = "Unrecognized options: "
"""How tyro begins what it says of words that it has no use for."""


def explain(message: str, args: Sequence[str], hints: Mapping[str, Any]) -> str:
    """Returns tyro's message, or one that says what the flag takes and what came.

    Args:
        message: Of tyro, in one line.
        args: The words that it read.
        hints: Types of the fields, by name.
    """
    # `--epochs=ten` is read as `--epochs ten`.
    args = [part for each in args for part in each.split("=", 1 if each.startswith("--") else 0)]
    of_flag = {flag(name): hint for name, hint in hints.items()}
    if found := re.match(r"Error parsing (--[\w-]+): ", message):
        wanted = _wanted(of_flag.get(found[1]))
        if wanted:
            return f"{found[1]} takes {wanted}, got '{' '.join(_values(args, found[1]))}'"
    if message.startswith(UNKNOWN):
        # The message may be broken within a word, and a word may hold spaces.
        rest, letters = _letters(message.removeprefix(UNKNOWN)), list(map(_letters, args))
        fitting = [at for at, each in enumerate(letters) if each and rest.startswith(each)]
        if fitting:
            # Of "3" and "30" the longer one; of two that are the same the last.
            at = max(fitting, key=lambda at: (len(letters[at]), at))
            return _stray(args[at], args[:at], of_flag)
    return message


def _wanted(hint):
    """Returns what a field takes, in words; None: not known here."""
    hint = _bare(hint)
    if hint in KINDS:
        return KINDS[hint][0]
    several = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and _bare(several[0]) in KINDS:
        return f"{KINDS[_bare(several[0])][1]} with spaces between"
    return None


def _bare(hint):
    """Returns a type without its bounds and without None."""
    while typing.get_origin(hint) in (typing.Annotated, typing.Union, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def _values(args, name):
    """Returns the words after a flag, up to the next one."""
    after = args[[word.replace("_", "-") for word in args].index(name) + 1 :]
    ends = [i for i, word in enumerate(after) if word.startswith("--")]
    return after[: ends[0]] if ends else after


def _letters(text):
    return "".join(text.split())


def _stray(word, before, of_flag):
    """Returns what is said of a word that no flag takes; `before`: the words before it."""
    flags = [each.replace("_", "-") for each in before if each.startswith("--")]
    if flags and of_flag.get(flags[-1]) is bool:
        no = flag("no_" + flags[-1].removeprefix("--"))
        return f"{flags[-1]} takes no value, got '{word}': write {flags[-1]} or {no}"
    return f"'{word}' is the value of no flag"
