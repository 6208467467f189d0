"""A sweep in a database: the same results as in files, and workers that are killed and join late."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="a shared sweep needs the extra [optuna]")

from common.basics.errors import RecipeError
from common.cli import main
from common.tuning.shared_store import SharedStore
from common.tuning.store import COMPLETED, FINISHED, RUNNING, Trial
from tests import toy_sweep

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
