"""Where the words of a command go: streams that are closed or broken, characters that they lack.

A command's work is not given up because nobody reads its words. `prepare` comes before its first word,
`finish` after its last one.
"""

import contextlib
import errno
import io
import os
import sys
import threading

# A pipe whose reader ended (`| head`, a `tee` that was killed), a terminal that was closed.
READER_GONE = (errno.EPIPE, errno.EIO)
GLANCE = 0.1
"""Seconds. What takes no longer needs no announcement."""

_work = None
_failure = None
_silent = False


class _Standard(io.FileIO):
    """Standard output or error. What can no longer be written is dropped."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            _lose(self.fileno(), error)
            return memoryview(data).nbytes


def prepare():
    """Makes the standard streams safe to use, whatever they are; more than once does no harm.

    Streams that somebody has put in their place (a notebook, a test) are left where they are.
    """
    # Else the next files that are opened would get the numbers of closed streams, and what native
    # code reports would be written into them.
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
            # A name that the encoding lacks, or that is no text at all, is shown by its code.
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _is_plain(stream, number):
    """Returns whether a stream is the one that Python opens for a standard descriptor."""
    if type(stream) is not io.TextIOWrapper:
        return False
    raw = getattr(stream.buffer, "raw", stream.buffer)
    # Not on a Windows console, which is no file.
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
    """Lets a descriptor lead nowhere from here on, for native code and child processes as well."""
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


def goes_on(work):
    """Notes that this command has more to do than to print.

    Args:
        work: What to call it, e.g. "the training", where standard error is told once that the reader of
            standard output has gone.
    """
    global _work
    _work = work


def finish(code):
    """Writes what has been held back, after the last word of a command.

    Args:
        code: The command's exit code.

    Returns:
        The exit code: 1 for a command that succeeded and could not say so (a full disk). A reader who
        has read enough is no failure.
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


def say(text):
    """Prints a line on standard error: what a person who waits wants to know, and no program."""
    if not _silent:
        print(text, file=sys.stderr, flush=True)


def be_silent():
    """Leaves `say` to the process that started this one."""
    global _silent
    _silent = True


@contextlib.contextmanager
def doing(what):
    """Says what is being done, where it takes longer than a glance.

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
