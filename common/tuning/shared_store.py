"""Trials in a database, for workers on several machines: SQLite on one, PostgreSQL by URL on more.

Optuna's storage is the engine: its tables, transactions and heartbeats (database.py, extra [optuna]).
Every start of a trial is an Optuna trial, here an attempt. Who gets a trial is settled by creating the
attempt: the storage numbers attempts one after the other, and of those with the same (trial, attempt)
pair the lowest number has it. An attempt whose process stops sending heartbeats is failed by whoever
notices, and the trial can be claimed again. There is no chief, so none can die.

KerasTuner's own chief and workers are not used: a chief waits for ever for a worker that died.
"""

import contextlib
import dataclasses
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.basics.errors import UsageError
from common.basics.passwords import keep
from common.tuning.database import Database
from common.tuning.store import COMPLETED, PRUNED, RUNNING, Store, Trial, read_trial

HEARTBEAT_SECONDS = 10


def make_store(directory: Path | str, url: str | None = None, name: str | None = None) -> Store:
    """Returns the Store of a sweep folder, or of a database where there is a URL."""
    return Store(directory) if url is None else SharedStore(directory, url, name)


class SharedStore(Store):
    """The trials of one study.

    Args:
        directory: Sweep folder on this machine, for run folders and tables.
        url: Database, e.g. `sqlite:///sweep.db` or `postgresql://user:password@host/name`.
        name: Name of the study; the sweep's.
        heartbeat_seconds: Interval of heartbeats (default: HEARTBEAT_SECONDS). A process that sent
            none for three times as long counts as dead.

    Raises:
        RecipeError: Optuna is not installed, or the database cannot be reached.
    """

    def __init__(self, directory, url, name, heartbeat_seconds=None):
        super().__init__(directory)
        self.interval = heartbeat_seconds or HEARTBEAT_SECONDS
        self.database = Database(keep(url), name, self.interval)
        self._beats = {}
        self._noticed = set()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Locks nothing: claiming is atomic, and nobody writes what others run."""
        yield

    def hurry(self) -> None:
        self.database.patience = 0

    def _attempts(self):
        """Returns the attempts that count, by trial number, each list in order."""
        chains = {}
        for attempt in self.database.attempts():
            number, order = attempt.user_attrs["attempt"]
            # The first of several with the same pair has it: they come in the order of creation.
            chains.setdefault(number, {}).setdefault(order, attempt)
            if _running(attempt):
                self._notice(attempt)
        return {n: [chain[order] for order in sorted(chain)] for n, chain in chains.items()}

    def _notice(self, attempt):
        """Sends a first heartbeat for an attempt: Optuna takes one that has none for alive for ever."""
        if attempt.number not in self._noticed and self.database.beat(attempt.number):
            self._noticed.add(attempt.number)

    def read(self) -> list[Trial]:
        trials = []
        for number, chain in sorted(self._attempts().items()):
            where = f"trial {number} in {self.database.url}"
            record = chain[-1].user_attrs["record"]
            trial = read_trial(record, number, where, "start over with --fresh")
            # Whoever claims it says by this which state of it he saw.
            trial.attempts = len(chain)
            trials.append(trial)
        return trials

    def silent(self) -> list[int]:
        return [
            number
            for number, chain in self._attempts().items()
            if not _running(chain[-1])
            and chain[-1].user_attrs["record"]["status"] == RUNNING
            and self._held_elsewhere(number)
        ]

    def claim(self, trial: Trial) -> bool:
        self.database.fail_stale()
        chain = self._attempts().get(trial.number, [])
        if chain and _running(chain[-1]):
            return False
        if len(chain) != trial.attempts:
            return False  # Somebody has had it since the trials were read.
        # On a file system that machines share, its run folder must be free as well: a process that is
        # stopped sends no heartbeats and holds it all the same. There is no attempt to be made then.
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
        self._beats[trial.number] = _Heartbeat(self.database, number, self.interval)
        return True

    def _win(self, trial, pair):
        """Creates an attempt; returns its number, or None where another process was first."""
        from optuna.trial import TrialState

        claim = uuid.uuid4().hex
        record = dataclasses.asdict(trial)
        self.database.create({"attempt": pair, "claim": claim, "record": record})
        first = self._attempts()[trial.number][pair[1]]
        for attempt in self.database.attempts():
            # Another process was first, or a request was repeated because its answer was lost.
            if attempt.user_attrs.get("claim") == claim and attempt.number != first.number:
                self.database.end(attempt.number, TrialState.FAIL)
        return first.number if first.user_attrs.get("claim") == claim else None

    def write(self, trial: Trial) -> None:
        # Refused where this process was taken for dead (a suspended laptop): the trial is another's.
        number = self._beats[trial.number].number
        self.database.note(number, "record", dataclasses.asdict(trial))

    def release(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        beat = self._beats.pop(trial.number, None)
        try:
            if beat is not None:
                states = {COMPLETED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}
                state = states.get(trial.status, TrialState.FAIL)
                values = [trial.score] if state != TrialState.FAIL else None
                self.database.note(beat.number, "record", dataclasses.asdict(trial))
                self.database.end(beat.number, state, values)
        finally:
            if beat is not None:
                beat.stop()
            super().release(trial)

    def bury(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        chain = self._attempts()[trial.number]
        # Unless somebody has taken it over since it was read.
        if len(chain) == trial.attempts:
            self.database.note(chain[-1].number, "record", dataclasses.asdict(trial))
            self.database.end(chain[-1].number, TrialState.FAIL)

    def agree(self, definition: dict[str, Any]) -> dict[str, Any]:
        """Stores what the study is, the first time; returns what is stored."""
        held = self.database.read("definition")
        if held is None:
            self.database.write("definition", definition)
            return definition
        shown = {**held, "storage": keep(held.get("storage"))}
        if (
            shown != held
        ):  # Searches of before kept the password, for all who can read the database.
            self.database.write("definition", shown)
        return shown

    def drop(self) -> None:
        """Deletes the study, so that a search of its name can start over; this store is of no use then.

        Raises:
            UsageError: Somebody works on it.
        """
        self.database.fail_stale()
        ends = [chain[-1] for chain in self._attempts().values()]
        running = [end.user_attrs["record"] for end in ends if _running(end)]
        if running:
            names = ", ".join(f"{each['number']} (worker {each['worker']})" for each in running)
            raise UsageError(
                f"somebody works on {self.database.name} in the database, on trial {names}; stop that "
                f"before --fresh. A killed process counts as working for {3 * self.interval} seconds"
            )
        self.database.drop()


def _running(attempt):
    from optuna.trial import TrialState

    return attempt.state == TrialState.RUNNING


class _Heartbeat:
    """Tells the database, again and again, that an attempt is alive.

    Optuna's own heartbeat thread belongs to Study.optimize, which is not used here.
    """

    def __init__(self, database, number, seconds):
        self.number = number
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, args=(database, seconds), daemon=True)
        self._thread.start()

    def _beat(self, database, seconds):
        while not self._stopped.wait(seconds):
            database.beat(self.number)

    def stop(self):
        """Ends it."""
        self._stopped.set()
        self._thread.join()
