"""Who works on a sweep folder: any number of commands at once, but one alone where it must be."""

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
# What is alone for a moment only, to tidy up.
MOMENT_SECONDS = 5


@contextlib.contextmanager
def joined(directory: Path | str, fresh: bool) -> Iterator[Callable[[], None]]:
    """Notes that this process works on a folder; yields a function that lets others join.

    Args:
        directory: The sweep folder.
        fresh: Whether the folder is to be emptied: then no other process works on it, nor may join
            until the function is called.

    Raises:
        UsageError: Others work on it and this one has to be alone, or the other way round.
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
                raise UsageError(f"another process works on {directory}; it starts over: wait")
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
    """Lets one process of a folder at a time train its winner again; the next finds that done."""
    with open_lock(Path(directory) / END_LOCK) as file:
        if not _take(file, fcntl.LOCK_EX):
            print("Another process trains the winner of this search; waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
