"""Faults at the n-th thing that is done to files below a folder: an error of the disk, or a kill.

    with Faults(folder, at=3, kind=errno.ENOSPC) as faults:
        ...
    faults.done          what was done, in order: ("write", path), ("fsync", path), ("replace", path), ...

A kill is an exception here, and whatever the process still tries below the folder fails as well: its
tidying up does not happen. Processes that tests start are really killed: FAULTS="3 kill /folder" in their
environment does that (tests/no_network/sitecustomize.py), and FAULTS="3 28 /folder" is error 28. With
FAULTS="-1 kill /folder" it only tells at its end how much was done.
"""

import atexit
import builtins
import contextlib
import errno
import io
import os
import signal
from pathlib import Path

KILL = "kill"
KINDS = [errno.ENOSPC, errno.EIO, errno.EROFS, KILL]


class Killed(BaseException):
    """The process would be dead by now."""


class Faults:
    """Counts what is done to files below a folder, and breaks it at one place.

    Args:
        folder: The folder.
        at: Which operation fails, 0-based; None: none of them.
        kind: Error number, or KILL.
        real: Whether KILL ends the process.
    """

    def __init__(self, folder, at=None, kind=KILL, real=False):
        self.folder = os.path.realpath(folder)
        self.at, self.kind, self.real = at, kind, real
        self.done = []
        self.dead = False
        self._patched = contextlib.ExitStack()

    def __enter__(self):
        for name in ("replace", "rename"):
            self._patch(os, name, lambda call, old, new, **more: (new, call, (old, new), more))
        for name in ("unlink", "remove", "rmdir", "mkdir", "chmod"):
            self._patch(
                os, name, lambda call, path, *rest, **more: (path, call, (path, *rest), more)
            )
        self._patch(os, "fsync", lambda call, file: (file, call, (file,), {}))
        self._patch_os_open()
        for module in (io, builtins):
            self._patch_open(module)
        return self

    def __exit__(self, *error):
        self._patched.close()

    def before(self, name, path, dir_fd=None):
        """Notes an operation on a path or a descriptor; breaks it where it is the one."""
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        elif dir_fd is not None:
            path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
        path = Path(os.path.abspath(path))
        if not path.is_relative_to(self.folder):
            return
        if self.dead:
            raise Killed
        self.done.append((name, path))
        if len(self.done) - 1 != self.at:
            return
        if self.kind != KILL:
            raise OSError(self.kind, os.strerror(self.kind))
        if self.real:
            os.kill(os.getpid(), signal.SIGKILL)
        self.dead = True
        raise Killed

    def _replace(self, module, name, function):
        original = getattr(module, name)
        setattr(module, name, function)
        self._patched.callback(setattr, module, name, original)

    def _patch(self, module, name, bind):
        original = getattr(module, name)

        def patched(*args, **more):
            path, call, args, more = bind(original, *args, **more)
            self.before(name, path, more.get("dir_fd"))
            return call(*args, **more)

        self._replace(module, name, patched)

    def _patch_os_open(self):
        original = os.open

        def patched(path, flags, *args, **more):
            if flags & os.O_CREAT:
                self.before("open", path, more.get("dir_fd"))
            return original(path, flags, *args, **more)

        self._replace(os, "open", patched)

    def _patch_open(self, module):
        original = module.open

        def patched(file, mode="r", *args, **more):
            if isinstance(file, int) or not set(mode) & set("wax+"):
                return original(file, mode, *args, **more)
            self.before("open", file)
            return _Writer(original(file, mode, *args, **more), file, self)

        self._replace(module, "open", patched)


class _Writer:
    """A file of which half of the broken write arrives."""

    def __init__(self, file, path, faults):
        self._file, self._path, self._faults = file, path, faults

    def write(self, data):
        try:
            self._faults.before("write", self._path)
        except BaseException:
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            raise
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)

    def __iter__(self):
        return iter(self._file)


def from_environment():
    """Breaks this process as the environment variable FAULTS says."""
    at, kind, folder = os.environ["FAULTS"].split(" ", 2)
    faults = Faults(folder, int(at), KILL if kind == KILL else int(kind), real=True)
    faults.__enter__()
    if faults.at < 0:
        atexit.register(lambda: print(f"operations: {len(faults.done)}", flush=True))


def places(folder, work):
    """Returns how many operations `work()` does below a folder."""
    with Faults(folder) as faults:
        work()
    return len(faults.done)


def partial_files(folder):
    """Returns the names of what is left below a folder that is not whole."""
    return sorted(path.name for path in Path(folder).rglob(".partial-*"))


def sweep(tmp_path, kind, begin, work, check):
    """Breaks a piece of work at each of its places, one after the other.

    Args:
        tmp_path: Where folders are made, one for each place.
        kind: How it breaks.
        begin: Function of a folder, called before; what it returns is the work's second argument.
        work: Function of a folder and that.
        check: Function of a folder and the error, called after; None where the work was done.
    """
    from common.basics.errors import RecipeError

    count = tmp_path / "count"
    count.mkdir()
    begun = begin(count)
    number = places(count, lambda: work(count, begun))
    assert number > 5
    for at in range(number):
        folder = tmp_path / str(at)
        folder.mkdir()
        begun, error = begin(folder), None
        with Faults(folder, at, kind) as faults:
            try:
                work(folder, begun)
            except (RecipeError, Killed) as caught:
                error = caught
        print(at, faults.done[at], error)
        assert error is None or "\n" not in str(error)
        if kind == KILL:
            assert isinstance(error, Killed)
        check(folder, error)
        assert partial_files(folder) == []
