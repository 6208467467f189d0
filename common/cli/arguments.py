"""The words of a command as an object: what all commands but those of a recipe's Config parse with."""

import dataclasses

from common.basics.errors import UsageError
from common.runs import command_line, registry


def arguments_of(name, doc, words, **fields):
    """Parses `words` into an object; each field is `name=(type, default, help)`.

    A default of `...` makes a positional argument. A run folder, the first of them, may also be named by
    --run-dir, as it is where it is trained.
    """
    import typing

    import tyro

    positional, flags = [], []
    for field, (hint, default, text) in fields.items():
        if default is ...:
            if field in ("run", "runs"):
                words = _run_first(words)
                text = f"{text} Also: --run-dir RUN."
            many = typing.get_origin(hint) is tuple
            metavar = f"{field[:-1]} ..." if many else field
            settings = tyro.conf.arg(help=text, metavar=metavar.upper(), help_behavior_hint="")
            positional.append((field, tyro.conf.Positional[typing.Annotated[hint, settings]]))
        else:
            hint = typing.Annotated[hint, tyro.conf.arg(help=text)]
            flags.append((field, hint, dataclasses.field(default=default)))
    text = typing.Annotated[bool, tyro.conf.arg(help="Show tracebacks of errors.")]
    flags.append(("debug", text, dataclasses.field(default=False)))
    cls = dataclasses.make_dataclass(name.capitalize(), positional + flags)
    return command_line.parse(cls, words, prog=f"recipes {name}", description=doc)


def _run_first(words):
    """Returns words in which what follows each --run-dir comes first, as a run folder does."""
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


def names_recipe(verb, words):
    """Returns whether a recipe comes first; where only help is asked for, prints it.

    Raises:
        UsageError: Flags come first.
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
