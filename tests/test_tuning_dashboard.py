"""A shared search in Optuna's own form, as optuna-dashboard reads it; and one begun without that form."""

import sqlite3
from pathlib import Path

import keras_tuner
import pytest

optuna = pytest.importorskip("optuna", reason="a shared sweep needs the extra [optuna]")

from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from common.tuning import ranges
from common.tuning.optuna_form import OptunaForm, distribution
from common.tuning.shared_store import SharedStore
from common.tuning.trial import COMPLETED, RUNNING, Trial
from tests import toy_sweep

OLD = Path(__file__).parent / "old_shared_study.sql"


def search(method, tmp_path, trials, **options):
    url = f"sqlite:///{tmp_path}/sweep.db"
    return toy_sweep.make_tuner(method, tmp_path / "toy", trials=trials, storage=url, **options)


def study_of(tmp_path, name="toy"):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{tmp_path}/sweep.db")


def test_direction_parameters_values_and_curves_are_optunas(tmp_path):
    tuner = search("random", tmp_path, 8)
    tuner.search()
    trials = tuner.oracle.store.read()
    study = study_of(tmp_path)
    assert study.direction.name == "MAXIMIZE"
    best = max(trial.score for trial in trials if trial.status == COMPLETED)
    assert study.best_value == best
    for attempt, trial in zip(study.trials, trials, strict=True):
        assert attempt.params == trial.values
        assert attempt.intermediate_values == dict(
            enumerate(trial.curves[0].get("val_accuracy", []), 1)
        )
    rate = study.trials[0].distributions["rate"]
    assert (rate.low, rate.high, rate.log) == (0.001, 1.0, True)
    assert study.trials[0].distributions["kind"] == CategoricalDistribution(["a", "b", "c"])
    importances = optuna.importance.get_param_importances(study)
    assert {"kind", "rate", "units"} <= set(importances)


def test_an_error_is_minimised_and_folds_are_averaged(tmp_path):
    tuner = search("random", tmp_path, 3, objective="val_mae", folds=2)
    tuner.search()
    study = study_of(tmp_path)
    assert study.direction.name == "MINIMIZE"
    trials = [t for t in tuner.oracle.store.read() if t.status == COMPLETED]
    assert study.best_value == min(trial.score for trial in trials)
    first, second = (curve["val_mae"] for curve in trials[0].curves)
    expected = [(one + two) / 2 for one, two in zip(first, second, strict=True)]
    shown = study.trials[trials[0].number].intermediate_values
    assert list(shown.values()) == pytest.approx(expected)


def test_a_running_trial_shows_its_epochs_and_a_repeated_one_none_twice(tmp_path):
    form = OptunaForm("val_accuracy", "max", lambda: [])
    store = SharedStore(tmp_path / "here", f"sqlite:///{tmp_path}/sweep.db", "toy", form=form)
    trial = Trial(0, {}, RUNNING)
    assert store.claim(trial)
    store.progress(trial, [0.1, float("nan"), 0.3])
    # Soon after, nothing is written; at the end, all that is missing.
    store.progress(trial, [0.1, float("nan"), 0.3, 0.4])
    assert study_of(tmp_path).trials[0].intermediate_values == {1: 0.1, 3: 0.3}
    trial.curves = [{"val_accuracy": [0.1, 0.2, 0.35, 0.4]}]
    trial.status, trial.score = COMPLETED, 0.4
    store.release(trial)
    (seen,) = study_of(tmp_path).trials
    assert seen.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.35, 4: 0.4}


@pytest.mark.parametrize(
    ("add", "expected"),
    [
        (lambda hp: hp.Int("x", 1, 8, step=3), IntDistribution(1, 7, step=3)),
        (lambda hp: hp.Int("x", 2, 64, step=2, sampling="log"), IntDistribution(2, 64, log=True)),
        (lambda hp: hp.Float("x", 0.0, 0.5, step=0.2), FloatDistribution(0.0, 0.4, step=0.2)),
        (
            lambda hp: hp.Float("x", 1e-3, 1.0, step=10**0.5, sampling="log"),
            FloatDistribution(1e-3, 1.0, log=True),
        ),
        (lambda hp: hp.Float("x", 0.5, 2.5), FloatDistribution(0.5, 2.5)),
        (lambda hp: hp.Boolean("x"), CategoricalDistribution([False, True])),
        (lambda hp: hp.Fixed("x", "adam"), CategoricalDistribution(["adam"])),
    ],
)
def test_each_kind_of_hyperparameter_by_hand(add, expected):
    hyperparameters = keras_tuner.HyperParameters()
    add(hyperparameters)
    (entry,) = hyperparameters.space
    found = distribution(entry)
    assert found == expected
    for value in ranges.domain(entry) or [entry.min_value, entry.max_value]:
        # As Optuna stores and reads it.
        assert found.to_external_repr(found.to_internal_repr(value)) == value
        assert value in getattr(found, "choices", [value])


@pytest.fixture
def old(tmp_path):
    """A search of before: six trials ended and one whose process was killed; its study minimises."""
    with sqlite3.connect(tmp_path / "sweep.db") as connection:
        connection.executescript(OLD.read_text())
    connection.close()
    assert study_of(tmp_path).direction.name == "MINIMIZE"
    return tmp_path


@pytest.mark.parametrize("agreed", [True, False])
def test_a_search_of_before_goes_on_and_loses_nothing(agreed, old):
    before = SharedStore(old / "elsewhere", f"sqlite:///{old}/sweep.db", "toy").read()
    assert [trial.status for trial in before] == [*[COMPLETED] * 5, "pruned", RUNNING]
    tuner = search("evolution", old, 9)
    if agreed:  # As `recipes tune` does.
        tuner.oracle.store.agree({"recipe": "toy"})
    tuner.search()
    trials = tuner.oracle.store.read()
    assert trials[:6] == before[:6]
    assert len(trials) == 9
    assert all(trial.finished for trial in trials)
    files = toy_sweep.make_tuner("evolution", old / "files", trials=9)
    files.search()
    assert [t.score for t in trials] == [t.score for t in files.oracle.store.read()]


def test_a_search_of_before_gets_optunas_form_once(old):
    tuner = search("evolution", old, 9)
    store = tuner.oracle.store
    for _ in range(2):
        store.agree({"recipe": "toy"})
        study = study_of(old)
        assert study.direction.name == "MAXIMIZE"
        assert study.best_value == 0.76017
        for attempt, trial in zip(study.trials, store.read(), strict=True):
            assert attempt.params == trial.values
            curve = trial.curves[0]["val_accuracy"] if trial.curves else []
            assert attempt.intermediate_values == dict(enumerate(curve, 1))
    # Another process that opened it at the same time finds it done.
    store.database.upgrade("maximize", store._as_shown)
    store.database.write("form", None)
    store.agree({"recipe": "toy"})
    assert [trial.state for trial in study_of(old).trials[:1]] == [TrialState.COMPLETE]


def test_a_trial_that_a_user_adds_in_the_dashboard_is_passed_over(tmp_path):
    tuner = search("random", tmp_path, 3)
    study_of(tmp_path).enqueue_trial({"rate": 0.1})
    tuner.search()
    assert [trial.number for trial in tuner.oracle.store.read()] == [0, 1, 2]
