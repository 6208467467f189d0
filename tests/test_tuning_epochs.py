"""Searches that vary the epochs: trials are stopped and compared at equal shares of their trainings."""

import dataclasses

import pytest

from common.tuning.choice import METHODS
from common.tuning.score import at_equal_shares
from common.tuning.space import multiples
from common.tuning.trial import COMPLETED, FAILED, PRUNED
from tests import toy_sweep

FACTORS = (0.5, 1, 2)


def space_of(factors):
    """Returns a search space of epochs, multiples of the toy's 9, with more points than trials."""

    def search_space(hp, base):
        return dataclasses.replace(
            base,
            epochs=hp.Choice("epochs", multiples(base.epochs, factors), default=base.epochs),
            rate=hp.Float("rate", 1e-3, 0.1, step=10**0.25, sampling="log"),
            units=hp.Choice("units", [8, 16, 32]),
            depth=hp.Int("depth", 1, 3),
        )

    return search_space


def scheduled(config, epoch, fold):
    """As under a schedule over the whole training: behind at equal epochs, ahead at the end."""
    return round((0.3 + 0.02 * config.epochs) * (epoch / config.epochs) ** 2, 6)


@pytest.fixture(autouse=True)
def _schedule(monkeypatch):
    monkeypatch.setattr(toy_sweep, "accuracy", scheduled)


def searched(method, directory, factors=FACTORS, **options):
    tuner = toy_sweep.make_tuner(method, directory, space=space_of(factors), **options)
    tuner.search()
    return tuner.oracle.store.read()


def test_equal_shares_by_hand():
    curve = [1, 2, 3, 4]
    assert at_equal_shares(curve, 4, 4) == curve
    assert at_equal_shares(curve, 4, 2) == [2, 4]
    # The first epochs of a longer training are as far as none of the shorter one: its first has to do.
    assert at_equal_shares(curve, 4, 8) == [1, 1, 1, 2, 2, 3, 3, 4]
    # One that ended early, after 2 of 4 epochs, got as far as a quarter and a half.
    assert at_equal_shares([1, 2], 4, 8) == [1, 1, 1, 2, 2]


def test_the_median_rule_does_not_stop_what_is_behind_for_being_longer(tmp_path):
    trials = searched("random", tmp_path / "s", trials=40)
    status = {
        epochs: {trial.status for trial in trials if trial.values["epochs"] == epochs}
        for epochs in (4, 9, 18)
    }
    # A longer training ends higher here, whatever else it has.
    assert status[18] == {COMPLETED}
    assert PRUNED in status[4] | status[9]


def test_hyperband_gives_each_trial_the_same_share_of_its_own_epochs(tmp_path):
    trials = searched("hyperband", tmp_path / "s", factors=(1, 2, 3), trials=30)
    ends = {}
    for trial in trials:
        ends.setdefault(trial.values["epochs"], set()).update(
            epochs for _, epochs, _ in trial.parts
        )
    # Rungs of 1, 3 and 9 of 9 epochs.
    assert ends == {9: {1, 3, 9}, 18: {2, 6, 18}, 27: {3, 9, 27}}
    # The first bracket has one trial left, the best of those that are longest.
    first = trials[:9]
    (promoted,) = (trial for trial in first if trial.status == COMPLETED)
    assert promoted.values["epochs"] == max(trial.values["epochs"] for trial in first)
    full = [trial for trial in trials if trial.status == COMPLETED]
    assert all(trial.epochs == trial.values["epochs"] for trial in full)


def test_what_has_no_epoch_left_at_a_rung_is_a_full_trial(tmp_path):
    # A training of one epoch is over at the first rung, and may be the best.
    trials = searched("hyperband", tmp_path / "s", factors=(1 / 9, 1), trials=3)
    short = [trial for trial in trials if trial.values["epochs"] == 1]
    assert short
    assert {trial.status for trial in short} == {COMPLETED}
    assert all(trial.epochs == 1 for trial in short)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_each_trial_for_its_own_epochs(method, tmp_path):
    if method == "tpe":
        pytest.importorskip("optuna", reason="tpe needs the extra [optuna]")
    trials = searched(
        method, tmp_path / "s", trials=None, prune=False, oracle={"max_epochs": 25 * 9}
    )
    for trial in trials:
        if trial.status == COMPLETED:
            assert trial.epochs == trial.values["epochs"]
    assert all(trial.status != FAILED for trial in trials)
    # The budget is of epochs; the last trial may go beyond it by what it still lacks.
    assert 25 * 9 <= sum(trial.epochs for trial in trials) < 25 * 9 + 18


def test_a_killed_search_over_epochs_goes_on_to_the_same_end(tmp_path):
    for method in ("random", "hyperband"):
        for trials in (3, 8):
            searched(method, tmp_path / f"{method}-parts", trials=trials)
        searched(method, tmp_path / method, trials=8)
        parts, whole = (toy_sweep.table(tmp_path / name) for name in (f"{method}-parts", method))
        assert parts == whole
