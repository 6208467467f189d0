"""A database that goes away for a while, and a process that holds a trial and does not answer."""

import fcntl
import re
import sqlite3
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="a shared sweep needs the extra [optuna]")

import sqlalchemy.exc
from optuna.exceptions import StorageInternalError

from common.basics.errors import RecipeError, StorageError
from common.basics.passwords import VARIABLE
from common.tuning import database
from common.tuning.shared_store import SharedStore
from common.tuning.trial import COMPLETED, RUNNING, Trial
from tests import postgres, toy_sweep


def store_of(tmp_path, name="here"):
    return SharedStore(tmp_path / name, f"sqlite:///{tmp_path}/sweep.db", "sweep", 1)


def away(words="server closed the connection unexpectedly"):
    """Returns what Optuna raises where its database is away."""
    try:
        try:
            raise sqlalchemy.exc.OperationalError("select", {}, Exception(words))
        except sqlalchemy.exc.OperationalError as error:
            raise StorageInternalError("This typically happens due to invalid data") from error
    except StorageInternalError as error:
        return error


class Flaky:
    """Optuna's storage, of which every method fails for the first few calls of each."""

    def __init__(self, storage, failures, after=False):
        self._inner, self._left, self._failures, self._after = storage, {}, failures, after

    def __getattr__(self, name):
        method = getattr(self._inner, name)
        if not callable(method):
            return method

        def call(*arguments, **options):
            left = self._left.setdefault(name, self._failures)
            if left:
                self._left[name] = left - 1
                if self._after:
                    # Done, and the answer is lost.
                    method(*arguments, **options)
                raise away()
            return method(*arguments, **options)

        return call


@pytest.mark.parametrize("after", [False, True])
def test_every_request_is_repeated_while_the_database_is_away(after, tmp_path):
    store = store_of(tmp_path)
    store.database._storage = Flaky(store.database._storage, 2, after)
    trial = Trial(0, {"x": 1}, RUNNING)
    assert store.claim(trial)
    trial.status, trial.score = COMPLETED, 0.5
    store.write(trial)
    store.release(trial)
    (seen,) = store_of(tmp_path, "other").read()
    assert (seen.status, seen.score) == (COMPLETED, 0.5)
    # What was created twice is one attempt, and nothing of it runs.
    running = [each for each in store.database.attempts() if not each.state.is_finished()]
    assert not running


def test_a_whole_search_gets_over_a_locked_database(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "QUIET_SECONDS", 0)
    url = f"sqlite:///{tmp_path}/sweep.db?timeout=0.1"
    locker = sqlite3.connect(tmp_path / "sweep.db", check_same_thread=False)

    def train(config, run):
        toy_sweep.train(config, run)
        if run.directory.parent.name == "0002":
            locker.execute("begin exclusive")
            threading.Timer(1.0, locker.rollback).start()

    tuner = toy_sweep.make_tuner(
        "random", tmp_path / "s", trials=4, module={"train": train}, storage=url
    )
    tuner.search()
    trials = tuner.oracle.store.read()
    assert [(trial.status, trial.starts) for trial in trials] == [(COMPLETED, 1)] * 4


def test_a_database_that_stays_away_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(database, "QUIET_SECONDS", 0)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 1)
    store = store_of(tmp_path)
    store.database._storage = Flaky(store.database._storage, 10**6)
    with pytest.raises(StorageError) as caught:
        store.claim(Trial(0, {"x": 1}))
    message = (
        f"the database sqlite:///{tmp_path}/sweep.db cannot be used for 1 seconds: server closed"
    )
    assert str(caught.value).startswith(message)
    error = capsys.readouterr().err
    assert error.count("does not answer (server closed the connection") == 1
    # Its folder is free again, and whoever wants to stop need not wait.
    assert not store._held
    store.hurry()
    begun = time.monotonic()
    with pytest.raises(StorageError):
        store.claim(Trial(0, {"x": 1}))
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize("words", ["database or disk is full", "No space left on device"])
def test_a_full_database_is_not_waited_for(words, tmp_path):
    store = store_of(tmp_path)

    def full():
        raise away(words)

    begun = time.monotonic()
    with pytest.raises(StorageError, match=words):
        store.database._patiently(full)
    assert time.monotonic() - begun < 0.5


def test_after_an_outage_others_are_given_the_time_to_answer(tmp_path):
    first, second = store_of(tmp_path, "a"), store_of(tmp_path, "b")
    trial = Trial(0, {"x": 1}, RUNNING)
    assert first.claim(trial)
    first._beats[0].stop()
    second.read()
    second.database._failed = time.monotonic() + 3  # As if it had been away until then.
    time.sleep(4)
    (seen,) = second.read()
    assert not second.claim(seen)
    second.database._failed = None
    assert not second.claim(seen)
    (seen,) = second.read()
    assert second.claim(seen)


def test_an_address_that_never_answered_is_refused_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "FIRST_PATIENCE_SECONDS", 0.3)
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "sweep.db").mkdir()
    with pytest.raises(
        RecipeError, match=r"the database sqlite:.* cannot be used: unable"
    ) as caught:
        store_of(tmp_path)
    assert not isinstance(caught.value, StorageError)
    # Where another process has reached it, it is away.
    monkeypatch.setenv(VARIABLE, f"sqlite:///{tmp_path}/sweep.db")
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(StorageError):
        store_of(tmp_path)


def test_tables_that_others_create_meanwhile_are_waited_for(tmp_path, monkeypatch):
    """Workers that begin at once may find tables of each other more often than a few times."""
    import optuna

    tries = []

    class Racing(optuna.storages.RDBStorage):
        def __init__(self, *arguments, **options):
            tries.append(1)
            if len(tries) <= 3 * database.CREATING_TRIES:
                there = sqlite3.OperationalError("table study_directions already exists")
                raise sqlalchemy.exc.OperationalError("CREATE TABLE", {}, there)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(optuna.storages, "RDBStorage", Racing)
    monkeypatch.setattr(database, "FIRST_PATIENCE_SECONDS", 0)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert store_of(tmp_path).read() == []
    assert len(tries) == 3 * database.CREATING_TRIES + 1


def test_nothing_of_optuna_that_begins_with_an_underscore_is_used():
    import ast

    for name in ("database.py", "shared_store.py", "optuna_tables.py", "turns.py", "live.py"):
        text = (Path(database.__file__).parent / name).read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
                assert ast.unparse(node.value) in ("self", "super()"), ast.unparse(node)


def test_a_silent_process_that_holds_a_folder_is_waited_for_without_attempts(tmp_path):
    # On one machine, or on a file system that machines share.
    first, second = store_of(tmp_path, "one"), store_of(tmp_path, "one")
    trial = Trial(0, {"x": 1}, RUNNING)
    assert first.claim(trial)
    assert second.silent() == []
    first._beats[0].stop()  # As SIGSTOP does.
    time.sleep(4)
    for _ in range(20):
        (seen,) = second.read()
        assert not second.claim(seen)
    assert len(second.database.attempts()) == 1
    assert second.silent() == [0]
    # Others can be run meanwhile.
    assert second.claim(Trial(1, {"x": 2}, RUNNING))
    # It goes on, and what it says is too late: another one takes the trial over.
    first.release(trial)
    (seen, _) = second.read()
    assert second.claim(seen)
    assert second.silent() == []


def test_a_lock_is_let_go_where_another_was_first(tmp_path):
    first, second = store_of(tmp_path, "a"), store_of(tmp_path, "b")
    original = second.database.create

    def create(*arguments):
        first.claim(Trial(0, {"x": 1}, RUNNING))
        return original(*arguments)

    second.database.create = create
    assert not second.claim(Trial(0, {"x": 2}))
    with (tmp_path / "b" / "trials" / "0000" / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


needs_postgres = pytest.mark.skipif(postgres.missing() is not None, reason=str(postgres.missing()))


@needs_postgres
def test_a_postgresql_that_is_restarted_ends_no_search(tmp_path, monkeypatch, capsys):
    with postgres.server() as (url, stop, start):

        def train(config, run):
            if run.directory.parent.name in ("0002", "0005"):
                stop()
                threading.Timer(4, start).start()
            toy_sweep.train(config, run)

        tuner = toy_sweep.make_tuner(
            "evolution", tmp_path / "s", trials=8, module={"train": train}, storage=url
        )
        tuner.search()
        trials = tuner.oracle.store.read()
        assert [(trial.number, trial.starts) for trial in trials] == [(n, 1) for n in range(8)]
        assert all(trial.finished and not trial.failures for trial in trials)
        files = toy_sweep.make_tuner("evolution", tmp_path / "f", trials=8)
        files.search()
        assert [trial.score for trial in trials] == [t.score for t in files.oracle.store.read()]
        # One that stays away is told in one line, and nothing is lost.
        monkeypatch.setattr(database, "PATIENCE_SECONDS", 2)
        tuner = toy_sweep.make_tuner(
            "evolution", tmp_path / "s", trials=10, module={"train": toy_sweep.train}, storage=url
        )
        stop()
        with pytest.raises(StorageError, match="connection") as caught:
            tuner.search()
        start()
        tuner = toy_sweep.make_tuner("evolution", tmp_path / "s", trials=10, storage=url)
        tuner.search()
        assert len(tuner.oracle.store.read()) == 10
        assert "geheim7" not in str(caught.value) + capsys.readouterr().err
