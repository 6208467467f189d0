"""Trials in a database: SQLite for workers on one machine, PostgreSQL for several machines.

Tables, transactions and heartbeats are those of Optuna's storage (database.py, extra [optuna]). Every
start of a trial is an Optuna trial, which is called an attempt here. A worker claims a trial by creating
an attempt. The storage numbers the attempts one after the other. Where several workers create the same
attempt at the same trial, the lowest number wins. An attempt whose process sends no more heartbeats is
ended by any worker that notices, and the trial can be claimed again. There is no chief that could die.

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
    """Returns the store of a sweep folder, or of a database if there is a URL.

    Args:
        directory: The sweep folder.
        url: Address of the database.
        name: Name of the search in the database.
    """
    return Store(directory) if url is None else SharedStore(directory, url, name)


class SharedStore(Store):
    """The trials of a search in a database.

    Args:
        directory: Sweep folder on this machine, for run folders and tables.
        url: Address of the database, e.g. `sqlite:///sweep.db` or
            `postgresql://user:password@host/name`.
        name: Name of the search in the database.
        heartbeat_seconds: Seconds between heartbeats (default: HEARTBEAT_SECONDS). A process without
            one for three times as long counts as dead.

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
        """Locks nothing: claiming is atomic, and no process writes trials that others run."""
        yield

    def hurry(self) -> None:
        self.database.patience = 0

    def _attempts(self):
        """Returns the valid attempts at each trial, in order, by the number of the trial."""
        chains = {}
        for attempt in self.database.attempts():
            number, order = attempt.user_attrs["attempt"]
            # Of several with the same pair the first is valid. They come in the order of creation.
            chains.setdefault(number, {}).setdefault(order, attempt)
            if _running(attempt):
                self._notice(attempt)
        return {n: [chain[order] for order in sorted(chain)] for n, chain in chains.items()}

    def _notice(self, attempt):
        """Sends a first heartbeat for an attempt. Without any, it counts as alive for ever in Optuna."""
        if attempt.number not in self._noticed and self.database.beat(attempt.number):
            self._noticed.add(attempt.number)

    def read(self) -> list[Trial]:
        trials = []
        for number, chain in sorted(self._attempts().items()):
            where = f"trial {number} in {self.database.url}"
            record = chain[-1].user_attrs["record"]
            trial = read_trial(record, number, where, "start over with --fresh")
            # `claim` compares this with the database, to notice what has happened since.
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
        self._beats[trial.number] = _Heartbeat(self.database, number, self.interval)
        return True

    def _win(self, trial, pair):
        """Creates an attempt; returns its number, or None if another process was faster."""
        from optuna.trial import TrialState

        claim = uuid.uuid4().hex
        record = dataclasses.asdict(trial)
        self.database.create({"attempt": pair, "claim": claim, "record": record})
        first = self._attempts()[trial.number][pair[1]]
        for attempt in self.database.attempts():
            # Another process was faster, or the call was repeated because its answer was lost.
            if attempt.user_attrs.get("claim") == claim and attempt.number != first.number:
                self.database.end(attempt.number, TrialState.FAIL)
        return first.number if first.user_attrs.get("claim") == claim else None

    def write(self, trial: Trial) -> None:
        # Without effect where this process was taken for dead (a suspended laptop): another one may
        # run the trial by now.
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
        # Not where another process has taken it over since it was read.
        if trial.attempts in (0, len(chain)):
            self.database.note(chain[-1].number, "record", dataclasses.asdict(trial))
            self.database.end(chain[-1].number, TrialState.FAIL)

    def agree(self, definition: dict[str, Any]) -> dict[str, Any]:
        """Stores the definition of the search if there is none yet; returns the stored one."""
        held = self.database.read("definition")
        if held is None:
            self.database.write("definition", definition)
            return definition
        shown = {**held, "storage": keep(held.get("storage"))}
        if shown != held:  # Older searches stored the password in the database.
            self.database.write("definition", shown)
        return shown

    def drop(self) -> None:
        """Deletes the search, so that one of its name can start over. This store is of no use then.

        Raises:
            UsageError: Another process works on it.
        """
        self.database.fail_stale()
        ends = [chain[-1] for chain in self._attempts().values()]
        running = [end.user_attrs["record"] for end in ends if _running(end)]
        if running:
            names = ", ".join(f"{each['number']} (worker {each['worker']})" for each in running)
            raise UsageError(
                f"another process works on {self.database.name} in the database, on trial {names}; stop "
                f"it before --fresh. A killed process counts as working for {3 * self.interval} seconds"
            )
        self.database.drop()


def _running(attempt):
    from optuna.trial import TrialState

    return attempt.state == TrialState.RUNNING


class _Heartbeat:
    """Tells the database at regular intervals that an attempt is alive.

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
        """Ends the heartbeats."""
        self._stopped.set()
        self._thread.join()
