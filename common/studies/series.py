"""`recipes train NAME --seeds N`: the same training with N seeds, each in a run of its own."""

import dataclasses
import shlex
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from common.basics import child
from common.basics.errors import RecipeError
from common.basics.files import read_json
from common.basics.flags import flag
from common.runs import headline
from common.runs.bounds import PositiveInt, check_bounds
from common.runs.finished import read_metrics
from common.runs.options import Options
from common.runs.run import Run
from common.runs.types import Config


@dataclasses.dataclass(frozen=True)
class TrainOptions(Options):
    """How and where a training takes place, and how often."""

    seeds: PositiveInt = 1
    """Number of seeds to train with, from --seed on. Each has a run folder of its own, inside --run-dir
    if that is given. Mean and deviation come at the end. If it stops, the same command continues."""

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self)


def train(
    name: str, config: Config, options: TrainOptions, preset: str, words: Sequence[str]
) -> int:
    """Trains with one seed after another, each in its own process, and prints mean and deviation.

    Args:
        name: Name of the recipe.
        config: With the first seed.
        options: How and where to train, and with how many seeds.
        preset: Name of the preset, for the names of folders.
        words: Command-line words after the recipe's name; they are passed on to each process.

    Returns:
        The exit code: 0, or 130 where it was interrupted.

    Raises:
        RecipeError: A training failed.
    """
    # All Configs are made first, so that a seed that is too large is refused before any training.
    configs = [dataclasses.replace(config, seed=config.seed + i) for i in range(options.seeds)]
    runs = [Run(name, each, _options(options, each.seed), preset) for each in configs]
    passed_on = without(words, ("seed", "seeds", "run_dir"))
    for index, run in enumerate(runs):
        print(f"[{index + 1} of {len(runs)}] {name}, seed {run.config.seed}", flush=True)
        if holds_result(run):
            print(f"finished before: {run.directory}", flush=True)
            continue
        own = ["--seed", str(run.config.seed), "--run-dir", str(run.directory)]
        try:
            code = child.run(["train", name, *passed_on, *own])
        except KeyboardInterrupt:
            print(
                f"{index} of {len(runs)} seeds are trained; the same command goes on.",
                file=sys.stderr,
            )
            return 130
        if code:
            raise RecipeError(
                f"the training of seed {run.config.seed} failed with exit code {code}; the lines above "
                "say why, and the same command goes on from there"
            )
    print(summary([run.directory for run in runs]))
    return 0


def _options(options, seed):
    if options.run_dir is None:
        return options
    return dataclasses.replace(options, run_dir=Path(options.run_dir) / f"seed{seed}")


def holds_result(run: Run) -> bool:
    """Returns whether a run is finished with the same configuration, so that it need not be trained.

    Where the folder holds another run, the training itself refuses it.
    """
    if run.options.overwrite or not run.finished:
        return False
    return not run.changes(read_json(run.path("config.json"), "run configuration"))


def without(words: Iterable[str], fields: Collection[str]) -> list[str]:
    """Returns command-line words without the flags of the given fields and their values."""
    flags = {flag(field) for field in fields}
    kept, skip = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if skip:
            skip = False
        elif word.startswith("--") and name.replace("_", "-") in flags:
            skip = not equals
        else:
            kept.append(word)
    return kept


def summary(directories: Sequence[Path]) -> str:
    """Returns text for finished runs: mean and sample deviation, and the command that compares them.

    Args:
        directories: Run folders, one or more.
    """
    found = [headline.of(read_metrics(directory)) for directory in directories]
    test = [each.value for each in found]
    validation = [each.validation for each in found if each.validation is not None]
    shown, count = found[0], len(found)
    unit = f" {shown.unit}" if shown.unit else ""
    text = (
        f"{count} seeds: test {shown.name} {shown.spread(test)}{unit} ({shown.text(min(test))} to "
        f"{shown.text(max(test))})"
    )
    if validation:
        text += f", validation {shown.name} {shown.spread(validation)}{unit}"
    lines = [f"{text} (mean ± sample standard deviation)"]
    folders = shlex.join(map(str, directories))
    lines.append(f"Compare them with others: recipes compare {folders} RUN...")
    return "\n".join(lines)
