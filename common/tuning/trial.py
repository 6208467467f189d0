"""One point of a search space with its result, and what is said about many of them."""

from __future__ import annotations

import dataclasses
import itertools
import operator
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from common.basics.errors import RecipeError
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
