"""`recipes tune` and `recipes sweep`: the recipe's name first, then all is the tuner's."""

from common.basics import backend, streams
from common.cli.arguments import names_recipe
from common.runs import registry


def tune_command(words):
    """Runs `recipes tune`; returns the exit code, None for 0."""
    if not names_recipe("tune", words):
        return 0
    backend.check(words)
    streams.goes_on("the search")
    from common.tuning import sweep

    return sweep.command(registry.check(words[0]), words[1:])


def sweep_command(words):
    """Runs `recipes sweep`; returns the exit code, None for 0."""
    if not names_recipe("sweep", words):
        return 0
    backend.check(words)
    streams.goes_on("the comparison")
    from common.tuning import contest

    return contest.command(registry.check(words[0]), words[1:])
