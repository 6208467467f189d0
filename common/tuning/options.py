"""The flags of a search; those of SearchOptions are shared with a comparison of searches."""

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from common.basics.errors import UsageError, near_match
from common.data.source import AS_IT_COMES, Reading, Source
from common.runs import command_line, registry, trackers
from common.runs.bounds import NonNegativeInt, PositiveInt, check_bounds
from common.runs.types import Config
from common.training import budget
from common.tuning.choice import Method

Chosen = TypeVar("Chosen", bound="SearchOptions")


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """How long to search, by which score, from which configuration and on which data."""

    trials: PositiveInt = 30
    """Number of trials. With hyperband, or when methods are compared: as many epochs as so many full
    trainings have. A larger number extends a finished sweep."""
    folds: PositiveInt = 1
    """Folds of a cross-validation that scores each trial; 1: the recipe's own validation split."""
    workers: PositiveInt = 1
    """Trials at a time on this machine; they share its cores."""
    objective: str | None = None
    """What a trial is judged by: val_loss, or the figure of the recipe's task (None), e.g. val_accuracy.
    Take val_loss only if no searched field changes the loss itself."""
    prune: bool = True
    """Stop a trial that is worse than the median of the others at the same epoch."""
    retrain: NonNegativeInt = 3
    """Number of new seeds to train each winner with at the end; 0: none."""
    fresh: bool = False
    """Delete what the sweep folder holds and start over."""
    fix: tuple[str, ...] = ()
    """Hyperparameters of the search space to hold at a value: --fix batch_size=128 optimizer=sgd."""
    preset: str = "best"
    """Named configuration that the search starts from."""
    config: Path | None = None
    """JSON file to start from instead."""
    data: str = "full"
    """'full', 'sample', or a path to your own data."""
    data_dir: Path | None = None
    """Folder of TensorFlow Datasets (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)."""
    reading: Reading = AS_IT_COMES
    sweep_dir: Path | None = None
    """Folder of the search; the same folder continues (default: in runs/<recipe>/sweeps/)."""
    tracker: str | None = None
    """Log the search and its trials to tensorboard, mlflow or wandb; several are separated by commas. The
    last two need the extra of their name."""
    debug: bool = False
    """Show tracebacks of errors."""

    def __post_init__(self):
        check_bounds(self)
        trackers.names_in(self.tracker)

    @property
    def trackers(self) -> tuple[str, ...]:
        """Names of the trackers to log to."""
        return trackers.names_in(self.tracker)

    @property
    def source(self) -> Source:
        """Where the data comes from."""
        return Source(self.data, self.data_dir, self.reading)

    @property
    def data_name(self) -> str:
        """How names of folders call the data: full, sample or own."""
        return self.data if self.source.built_in else "own"


@dataclasses.dataclass(frozen=True)
class TuneOptions(SearchOptions):
    """How to search. All other flags change the configuration that the search starts from."""

    method: Method = "bayesian"
    """The search method; tpe needs the extra [optuna]."""
    search_seed: NonNegativeInt = 0
    """Seed of the search. The training seed (--seed) is the same in all trials."""
    retrain_epochs: PositiveInt | None = None
    """Epochs of the trainings at the end, in place of those of the trials; best.json gets them, too.
    None: as in the trials."""
    retrain_start: bool = True
    """Also train the configuration that the search started from, with the same new seeds. That shows what
    the search gained."""
    storage: str | None = None
    """Database that several machines share, e.g. postgresql://user:password@host/name (extra [optuna]).
    The same command on each machine joins the sweep. None: files in the sweep folder."""


def default_objective(module: ModuleType) -> str:
    """Returns the column of history.csv that searches of a recipe judge by, e.g. "val_accuracy".

    Args:
        module: The recipe's `train` module.
    """
    return module.TASK.objective


def objective_of(module: ModuleType, asked: str | None) -> str:
    """Returns the objective of a search.

    Args:
        module: The recipe's `train` module.
        asked: The objective that the user chose. None: that of the recipe's task.

    Raises:
        UsageError: Trials of this recipe have no such objective.
    """
    there = list(dict.fromkeys((default_objective(module), "val_loss")))
    if asked is None:
        return there[0]
    if asked not in there:
        raise UsageError(
            f"unknown objective '{asked}'{near_match(asked, there)} (there are: {', '.join(there)})"
        )
    return asked


def parse(
    name: str, words: Sequence[str], options_class: type[Chosen], *, verb: str, description: str
) -> tuple[Chosen, Config, Collection[str]]:
    """Parses the command line of `recipes tune` or `recipes sweep`.

    Args:
        name: Name of the recipe.
        words: Words after the recipe's name.
        options_class: Class of the options.
        verb: "tune" or "sweep".
        description: Text of the help.

    Returns:
        The options, with their objective filled in; the Config to start from, fitted to the user's own
        data; and the names of the Config fields that the user chose.

    Raises:
        UsageError: A wrong flag or value.
    """
    module = registry.load(name)
    options, config = command_line.parse_recipe(
        module, words, options_class, prog=f"recipes {verb} {name}", description=description
    )
    trackers.check_installed(options.trackers)
    objective = objective_of(module, options.objective)
    options = dataclasses.replace(options, objective=objective)
    given = command_line.given_fields(module.Config, words)
    return options, budget.fit_to_data(module, config, given, options.source), given
