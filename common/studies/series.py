"""`recipes train NAME --seeds N`: the same training with N seeds, each a run of its own."""

import dataclasses
import shlex
import sys
from pathlib import Path

from common.basics import child
from common.basics.errors import RecipeError
from common.basics.files import read_json
from common.basics.flags import flag
from common.runs import headline
from common.runs.bounds import PositiveInt, check_bounds
from common.runs.run import Options, Run, read_metrics


@dataclasses.dataclass(frozen=True)
class TrainOptions(Options):
    """How and where a training takes place, and how often."""

    seeds: PositiveInt = 1
    """Seeds to train with, from --seed on: each a run in a folder of its own (with --run-dir, in it).
    The same command goes on where it stopped; mean and deviation at the end."""

    def __post_init__(self):
        check_bounds(self)


def train(name, config, options, preset, words):
    """Trains seeds one after another, each in a process of its own, and prints mean and deviation.

    Args:
        name: Name of the recipe.
        config: Config of the first seed.
        options: TrainOptions.
        preset: Name of the preset, for the folders.
        words: The words of the command after the recipe's name; they are passed on.

    Returns:
        The exit code.

    Raises:
        RecipeError: A training failed.
    """
    # All of them at once: a seed that is too large is answered before anything is trained.
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


def holds_result(run):
    """Returns whether the folder of a Run holds what it would come to, so that it need not be trained.

    A folder that holds another run is the training's to refuse.
    """
    if run.options.overwrite or not run.finished:
        return False
    return not run.changes(read_json(run.path("config.json"), "run configuration"))


def without(words, fields):
    """Returns command-line words without the flags of some fields and their values."""
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


def summary(directories):
    """Returns what runs came to: mean and sample deviation, and how to compare them."""
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
