"""Sweeps of the toy recipe: kills, failures, folds, pruning, growth."""

import dataclasses
import fcntl
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.tuning.choice import METHODS
from common.tuning.failures import reason
from common.tuning.folds import DataCache, cut
from common.tuning.oracle import MAX_STARTS
from common.tuning.store import Store
from common.tuning.trial import COMPLETED, FAILED, PRUNED, RUNNING, Trial
from common.tuning.tuner import KEEP_MODELS
from tests import toy_sweep

KILLS = 100 if os.environ.get("RUN_SLOW") else 15


# One that learns from earlier trials, and one that continues them; the others are slow.
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=[pytest.mark.slow] * (m not in ("bayesian", "hyperband")))
        for m in METHODS
    ],
)
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


@pytest.mark.parametrize("method", METHODS)
def test_more_trials_extend_a_sweep(method, tmp_path):
    if method == "tpe":
        pytest.importorskip("optuna", reason="tpe needs the extra [optuna]")
    # Beyond what is drawn at random; hyperband's are full trainings.
    short, long = (3, 7) if method == "hyperband" else (8, 24)
    toy_sweep.make_tuner(method, tmp_path / "a", trials=short).search()
    first = toy_sweep.table(tmp_path / "a")
    toy_sweep.make_tuner(method, tmp_path / "a", trials=long).search()
    toy_sweep.make_tuner(method, tmp_path / "b", trials=long).search()
    whole = toy_sweep.table(tmp_path / "b")
    assert toy_sweep.table(tmp_path / "a") == whole
    assert len(whole) > len(first)
    toy_sweep.check_csv(tmp_path / "a")


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


def test_every_start_counts_until_a_trial_that_kills_its_process_is_given_up(tmp_path):
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "kill_trial.py", tmp_path / "s"],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert result["starts"] == list(range(1, MAX_STARTS + 1))
    assert result["ends"][0][0] == FAILED
    assert [status for status, _ in result["ends"][1:]] == [COMPLETED] * 2


def test_a_table_that_a_kill_kept_from_being_written_is_written_later(tmp_path):
    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=3)
    tuner.search()
    table = (tmp_path / "s" / "trials.csv").read_text()
    # As after a kill between the end of the last trial and the table.
    (tmp_path / "s" / "trials.csv").write_text("".join(table.splitlines(keepends=True)[:-1]))
    toy_sweep.make_tuner("random", tmp_path / "s", trials=3).search()
    assert (tmp_path / "s" / "trials.csv").read_text() == table
    toy_sweep.check_csv(tmp_path / "s")


def test_an_exception_inside_a_trial_or_a_method_leaves_no_lock(tmp_path, monkeypatch):
    def train(config, run):
        # Nobody else is kept from choosing trials while this one trains.
        with (tmp_path / "s" / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise MemoryError("no room")

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=2, module={"train": train})
    tuner.search()

    def propose(number, trials):
        raise ZeroDivisionError

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=3)
    monkeypatch.setattr(tuner.oracle, "propose", propose)
    with pytest.raises(ZeroDivisionError):
        tuner.search()
    for path in (tmp_path / "s").rglob(".lock"):
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    trials = Store(tmp_path / "s").read()
    assert [trial.message.splitlines()[-1] for trial in trials] == ["MemoryError: no room"] * 2


def test_what_exits_inside_a_trial_ends_the_trial_only(tmp_path):
    def train(config, run):
        if run.directory.parent.name == "0001":
            raise SystemExit(3)
        toy_sweep.train(config, run)

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=3, module={"train": train})
    tuner.search()
    trials = tuner.oracle.store.read()
    assert [trial.status for trial in trials] == [COMPLETED, FAILED, COMPLETED]
    assert (trials[1].failures, reason(trials[1])) == (2, "SystemExit: 3")


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
    with pytest.raises(RecipeError, match="the first 5 trials all failed.*no such column.*Mend"):
        tuner.search()


def test_failures_of_many_kinds_end_the_sweep_later(tmp_path):
    def train(config, run):
        raise RecipeError(f"rate {config.rate} with {config.units} units of kind {config.kind}")

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", module={"train": train})
    with pytest.raises(RecipeError, match="the first 20 trials all failed"):
        tuner.search()


def test_a_sweep_gets_over_failures_of_many_kinds_at_its_start(tmp_path):
    def train(config, run):
        number = int(run.directory.parent.name)
        if number < 7:
            raise RecipeError(f"no room for {number} layers")
        toy_sweep.train(config, run)

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=9, module={"train": train})
    tuner.search()
    assert [trial.status for trial in tuner.oracle.store.read()] == [FAILED] * 7 + [COMPLETED] * 2


@pytest.mark.parametrize("method", METHODS)
def test_a_budget_of_epochs_ends_where_trials_fail_before_their_first(method, tmp_path):
    if method == "tpe":
        pytest.importorskip("optuna", reason="tpe needs the extra [optuna]")

    def train(config, run):
        number = int(run.directory.parent.name)
        if number:
            raise RecipeError("does not fit")
        toy_sweep.train(config, run)

    tuner = toy_sweep.make_tuner(
        method, tmp_path / "s", trials=None, module={"train": train}, oracle={"max_epochs": 18}
    )
    tuner.search()
    trials = tuner.oracle.store.read()
    failed = [trial for trial in trials if trial.status == FAILED]
    assert len(failed) == len(trials) - 1
    # Each failure is one of the 18 epochs, or the one that goes beyond them.
    assert 18 <= trials[0].epochs + len(failed) <= 18 + 9


def test_a_condition_that_is_not_declared_is_an_error_that_names_it(tmp_path):
    def search_space(hp, base):
        kind = hp.Choice("kind", ["a", "b"])
        depth = hp.Int("depth", 1, 3) if kind == "b" else 1
        return dataclasses.replace(base, kind=kind, depth=depth)

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", space=search_space)
    with pytest.raises(
        UsageError, match="hyperparameter depth only at some points.*conditional_scope"
    ):
        tuner.search()


def test_two_ranges_of_one_name_need_their_conditions(tmp_path):
    def search_space(hp, base):
        kind = hp.Choice("kind", ["a", "b"])
        return dataclasses.replace(
            base, kind=kind, units=hp.Choice("units", [4, 8] if kind == "a" else [16, 32])
        )

    tuner = toy_sweep.make_tuner("random", tmp_path / "s", space=search_space)
    with pytest.raises(UsageError, match="other values of the hyperparameter units.*kind b"):
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


def test_folds_part_nothing_that_belongs_together():
    splits = toy_sweep.load_data(toy_sweep.Config(), None)
    # Groups of 2 and of 4 neighbours; each holds both classes.
    groups = np.repeat(np.arange(12), [2, 4] * 4 + [4] * 4)
    for part in ("train", "val"):
        split = getattr(splits, part)
        setattr(splits, part, dataclasses.replace(split, groups=groups[split.x]))
    parts = [cut(splits, fold, 3) for fold in range(3)]
    assert sorted(x for part in parts for x in part.val.x) == list(range(40))
    for part in parts:
        assert not set(part.train.groups) & set(part.val.groups)
        assert np.bincount(part.val.y).min() >= 4
    splits.train.groups[:] = splits.val.groups[:] = 0
    splits.train.groups[:6] = [1, 1, 1, 2, 2, 2]
    with pytest.raises(RecipeError, match="--folds 5 needs as many groups"):
        cut(splits, 0, 5)


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


def resident():
    """Returns the bytes of memory that this process holds now, not at its peak."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc (Linux)")
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
    gc.collect()
    before, memory = size(tmp_path / "s"), resident()
    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=120, module={"train": train})
    tuner.search()
    # A trial file is some 1 to 3 kB; a model would be a megabyte.
    assert size(tmp_path / "s") - before < 100 * 5_000
    models = list((tmp_path / "s").rglob("best.keras"))
    assert len(models) == KEEP_MODELS
    assert not list((tmp_path / "s").rglob("state.npz"))
    gc.collect()
    # 100 trials that each left one of their models would be 100 MB.
    assert resident() - memory < 30_000_000


def test_models_trained_one_after_another_leave_nothing():
    import keras
    import numpy as np

    from common.basics import backend

    def left():
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)])
        model.compile("adam", "mse")
        model.fit(np.ones((8, 8)), np.ones((8, 2)), verbose=0)
        del model
        backend.clear()
        gc.collect()
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
