"""Errors meant for the person at the terminal: one clear message, an exit code, no traceback."""


class RecipeError(Exception):
    """Something the user can mend: bad data, a damaged file, a full disk, a loss that is not finite.

    The message says what was expected, what came, and what to do next. The command line prints it on
    one line and exits with `exit_code`; `--debug` shows the traceback as well.
    """

    exit_code = 1


class UsageError(RecipeError):
    """A wrong command line or configuration: unknown flag, key, preset or recipe, or a bad value."""

    exit_code = 2


def near_match(word, known):
    """Returns `"; did you mean 'x'?"` for the closest of `known`, or an empty string."""
    import difflib

    matches = difflib.get_close_matches(str(word), [str(name) for name in known], n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""
