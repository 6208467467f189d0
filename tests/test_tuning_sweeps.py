"""Sweeps of the toy recipe: kills, failures, folds, pruning, growth."""

import gc
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import RecipeError
from common.tuning import METHODS
from common.tuning.oracle import MAX_STARTS
from common.tuning.store import COMPLETED, FAILED, PRUNED, RUNNING, Store, Trial
from common.tuning.tuner import KEEP_MODELS, DataCache
from tests import toy_sweep

KILLS = 100 if os.environ.get("RUN_SLOW") else 15


@pytest.mark.parametrize("method", METHODS)
def test_kills_lose_and_repeat_nothing(method, tmp_path):
    if method == "tpe":
        pytest.importorskip("optuna", reason="tpe needs the extra [optuna]")
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).parent / "kill_sweep.py",
            method,
            tmp_path / "s",
            str(KILLS),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    killed = json.loads(done.stdout)
    assert killed["kills"] == KILLS
    assert killed["torn"] == 0
    toy_sweep.make_tuner(method, tmp_path / "whole").search()
    whole = json.loads(json.dumps(toy_sweep.table(tmp_path / "whole")))
    assert killed["table"] == whole
    assert len({json.dumps(row[1], sort_keys=True) for row in whole}) == len(whole)


def test_more_trials_extend_a_sweep(tmp_path):
    toy_sweep.make_tuner("evolution", tmp_path / "a", trials=12).search()
    toy_sweep.make_tuner("evolution", tmp_path / "a", trials=30).search()
    toy_sweep.make_tuner("evolution", tmp_path / "b", trials=30).search()
    assert toy_sweep.table(tmp_path / "a") == toy_sweep.table(tmp_path / "b")


def test_a_diverged_trial_is_recorded_with_its_reason_and_the_sweep_goes_on(tmp_path):
    tuner = toy_sweep.make_tuner("grid", tmp_path / "s", trials=140)
    tuner.search()
    trials = tuner.oracle.store.read()
    failed = [trial for trial in trials if trial.status == FAILED]
    # rate 1 with 4 units, in 5 kinds and depths; pruning may spare some the third epoch.
    assert 1 <= len(failed) <= 5
    for trial in failed:
        assert (trial.values["rate"], trial.values["units"]) == (1.0, 4)
        assert trial.message == "the loss is nan at step 1 of epoch 3"
        # An earlier epoch's score does not count, its epochs do.
        assert (trial.score, trial.epochs, trial.starts) == (None, 2, 1)
    assert len(trials) == 140
    assert "the loss is nan" in (tmp_path / "s" / "trials.csv").read_text()
    assert all(t.record.status != FAILED for t in tuner.oracle.get_best_trials(140))


def test_an_error_is_tried_again_once(tmp_path):
    calls = []

    def train(config, run):
        calls.append(config)
        if len(calls) in (3, 7, 8):
            raise MemoryError("no room")
        toy_sweep.train(config, run)

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=8, module={"train": train})
    tuner.search()
    trials = tuner.oracle.store.read()
    # Trial 2 fails once and is repeated; trial 5 (calls 7 and 8) fails twice.
    assert [trial.failures for trial in trials] == [0, 0, 1, 0, 0, 2, 0, 0]
    assert [t.number for t in trials if t.status == FAILED] == [5]
    assert trials[5].message.endswith("MemoryError: no room")
    assert len(calls) == 10


def test_a_trial_that_kills_its_process_is_given_up(tmp_path):
    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=4)
    store = Store(tmp_path / "s")
    poison = Trial(0, tuner.oracle.propose(0, []), RUNNING, starts=MAX_STARTS)
    store.write(poison)
    tuner.search()
    trials = store.read()
    assert trials[0].status == FAILED
    assert f"started {MAX_STARTS} times" in trials[0].message
    assert len(trials) == 4


def test_a_trial_of_a_living_process_is_left_alone(tmp_path):
    first, second = Store(tmp_path), Store(tmp_path)
    trial = Trial(0, {"x": 1})
    assert first.claim(trial)
    assert not second.claim(trial)
    first.release(trial)
    assert second.claim(trial)


def test_a_space_of_mistakes_ends_the_sweep(tmp_path):
    def train(config, run):
        raise RecipeError("no such column")

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", module={"train": train})
    with pytest.raises(RecipeError, match="the first 5 trials all failed.*no such column"):
        tuner.search()


def test_folds_are_trained_once_each_and_averaged(tmp_path):
    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=6, folds=3, prune=False)
    tuner.search()
    for trial in tuner.oracle.store.read():
        assert trial.status in (COMPLETED, FAILED)
        if trial.status == FAILED:
            continue
        assert [len(curve["val_accuracy"]) for curve in trial.curves] == [9, 9, 9]
        ends = [curve["val_accuracy"][-1] for curve in trial.curves]
        assert trial.score == pytest.approx(sum(ends) / 3)
        assert trial.epochs == 27


def test_folds_cover_train_and_validation_once(tmp_path):
    from common.data import Source

    cache = DataCache(toy_sweep.load_data, Source("sample"))
    parts = [cache.splits(toy_sweep.Config(), fold, 5) for fold in range(5)]
    assert sorted(x for part in parts for x in part.val.x) == list(range(40))
    for part in parts:
        assert sorted([*part.val.x, *part.train.x]) == list(range(40))
        assert part.val.y.tolist().count(0) == part.val.y.tolist().count(1) == 4
    with pytest.raises(AssertionError, match="must not read the test split"):
        parts[0].test  # noqa: B018


def test_data_is_loaded_again_only_if_a_field_that_matters_changes(tmp_path):
    loads = []

    def load(config, source):
        loads.append(config.validation_fraction)
        return toy_sweep.load_data(config, source)

    cache = DataCache(load, None)
    for fraction, rate in ((0.25, 0.1), (0.25, 0.2), (0.5, 0.2), (0.5, 0.3)):
        config = toy_sweep.Config(validation_fraction=fraction, rate=rate)
        assert len(cache.splits(config, 0, 1).val) == 40 * fraction
    assert loads == [0.25, 0.5]


def test_pruning_stops_trials_below_the_median_and_keeps_the_best(tmp_path):
    tuner = toy_sweep.make_tuner("random", tmp_path / "p", trials=40)
    tuner.search()
    pruned = tuner.oracle.store.read()
    tuner = toy_sweep.make_tuner("random", tmp_path / "n", trials=40, prune=False)
    tuner.search()
    full = tuner.oracle.store.read()
    assert [t.values for t in pruned] == [t.values for t in full]
    assert sum(t.epochs for t in pruned) < 0.8 * sum(t.epochs for t in full)
    assert {t.status for t in full} <= {COMPLETED, FAILED}
    stopped = [t for t in pruned if t.status == PRUNED]
    assert stopped
    # Every curve here has the same shape, so that the rule never stops what would have won.
    assert max(t.score or 0 for t in pruned) == max(t.score or 0 for t in full)


def test_neither_memory_nor_disk_grows_with_the_trials(tmp_path):
    def size(folder):
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def train(config, run):
        toy_sweep.train(config, run)
        run.path("backup").mkdir(exist_ok=True)
        for name in ("best.keras", "backup/state.npz"):
            run.path(name).write_bytes(b"x" * 1_000_000)

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=20, module={"train": train})
    tuner.search()
    before, rss = size(tmp_path / "s"), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=120, module={"train": train})
    tuner.search()
    # A trial file is some 1 to 3 kB; a model would be a megabyte.
    assert size(tmp_path / "s") - before < 100 * 5_000
    models = list((tmp_path / "s").rglob("best.keras"))
    assert len(models) == KEEP_MODELS
    assert not list((tmp_path / "s").rglob("state.npz"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss < 30_000  # kB


def test_models_trained_one_after_another_leave_nothing():
    import keras
    import numpy as np

    from common import backend

    def left():
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)])
        model.compile("adam", "mse")
        model.fit(np.ones((8, 8)), np.ones((8, 2)), verbose=0)
        del model
        backend.clear()
        return len(gc.get_objects())

    counts = [left() for _ in range(4)]
    # TensorFlow alone would keep 6,000 objects of each.
    assert counts[-1] - counts[1] < 500


def test_kerastuner_runs_on_our_oracles(tmp_path):
    import keras
    import keras_tuner
    import numpy as np

    from common.tuning.methods import RandomOracle

    def build(hp):
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 4), activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    oracle = RandomOracle("val_accuracy", max_trials=5)
    tuner = keras_tuner.Tuner(oracle, build, directory=tmp_path, project_name="plain")
    x, y = np.random.default_rng(0).random((32, 3)), np.arange(32) % 2
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    # Three points in all: exhausted, and exactly once each.
    assert sorted(t.values["units"] for t in oracle.store.read()) == [2, 3, 4]
    assert len(tuner.get_best_hyperparameters(3)) == 3
