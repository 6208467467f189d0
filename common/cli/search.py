"""`recipes tune` and `recipes sweep`: checks the name of the recipe and starts the tuner."""

import importlib

from common.basics import backend, hosts, streams
from common.cli.arguments import names_recipe
from common.runs import registry


def tune_command(words: list[str]) -> int:
    """Runs `recipes tune`; returns the exit code."""
    return _command("tune", "the search", "sweep", words)


def sweep_command(words: list[str]) -> int:
    """Runs `recipes sweep`; returns the exit code."""
    return _command("sweep", "the comparison", "contest", words)


def _command(verb, what, module, words):
    if not names_recipe(verb, words):
        return 0
    backend.check(words)
    if not {"-h", "--help"} & set(words):
        hosts.refuse(f"recipes {verb}")
    streams.goes_on(what)
    tuner = importlib.import_module(f"common.tuning.{module}")
    return tuner.command(registry.check(words[0]), words[1:])
