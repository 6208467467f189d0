"""Bounds of hyperparameters, declared in the types of their fields: `dropout_rate: Rate = 0.5`.

Nothing here imports NumPy or Keras, so that the error for a wrong flag comes at once.
"""

import dataclasses
import functools
import math
import operator
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

from common.basics.errors import UsageError

# The largest seed that the generators of NumPy and Keras take.
LARGEST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Bound:
    """A bound in the type of a field: `Annotated[float, AtLeast(0), Below(1)]`."""

    limit: float
    words: ClassVar[str]
    sign: ClassVar[str]
    compare: ClassVar[Callable[[Any, Any], bool]]

    def holds(self, value: float) -> bool:
        """Returns whether a value is within the bound."""
        return type(self).compare(value, self.limit)


class AtLeast(Bound):
    """The least allowed value."""

    words, sign, compare = "at least", ">=", operator.ge


class AtMost(Bound):
    """The greatest allowed value."""

    words, sign, compare = "at most", "<=", operator.le


class Above(Bound):
    """A value that all allowed ones are greater than."""

    words, sign, compare = "above", ">", operator.gt


class Below(Bound):
    """A value that all allowed ones are less than."""

    words, sign, compare = "below", "<", operator.lt


# Types of fields, as in `epochs: PositiveInt = 3` or `patience: PositiveInt | None = None`. Other
# bounds are written out: `shift: Annotated[int, AtLeast(0), AtMost(16)] = 0`.
Seed = Annotated[int, AtLeast(0), AtMost(LARGEST_SEED)]
PositiveInt = Annotated[int, AtLeast(1)]
NonNegativeInt = Annotated[int, AtLeast(0)]
PositiveFloat = Annotated[float, Above(0)]
NonNegativeFloat = Annotated[float, AtLeast(0)]
Fraction = Annotated[float, Above(0), Below(1)]
Rate = Annotated[float, AtLeast(0), Below(1)]


def check_bounds(config: object) -> None:
    """Checks the bounds that the types of the fields declare; called by `__post_init__`.

    Args:
        config: Instance of a dataclass. A tuple is checked item by item; None is allowed.

    Raises:
        UsageError: A value is out of bounds or not finite, or a tuple with bounds is empty.
    """
    cls: type = type(config)
    for name, bounds in declared_bounds(cls).items():
        value = getattr(config, name)
        if value == () and bounds:
            raise UsageError(f"{name} needs at least one value")
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, float) and not math.isfinite(item):
                raise UsageError(f"{name} must be a finite number, got {item}")
            for bound in bounds:
                if item is not None and not bound.holds(item):
                    raise UsageError(f"{name} must be {bound.words} {bound.limit}, got {item}")


@functools.cache
def declared_bounds(cls: type) -> dict[str, list[Bound]]:
    """Returns the bounds of a dataclass's fields by name; an empty list where there are none."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: _bounds_in(hints[field.name]) for field in dataclasses.fields(cls)}


def _bounds_in(hint):
    """Returns the bounds of a type, with those inside a union or a tuple."""
    here = [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, Bound)]
    return here + [bound for part in typing.get_args(hint) for bound in _bounds_in(part)]


def bounds_text(bounds: Sequence[Bound]) -> str:
    """Returns bounds as a person writes them: "value >= 1", "0 <= value < 1", "" without any."""
    if len(bounds) == 2:
        lower, upper = sorted(bounds, key=lambda bound: bound.limit)
        return f"{lower.limit} {lower.sign.replace('>', '<')} value {upper.sign} {upper.limit}"
    return " and ".join(f"value {bound.sign} {bound.limit}" for bound in bounds)


def field_types(cls: type) -> dict[str, Any]:
    """Returns the types of a dataclass's fields by name, without their bounds."""
    hints = typing.get_type_hints(cls)
    for name, hint in hints.items():
        # `int | None` whose int had bounds is read as Optional[int]: make it `int | None` again.
        if typing.get_origin(hint) is typing.Union:
            hints[name] = functools.reduce(operator.or_, typing.get_args(hint))
    return hints
