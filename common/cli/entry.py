"""Where a command starts: the console script `recipes`, `python -m recipes`, a recipe's own scripts.

Each command is a function of the words after it that returns an exit code: 0 done, 1 a RecipeError
(data, files), 2 a usage error, 3 a loss that is not finite, 130 interrupted. Keras is imported inside the
commands that need it, after the command line has been checked.
"""

import importlib
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from common.basics import hosts, streams
from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.passwords import hide

USAGE = """\
Deep-learning recipes that a person can run, read, tune and trust.

usage: recipes COMMAND ...

  list                      every recipe, its presets and its measured result
  train NAME [flags]        train a recipe; the same run folder resumes (train NAME --help: all flags);
                            --seeds 5: five seeds, mean and deviation
  evaluate RUN              score a run's model again on its validation and test split
  predict RUN FILE...       classify files, folders, rows of a CSV ('-': standard input)
  explain RUN FILE...       what the answer rests on: heat maps, attributions, decisive words
  attack RUN                how many test images withstand attacks on a classifier of images
  export RUN --format F     savedmodel, onnx, litert or keras, checked against the model
  report RUN                write report.html again
  card RUN                  write a model card: data, figures with intervals, limits, licence
  track RUN --tracker T     log a finished run to mlflow, wandb or tensorboard
  compare RUN RUN...        runs side by side, with tests; those of several seeds as one
  results NAME              train the presets over seeds and write results.json
  tune NAME [flags]         search hyperparameters; the same command continues (tune NAME --help)
  sweep NAME [flags]        compare search methods on one budget of epochs
  study NAME STUDY [flags]  train the arms of a question with the same seeds and answer it;
                            study NAME: its studies

Every command answers --help. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""


# The file that a command is in. It is imported only for this command.
COMMANDS = {
    "list": "listing",
    "train": "train",
    "evaluate": "trained",
    "predict": "asking",
    "explain": "asking",
    "attack": "attack",
    "export": "trained",
    "report": "trained",
    "card": "card",
    "track": "track",
    "compare": "listing",
    "results": "results",
    "tune": "search",
    "sweep": "search",
    "study": "study",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
        argv: Words after `recipes`; None: those of the process.
    """
    return guarded(_command, list(sys.argv[1:] if argv is None else argv))


def run_script(file: str, argv: Sequence[str] | None = None) -> int:
    """Trains a recipe; called by its `train.py`.

    Args:
        file: Path of that `train.py`.
        argv: Flags of the command; None: those of the process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(_of("train"), [Path(file).resolve().parent.name, *words])


def tune_script(file: str, argv: Sequence[str] | None = None) -> int:
    """Searches the hyperparameters of a recipe; called by its `tune.py`.

    Args:
        file: Path of that `tune.py`.
        argv: Flags of the command; None: those of the process.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(_of("tune"), [Path(file).resolve().parent.name, *words])


def guarded(function: Callable[[list[str]], int | None], words: list[str]) -> int:
    """Runs a command; returns the exit code (0 for None). An error becomes one line, unless --debug."""
    streams.prepare()
    try:
        code = streams.finish(_exit_code(function, words))
    except Exception:
        if hosts.count() > 1:
            traceback.print_exc()
            hosts.leave(1)
        raise
    hosts.leave(code)
    return code


def _exit_code(function, words):
    debug = "--debug" in words
    try:
        return function(words) or 0
    except SystemExit as stop:  # tyro's --help
        return stop.code or 0
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except Exception as raised:
        if debug:
            raise
        error = hosts.explained(raised)
        if isinstance(error, RecipeError):
            print(f"error: {hide(error)}", file=sys.stderr)
            return error.exit_code
        # Keras writes paragraphs, in colour.
        text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", hide(error)).split())
        hint = "--debug shows the traceback"
        if isinstance(error, ModuleNotFoundError):
            hint = (
                f"this is {sys.executable}; `make setup` installs what is needed into .venv; {hint}"
            )
        print(f"error: {type(error).__name__}: {text} ({hint})", file=sys.stderr)
        return 1


def _of(command):
    """Returns the function of a command."""
    return getattr(importlib.import_module(f"common.cli.{COMMANDS[command]}"), f"{command}_command")


def _command(words):
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if words[0] not in COMMANDS:
        raise UsageError(
            f"unknown command '{words[0]}'{near_match(words[0], COMMANDS)} (`recipes --help`)"
        )
    return _of(words[0])(words[1:])
