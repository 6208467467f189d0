"""Trials in a database, for workers on several machines: SQLite on one, PostgreSQL by URL on more.

Optuna's storage is the engine: its tables, transactions and heartbeats (extra [optuna]). Every start of
a trial is an Optuna trial, here an attempt. Who gets a trial is settled by creating the attempt: the
storage numbers attempts one after the other, and of those with the same (trial, attempt) pair the
lowest number has it. An attempt whose process stops sending heartbeats is failed by whoever notices,
and the trial can be claimed again. There is no chief, so none can die.

KerasTuner's own chief and workers are not used: a chief waits for ever for a worker that died.
"""

import contextlib
import dataclasses
import threading
import time
import warnings
from pathlib import Path

from common.errors import RecipeError, UsageError
from common.tuning.store import COMPLETED, PRUNED, Store, Trial

HEARTBEAT_SECONDS = 10


def make_store(directory, url=None, name=None):
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
        self.url, self.study_name = url, name
        self.interval = heartbeat_seconds or HEARTBEAT_SECONDS
        try:
            self.study = _open(url, name, self.interval)
        except ImportError as error:
            raise RecipeError(
                f"--storage needs Optuna, and PostgreSQL its driver ({error}): "
                "`pip install -e .[optuna]` in the clone, `pip install psycopg[binary]`"
            ) from error
        self.storage = self.study._storage
        self.study_id = self.study._study_id
        self._beats = {}
        self._noticed = set()

    @contextlib.contextmanager
    def lock(self):
        """Locks nothing: claiming is atomic, and nobody writes what others run."""
        yield

    def _attempts(self):
        """Returns the attempts that count, by trial number, each list in order."""
        import optuna

        chains = {}
        for attempt in self.study.get_trials(deepcopy=False):
            number, order = attempt.user_attrs["attempt"]
            # The first of several with the same pair has it: they come in the order of creation.
            chains.setdefault(number, {}).setdefault(order, attempt)
            if attempt.state == optuna.trial.TrialState.RUNNING:
                self._notice(attempt)
        return {n: [chain[order] for order in sorted(chain)] for n, chain in chains.items()}

    def _notice(self, attempt):
        """Sends a first heartbeat for an attempt: Optuna takes one that has none for alive for ever."""
        if attempt._trial_id not in self._noticed:
            self._noticed.add(attempt._trial_id)
            self.storage.record_heartbeat(attempt._trial_id)

    def read(self):
        trials = []
        for _, chain in sorted(self._attempts().items()):
            trial = Trial(**chain[-1].user_attrs["record"])
            # Whoever claims it says by this which state of it he saw.
            trial.attempts = len(chain)
            trials.append(trial)
        return trials

    def _fail_stale(self):
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)

    def claim(self, trial):
        import optuna

        self._fail_stale()
        chain = self._attempts().get(trial.number, [])
        if chain and chain[-1].state == optuna.trial.TrialState.RUNNING:
            return False
        if len(chain) != getattr(trial, "attempts", 0):
            return False  # Somebody has had it since the trials were read.
        attempt = [trial.number, len(chain)]
        identifier = self.storage.create_new_trial(
            self.study_id,
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                user_attrs={"attempt": attempt, "record": dataclasses.asdict(trial)},
            ),
        )
        self.storage.record_heartbeat(identifier)
        mine = self._attempts()[trial.number][attempt[1]]
        if mine._trial_id != identifier:
            self.storage.set_trial_state_values(identifier, optuna.trial.TrialState.FAIL)
            return False
        # On a file system that machines share, its run folder must be free as well.
        if not super().claim(trial):
            self.storage.set_trial_state_values(identifier, optuna.trial.TrialState.FAIL)
            return False
        self._beats[trial.number] = _Heartbeat(self.storage, identifier, self.interval)
        return True

    def write(self, trial):
        self._write(self._beats[trial.number].identifier, trial)

    def _write(self, identifier, trial, state=None, values=None):
        from optuna.exceptions import UpdateFinishedTrialError

        # Refused where this process was taken for dead (a suspended laptop): the trial is another's.
        with contextlib.suppress(UpdateFinishedTrialError):
            self.storage.set_trial_user_attr(identifier, "record", dataclasses.asdict(trial))
            if state is not None:
                self.storage.set_trial_state_values(identifier, state, values)

    def release(self, trial):
        from optuna.trial import TrialState

        beat = self._beats.pop(trial.number, None)
        if beat is not None:
            beat.stop()
            states = {COMPLETED: TrialState.COMPLETE, PRUNED: TrialState.PRUNED}
            state = states.get(trial.status, TrialState.FAIL)
            values = [trial.score] if state != TrialState.FAIL else None
            self._write(beat.identifier, trial, state, values)
        super().release(trial)

    def bury(self, trial):
        from optuna.trial import TrialState

        self._write(self._attempts()[trial.number][-1]._trial_id, trial, TrialState.FAIL)

    def agree(self, definition):
        """Stores what the study is, the first time; returns what is stored."""
        held = self.study.user_attrs.get("definition")
        if held is None:
            self.study.set_user_attr("definition", definition)
        return held or definition

    def drop(self):
        """Deletes the study, so that a search of its name can start over; this store is of no use then.

        Raises:
            UsageError: Somebody works on it.
        """
        from optuna.trial import TrialState

        self._fail_stale()
        ends = [chain[-1] for chain in self._attempts().values()]
        running = [end.user_attrs["record"] for end in ends if end.state == TrialState.RUNNING]
        if running:
            names = ", ".join(f"{each['number']} (worker {each['worker']})" for each in running)
            raise UsageError(
                f"somebody works on {self.study_name} in the database, on trial {names}; stop that "
                f"before --fresh. A killed process counts as working for {3 * self.interval} seconds"
            )
        self.storage.delete_study(self.study_id)


class _Heartbeat:
    """Tells the storage, again and again, that an attempt is alive.

    Optuna's own heartbeat thread belongs to Study.optimize, which is not used here.
    """

    def __init__(self, storage, identifier, seconds):
        self.identifier = identifier
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, args=(storage, identifier, seconds), daemon=True
        )
        self._thread.start()

    def _beat(self, storage, identifier, seconds):
        while not self._stopped.wait(seconds):
            # A database that is away for a moment is no reason to stop.
            with contextlib.suppress(Exception):
                storage.record_heartbeat(identifier)

    def stop(self):
        """Ends it."""
        self._stopped.set()
        self._thread.join()


def _open(url, name, seconds):
    """Opens or creates the study; two that create the tables at once try again."""
    import optuna
    import sqlalchemy.exc

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).absolute().parent.mkdir(parents=True, exist_ok=True)
    last = None
    for _ in range(5):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                storage = optuna.storages.RDBStorage(
                    url, heartbeat_interval=seconds, grace_period=3 * seconds
                )
            return optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
        except (sqlalchemy.exc.DBAPIError, optuna.exceptions.StorageInternalError) as error:
            last = error
            time.sleep(0.5)
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            raise RecipeError(
                f"{url} is not a database URL ({error}); e.g. sqlite:///sweep.db"
            ) from error
    raise RecipeError(f"the database {url} cannot be used: {last}") from last
