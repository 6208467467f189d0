"""What defines a sweep: all that its result depends on, kept in sweep.json and checked on resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json, write_json_atomic
from common.basics.passwords import keep
from common.data.source import Reading, Source
from common.runs import config as configuration
from common.runs import registry
from common.runs.types import Config
from common.tuning.fixed import FixedSpace

if TYPE_CHECKING:
    from common.tuning.tuner import RecipeTuner


FILE = "sweep.json"
# Number of random points at which a search space is tried before anything is trained.
POINTS = 100


@dataclasses.dataclass(frozen=True)
class Definition:
    """All that the result of a search depends on, and where its trials are stored."""

    recipe: str
    method: str
    base: dict
    """Config that the search starts from."""
    preset: str
    trials: int | None = None
    """Number of trials; where `budget` is set, the budget of epochs as a number of full trainings."""
    budget: bool = False
    """Whether `trials` counts full trainings rather than trials."""
    folds: int = 1
    search_seed: int = 0
    objective: str = "val_accuracy"
    """Column of history.csv. Old files do not name it: the default is theirs."""
    prune: bool = True
    data: str = "full"
    data_dir: str | None = None
    reading: dict = dataclasses.field(default_factory=dict)
    """How own data is read: Reading.to_dict()."""
    fingerprint: str | None = None
    """Fingerprint of the data. Older searches have None here, and theirs is in environment.json."""
    fixed: dict = dataclasses.field(default_factory=dict)
    """Hyperparameters that are held at a value, and their values as the user wrote them."""
    space: list = dataclasses.field(default_factory=list)
    """The hyperparameters, as KerasTuner describes them. It is kept to notice that it has changed."""
    workers: int = 1
    """Number of worker processes; they share the cores."""
    storage: str | None = None
    """Address of a shared database, without its password (common.basics.passwords). None: the trials are
    files in the sweep folder."""
    key: str = ""
    """By which trackers know the search; every search has its own."""

    def __post_init__(self):
        # Always, wherever the address comes from: an old file may hold a password.
        object.__setattr__(self, "storage", keep(self.storage))

    @classmethod
    def read(cls, directory: Path | str) -> Definition:
        """Reads the definition of a sweep folder.

        Raises:
            RecipeError: There is none, or it is damaged.
        """
        path = Path(directory) / FILE
        return cls.of(read_json(path, "sweep definition"), path)

    @classmethod
    def of(cls, held: Mapping[str, Any], where: Path | str) -> Definition:
        """Returns the definition that a JSON object describes.

        Args:
            held: The object.
            where: Where it was found, for the message.

        Raises:
            RecipeError: It is damaged.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            definition = cls(**{name: value for name, value in held.items() if name in known})
        except TypeError as error:
            raise RecipeError(f"{where} is damaged: {error}; start over with --fresh") from error
        kinds = {"recipe": str, "base": dict, "fixed": dict, "space": list}
        for name, kind in kinds.items():
            if not isinstance(getattr(definition, name), kind):
                raise RecipeError(
                    f"{where} is damaged: its {name} is {str(getattr(definition, name))[:40]}; "
                    "start over with --fresh"
                )
        return definition

    def write(self, directory: Path | str) -> None:
        """Writes sweep.json into a sweep folder."""
        write_json_atomic(Path(directory) / FILE, dataclasses.asdict(self))

    @property
    def config(self) -> Config:
        """The Config that the search starts from."""
        return configuration.from_dict(registry.load(self.recipe).Config, self.base)

    @property
    def source(self) -> Source:
        """Where the data comes from."""
        data_dir = Path(self.data_dir) if self.data_dir else None
        return Source(self.data, data_dir, Reading.from_dict(self.reading))

    @property
    def trial_epochs(self) -> int:
        """Epochs of a full trial, summed over its folds."""
        return self.base["epochs"] * self.folds

    @property
    def budget_epochs(self) -> int:
        """Epochs of the whole search, where `budget` is set."""
        assert self.trials is not None  # A budget is a number of full trainings.
        return self.trials * self.trial_epochs

    def study(self, directory: Path | str) -> str:
        """Returns the name of the sweep in a database, which other recipes may share."""
        return f"{self.recipe}-{Path(directory).absolute().name}"

    def check_same(self, held: Definition, directory: Path | str | None) -> None:
        """Checks that this is the same search as one that was begun.

        The numbers of trials and workers, and the places of data and database, may differ. Whether the
        data is the same is checked elsewhere (common.tuning.begun).

        Args:
            held: The search that was begun.
            directory: Its folder or its database, for the message.

        Raises:
            UsageError: They differ; the message names what differs.
        """
        free = ("trials", "workers", "data_dir", "storage", "fingerprint", "key")
        old, new = (dataclasses.asdict(each) for each in (held, self))
        changed = [
            line
            for name in old
            if name not in (*free, "base", "space")
            for line in configuration.differences({name: old[name]}, {name: new[name]})
        ]
        changed += configuration.changes(self.config, held.base)
        changed += [
            f"search space, {line}"
            for line in configuration.differences(_by_name(old["space"]), _by_name(new["space"]))
        ]
        if changed:
            raise UsageError(
                f"{directory} holds another search ({'; '.join(changed)}); choose another "
                "--sweep-dir, or --fresh to start over"
            )


def _by_name(space):
    """Returns the entries of a space by name; a name with several conditions has a list of entries."""
    named = {}
    for entry in space:
        named.setdefault(entry["config"]["name"], []).append(entry)
    return {name: found[0] if len(found) == 1 else found for name, found in named.items()}


def search_space_of(recipe: str, fixed: Mapping[str, str] | None = None) -> FixedSpace:
    """Returns the function `search_space(hp, base)` of a recipe's tune.py.

    Args:
        recipe: Name of the recipe.
        fixed: Hyperparameters to hold, and their values as the user wrote them. None: nothing is held.
    """

    search_space = registry.load_part(recipe, "tune").search_space
    return FixedSpace(search_space, fixed or {})


def make_tuner(
    definition: Definition, directory: Path | str, worker: str = "worker"
) -> RecipeTuner:
    """Returns the tuner that runs the trials of a sweep.

    Args:
        definition: What the sweep is.
        directory: The sweep folder.
        worker: Name of this process.

    Raises:
        UsageError: The method does not suit the search space, a hyperparameter to hold is not in the
            space, or the space declares a hyperparameter only at some points.
    """
    from common.basics import backend

    backend.start()
    import keras_tuner
    import numpy as np

    from common.tuning.choice import make_oracle
    from common.tuning.point import check_declared
    from common.tuning.score import direction
    from common.tuning.tuner import RecipeTuner

    limits = {"max_trials": definition.trials}
    if definition.budget:
        limits = {"max_epochs": definition.budget_epochs}
    oracle = make_oracle(
        definition.method,
        objective=keras_tuner.Objective(definition.objective, direction(definition.objective)),
        seed=definition.search_seed,
        trial_epochs=definition.trial_epochs // definition.folds,
        storage=definition.storage,
        study=definition.study(directory),
        **limits,
    )
    search_space = search_space_of(definition.recipe, definition.fixed)
    tuner = RecipeTuner(
        oracle,
        recipe=definition.recipe,
        module=registry.load(definition.recipe),
        search_space=search_space,
        base=definition.config,
        source=definition.source,
        fingerprint=definition.fingerprint,
        directory=Path(directory),
        folds=definition.folds,
        prune=definition.prune and definition.method != "hyperband",
        worker=worker,
    )
    search_space.check_names()
    if definition.method == "grid":
        oracle.space.require_finite()
    points = [oracle.space.complete({}, np.random.default_rng(seed)) for seed in range(POINTS)]
    check_declared(search_space, definition.config, oracle.space, points)
    return tuner
