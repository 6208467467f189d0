"""The database of a shared search. It holds attempts at trials, each of them an Optuna trial.

Where the database cannot be reached, calls are repeated for some time.

Optuna's Study can write into a running trial and send heartbeats only inside Study.optimize, which is not
used here. So this module, and no other, calls the methods of Optuna's storage that Study calls itself
(see optuna.storages.BaseStorage). It uses no names that begin with an underscore.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError, StorageError, UsageError
from common.basics.files import could_not_write
from common.basics.passwords import VARIABLE, hide, reveal
from common.tuning.database_errors import of_database, passes, words
from common.tuning.optuna_tables import Tables
from common.tuning.turns import turn

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

    Parameters = Mapping[str, tuple[Any, BaseDistribution]]


# A server that is restarted, or moved to another machine, is away for minutes.
PATIENCE_SECONDS = 300
# Where a database has never answered, its address may be wrong.
FIRST_PATIENCE_SECONDS = 2
# Two processes that write at the same time wait for each other this long, which is not reported.
QUIET_SECONDS = 2
MAX_PAUSE_SECONDS = 5
# Where another process creates the tables at the same time, one try may take longer than any patience.
CREATING_TRIES = 5
_reached: set[str] = set()


class Database:
    """The attempts of one study in a database.

    Args:
        url: Address of the database. A password written as `***` is known to common.basics.passwords.
        name: Name of the study.
        interval: Seconds between heartbeats. An attempt without one for three times as long counts as
            dead.
        direction: Direction of a study that is not there yet, "maximize" or "minimize".

    Raises:
        RecipeError: Optuna or a driver is not installed, or the database cannot be reached.
        UsageError: `url` is not the address of a database.
    """

    def __init__(self, url, name, interval, direction=None):
        self.url, self.name, self.interval = url, name, interval
        self.direction = direction
        self._failed = None
        self._identifiers = {}
        self._tables = None
        # Whether this process, or the one that started it, has reached the database before.
        known = url in _reached or _started_with(url)
        self.patience = PATIENCE_SECONDS if known else FIRST_PATIENCE_SECONDS
        try:
            self._patiently(self._open)
        except ImportError as error:
            raise RecipeError(
                f"--storage needs Optuna, and PostgreSQL its driver ({error}): "
                "`pip install -e .[optuna]` in the clone, `pip install psycopg[binary]`"
            ) from error
        except StorageError as error:
            if known:
                raise
            # The address may be wrong. So this is no StorageError, which advises to repeat the command.
            raise RecipeError(f"the database {url} cannot be used: {words(error)}") from None
        _reached.add(url)
        self.patience = PATIENCE_SECONDS

    def _open(self):
        import optuna
        import sqlalchemy.exc

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        url = reveal(self.url)
        if url.startswith("sqlite:///"):
            file = Path(url.removeprefix("sqlite:///")).absolute()
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise could_not_write(file, error) from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._storage = optuna.storages.RDBStorage(
                    url,
                    engine_kwargs=engine_options(url),
                    heartbeat_interval=self.interval,
                    grace_period=3 * self.interval,
                )
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            # A ValueError quotes the text in place of the port, and that may be a password.
            reason = "" if isinstance(error, ValueError) else f" ({hide(error)})"
            raise UsageError(
                f"{self.url} is not a database URL{reason}; e.g. sqlite:///sweep.db, or "
                "postgresql://host/name; special characters of a user and password as %XX"
            ) from None
        self._study = optuna.create_study(
            study_name=self.name,
            storage=self._storage,
            direction=self.direction,
            load_if_exists=True,
        )
        self._study_id = self._storage.get_study_id_from_name(self.name)

    def attempts(self) -> list[FrozenTrial]:
        """Returns all attempts as Optuna's FrozenTrials, in the order of their creation."""
        return self._patiently(self._study.get_trials, deepcopy=False)

    def create(self, attributes: dict[str, Any], parameters: Parameters | None = None) -> int:
        """Adds a running attempt.

        Where the answer of the database is lost, the call is repeated and the attempt is there twice.

        Args:
            attributes: User attributes of the attempt, as JSON can hold them.
            parameters: Its parameters, to be shown. None: none.

        Returns:
            Optuna's identifier of the attempt, for `know`.
        """
        import optuna

        shown = parameters or {}
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            user_attrs=attributes,
            params={name: value for name, (value, _) in shown.items()},
            distributions={name: kind for name, (_, kind) in shown.items()},
        )
        identifier = self._patiently(self._storage.create_new_trial, self._study_id, trial)
        self._patiently(self._storage.record_heartbeat, identifier)
        return identifier

    def know(self, number: int, identifier: int) -> None:
        """Notes the identifier of an attempt, so that the database need not search for it."""
        self._identifiers[number] = identifier

    def note(self, number: int, key: str, value: Any) -> None:
        """Writes a user attribute of an attempt, unless the attempt has ended."""
        from optuna.exceptions import UpdateFinishedTrialError

        with contextlib.suppress(UpdateFinishedTrialError):
            self._patiently(self._storage.set_trial_user_attr, self._id(number), key, value)

    def end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        """Ends an attempt, unless it has ended.

        Args:
            number: Number of the attempt.
            state: How it ended.
            values: Its score, if it has one.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        with contextlib.suppress(UpdateFinishedTrialError):
            self._patiently(self._storage.set_trial_state_values, self._id(number), state, values)

    def beat(self, number: int) -> bool:
        """Sends a heartbeat of an attempt; returns whether that worked. It is not repeated here."""
        try:
            self._storage.record_heartbeat(self._id(number))
        except Exception:
            self._failed = time.monotonic()
            return False
        return True

    def fail_stale(self) -> bool:
        """Ends the attempts that have sent no heartbeat for too long.

        It does nothing soon after an outage of the database, in which no process could send one.

        Returns:
            Whether it was done.
        """
        import optuna

        if self._failed is not None and time.monotonic() - self._failed < 3 * self.interval:
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._patiently(optuna.storages.fail_stale_trials, self._study)
        return True

    def show(self, number: int, values: Mapping[int, float]) -> bool:
        """Writes values of an attempt by step, for whoever looks on; returns whether that worked.

        No search depends on them. So it is not repeated.
        """
        import sqlalchemy.exc

        try:
            self._tables = self._tables or Tables(self._storage.engine)
            self._tables.add_values(self._id(number), values)
        except (sqlalchemy.exc.SQLAlchemyError, StorageError):
            return False
        return True

    def upgrade(
        self, direction: str, shown: Callable[[FrozenTrial], tuple[Parameters, dict[int, float]]]
    ) -> None:
        """Gives Optuna's form to a study and its attempts that were written without it.

        Args:
            direction: "maximize" or "minimize".
            shown: Function that returns the parameters and the values by step of an attempt.
        """
        import sqlalchemy.exc

        bare = [attempt for attempt in self.attempts() if not attempt.params]
        try:
            Tables(self._storage.engine).upgrade(
                self._study_id,
                direction,
                [(self._id(attempt.number), *shown(attempt)) for attempt in bare],
            )
        except sqlalchemy.exc.IntegrityError:
            return  # Another process has just done it.
        except sqlalchemy.exc.SQLAlchemyError as error:
            _say(
                f"{self.url}: the study {self.name} is of an earlier version, and optuna-dashboard will "
                f"show it wrongly ({words(error)}); the search is not touched by that"
            )

    def turn(self) -> contextlib.AbstractContextManager[bool] | None:
        """Returns a context in which no other process chooses a trial; None where there is no such."""
        engine = self._storage.engine
        return turn(engine, self.name) if engine.dialect.name == "postgresql" else None

    def read(self, key: str) -> Any:
        """Returns a user attribute of the study, or None where there is none."""
        return self._patiently(lambda: self._study.user_attrs).get(key)

    def write(self, key: str, value: Any) -> None:
        """Writes a user attribute of the study."""
        self._patiently(self._study.set_user_attr, key, value)

    def drop(self) -> None:
        """Deletes the study."""
        with contextlib.suppress(KeyError):  # It was deleted, and the answer was lost.
            self._patiently(self._storage.delete_study, self._study_id)

    def _id(self, number):
        if number not in self._identifiers:
            self._identifiers[number] = self._patiently(
                self._storage.get_trial_id_from_study_id_trial_number, self._study_id, number
            )
        return self._identifiers[number]

    def _patiently(self, function, *arguments, **options):
        """Calls a function of the database, and repeats the call while the database is away.

        Raises:
            StorageError: The database was away for too long, or is damaged.
        """
        # Two processes that create the tables at the same time get errors of all kinds.
        opening = function == self._open
        begun, pause, told, tries = time.monotonic(), 0.1, False, 0
        while True:
            try:
                result = function(*arguments, **options)
            except Exception as error:
                if not of_database(error):
                    raise
                self._failed = time.monotonic()
                waited, tries = self._failed - begun, tries + 1
                passing = passes(error)
                # A table that is there by now was created by another process: the database answers.
                created = "already exists" in str(error) and waited < PATIENCE_SECONDS
                racing = opening and (created or (not passing and tries < CREATING_TRIES))
                if not racing and (waited >= self.patience or not (opening or passing)):
                    times = f" for {waited:.0f} seconds" if waited >= 1 else ""
                    raise StorageError(
                        f"the database {self.url} cannot be used{times}: {words(error)}"
                    ) from error
                if waited >= QUIET_SECONDS and not told:
                    told = True
                    _say(
                        f"{self.url} does not answer ({words(error)}); trying again for "
                        f"{self.patience:.0f} seconds"
                    )
                time.sleep(min(pause, max(self.patience - waited, 0)))
                pause = min(2 * pause, MAX_PAUSE_SECONDS)
            else:
                if told:
                    _say(f"{self.url} answers again")
                return result


def engine_options(url: str) -> dict[str, Any]:
    """Returns SQLAlchemy's options for a database.

    A PostgreSQL allows 100 connections unless it is told otherwise. A worker keeps two, for its turn and
    for all else; the third and fourth, of a heartbeat, are closed after use.
    """
    # Opens a connection again if it broke while it was not used.
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgres"):
        options |= {"pool_size": 2, "max_overflow": 2}
    return options


def _started_with(url):
    """Returns whether the process that started this one has reached a database: it says so."""
    given = os.environ.get(VARIABLE)
    return given is not None and hide(given, word=True) == url


def _say(text):
    # Where the message cannot be written (a log on a full disk), waiting goes on all the same.
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
