"""What all recipes have in common, as types: a Config is a frozen dataclass with these fields."""

import dataclasses
from typing import Any, ClassVar, Protocol


class Config(Protocol):
    """The configuration of a training. A recipe's own Config has more fields."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    @property
    def seed(self) -> int:
        """Seed of the training, 0 or more."""

    @property
    def epochs(self) -> int:
        """Epochs of the training, 1 or more."""

    @property
    def batch_size(self) -> int:
        """Examples per step, 1 or more."""
