"""Errors meant for the person at the terminal: one clear message, an exit code, no traceback."""

import errno
import os

# What a disk answers that is full, over its quota, read-only, broken, or gone from the network.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


class RecipeError(Exception):
    """Something the user can mend: bad data, a damaged file, a full disk, a loss that is not finite.

    The message says what was expected, what came, and what to do next. The command line prints it on
    one line and exits with `exit_code`; `--debug` shows the traceback as well.
    """

    exit_code = 1


class UsageError(RecipeError):
    """A wrong command line or configuration: unknown flag, key, preset or recipe, or a bad value."""

    exit_code = 2


class StorageError(RecipeError):
    """A disk or a database that cannot be used now: no fault of what was being computed."""


def storage_error(error):
    """Returns the StorageError that an exception is or rests on, or None.

    Libraries wrap what the system told them, or keep its words only: h5py raises RuntimeError,
    TensorFlow ResourceExhaustedError.
    """
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        hidden = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or hidden
    for each in chain:
        if isinstance(each, StorageError):
            return each
    for each in chain:
        told = any(os.strerror(code) in str(each) for code in DISK_ERRORS)
        if told or (isinstance(each, OSError) and each.errno in DISK_ERRORS):
            return StorageError(f"the disk cannot be used: {' '.join(str(each).split())}")
    return None


def near_match(word, known):
    """Returns `"; did you mean 'x'?"` for the closest of `known`, or an empty string."""
    import difflib

    matches = difflib.get_close_matches(str(word), [str(name) for name in known], n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else ""
