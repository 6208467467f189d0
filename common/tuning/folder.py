"""Locks of a sweep folder: many commands may work on it at a time, but some steps need it alone."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from common.basics import partial
from common.basics.errors import UsageError
from common.tuning.store import open_lock

LOCK = ".sweep"
END_LOCK = ".end"
# How long a process waits for one that holds the folder alone, which may only be tidying up.
MOMENT_SECONDS = 5


@contextlib.contextmanager
def joined(directory: Path | str, fresh: bool) -> Iterator[Callable[[], None]]:
    """Locks a sweep folder for this process; yields a function that lets others join.

    Args:
        directory: The sweep folder.
        fresh: Whether the folder is to be emptied. If so, no other process may work on it until the
            function is called.

    Raises:
        UsageError: Others work on the folder and this process needs it alone, or another process has
            it alone.
    """
    directory = Path(directory)
    with open_lock(directory / LOCK) as file:
        alone = _take(file, fcntl.LOCK_EX)
        if fresh and not alone:
            raise UsageError(f"another process works on {directory}; stop it before --fresh")
        if alone:
            partial.remove_abandoned(directory)
            partial.remove_abandoned(directory / "retrain")
        begun = time.monotonic()
        while not fresh and not _take(file, fcntl.LOCK_SH):
            if time.monotonic() - begun > MOMENT_SECONDS:
                raise UsageError(
                    f"another process works on {directory} and starts over; wait until it searches"
                )
            time.sleep(0.05)
        yield lambda: fcntl.flock(file, fcntl.LOCK_SH)


def _take(file, kind):
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def alone_at_the_end(directory: Path | str) -> Iterator[None]:
    """Lets one process of a sweep folder at a time train the winner. The next one finds that done."""
    with open_lock(Path(directory) / END_LOCK) as file:
        if not _take(file, fcntl.LOCK_EX):
            print("Another process trains the winner of this search; waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
