"""Who may write in a run folder, and how it is emptied."""

import shutil
from pathlib import Path
from typing import TextIO

from common.basics import partial
from common.basics.errors import RecipeError, UsageError
from common.basics.files import make_folder, sync, write_text_atomic

LOCK = ".lock"
# `clear` makes this file before it deletes anything, and removes it when all is deleted.
_GIVEN_UP = ".given-up"


def lock(directory: Path) -> TextIO:
    """Locks a folder, which is created, until this process ends.

    Two trainings in one folder would overwrite each other's backups. The system releases the lock
    however the process ends.

    Returns:
        The open lock file. When it is closed, the lock is gone: keep a reference to it.

    Raises:
        UsageError: Another process has it.
        RecipeError: The folder cannot be written.
    """
    path = directory / LOCK
    try:
        make_folder(directory)
        file = path.open("w")
    except OSError as error:
        raise RecipeError(
            f"could not write {path}: {error.strerror or error}; choose another --run-dir"
        ) from error
    try:
        import fcntl
    except ImportError:  # Windows has no such locks.
        return file
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UsageError(
            f"another process is training in {directory}; wait for it, or choose another --run-dir"
        ) from error
    return file


def clear(directory: Path) -> None:
    """Deletes the run in a locked folder. If that is interrupted, the next training completes it.

    Raises:
        RecipeError: Something cannot be deleted.
    """
    write_text_atomic(directory / _GIVEN_UP, "")
    try:
        for path in directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in (LOCK, _GIVEN_UP):
                path.unlink()
        sync(directory)
        (directory / _GIVEN_UP).unlink()
    except OSError as error:
        raise RecipeError(
            f"could not empty {directory}: {error.strerror or error}; the same command continues"
        ) from error


def is_given_up(directory: Path) -> bool:
    """Returns whether a process ended while it emptied the folder. What is left there is no run."""
    return (directory / _GIVEN_UP).exists()


def remove_unfinished(directory: Path) -> None:
    """Removes the temporary files that killed processes left in a run folder."""
    for folder in {path.parent for path in directory.rglob(f"{partial.PREFIX}*")}:
        partial.remove_abandoned(folder)
