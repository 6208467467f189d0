"""A recipe's `Config`: one frozen dataclass for its flags, its JSON files, its search and its notebook.

Every field of a `Config` has a default and a docstring; `PRESETS` maps names to values of it. Nothing
here imports NumPy or Keras, so that the error for a wrong flag comes at once.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from common.basics.errors import UsageError, near_match
from common.basics.files import link_to_nothing, parse_json
from common.runs.bounds import field_types
from common.runs.types import Config

Chosen = TypeVar("Chosen")


def field_names(cls: type) -> list[str]:
    """Returns the names of a dataclass's fields, in order."""
    return [field.name for field in dataclasses.fields(cls)]


def to_dict(config: Config) -> dict[str, Any]:
    """Returns a Config as a dict that JSON can hold (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(cls: type[Chosen], values: Mapping[str, Any]) -> Chosen:
    """Makes a Config from a dict, as read from JSON.

    Args:
        cls: The Config class.
        values: Field values by name. Fields that are absent take their defaults.

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


def read_config_file(path: str | Path, cls: type[Chosen], recipe: str) -> Chosen:
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
        raise UsageError(f"{path} is not a configuration: it lacks 'config', an object of fields")
    return from_dict(cls, fields)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Returns a line for each key that has another value: `epochs: 20 -> 3`."""
    return [
        f"{name}: {old.get(name, '(absent)')} -> {new.get(name, '(absent)')}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def changes(config: Config, stored: Mapping[str, Any]) -> list[str]:
    """Returns a line for each field in which a Config differs from the stored fields of an older one.

    A field that is not stored counts as stored with its default, as in a configuration file. So a new
    field of a Config needs a default that does what the recipe did without it.
    """
    return differences({**to_dict(type(config)()), **stored}, to_dict(config))


def short_hash(value: Any) -> str:
    """Returns eight hex digits that identify a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def preset(presets: Mapping[str, Chosen], name: str) -> Chosen:
    """Returns the preset of that name.

    Raises:
        UsageError: There is no such preset; the message lists all.
    """
    if name not in presets:
        raise UsageError(
            f"unknown preset '{name}'{near_match(name, presets)} (there are: {', '.join(presets)})"
        )
    return presets[name]
