"""Output of a command: streams that are closed or broken, characters that an encoding lacks.

A command goes on with its work when nobody reads its output. `prepare` is called before it prints,
`finish` after.
"""

import contextlib
import errno
import io
import os
import sys
import threading
from collections.abc import Iterator

# A pipe whose reader ended (`| head`, a `tee` that was killed), a terminal that was closed.
READER_GONE = (errno.EPIPE, errno.EIO)
GLANCE = 0.1
"""Seconds. Work that takes no longer is not announced."""

_work: str | None = None
_failure: OSError | None = None
_silent = False


class _Standard(io.FileIO):
    """Standard output or error. Text that can no longer be written is dropped."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            _lose(self.fileno(), error)
            return memoryview(data).nbytes


def prepare() -> None:
    """Makes the standard streams safe to use, whatever they are. It may be called more than once.

    Streams that a notebook or a test has put in their place stay.
    """
    # Closed streams are opened again. Else the next files would get their numbers, and native code would
    # write its messages into them.
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # Takes the lowest number that is free.
            os.set_inheritable(number, True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif _is_plain(stream, number):
            setattr(sys, name, _safe(stream, number))
        if isinstance(getattr(sys, name), io.TextIOWrapper):
            # Characters that the encoding lacks, and bytes that are no text, are shown by their codes.
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _is_plain(stream, number):
    """Returns whether a stream is the one that Python opens for a standard descriptor."""
    if type(stream) is not io.TextIOWrapper:
        return False
    raw = getattr(stream.buffer, "raw", stream.buffer)
    # A Windows console is no file.
    return type(raw) is io.FileIO and raw.fileno() == number


def _safe(stream, number):
    stream.flush()
    raw = _Standard(number, "w", closefd=False)
    return io.TextIOWrapper(
        # As with `python -u`.
        raw if stream.write_through else io.BufferedWriter(raw),
        encoding=stream.encoding,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _lose(number, error):
    """Connects a descriptor to nothing from here on, for native code and child processes as well."""
    global _failure
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
    if number != 1:
        return
    reason = "nobody reads the output any more"
    if error.errno not in READER_GONE:
        _failure = error
        reason = f"the output cannot be written any more ({error.strerror})"
    if _work:
        say(f"note: {reason}; {_work} goes on without it")


def goes_on(work: str) -> None:
    """Records that this command does more than print.

    If the reader of standard output goes away, a line on standard error then says that the work goes on.

    Args:
        work: What that line calls it, e.g. "the training".
    """
    global _work
    _work = work


def finish(code: int) -> int:
    """Writes what is still buffered, after the last output of a command.

    Args:
        code: The command's exit code.

    Returns:
        The exit code: 1 if the command succeeded but its output could not be written (a full disk). That
        the reader has gone is no failure.
    """
    global _work, _failure
    _work = None  # Nothing goes on any more.
    sys.stdout.flush()
    failure, _failure = _failure, None
    if failure is not None:
        print(f"error: could not write the output: {failure.strerror}", file=sys.stderr)
        code = code or 1
    sys.stderr.flush()
    return code


def say(text: str) -> None:
    """Prints a line on standard error, for a person who waits; programs read standard output."""
    if not _silent:
        print(text, file=sys.stderr, flush=True)


def be_silent() -> None:
    """Turns `say` off in this process: the process that started it speaks instead."""
    global _silent
    _silent = True


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Says what the block does, if it takes longer than `GLANCE`.

    Args:
        what: E.g. "Reading the data".
    """
    timer = threading.Timer(GLANCE, say, [f"{what} ..."])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
