"""Finished runs: reads the metrics of one, and opens one for evaluate, predict, export and report."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from common.basics.errors import RecipeError, UsageError
from common.basics.files import link_to_nothing, read_json
from common.data.source import Reading
from common.runs import config as configuration
from common.runs import folder, registry
from common.runs.options import Options
from common.runs.run import Run

# Without metrics.json a run is not finished, so it is scored again; its epochs are in the backup.
SCORE_AGAIN = (
    "delete metrics.json and repeat the training command: it scores the run again, without training"
)


def read_metrics(directory: str | Path) -> dict[str, Any]:
    """Returns the content of metrics.json of a finished run.

    Raises:
        RecipeError: The file is absent or damaged.
    """
    path = Path(directory) / "metrics.json"
    try:
        held = read_json(path, "metrics")
    except RecipeError as error:
        raise RecipeError(f"{error}; {SCORE_AGAIN}") from error
    missing = [key for key in ("data", "validation", "test") if not held.get(key)]
    if missing:
        raise RecipeError(f"{path} is damaged: it lacks '{missing[0]}'; {SCORE_AGAIN}")
    return held


def open_finished(
    directory: str | Path, recipe_module: Callable[[str], ModuleType] | None = None
) -> tuple[Run, ModuleType]:
    """Opens the folder of an existing run for evaluate, predict, export, report.

    Args:
        directory: The run folder.
        recipe_module: Function from the recipe's name to its `train` module
            (default: `common.runs.registry.load`).

    Returns:
        The run and the recipe's module.

    Raises:
        RecipeError: It is not a run folder, or has no trained model yet.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UsageError(f"no run folder at {directory}{link_to_nothing(directory)}")
    if folder.is_given_up(directory):
        raise UsageError(
            f"{directory} was being emptied for a new run when the process ended; repeat the training "
            "command"
        )
    if not (directory / "config.json").exists():
        raise UsageError(f"{directory} is not a run folder: it has no config.json")
    held = read_json(directory / "config.json", "run configuration")
    missing = [key for key in ("recipe", "data", "config") if key not in held]
    if missing:
        raise RecipeError(f"{directory / 'config.json'} is damaged: it lacks '{missing[0]}'")
    module = (recipe_module or registry.load)(held["recipe"])
    config = configuration.read_config_file(
        directory / "config.json", module.Config, held["recipe"]
    )
    options = Options(
        data=held["data"],
        data_dir=Path(held["data_dir"]) if held.get("data_dir") else None,
        reading=Reading.from_dict(held.get("reading", {})),
        run_dir=directory,
    )
    run = Run(held["recipe"], config, options, preset=held.get("preset", "custom"))
    if not run.path("best.keras").exists():
        raise RecipeError(
            f"{directory} has no trained model yet (no best.keras): finish it with `{run.command}`"
        )
    return run, module
