"""Trials on disk: one JSON file each, which is the whole state of a search.

    <sweep>/trials/0007/trial.json     a Trial
    <sweep>/trials/0007/.lock          held by the process that runs it

A search method is a function of these files, so a search that was killed goes on from them. Every write
replaces a whole file. A lock ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from common.basics.errors import RecipeError, storage_error
from common.basics.files import could_not_write, read_json, write_json_atomic
from common.runs.folder import remove_unfinished
from common.tuning.trial import RUN_AGAIN, Trial, read_trial


class Store:
    """The trials of a sweep folder, shared by all processes that work on it.

    Args:
        directory: The sweep folder.
    """

    def __init__(self, directory):
        self.directory = Path(directory)
        self._held = {}
        self._cache = {}

    def folder(self, trial: Trial) -> Path:
        """Returns the folder of a trial."""
        return self.directory / "trials" / trial.name

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes from choosing or ending trials inside the `with` block."""
        with open_lock(self.directory / ".lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def choosing(self) -> contextlib.AbstractContextManager[Any]:
        """Keeps other processes from choosing a trial inside the `with` block."""
        return self.lock()

    def read(self) -> list[Trial]:
        """Returns all trials in the order of their numbers.

        Raises:
            RecipeError: A file is damaged. That does not come from a kill.
        """
        trials = []
        found = [
            path
            for path in self.directory.glob("trials/*/trial.json")
            # This leaves out copies of trial folders that a user made.
            if path.parent.name.isdecimal()
        ]
        for path in sorted(found, key=lambda path: int(path.parent.name)):
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._cache.get(path, (None,))[0] != stamp:
                self._cache[path] = (stamp, json.dumps(_read(path)))
            held = json.loads(self._cache[path][1])
            trials.append(read_trial(held, int(path.parent.name), path))
        return trials

    def write(self, trial: Trial) -> None:
        """Replaces the file of a trial."""
        write_json_atomic(self.folder(trial) / "trial.json", dataclasses.asdict(trial))

    def claim(self, trial: Trial) -> bool:
        """Locks a trial for this process; returns False if another process runs it."""
        folder = self.folder(trial)
        file = open_lock(folder / ".lock")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._held[trial.number] = file
        remove_unfinished(folder)
        return True

    def release(self, trial: Trial) -> None:
        """Unlocks a trial."""
        file = self._held.pop(trial.number, None)
        if file is not None:
            file.close()

    def _held_elsewhere(self, number):
        """Returns whether another process holds the folder of a trial."""
        try:
            with (self.directory / "trials" / f"{number:04d}" / ".lock").open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def silent(self) -> list[int]:
        """Returns the numbers of trials whose process holds their folder but sends no heartbeats."""
        return []

    def hurry(self) -> None:
        """Makes the store wait for nothing from here on, because the user wants to stop."""

    def progress(self, trial: Trial, values: Sequence[float]) -> None:
        """Tells whoever looks on how far a trial is that this process runs. In a folder, files tell it.

        Args:
            trial: The trial.
            values: The objective after each epoch so far.
        """

    def bury(self, trial: Trial) -> None:
        """Writes a trial whose process is known to be dead, so that another can claim it."""
        self.write(trial)

    def agree(self, definition: dict[str, Any]) -> dict[str, Any]:
        """Returns the definition of the sweep that all its processes share. Here it is the given one."""
        return definition


def _read(path):
    """Returns the JSON object of a trial file."""
    try:
        return read_json(path, "trial")
    except RecipeError as error:
        raise storage_error(error) or RecipeError(f"{error}; {RUN_AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} is not a readable JSON trial: {error}; {RUN_AGAIN}") from error


def open_lock(path: Path) -> TextIO:
    """Opens a lock file. It creates the file and its folder.

    Raises:
        RecipeError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w")
    except OSError as error:
        raise could_not_write(path, error) from error
