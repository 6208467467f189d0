"""Parses the words of a command into an object, for commands without a recipe's Config."""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from common.basics.errors import UsageError
from common.runs import command_line, registry


def arguments_of(name: str, doc: str, words: Sequence[str], **fields: tuple[Any, Any, str]) -> Any:
    """Parses the words of a command into an object with an attribute for each field.

    Args:
        name: The command, e.g. "export".
        doc: Text of its help.
        words: Words after the command.
        **fields: `name=(type, default, help)`. A default of `...` makes a positional argument. The field
            `run` or `runs`, which comes first, may also be given by --run-dir, as in a training.

    Raises:
        UsageError: A wrong flag or value.
    """
    import tyro

    marked: Any = tyro.conf.Positional
    positional: list[tuple[str, Any]] = []
    flags: list[tuple[str, Any, Any]] = []
    for field, (hint, default, text) in fields.items():
        if default is ...:
            if field in ("run", "runs"):
                words = _run_first(words)
                text = f"{text} Also: --run-dir RUN."
            many = typing.get_origin(hint) is tuple
            metavar = f"{field[:-1]} ..." if many else field
            settings = tyro.conf.arg(help=text, metavar=metavar.upper(), help_behavior_hint="")
            positional.append((field, marked[typing.Annotated[hint, settings]]))
        else:
            hint = typing.Annotated[hint, tyro.conf.arg(help=text)]
            flags.append((field, hint, dataclasses.field(default=default)))
    debug = typing.Annotated[bool, tyro.conf.arg(help="Show tracebacks of errors.")]
    flags.append(("debug", debug, dataclasses.field(default=False)))
    cls: type = dataclasses.make_dataclass(name.capitalize(), [*positional, *flags])
    return command_line.parse(cls, words, prog=f"recipes {name}", description=doc)


def _run_first(words):
    """Returns the words without --run-dir; the folders that it names come first."""
    runs, rest, words = [], [], iter(words)
    for word in words:
        name, equals, value = word.partition("=")
        if name.replace("_", "-") != "--run-dir":
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value or value.startswith("--"):
            raise UsageError("--run-dir needs a value, the run folder")
        runs.append(value)
    return [*runs, *rest]


def names_recipe(verb: str, words: Sequence[str]) -> bool:
    """Returns whether the words begin with a recipe. If there are none, or --help, prints a help.

    Args:
        verb: The command.
        words: Words after it.

    Raises:
        UsageError: Other flags come first.
    """
    if words and not words[0].startswith("-"):
        return True
    if words and words[0] not in ("-h", "--help"):
        raise UsageError(f"recipes {verb} needs the name of a recipe first (`recipes list`)")
    print(f"usage: recipes {verb} NAME [flags]\n\nNAME is one of:")
    for name in registry.names():
        print(f"  {name:<16} {registry.summary(name)}")
    print(f"\n`recipes {verb} NAME --help` shows the flags.")
    return False
