"""What the parts of a search may use of it, as a type that they can import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from common.runs.types import Config
    from common.tuning.definition import Definition
    from common.tuning.fixed import FixedSpace
    from common.tuning.options import TuneOptions
    from common.tuning.space import Space
    from common.tuning.store import Store
    from common.tuning.trial import Trial
    from common.tuning.tuner import RecipeTuner


class Search(Protocol):
    """A search that has been prepared; common.tuning.sweep.Sweep is one."""

    recipe: str
    options: TuneOptions
    base: Config
    """Config that the search starts from."""
    definition: Definition
    directory: Path
    """The sweep folder."""
    tuner: RecipeTuner
    store: Store
    space: Space
    found: list[Trial] | None
    """The trials as they were last read."""

    def search_space(self) -> FixedSpace:
        """Returns the search space, with the hyperparameters that are held."""
