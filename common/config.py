"""One frozen dataclass per recipe is its command line, its JSON file, its tuner space and its notebook.

A recipe's `Config` has a default and a docstring for every field; `PRESETS` maps names to values of
it. Nothing here imports NumPy or Keras, so that a wrong flag is answered at once.
"""

import dataclasses
import hashlib
import json
import math
import typing
from pathlib import Path

from common import recorded
from common.errors import UsageError, near_match
from common.files import link_to_nothing, parse_json

# What NumPy's and Keras' generators take.
LARGEST_SEED = 2**32 - 1


def require(config, minimum=None, maximum=None, below=None, above=None, **values):
    """Checks bounds of fields, called by a Config's `__post_init__`.

    Args:
        config: The Config.
        minimum: Least allowed value, inclusive.
        maximum: Greatest allowed value, inclusive.
        below: Upper bound, exclusive.
        above: Lower bound, exclusive.
        **values: `field=value` pairs. A tuple is checked item by item; None is allowed.

    Raises:
        UsageError: A value is out of bounds or not finite, or a tuple is empty.
    """
    bounds = (
        (minimum, "at least", lambda value, bound: value >= bound),
        (maximum, "at most", lambda value, bound: value <= bound),
        (below, "below", lambda value, bound: value < bound),
        (above, "above", lambda value, bound: value > bound),
    )
    for name, value in values.items():
        if value == ():
            raise UsageError(f"{name} needs at least one value")
        items = value if isinstance(value, tuple) else (value,)
        for item in items:
            if item is None:
                continue
            if isinstance(item, float) and not math.isfinite(item):
                raise UsageError(f"{name} must be a finite number, got {item}")
            for bound, words, holds in bounds:
                if bound is not None and not holds(item, bound):
                    raise UsageError(f"{name} must be {words} {bound}, got {item}")


def require_seed(config):
    """Checks a Config's `seed`, called by its `__post_init__`.

    Raises:
        UsageError: A random generator would not take it.
    """
    require(config, minimum=0, maximum=LARGEST_SEED, seed=config.seed)


def field_names(cls):
    """Returns the names of a dataclass's fields, in order."""
    return [field.name for field in dataclasses.fields(cls)]


def to_dict(config):
    """Returns a Config as a dict that JSON can hold (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(cls, values):
    """Makes a Config from a dict, as read from JSON.

    Args:
        cls: The Config class.
        values: Field values. Fields that are absent take their defaults.

    Raises:
        UsageError: An unknown key (the near match is named), a value of the wrong type, or one that
            the Config itself refuses.
    """
    import typeguard

    hints = typing.get_type_hints(cls)
    checked = {}
    for name, value in values.items():
        if name not in hints:
            raise UsageError(f"unknown key '{name}' in the configuration{near_match(name, hints)}")
        if isinstance(value, list):
            value = tuple(value)
        if hints[name] is float and type(value) is int:
            value = float(value)
        try:
            if isinstance(value, bool) and hints[name] in (int, float):
                raise TypeError("a boolean is not a number")
            typeguard.check_type(value, hints[name])
        except (typeguard.TypeCheckError, TypeError) as error:
            wanted = getattr(hints[name], "__name__", str(hints[name]))
            raise UsageError(f"{name} must be of type {wanted}, got {value!r}") from error
        checked[name] = value
    return cls(**checked)


def read_config_file(path, cls, recipe):
    """Reads a Config from a JSON file: a run's `config.json`, a tuner's `best.json`, or bare fields.

    Raises:
        UsageError: The file is absent or not JSON, belongs to another recipe, or holds a bad value.
    """
    path = Path(path)
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"no configuration file at {path}{link_to_nothing(path)}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a readable JSON file: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold a JSON object, got {type(content).__name__}")
    if content.get("recipe", recipe) != recipe:
        raise UsageError(f"{path} is a configuration of {content['recipe']}, not of {recipe}")
    # The other files of a run name their recipe too.
    fields = content.get("config", None if "recipe" in content else content)
    if not isinstance(fields, dict):
        raise UsageError(f"{path} is no configuration: it lacks 'config', the object of its fields")
    return from_dict(cls, fields)


def differences(old, new):
    """Returns a line per field that differs between two dicts: `epochs: 20 -> 3`."""
    return [
        f"{name}: {old.get(name, '(absent)')} -> {new.get(name, '(absent)')}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def changes(config, stored):
    """Returns a line per field in which a Config differs from the stored fields of an older one.

    A field that was added to the Config since then counts as stored with its default, as it does where
    a configuration is read from a file: a default keeps what recipes did before they had the field.
    """
    return differences({**to_dict(type(config)()), **stored}, to_dict(config))


def short_hash(value):
    """Returns eight hex digits that identify a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def preset(presets, name):
    """Returns the preset of that name.

    Raises:
        UsageError: There is none; the message lists those that exist.
    """
    if name not in presets:
        raise UsageError(
            f"unknown preset '{name}'{near_match(name, presets)} (there are: {', '.join(presets)})"
        )
    return presets[name]


def flag(name):
    """Returns the command-line flag of a field: `batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def words(name, value):
    """Returns the command-line words that set a field, a list of strings."""
    if isinstance(value, bool):
        return [flag(name if value else f"no_{name}")]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [flag(name), *map(str, values)]


def flags(values):
    """Returns the command-line words that set the fields of a dict, a list of strings."""
    return [word for name, value in values.items() for word in words(name, value)]


def leaves(cls):
    """Returns the types of a dataclass's fields by name, those of nested dataclasses in their place."""
    found = {}
    for name, hint in typing.get_type_hints(cls).items():
        found |= leaves(hint) if dataclasses.is_dataclass(hint) else {name: hint}
    return found


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


def _is_flag(word):
    """Returns whether a word is no value: neither a number below 0 nor `-`, standard input."""
    if not word.startswith("-") or word == "-":
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


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
