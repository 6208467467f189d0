"""What is said of a word on a command line that is no value of its flag."""

import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from common.basics.flags import flag

KINDS = {int: ("a whole number", "whole numbers"), float: ("a number", "numbers")}
"""What a flag takes: one, and several."""


def explain(message: str, args: Sequence[str], hints: Mapping[str, Any]) -> str:
    """Returns tyro's message, or one that says what the flag takes and what came.

    Args:
        message: Of tyro, in one line.
        args: The words that it read.
        hints: Types of the fields, by name.
    """
    of_flag = {flag(name): hint for name, hint in hints.items()}
    if found := re.match(r"Error parsing (--[\w-]+): ", message):
        wanted = _wanted(of_flag.get(found[1]))
        if wanted:
            return f"{found[1]} takes {wanted}, got '{' '.join(_values(args, found[1]))}'"
    if found := re.match(r"Unrecognized options: (\S+)", message):
        before = _flag_before(args, found[1])
        if of_flag.get(before) is bool:
            no = flag("no_" + before.removeprefix("--"))
            return f"{before} takes no value, got '{found[1]}': write {before} or {no}"
        return f"'{found[1]}' is the value of no flag"
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
    words = [part for word in args for part in (word.split("=", 1) if "=" in word else [word])]
    after = words[[word.replace("_", "-") for word in words].index(name) + 1 :]
    ends = [i for i, word in enumerate(after) if word.startswith("--")]
    return after[: ends[0]] if ends else after


def _flag_before(args, word):
    """Returns the last flag before a word; "" if there is none."""
    flags = [each for each in args[: args.index(word)] if each.startswith("--")]
    return flags[-1].replace("_", "-") if flags else ""
