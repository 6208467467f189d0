"""A process that runs trials of a sweep until none is left: python -m common.tuning.worker DIR NAME.

Workers are equal. They share only the sweep folder (or a database), may join and leave at any time, and
take over the trials of dead ones. Where a worker's standard input is a pipe, it ends with the process at
the other end, so that a killed sweep leaves nothing running. A worker that ends with an error also writes
it into a second pipe, if it was given one, because its log may lie on a full disk.
"""

import contextlib
import os
import sys
from pathlib import Path


def main(directory: Path, name: str, words: int | None = None) -> int:
    """Runs trials until none is left.

    Args:
        directory: The sweep folder.
        name: Name of this process.
        words: File descriptor to write an error to.

    Returns:
        The exit code: 0, 130 after an interrupt, or REFUSED or NO_STORAGE of common.tuning.processes.
    """
    from common.basics import streams
    from common.basics.child import follow_parent
    from common.basics.errors import RecipeError, storage_error
    from common.tuning.definition import Definition, make_tuner
    from common.tuning.processes import NO_STORAGE, REFUSED

    follow_parent()
    streams.prepare()
    try:
        make_tuner(Definition.read(directory), directory, worker=name).search()
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        storage = storage_error(error)
        if storage is None and not isinstance(error, RecipeError):
            raise
        _tell(storage or error, words)
        return REFUSED if storage is None else NO_STORAGE
    return 0


def _tell(error, words):
    from common.basics.passwords import hide

    text = " ".join(hide(error).split()).rstrip(".")
    if words is not None:
        os.write(words, text.encode()[:4096])
    with contextlib.suppress(OSError):
        print(f"error: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    # A normal exit can take seconds, in which frameworks free what the system frees at once.
    os._exit(code)
