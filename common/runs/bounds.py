"""Bounds of hyperparameters, declared in the types of their fields: `dropout_rate: Rate = 0.5`.

Nothing here imports NumPy or Keras, so that a wrong flag is answered at once.
"""

import dataclasses
import functools
import math
import operator
import typing
from typing import Annotated

from common.basics.errors import UsageError

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
    return {field.name: _bounds_in(hints[field.name]) for field in dataclasses.fields(cls)}


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
