"""Command lines from dataclasses: a recipe's Config and the options of a command, by tyro.

Every mistake is answered by one line that says what was expected. Nothing here imports NumPy or Keras.
"""

import dataclasses
import typing
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from common.basics.errors import UsageError, near_match
from common.basics.flags import flag
from common.runs import recorded, wrong_value
from common.runs.bounds import bounds_text, declared_bounds, field_types
from common.runs.config import Chosen, field_names, preset, read_config_file
from common.runs.types import Config


def parse_recipe(
    module: ModuleType,
    args: Sequence[str],
    options_class: type[Chosen],
    *,
    prog: str,
    description: str,
) -> tuple[Chosen, Config]:
    """Parses options and the fields of a recipe's Config, which start from a preset or a file.

    Args:
        module: The recipe's `train` module.
        args: Words after the recipe's name.
        options_class: Dataclass of the other flags. It has the fields `preset`, `config`, `data` and
            `reading`.
        prog: As for `parse`.
        description: As for `parse`; a line with the presets is added.

    Raises:
        UsageError: A wrong flag or value; or the file was made on other data, and the command line does
            not name the data.
    """
    recipe = module.__name__.split(".")[-2]
    made: Any = options_class  # A class cannot be described by a Protocol with fields.
    name = split_option(args, "--preset", made.preset)
    file = split_option(args, "--config")
    base = preset(module.PRESETS, name)
    if file is not None:
        base = read_config_file(file, module.Config, recipe)
    import tyro

    # The docstring of Config describes the defaults of the class, and these are others.
    text = f"Defaults of {f'preset {name}' if file is None else file}:"
    hyperparameters: Any = typing.Annotated[module.Config, tyro.conf.arg(help=text)]
    # The names of the groups in the help: tyro adds "options" to them.
    cls: Any = dataclasses.make_dataclass(
        "Arguments", [("command", options_class), ("hyperparameter", hyperparameters)]
    )
    arguments = parse(
        cls,
        args,
        prog=prog,
        description=f"{description}\n\nPresets: {', '.join(module.PRESETS)}. Flags change single "
        "fields of the preset.",
        default=cls(made(preset=name), base),
    )
    if file is not None:
        recorded.check(file, arguments.command, given=split_option(args, "--data") is not None)
    return arguments.command, arguments.hyperparameter


def parse(
    cls: type[Chosen],
    args: Sequence[str],
    *,
    prog: str,
    description: str | None,
    default: Chosen | None = None,
) -> Chosen:
    """Parses a command line into a dataclass with tyro.

    Args:
        cls: The dataclass. If the type of a field is a dataclass, its fields become flags without prefix.
        args: Words after the program's name.
        prog: What to call the program in the help.
        description: Text above the flags in the help.
        default: Instance with the defaults; None: those of the class.

    Raises:
        UsageError: An unknown flag (the near match is named) or a bad value.
    """
    import contextlib
    import io
    import re

    import tyro

    known = ["-h", "--help"]
    for leaf, kind in leaves(cls).items():
        known += [flag(leaf), *[flag(f"no_{leaf}")] * (kind is bool)]
    for word in args:
        written = word.split("=")[0]
        if _is_flag(word) and written.replace("_", "-") not in known:
            raise UsageError(
                f"unknown flag '{written}'{near_match(written, known)} (see {prog} --help)"
            )
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            parsed = tyro.cli(
                cls,
                args=list(args),
                prog=prog,
                description=description,
                default=default,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
                registry=_help_rules() if {"-h", "--help"} & set(args) else None,
            )
            return typing.cast(Chosen, parsed)
    except SystemExit as stop:
        if not stop.code:
            raise
        # tyro draws a box: the message, a line, and the help of the flag. Only the message is kept.
        lines = [line.strip(" │╭╮╰╯─") for line in errors.getvalue().splitlines()[1:]]
        message: list[str] = []
        for line in lines:
            if not line and message:
                break
            message.append(line)
        text = wrong_value.explain(
            re.sub(r"\s+", " ", " ".join(message)).strip(), args, leaves(cls)
        )
        raise UsageError(f"{text} (see {prog} --help)") from None


def _help_rules():
    """Returns tyro's rules for a dataclass, with another help of fields: see `_help_of`."""
    import tyro
    from tyro.constructors import ConstructorRegistry

    registry, at_work = ConstructorRegistry(), set()

    @registry.struct_rule
    def rule(info):
        if not dataclasses.is_dataclass(info.type) or info.type in at_work:
            return None
        # The second call for a type is this one: it leaves the type to tyro's own rule.
        at_work.add(info.type)
        try:
            found = ConstructorRegistry.get_struct_spec(info)
        finally:
            at_work.discard(info.type)
        bounds, types = declared_bounds(info.type), field_types(info.type)

        def with_help(field):
            text = field.helptext() if callable(field.helptext) else field.helptext
            given = _help_of(types[field.name], text or "", field.default, bounds[field.name])
            if not given:
                return field
            hint = typing.Annotated[field.type, tyro.conf.arg(**given)]
            return dataclasses.replace(field, type=hint)

        return dataclasses.replace(found, fields=tuple(map(with_help, found.fields)))

    return registry


def _help_of(hint, text, default, bounds):
    """Returns how the help of a flag differs from tyro's own: arguments of `tyro.conf.arg`.

    The bounds are shown. A default of None is shown only if the text says what None means. Otherwise the
    text says what happens without the flag, and None is not named as a value either.
    """
    given = {}
    shown = f"({bounds_text(bounds)})" if bounds else ""
    if default == () or (default is None and "None" not in text):
        given["help_behavior_hint"] = shown
        metavar = _metavar(hint)
        if default is None and metavar:
            given["metavar"] = metavar
    elif bounds:
        given["help_behavior_hint"] = lambda value: f"{shown} (default: {value})"
    return given


def _metavar(hint):
    """Returns the placeholder for a value, e.g. "PATH" for `Path | None`; None: keep that of tyro."""
    kinds = [part for part in typing.get_args(hint) if part is not type(None)]
    parts = [part for kind in kinds for part in typing.get_args(kind) or (kind,)]
    if len(kinds) != 1 or not all(isinstance(part, type) for part in parts):
        return None
    return " ".join(part.__name__.upper() for part in parts)


def given_fields(cls: type, args: Sequence[str]) -> set[str]:
    """Returns the names of the fields that a command line sets: those of its flags; all by `--config`."""
    if split_option(args, "--config") is not None:
        return set(field_names(cls))
    written = {word.split("=")[0].replace("_", "-") for word in args if word.startswith("--")}
    return {
        name
        for name in field_names(cls)
        if {flag(name), "--no-" + name.replace("_", "-")} & written
    }


def leaves(cls: type) -> dict[str, Any]:
    """Returns the types of a dataclass's fields by name. A nested dataclass is replaced by its fields."""
    found: dict[str, Any] = {}
    for name, hint in field_types(cls).items():
        nested = isinstance(hint, type) and dataclasses.is_dataclass(hint)
        found |= leaves(hint) if nested else {name: hint}
    return found


@typing.overload
def split_option(args: Sequence[str], name: str, fallback: str) -> str: ...


@typing.overload
def split_option(args: Sequence[str], name: str, fallback: None = None) -> str | None: ...


def split_option(args: Sequence[str], name: str, fallback: str | None = None) -> str | None:
    """Returns the value of `NAME VALUE` or `NAME=VALUE` in `args`, or the fallback.

    A preset or a configuration file sets the defaults of all other flags, so these are read first.

    Args:
        args: Words of a command line.
        name: The flag, e.g. "--preset".
        fallback: Returned if the flag is not there.

    Raises:
        UsageError: The flag has no value.
    """
    for index, word in enumerate(args):
        if word == name:
            if index + 1 == len(args):
                raise UsageError(f"{name} needs a value")
            return args[index + 1]
        if word.startswith(name + "="):
            return word.split("=", 1)[1]
    return fallback


def _is_flag(word):
    """Returns whether a word is a flag, and not a negative number or `-` (standard input)."""
    if not word.startswith("-") or word == "-":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False
