"""`recipes track`: logs a finished run to trackers, from what its folder holds."""

from pathlib import Path

from common.basics import backend, streams
from common.basics.errors import RecipeError
from common.cli.arguments import arguments_of
from common.cli.opened import open_run
from common.runs import trackers


def track_command(words: list[str]) -> int:
    """Runs `recipes track`; returns the exit code."""
    arguments = arguments_of(
        "track",
        "Logs a finished run to trackers: parameters, curves, figures, report.html. What they have "
        "already is not logged twice.",
        words,
        run=(Path, ..., "Run folder."),
        tracker=(str, "mlflow", "tensorboard, mlflow or wandb; several are separated by commas."),
    )
    names = trackers.names_in(arguments.tracker)
    trackers.check_installed(names)
    run, _ = open_run(arguments.run)
    if not run.finished:
        raise RecipeError(
            f"{run.directory} is not finished (no metrics.json): finish it with `{run.command}`"
        )
    with streams.doing("Logging"):
        backend.start_or_interrupt()
        from common.training import tracking

        lines = tracking.complete(run, names)
    if len(lines) < len(names):
        # What failed is told already.
        return 1
    print("\n".join(lines))
    return 0
