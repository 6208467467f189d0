"""Errors meant for the person at the terminal: one clear message, an exit code, no traceback."""

import errno
import os
from collections.abc import Iterable

# Error codes of a disk that is full, over its quota, read-only, broken, or gone from the network.
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)

DIVERGED = 3
"""The exit code of a training whose loss is not finite: a search over settings tells it from others."""


class RecipeError(Exception):
    """A problem that the user can mend: bad data, a damaged file, a full disk, a loss that is not finite.

    The message says what was expected, what came, and what to do next. The command line prints it on
    one line and exits with `exit_code`; `--debug` shows the traceback as well.
    """

    exit_code = 1


class UsageError(RecipeError):
    """A wrong command line or configuration: unknown flag, key, preset or recipe, or a bad value."""

    exit_code = 2


class StorageError(RecipeError):
    """A disk or a database cannot be used now. The computation itself has not failed."""


def storage_error(error: BaseException | None) -> StorageError | None:
    """Returns the StorageError that an exception is or was caused by, or None.

    Libraries wrap the error of the system, or keep only its text: h5py raises RuntimeError, TensorFlow
    ResourceExhaustedError.
    """
    chain: list[BaseException] = []
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


# Names that people know from other programs, and what they may mean here. The first known one counts.
SYNONYMS = {
    "rate": ("learning_rate",),
    "l2": ("weight_decay",),
    "steps": ("epochs",),
    "iterations": ("epochs",),
    "val_split": ("validation_fraction",),
    "early_stopping": ("patience",),
    "random_seed": ("seed",),
    "random_state": ("seed",),
    "model": ("architecture",),
    "network": ("architecture",),
    "channels": ("filters",),
    "width": ("filters",),
    "dtype": ("precision",),
    "amp": ("precision",),
    "fp16": ("precision",),
    "bf16": ("precision",),
    "metric": ("objective", "monitor"),
    "out": ("output", "run_dir", "sweep_dir", "runs_dir"),
    "output": ("run_dir", "sweep_dir", "runs_dir"),
    "output_dir": ("run_dir", "sweep_dir", "runs_dir", "output"),
    "run_dir": ("sweep_dir", "runs_dir"),
    "resume": ("run_dir", "sweep_dir", "runs_dir"),
    "input": ("data",),
    "path": ("data",),
    "force": ("overwrite", "fresh"),
    "jobs": ("workers",),
    "n_jobs": ("workers",),
    "cv": ("folds",),
    "k": ("top",),
    "verbose": ("debug",),
    "class": ("label",),
    "default": ("best",),
    "paper": ("article",),
    "tf": ("tensorflow",),
    "pytorch": ("torch",),
    "tflite": ("litert",),
}


def near_match(word: str, known: Iterable[str]) -> str:
    """Returns `"; did you mean 'x'?"` for the closest of `known`, or an empty string.

    These are tried in order: meaning (SYNONYMS), initials (lr), beginning (epoch), one of the words
    (decay), spelling. Dashes and underscores count as the same.
    """
    import difflib

    names = {_plain(name): name for name in map(str, known)}
    sought = _plain(word)
    if not sought:
        return ""
    found = (
        [name for name in (sought, *SYNONYMS.get(sought, ())) if name in names]
        or [name for name in names if sought == "".join(part[:1] for part in name.split("_"))]
        or sorted((name for name in names if name.startswith(sought)), key=len)
        or [name for name in names if sought in name.split("_")]
        or difflib.get_close_matches(sought, names, n=1)
    )
    return f"; did you mean '{names[found[0]]}'?" if found else ""


def _plain(name):
    return str(name).strip("-").replace("-", "_").lower()
