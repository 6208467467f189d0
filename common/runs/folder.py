"""Who may write in a run folder, and how it is emptied."""

import shutil

from common.basics import partial
from common.basics.errors import RecipeError, UsageError
from common.basics.files import make_folder, sync, write_text_atomic

LOCK = ".lock"
# There from before `clear` deletes anything until it has deleted all.
_GIVEN_UP = ".given-up"


def lock(directory):
    """Keeps other processes out of a folder, which is created, for as long as this one lives.

    Two trainings in one folder would overwrite each other's backups. The system releases the lock
    when the process ends, however it ends.

    Returns:
        What must be held for that long.

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


def clear(directory):
    """Deletes the run in a locked folder; where that is interrupted, the next training goes on."""
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
            f"could not empty {directory}: {error.strerror or error}; the same command goes on with it"
        ) from error


def is_given_up(directory):
    """Returns whether a process ended while it emptied a folder: what is there is no run any more."""
    return (directory / _GIVEN_UP).exists()


def remove_unfinished(directory):
    """Removes what killed processes were writing in a run folder."""
    for folder in {path.parent for path in directory.rglob(f"{partial.PREFIX}*")}:
        partial.remove_abandoned(folder)
