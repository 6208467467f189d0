"""Command lines from dataclasses: a recipe's Config and the options of a command, by tyro.

Every mistake is one line that names what was expected, and nothing here imports NumPy or Keras.
"""

import dataclasses
import typing

from common.basics.errors import UsageError, near_match
from common.basics.flags import flag
from common.runs import recorded
from common.runs.bounds import bounds_text, declared_bounds, field_types
from common.runs.config import field_names, preset, read_config_file


def parse_recipe(module, args, options_class, *, prog, description):
    """Parses options and the fields of a recipe's Config, which start from a preset or a file.

    Args:
        module: The recipe's `train` module.
        args: Words after the recipe's name.
        options_class: Dataclass of the other flags; has the fields `preset` and `config`.
        prog, description: As for `parse`.

    Returns:
        Tuple of the options and the Config.

    Raises:
        UsageError: A wrong flag or value, or a file that was made on other data than the command
            takes without saying so.
    """
    recipe = module.__name__.split(".")[-2]
    name = split_option(args, "--preset", options_class.preset)
    file = split_option(args, "--config")
    base = preset(module.PRESETS, name)
    if file is not None:
        base = read_config_file(file, module.Config, recipe)
    import tyro

    # Not the docstring of Config, which tells of its own defaults.
    text = f"Defaults of {f'preset {name}' if file is None else file}:"
    hyperparameters = typing.Annotated[module.Config, tyro.conf.arg(help=text)]
    # The help's groups: tyro adds "options" to these names.
    cls = dataclasses.make_dataclass(
        "Arguments", [("command", options_class), ("hyperparameter", hyperparameters)]
    )
    arguments = parse(
        cls,
        args,
        prog=prog,
        description=f"{description}\n\nPresets: {', '.join(module.PRESETS)}. Flags change single "
        "fields of the preset.",
        default=cls(options_class(preset=name), base),
    )
    if file is not None:
        recorded.check(file, arguments.command, given=split_option(args, "--data") is not None)
    return arguments.command, arguments.hyperparameter


def parse(cls, args, *, prog, description, default=None):
    """Parses a command line into a dataclass with tyro; every mistake is one line and exit code 2.

    Args:
        cls: The dataclass. A field whose type is a dataclass contributes its fields without prefix.
        args: Words after the program's name.
        prog: What to call the program in the help.
        description: Text above the flags in the help.
        default: Instance that supplies the defaults.

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
            return tyro.cli(
                cls,
                args=list(args),
                prog=prog,
                description=description,
                default=default,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
                registry=_bounds_in_help(),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        # tyro draws a box with the message first, then a rule and the flag's help: keep the message.
        lines = [line.strip(" │╭╮╰╯─") for line in errors.getvalue().splitlines()[1:]]
        message = []
        for line in lines:
            if not line and message:
                break
            message.append(line)
        text = re.sub(r"\s+", " ", " ".join(message)).strip()
        raise UsageError(f"{text} (see {prog} --help)") from None


def _bounds_in_help():
    """Returns tyro's rules for a dataclass, with the bounds of a field behind its description."""
    import tyro
    from tyro.constructors import ConstructorRegistry

    registry, at_work = ConstructorRegistry(), set()

    @registry.struct_rule
    def rule(info):
        if not dataclasses.is_dataclass(info.type) or info.type in at_work:
            return None
        # tyro's own rule, which this one stands before.
        at_work.add(info.type)
        try:
            found = ConstructorRegistry.get_struct_spec(info)
        finally:
            at_work.discard(info.type)
        bounds = declared_bounds(info.type)
        return dataclasses.replace(
            found, fields=tuple(_with_bounds(field, bounds[field.name]) for field in found.fields)
        )

    def _with_bounds(field, bounds):
        if not bounds:
            return field
        hint = tyro.conf.arg(
            help_behavior_hint=lambda default: f"({bounds_text(bounds)}) (default: {default})"
        )
        return dataclasses.replace(field, type=typing.Annotated[field.type, hint])

    return registry


def given_fields(cls, args):
    """Returns the names of the fields that a command line sets: by flags, or all by `--config FILE`."""
    if split_option(args, "--config") is not None:
        return set(field_names(cls))
    written = {word.split("=")[0].replace("_", "-") for word in args if word.startswith("--")}
    return {
        name
        for name in field_names(cls)
        if {flag(name), "--no-" + name.replace("_", "-")} & written
    }


def leaves(cls):
    """Returns the types of a dataclass's fields by name, those of nested dataclasses in their place."""
    found = {}
    for name, hint in field_types(cls).items():
        found |= leaves(hint) if dataclasses.is_dataclass(hint) else {name: hint}
    return found


def split_option(args, name, fallback=None):
    """Returns the value of `--name VALUE` or `--name=VALUE` in `args`, or the fallback.

    Presets and configuration files set the defaults of all other flags, so they are read first.
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
    """Returns whether a word is no value: neither a number below 0 nor `-`, standard input."""
    if not word.startswith("-") or word == "-":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False
