"""A sweep in a database: the same results as in files, and workers that are killed and join late."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="a shared sweep needs the extra [optuna]")

from common.basics.errors import RecipeError
from common.cli import main
from common.tuning import database, turns
from common.tuning.database import Database
from common.tuning.shared_store import SharedStore
from common.tuning.trial import COMPLETED, FINISHED, RUNNING, Trial, next_number
from tests import postgres, toy_sweep

KILLS = 8 if os.environ.get("RUN_SLOW") else 3


def store_of(tmp_path, name="here"):
    return SharedStore(tmp_path / name, f"sqlite:///{tmp_path}/sweep.db", "sweep", 1)


@pytest.mark.parametrize("method", ["grid", "evolution", "hyperband"])
def test_the_same_sweep_as_in_files(method, tmp_path):
    url = f"sqlite:///{tmp_path}/sweep.db"
    shared = toy_sweep.make_tuner(method, tmp_path / "s", trials=12, storage=url)
    shared.search()
    files = toy_sweep.make_tuner(method, tmp_path / "f", trials=12)
    files.search()

    def rows(tuner):
        return [(t.values, t.status, t.score, t.epochs) for t in tuner.oracle.store.read()]

    assert rows(shared) == rows(files)


def test_a_trial_has_one_owner(tmp_path):
    first, second = store_of(tmp_path, "a"), store_of(tmp_path, "b")
    trial = Trial(0, {"x": 1})
    assert first.claim(trial)
    # The other one chose the same number before it saw this claim, or tries after it.
    assert not second.claim(Trial(0, {"x": 2}))
    (seen,) = second.read()
    assert seen.values == {"x": 1}
    assert not second.claim(seen)
    trial.status, trial.score = COMPLETED, 0.5
    first.write(trial)
    first.release(trial)
    assert store_of(tmp_path, "c").read()[0].score == 0.5


def test_a_finished_trial_is_continued_by_one_only(tmp_path):
    first, second = store_of(tmp_path, "a"), store_of(tmp_path, "b")
    trial = Trial(0, {"x": 1})
    first.claim(trial)
    trial.status, trial.score = "pruned", 0.5
    first.write(trial)
    first.release(trial)
    (mine,), (other,) = first.read(), second.read()
    assert first.claim(mine)
    mine.status = COMPLETED
    first.write(mine)
    first.release(mine)
    # It has been continued since `other` was read: not once more.
    assert not second.claim(other)


def test_a_trial_that_ends_while_another_process_asks_for_it_is_not_run_again(tmp_path):
    first, second = store_of(tmp_path, "a"), store_of(tmp_path, "b")
    trial = Trial(0, {"x": 1}, RUNNING)
    first.claim(trial)
    (seen,) = second.read()
    trial.status, trial.score = COMPLETED, 0.5
    first.write(trial)
    first.release(trial)
    assert not second.claim(seen)
    # Nor once this process knows that it has ended, for another reason.
    second.read()
    assert not second.claim(seen)
    assert len(second.database.attempts()) == 1


def test_a_process_known_to_be_dead_need_not_be_waited_for(tmp_path):
    first, second = store_of(tmp_path, "a"), store_of(tmp_path, "b")
    trial = Trial(0, {"x": 1}, RUNNING)
    first.claim(trial)
    trial.failures = 1
    second.bury(trial)
    (seen,) = second.read()
    assert seen.failures == 1
    assert second.claim(seen)
    # The first one is not dead after all: what it writes is not taken.
    trial.score = 0.1
    first.write(trial)
    first.release(trial)
    assert second.read()[0].score is None


def test_a_claim_asks_the_same_of_the_database_however_many_trials_there_are(tmp_path):
    import sqlalchemy

    store = store_of(tmp_path)

    def run(number):
        trial = Trial(number, {"x": number})
        assert store.claim(trial)
        trial.status, trial.score = COMPLETED, 0.5
        store.release(trial)

    asked = []
    engine = store.database._storage.engine
    sqlalchemy.event.listen(
        engine, "after_cursor_execute", lambda *arguments: asked.append(arguments[2])
    )
    counts = []
    for number in range(21):
        asked.clear()
        assert len(store.read()) == number
        run(number)
        counts.append(len(asked))
    assert counts[3] == counts[-1] < 70


def test_trials_that_were_read_may_be_changed_and_are_not_read_anew(tmp_path):
    store = store_of(tmp_path)
    trial = Trial(0, {"x": 1})
    store.claim(trial)
    trial.status, trial.score = COMPLETED, 0.5
    trial.note_end([])
    store.release(trial)
    (mine,) = store.read()
    mine.epoch_limit, mine.status = 3, RUNNING
    mine.note_end([mine])
    (again,) = store.read()
    assert (again.epoch_limit, again.status, again.parts) == (None, COMPLETED, [[0, 0, 0.5]])
    # It can be continued by whoever has read it.
    assert store.claim(again)


def test_tables_that_another_process_creates_slowly_are_waited_for(tmp_path, monkeypatch):
    import sqlalchemy.exc

    opened, failures = Database._open, [1, 2]

    def slow(self):
        if failures:
            failures.pop()
            raise sqlalchemy.exc.IntegrityError("create", {}, Exception("already exists"))
        opened(self)

    monkeypatch.setattr(database, "FIRST_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(Database, "_open", slow)
    assert store_of(tmp_path).read() == []


@pytest.mark.skipif(postgres.missing() is not None, reason=str(postgres.missing()))
def test_in_postgresql_workers_choose_in_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "WAIT_SECONDS", 1)
    with postgres.server() as (url, _, _):
        stores = [SharedStore(tmp_path / name, url, "sweep", 1) for name in "ab"]
        other = SharedStore(tmp_path / "c", url, "another", 1)
        with stores[0].choosing() as first, other.choosing() as elsewhere:
            assert (first, elsewhere) == (True, True)
            with stores[1].choosing() as second:
                assert not second  # It goes on without, rather than wait for ever.
        with stores[1].choosing() as second:
            assert second
        # Many at a time: no trial twice, and no attempt in vain.
        workers = [
            threading.Thread(
                target=run_three, args=(SharedStore(tmp_path / str(n), url, "many", 1),)
            )
            for n in range(4)
        ]
        monkeypatch.setattr(turns, "WAIT_SECONDS", 60)
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        store = SharedStore(tmp_path / "d", url, "many", 1)
        assert [trial.number for trial in store.read()] == list(range(12))
        assert len(store.database.attempts()) == 12


def run_three(store):
    for _ in range(3):
        with store.choosing():
            trial = Trial(next_number(store.read()), {"x": 1})
            assert store.claim(trial)
        trial.status, trial.score = COMPLETED, 0.5
        store.release(trial)


def databases():
    """Yields URLs to try: SQLite, and what SWEEP_TEST_DATABASE names."""
    yield None
    if os.environ.get("SWEEP_TEST_DATABASE"):
        yield os.environ["SWEEP_TEST_DATABASE"]


@pytest.mark.parametrize("url", list(databases()))
def test_workers_are_killed_and_one_joins_late(url, tmp_path):
    words = [tmp_path / "s", str(KILLS), *([url] if url else [])]
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "kill_shared.py", *words],
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert (result["kills"], result["alive"]) == (KILLS, 0)
    numbers, values, statuses, _, workers = zip(*result["rows"], strict=True)
    assert list(numbers) == list(range(24))
    assert len({json.dumps(value, sort_keys=True) for value in values}) == 24
    assert set(statuses) <= set(FINISHED)
    assert len(set(workers)) > 2


def test_a_url_that_is_none_is_named(tmp_path):
    with pytest.raises(RecipeError, match="not a database URL"):
        SharedStore(tmp_path, "nonsense", "sweep")


@pytest.mark.slow
def test_two_commands_share_a_sweep(tmp_path, in_tmp, capsys):
    words = ["tune", "mnist_cnn", "--preset", "sample", "--data", "sample", "--epochs", "1"]
    words += ["--method", "random", "--trials", "3", "--storage", f"sqlite:///{tmp_path}/s.db"]
    assert main([*words, "--sweep-dir", "one/sweep", "--retrain", "0"]) == 0
    capsys.readouterr()
    # The second machine finds it done, and another search under its name is refused.
    assert main([*words, "--sweep-dir", "two/sweep", "--retrain", "0"]) == 0
    assert "3 of 3 trials found" in capsys.readouterr().out
    code = main([*words, "--sweep-dir", "three/sweep", "--epochs", "2"])
    assert code == 2
    assert "epochs: 1 -> 2" in capsys.readouterr().err
