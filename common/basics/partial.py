"""Temporary names of files and folders that are renamed into place once they are whole.

A process that is killed while it writes leaves its temporary file behind. The writer holds a lock on it,
which the system releases however the process ends. So the next process that writes into the folder can
see which temporary files are abandoned, and removes them.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".partial-"


@contextlib.contextmanager
def file_in(folder: Path, suffix: str) -> Iterator[Path]:
    """Yields the path of a new, empty file in a folder; removes it at the end, if it is still there.

    Args:
        folder: The folder, which must exist.
        suffix: End of the name, e.g. ".keras": Keras chooses its format by it.
    """
    with _locked(lambda: tempfile.mkstemp(dir=folder, prefix=PREFIX, suffix=suffix)) as path:
        yield path


@contextlib.contextmanager
def folder_in(folder: Path) -> Iterator[Path]:
    """Yields the path of a new, empty folder in a folder; removes it at the end, if it is still there."""

    def make():
        name = tempfile.mkdtemp(dir=folder, prefix=PREFIX)
        return os.open(name, os.O_RDONLY), name

    with _locked(make) as path:
        yield path


@contextlib.contextmanager
def _locked(make):
    while True:
        handle, name = make()
        try:
            _lock(handle, wait=True)
            # Before it was locked, another process may have removed it as abandoned.
            if not _is_at(handle, name):
                continue
            try:
                yield Path(name)
            finally:
                if _is_at(handle, name):  # Not renamed.
                    _remove(name)
            return
        finally:
            os.close(handle)


def remove_abandoned(folder: Path) -> None:
    """Removes what killed processes left in a folder, and nothing that a living one still writes."""
    with contextlib.suppress(OSError):  # Files that cannot be removed do no harm.
        names = [entry.path for entry in os.scandir(folder) if entry.name.startswith(PREFIX)]
        for name in names:
            _remove_if_abandoned(name)


def _remove_if_abandoned(name):
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:  # A link to nothing, or gone by now.
        return
    try:
        if _lock(handle, wait=False):
            _remove(name)
    finally:
        os.close(handle)


def _lock(handle, wait):
    """Locks an open file or folder; returns whether it succeeded."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks, and nothing is tidied there.
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # Held, or a file system without locks, where nothing is tidied either.
        return False
    return True


def _is_at(handle, name):
    try:
        return os.path.samestat(os.fstat(handle), os.stat(name))
    except FileNotFoundError:
        return False


def _remove(name):
    # An error here must not hide the one that led here.
    with contextlib.suppress(OSError):
        if os.path.isdir(name) and not os.path.islink(name):
            shutil.rmtree(name)
        else:
            os.unlink(name)
