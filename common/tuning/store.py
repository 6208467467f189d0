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
import itertools
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from common.basics.errors import RecipeError, storage_error
from common.basics.files import could_not_write, read_json, write_json_atomic
from common.runs.folder import remove_unfinished
from common.tuning.ranges import Point
from common.tuning.score import direction

RUNNING = "running"
COMPLETED = "completed"
# Stopped before its last epoch, by the median rule or at a rung of Hyperband. It may be continued.
PRUNED = "pruned"
# Ended in an error, and is started again.
RETRY = "retry"
FAILED = "failed"
FINISHED = (COMPLETED, PRUNED, FAILED)

# Types that fields of a Trial must have in a file.
KINDS: dict[str, type | tuple[type, ...]] = {
    "values": dict,
    "curves": list,
    "parts": list,
    "seconds": (int, float),
}
KINDS |= dict.fromkeys(("starts", "failures", "epochs"), int)
KINDS |= {"score": (int, float, type(None)), "best_epoch": (int, type(None))}
RUN_AGAIN = "delete its folder to run it again"


@dataclasses.dataclass
class Trial:
    """One point of the search space and its result."""

    number: int
    """0-based, in the order in which trials were first started."""
    values: Point
    """Hyperparameters, the active ones only."""
    status: str = RUNNING
    """running, completed, pruned, retry or failed."""
    epoch_limit: int | None = None
    """Limit of epochs at the current rung of Hyperband; None: no limit. It counts in epochs of the
    configuration that the search started from; a trial with other epochs stops at the same share."""
    starts: int = 0
    """Number of starts since it last made progress."""
    failures: int = 0
    """Number of times it ended in an error."""
    score: float | None = None
    """Best value of the objective over the epochs, folds averaged first."""
    best_epoch: int | None = None
    """Epoch of the score, 1-based."""
    epochs: int = 0
    """Epochs trained, summed over all folds."""
    curves: list[dict[str, list[float]]] = dataclasses.field(default_factory=list)
    """For each fold the columns of its history, lists over epochs."""
    seconds: float = 0.0
    """Wall seconds, summed over all starts."""
    message: str | None = None
    """Why it failed or was stopped."""
    worker: str | None = None
    """Name of the process that ran it last."""
    parts: list[list[Any]] = dataclasses.field(default_factory=list)
    """[order, epochs, score] of each time it ended, also at a rung of Hyperband. `order` is the number of
    earlier ends in the search; epochs and score are those of the trial at that time."""

    # Attempts in the database when it was read (common.tuning.shared_store); 0: not read from there.
    # Without a type it is no field of the dataclass, and is not stored.
    attempts = 0
    # Whether another process ran it then.
    alive = False

    @property
    def finished(self) -> bool:
        """Whether it has a result, which may be a failure."""
        return self.status in FINISHED

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.number:04d}"

    def note_end(self, trials: Iterable[Trial]) -> None:
        """Notes in `parts` that it has ended now.

        Args:
            trials: All trials; it ended after those of them that have ended.
        """
        orders = [part[0] for trial in trials for part in trial.parts]
        # A new list: a copy of this trial may share the old one.
        self.parts = [*self.parts, [max(orders, default=-1) + 1, self.epochs, self.score]]


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


def read_trial(
    held: Mapping[str, Any], number: int, where: Path | str, advice: str = RUN_AGAIN
) -> Trial:
    """Returns the trial that a JSON object describes.

    Args:
        held: The object.
        number: The number that the trial must have.
        where: Where the object was found, for the message.
        advice: What to do if it is damaged, for the message.

    Raises:
        RecipeError: It is damaged.
    """
    try:
        trial = Trial(**held)
    except TypeError as error:
        raise RecipeError(f"{where} is not a readable trial: {error}; {advice}") from error
    fine = {name: isinstance(getattr(trial, name), kind) for name, kind in KINDS.items()}
    fine["number"] = trial.number == number
    fine["status"] = trial.status in (RUNNING, RETRY, *FINISHED)
    for name in fine:
        if not fine[name]:
            found = str(getattr(trial, name))[:40]
            raise RecipeError(f"{where} is not a readable trial: its {name} is {found}; {advice}")
    return trial


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


def next_number(trials: Iterable[Trial]) -> int:
    """Returns the lowest free number. It may lie between others, where a damaged trial was deleted."""
    numbers = {trial.number for trial in trials}
    return next(number for number in itertools.count() if number not in numbers)


def history(trials: Iterable[Trial]) -> list[tuple[Trial, float | None, int]]:
    """Returns the ends of trials and of rungs, in the order in which they came.

    Hyperband trains a trial in parts, each with an end and a score. A failed trial has no score at any
    of its ends.

    Returns:
        Triples of the trial, its score at that time (None: failed), and the epochs that all trials
        together had trained by then.
    """
    ends: list[tuple[int, int, Trial, float | None, int]] = []
    for trial in trials:
        # Older files have no parts: they tell only the last end.
        older: list[list[Any]] = [[-1, trial.epochs, trial.score]] if trial.finished else []
        done = 0
        for order, epochs, score in trial.parts or older:
            score = None if trial.status == FAILED else score
            ends.append((order, trial.number, trial, score, epochs - done))
            done = epochs
    ends.sort(key=lambda end: end[:2])
    spent = itertools.accumulate(end[-1] for end in ends)
    return [(end[2], end[3], epochs) for end, epochs in zip(ends, spent, strict=True)]


def best_trial(trials: Iterable[Trial], objective: str) -> Trial | None:
    """Returns the best trial, or None if all failed.

    A trial that was stopped early is taken only where none was fully trained.
    """
    pick = max if direction(objective) == "max" else min
    # This includes running trials that Hyperband continues: they have a score already.
    scored = [trial for trial in trials if trial.score is not None and trial.status != FAILED]
    full = [trial for trial in scored if trial.status != PRUNED]
    return pick(full or scored, key=operator.attrgetter("score"), default=None)
