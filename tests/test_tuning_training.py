"""Searches that train a real recipe: by every method, and a promotion that continues exactly."""

import dataclasses

import numpy as np
import pytest

from common.runs import config as configuration
from common.runs import registry
from common.tuning import tuner as tuners
from common.tuning.choice import METHODS
from common.tuning.definition import Definition, make_tuner
from common.tuning.point import make_config
from common.tuning.trial import COMPLETED, PRUNED
from common.tuning.trial_run import TrialRun, read_history


def tuner_of(method, data, directory, *, trials, epochs, **changes):
    """Returns the RecipeTuner of a search of mnist_cnn on tiny data."""
    base = dataclasses.replace(
        registry.load("mnist_cnn").PRESETS["sample"],
        **{"epochs": epochs, "validation_fraction": 0.25, "patience": None, **changes},
    )
    definition = Definition(
        recipe="mnist_cnn",
        method=method,
        base=configuration.to_dict(base),
        preset="sample",
        trials=trials,
        budget=method == "hyperband",
        data=str(data["image"]),
        # Small and quick; dropout, whose random state a promotion has to keep, stays.
        fixed={"width": "0.5", "batch_size": "32", "dropout_rate": "0.25", "epochs": str(epochs)},
    )
    return make_tuner(definition, directory)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_a_recipe(method, tiny_data, tmp_path):
    if method == "tpe":
        pytest.importorskip("optuna", reason="tpe needs the extra [optuna]")
    tuner = tuner_of(method, tiny_data, tmp_path / "s", trials=3, epochs=1)
    # Beyond its random trials, too.
    for name in ("initial_trials", "population"):
        if hasattr(tuner.oracle, name):
            setattr(tuner.oracle, name, 2)
    tuner.search()
    trials = tuner.oracle.store.read()
    assert [(trial.status, trial.epochs) for trial in trials] == [(COMPLETED, 1)] * 3
    assert len({str(trial.values) for trial in trials}) == 3
    assert all(0 < trial.score <= 1 for trial in trials)


def test_a_promoted_trial_is_the_one_that_was_never_interrupted(tiny_data, tmp_path, monkeypatch):
    # Of what is deleted after a trial, the backup holds what is compared here.
    monkeypatch.setattr(tuners, "clean", lambda *args: None)
    tuner = tuner_of("hyperband", tiny_data, tmp_path / "s", trials=2, epochs=3)
    # Three trials of one epoch, of which one is given all three.
    tuner.oracle.max_epochs = 5
    tuner.search()
    trials = tuner.oracle.store.read()
    assert sorted(trial.status for trial in trials) == [COMPLETED, PRUNED, PRUNED]
    (promoted,) = (trial for trial in trials if trial.status == COMPLETED)
    assert [epochs for _, epochs, _ in promoted.parts] == [1, 3]
    run = TrialRun(
        "mnist_cnn",
        make_config(
            tuner.search_space, tuner.oracle._wrapped(promoted).hyperparameters, tuner.base
        ),
        tmp_path / "whole",
        tuner._data.splits(tuner.base, 0, 1),
        lambda history: False,
    )
    tuner.module.train(run.config, run)
    curve = read_history(run)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert promoted.curves[0][name] == curve[name]
    # All weights, random states, and the optimizer's state.
    whole, parts = (
        np.load(folder / "backup" / "state.npz")
        for folder in (run.directory, tuner.oracle.store.folder(promoted) / "fold-1")
    )
    arrays = [name for name in whole.files if name != "state"]
    assert len(arrays) > 20
    for name in arrays:
        np.testing.assert_array_equal(whole[name], parts[name])
