"""The command-line words that set a field, for messages that say what to type."""

from collections.abc import Mapping
from typing import Any


def flag(name: str) -> str:
    """Returns the command-line flag of a field: `batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def words(name: str, value: Any) -> list[str]:
    """Returns the command-line words that set a field: one flag for a bool, a flag and values else."""
    if isinstance(value, bool):
        return [flag(name if value else f"no_{name}")]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [flag(name), *map(str, values)]


def flags(values: Mapping[str, Any]) -> list[str]:
    """Returns the command-line words that set fields, given as a mapping from name to value."""
    return [word for name, value in values.items() for word in words(name, value)]
