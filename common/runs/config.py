"""One frozen dataclass per recipe is its command line, its JSON file, its tuner space and its notebook.

A recipe's `Config` has a default and a docstring for every field; `PRESETS` maps names to values of
it. Nothing here imports NumPy or Keras, so that a wrong flag is answered at once.
"""

import dataclasses
import functools
import hashlib
import json
import math
import operator
import typing
from pathlib import Path
from typing import Annotated

from common.basics.errors import UsageError, near_match
from common.basics.files import link_to_nothing, parse_json

# What NumPy's and Keras' generators take.
LARGEST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Bound:
    """A bound in the type of a field: `Annotated[float, AtLeast(0), Below(1)]`."""

    limit: float


class AtLeast(Bound):
    """The least allowed value."""

    words, sign, holds = "at least", ">=", operator.ge


class AtMost(Bound):
    """The greatest allowed value."""

    words, sign, holds = "at most", "<=", operator.le


class Above(Bound):
    """What a value must be greater than."""

    words, sign, holds = "above", ">", operator.gt


class Below(Bound):
    """What a value must be less than."""

    words, sign, holds = "below", "<", operator.lt


# Types of fields, as `epochs: PositiveInt = 3` or `patience: PositiveInt | None = None`; others are
# written out: `shift: Annotated[int, AtLeast(0), AtMost(16)] = 0`.
Seed = Annotated[int, AtLeast(0), AtMost(LARGEST_SEED)]
PositiveInt = Annotated[int, AtLeast(1)]
NonNegativeInt = Annotated[int, AtLeast(0)]
PositiveFloat = Annotated[float, Above(0)]
NonNegativeFloat = Annotated[float, AtLeast(0)]
Fraction = Annotated[float, Above(0), Below(1)]
Rate = Annotated[float, AtLeast(0), Below(1)]


def check_bounds(config):
    """Checks the bounds that the types of the fields declare; called by `__post_init__`.

    Args:
        config: The dataclass. A tuple is checked item by item; None is allowed.

    Raises:
        UsageError: A value is out of bounds or not finite, or a tuple with bounds is empty.
    """
    for name, bounds in declared_bounds(type(config)).items():
        value = getattr(config, name)
        if value == () and bounds:
            raise UsageError(f"{name} needs at least one value")
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, float) and not math.isfinite(item):
                raise UsageError(f"{name} must be a finite number, got {item}")
            for bound in bounds:
                if item is not None and not bound.holds(item, bound.limit):
                    raise UsageError(f"{name} must be {bound.words} {bound.limit}, got {item}")


@functools.cache
def declared_bounds(cls):
    """Returns the bounds of a dataclass's fields by name: lists, empty where there are none."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: _bounds_in(hints[name]) for name in field_names(cls)}


def _bounds_in(hint):
    """Returns the bounds of a type, also those within a union or a tuple."""
    here = [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, Bound)]
    return here + [bound for part in typing.get_args(hint) for bound in _bounds_in(part)]


def bounds_text(bounds):
    """Returns bounds as a person writes them: "value >= 1", "0 <= value < 1", "" without any."""
    if len(bounds) == 2:
        lower, upper = sorted(bounds, key=lambda bound: bound.limit)
        return f"{lower.limit} {lower.sign.replace('>', '<')} value {upper.sign} {upper.limit}"
    return " and ".join(f"value {bound.sign} {bound.limit}" for bound in bounds)


def field_types(cls):
    """Returns the types of a dataclass's fields by name, without their bounds."""
    hints = typing.get_type_hints(cls)
    for name, hint in hints.items():
        # Where a part had bounds, `int | None` is read as Optional[int].
        if typing.get_origin(hint) is typing.Union:
            hints[name] = functools.reduce(operator.or_, typing.get_args(hint))
    return hints


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

    hints = field_types(cls)
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
