"""The command that describes a finished run for others: `recipes card`."""

from pathlib import Path

from common.basics.errors import RecipeError, UsageError
from common.basics.files import write_text_atomic
from common.cli.arguments import arguments_of


def card_command(words: list[str]) -> int:
    """Runs `recipes card`; returns the exit code."""
    arguments = arguments_of(
        "card",
        "Writes the model card of a finished run: data, figures with intervals, limits, training.",
        words,
        run=(Path, ..., "Run folder."),
        license=(str | None, None, "Licence of the weights as hubs name it, e.g. apache-2.0."),
        output=(Path | None, None, "File to write (default: README.md in the run folder)."),
        overwrite=(bool, False, "Replace a card that is there."),
    )
    from common.report.card import card
    from common.runs.finished import open_finished

    run, module = open_finished(arguments.run)
    if not run.finished:
        raise RecipeError(
            f"{run.directory} is not finished (no metrics.json): finish it with `{run.command}`"
        )
    output = arguments.output or run.path("README.md")
    if output.exists() and not arguments.overwrite:
        raise UsageError(f"{output} exists; choose another --output, or --overwrite to replace it")
    write_text_atomic(output, card(run, module.TASK, arguments.license))
    print(f"Model card: {output.resolve()}")
    return 0
