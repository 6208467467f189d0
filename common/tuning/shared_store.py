"""Trials in a database: SQLite for workers on one machine, PostgreSQL for several machines.

Tables, transactions and heartbeats are those of Optuna's storage (database.py, extra [optuna]). Every
start of a trial is an Optuna trial, which is called an attempt here. It holds the whole Trial, and beside
it parameters, curve and score in Optuna's own form, for optuna-dashboard (optuna_form.py).

A worker claims a trial by creating an attempt. The storage numbers the attempts one after the other.
Where several workers create the same attempt at the same trial, the lowest number wins. An attempt whose
process sends no more heartbeats is ended by any worker that notices, and the trial can be claimed again.
There is no chief that could die.

KerasTuner's own chief and workers are not used: a chief waits for ever for a worker that died.
"""

import contextlib
import copy
import dataclasses
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common.basics.errors import UsageError
from common.basics.passwords import keep
from common.tuning.database import Database
from common.tuning.live import Live
from common.tuning.optuna_form import OptunaForm, finite
from common.tuning.store import Store
from common.tuning.trial import COMPLETED, PRUNED, RUNNING, Trial, read_trial

HEARTBEAT_SECONDS = 10
# Marks a study whose attempts have Optuna's form.
FORM = 1


def make_store(
    directory: Path | str,
    url: str | None = None,
    name: str | None = None,
    form: OptunaForm | None = None,
) -> Store:
    """Returns the store of a sweep folder, or of a database if there is a URL.

    Args:
        directory: The sweep folder.
        url: Address of the database.
        name: Name of the search in the database.
        form: How trials are shown to users of Optuna. None: without parameters and curves.
    """
    return Store(directory) if url is None else SharedStore(directory, url, name, form=form)


class SharedStore(Store):
    """The trials of a search in a database.

    Args:
        directory: Sweep folder on this machine, for run folders and tables.
        url: Address of the database, e.g. `sqlite:///sweep.db` or
            `postgresql://user:password@host/name`.
        name: Name of the search in the database.
        heartbeat_seconds: Seconds between heartbeats (default: HEARTBEAT_SECONDS). A process without
            one for three times as long counts as dead.
        form: How trials are shown to users of Optuna. None: without parameters and curves.

    Raises:
        RecipeError: Optuna is not installed, or the database cannot be reached.
    """

    def __init__(self, directory, url, name, heartbeat_seconds=None, form=None):
        super().__init__(directory)
        self.interval = heartbeat_seconds or HEARTBEAT_SECONDS
        self.form = form
        direction = None if form is None else form.direction
        self.database = Database(keep(url), name, self.interval, direction)
        self._beats = {}
        # Attempts as they were last seen, by their number; and by trial and order those that are valid.
        self._seen, self._chains = {}, {}
        # Trials whose last attempt has ended, so that they stay as they are.
        self._ended = {}
        self._running_since, self._noticed, self._next_look = {}, set(), 0.0

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Locks nothing: claiming is atomic, and no process writes trials that others run."""
        yield

    def choosing(self) -> contextlib.AbstractContextManager[Any]:
        return self.database.turn() or super().lock()

    def hurry(self) -> None:
        self.database.patience = 0

    def _refresh(self):
        """Takes in what has changed in the database; returns the attempts that are new or not over."""
        changed = []
        for attempt in self.database.attempts():
            if self._seen.get(attempt.number) is attempt:
                continue  # It had ended before. Optuna keeps those, and reads the others again.
            self._seen[attempt.number] = attempt
            if "attempt" not in attempt.user_attrs:
                continue  # Somebody has added a trial of their own, in optuna-dashboard say.
            changed.append(attempt)
            number, order = attempt.user_attrs["attempt"]
            chain = self._chains.setdefault(number, {})
            # Of several with the same pair the first is valid.
            if attempt.number <= chain.setdefault(order, attempt).number:
                chain[order] = attempt
                self._ended.pop(number, None)
            if _running(attempt):
                self._running_since.setdefault(attempt.number, time.monotonic())
        return changed

    def _look(self):
        """Ends attempts of dead processes, but does not ask for them more often than needed."""
        if time.monotonic() < self._next_look or not self.database.fail_stale():
            return
        self._next_look = time.monotonic() + self.interval / 4
        for attempt in self._refresh():
            if _running(attempt):
                self._notice(attempt.number)

    def _notice(self, number):
        """Sends a first heartbeat for an attempt that has been running for a while.

        Without any, it counts as alive for ever in Optuna. Its process may have died before the first.
        """
        waited = time.monotonic() - self._running_since[number]
        if number not in self._noticed and waited > self.interval and self.database.beat(number):
            self._noticed.add(number)

    def read(self) -> list[Trial]:
        self._refresh()
        return [self._trial(number) for number in sorted(self._chains)]

    def _trial(self, number):
        trial = self._ended.get(number)
        if trial is None:
            chain = self._chains[number]
            last = _last(chain)
            where = f"trial {number} in {self.database.url}"
            trial = read_trial(last.user_attrs["record"], number, where, "start over with --fresh")
            # `claim` compares this with the database, to notice what has happened since.
            trial.attempts = len(chain)
            trial.alive = _running(last)
            if not trial.alive:
                self._ended[number] = trial
        # The caller may change it, and may not get it.
        return copy.copy(trial)

    def silent(self) -> list[int]:
        self._refresh()
        return [
            number
            for number, chain in self._chains.items()
            if not _running(_last(chain))
            and _last(chain).user_attrs["record"]["status"] == RUNNING
            and self._held_elsewhere(number)
        ]

    def claim(self, trial: Trial) -> bool:
        chain = self._chains.get(trial.number, {})
        if trial.alive or (chain and _running(_last(chain))):
            # Where it has ended since, it may have been by itself: whoever reads it again will see.
            self._look()
            return False
        if len(chain) != trial.attempts:
            return False  # Another process has started it since the trials were read.
        # Its run folder must be free as well, which matters on a shared file system: a process that is
        # stopped sends no heartbeats, but still holds the folder. Then no attempt is created.
        if not super().claim(trial):
            return False
        try:
            number = self._win(trial, [trial.number, len(chain)])
        except BaseException:
            super().release(trial)
            raise
        if number is None:
            super().release(trial)
            return False
        live = self._beats[trial.number] = Live(self.database, number, self.interval)
        live.record = json.dumps(dataclasses.asdict(trial))
        return True

    def _win(self, trial, pair):
        """Creates an attempt; returns its number, or None if another process was faster."""
        from optuna.trial import TrialState

        claim = uuid.uuid4().hex
        attributes = {"attempt": pair, "claim": claim, "record": dataclasses.asdict(trial)}
        shown = {} if self.form is None else self.form.parameters(trial.values)
        identifier = self.database.create(attributes, shown)
        mine = [each for each in self._refresh() if each.user_attrs.get("claim") == claim]
        if len(mine) == 1:
            self.database.know(mine[0].number, identifier)
        self._noticed |= {attempt.number for attempt in mine}
        first = self._chains[trial.number][pair[1]]
        for attempt in mine:
            # Another process was faster, or the call was repeated because its answer was lost.
            if attempt.number != first.number:
                self.database.end(attempt.number, TrialState.FAIL)
        return first.number if first.user_attrs.get("claim") == claim else None

    def progress(self, trial: Trial, values: Sequence[float]) -> None:
        self._beats[trial.number].show(values)

    def write(self, trial: Trial) -> None:
        # Without effect where this process was taken for dead (a suspended laptop): another one may
        # run the trial by now.
        self._write(self._beats[trial.number], trial)

    def _write(self, beat, trial):
        """Writes the record of an attempt, unless it is there."""
        record = json.dumps(dataclasses.asdict(trial))
        if record != beat.record:
            self.database.note(beat.number, "record", json.loads(record))
            beat.record = record

    def release(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        beat = self._beats.pop(trial.number, None)
        try:
            if beat is not None:
                states = {COMPLETED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}
                state = states.get(trial.status, TrialState.FAIL)
                values = [trial.score] if state != TrialState.FAIL else None
                if self.form is not None:
                    beat.show(self.form.curve(trial.curves), last=True)
                self._write(beat, trial)
                self.database.end(beat.number, state, values)
        finally:
            if beat is not None:
                beat.stop()
            super().release(trial)

    def bury(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        self._refresh()
        chain = self._chains[trial.number]
        # Not where another process has taken it over since it was read.
        if trial.attempts in (0, len(chain)):
            self.database.note(_last(chain).number, "record", dataclasses.asdict(trial))
            self.database.end(_last(chain).number, TrialState.FAIL)

    def agree(self, definition: dict[str, Any]) -> dict[str, Any]:
        """Stores the definition of the search if there is none yet; returns the stored one.

        A search of before Optuna's form gets that form here; its trials stay what they are.
        """
        if self.form is not None and self.database.read("form") != FORM:
            self.database.upgrade(self.form.direction, self._as_shown)
            self.database.write("form", FORM)
        held = self.database.read("definition")
        if held is None:
            self.database.write("definition", definition)
            return definition
        shown = {**held, "storage": keep(held.get("storage"))}
        if shown != held:  # Older searches stored the password in the database.
            self.database.write("definition", shown)
        return shown

    def _as_shown(self, attempt):
        """Returns the parameters and the curve of an attempt, from its record."""
        record = attempt.user_attrs.get("record")
        if record is None:
            return {}, {}
        curve = finite(self.form.curve(record["curves"]))
        return self.form.parameters(record["values"]), curve

    def drop(self) -> None:
        """Deletes the search, so that one of its name can start over. This store is of no use then.

        Raises:
            UsageError: Another process works on it.
        """
        self.database.fail_stale()
        self._refresh()
        ends = [_last(chain) for chain in self._chains.values()]
        running = [end.user_attrs["record"] for end in ends if _running(end)]
        if running:
            names = ", ".join(f"{each['number']} (worker {each['worker']})" for each in running)
            raise UsageError(
                f"another process works on {self.database.name} in the database, on trial {names}; stop "
                f"it before --fresh. A killed process counts as working for {3 * self.interval} seconds"
            )
        self.database.drop()


def _last(chain):
    """Returns the last of the attempts at a trial, given by their order."""
    return chain[max(chain)]


def _running(attempt):
    from optuna.trial import TrialState

    return attempt.state == TrialState.RUNNING
