import math

import keras_tuner
import numpy as np
import pytest

from common.basics.errors import UsageError
from common.tuning import pictures
from common.tuning import space as spaces
from common.tuning.bayesian import expected_improvement
from common.tuning.choice import METHODS, make_oracle
from common.tuning.hyperband import brackets
from common.tuning.methods import stride
from common.tuning.score import below_median, best_of_curves
from common.tuning.trial import COMPLETED, FAILED, RUNNING, Trial
from tests import toy_sweep

BY_PROPOSAL = [method for method in METHODS if method != "hyperband"]


class MemoryStore:
    """Trials in memory."""

    def __init__(self, trials=()):
        self.trials = list(trials)

    def read(self):
        return list(self.trials)


def oracle_of(method, seed=0, **options):
    """Returns an oracle over the toy space."""
    if method == "tpe":
        pytest.importorskip("optuna", reason="tpe needs the extra [optuna]")
    hp = keras_tuner.HyperParameters()
    for kind in ("a", "b"):
        hp.values["kind"] = kind
        toy_sweep.search_space(hp, toy_sweep.Config())
    oracle = make_oracle(
        method,
        objective=keras_tuner.Objective("val_accuracy", "max"),
        seed=seed,
        hyperparameters=hp,
        **{"max_trials": 40, "trial_epochs": 9, **options},
    )
    oracle.store = MemoryStore()
    return oracle


def score_of(point):
    config = toy_sweep.search_space(_given(point), toy_sweep.Config())
    return toy_sweep.accuracy(config, 9, 0)


def _given(point):
    hp = keras_tuner.HyperParameters()
    hp.values = dict(point)
    return hp


def search(oracle, trials, score=score_of):
    """Proposes and scores; returns the points."""
    for number in range(trials):
        point = oracle.propose(number, oracle.store.read())
        if point is None:
            break
        value = score(point)
        status = COMPLETED if math.isfinite(value) else FAILED
        value = value if status == COMPLETED else None
        oracle.store.trials.append(Trial(number, point, status, score=value))
    return [trial.values for trial in oracle.store.trials]


def test_a_grid_meets_every_point_once():
    points = search(oracle_of("grid"), 1000)
    assert len(points) == len({spaces.key(point) for point in points}) == 140


@pytest.mark.parametrize("method", [m for m in BY_PROPOSAL if m != "grid"])
def test_no_point_twice_and_a_small_space_to_its_end(method):
    oracle = oracle_of(method)
    # The first 115 at random, so that the model-based methods need not be asked for them.
    for number in range(115):
        point = oracle.draw(number, oracle.store.read())
        oracle.store.trials.append(Trial(number, point, COMPLETED, score=score_of(point)))
    for number in range(115, 150):
        point = oracle.propose(number, oracle.store.read())
        if point is None:
            break
        oracle.store.trials.append(Trial(number, point, COMPLETED, score=score_of(point)))
    points = [trial.values for trial in oracle.store.trials]
    assert len(points) == 140
    assert len({spaces.key(point) for point in points}) == 140


@pytest.mark.parametrize("method", [m for m in BY_PROPOSAL if m != "grid"])
def test_seeds_repeat_themselves_and_share_little(method):
    first, again = (search(oracle_of(method, seed=0), 20) for _ in range(2))
    assert first == again
    # Seeds 0 and 1 are both used (KerasTuner replaces 0), and neighbours are strangers: by chance
    # 20 of 140 points share 3.
    other = search(oracle_of(method, seed=1), 20)
    shared = {spaces.key(p) for p in first} & {spaces.key(p) for p in other}
    assert len(shared) < 12


@pytest.mark.parametrize("method", BY_PROPOSAL)
def test_a_proposal_is_a_function_of_the_trials(method):
    oracle = oracle_of(method)
    search(oracle, 24)
    replayed = oracle_of(method)
    assert replayed.propose(24, oracle.store.read()) == oracle.propose(24, oracle.store.read())


@pytest.mark.parametrize("method", ["bayesian", "evolution", "tpe"])
def test_methods_that_learn_find_the_best_of_a_smooth_function(method):
    best = max(score_of(oracle_of("grid").space.point(i)) for i in range(140))
    found = [max(map(score_of, search(oracle_of(method, seed=seed), 45))) for seed in range(3)]
    assert np.median(found) > best - 0.01


def test_tpe_asks_once_a_trial_and_replays_a_trial_once(monkeypatch):
    # In a space of 140 points most of Optuna's answers were tried: it was asked 20 times for a trial,
    # each time with a study made anew.
    oracle = oracle_of("tpe")
    import optuna

    calls = {"ask": 0, "add_trial": 0}
    for name in calls:
        original = getattr(optuna.study.Study, name)

        def counted(*args, name=name, original=original, **kwargs):
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(optuna.study.Study, name, counted)
    search(oracle, 80)
    assert calls["ask"] == 70  # The first 10 are random.
    assert calls["add_trial"] == 79


def test_how_long_a_bayesian_search_is_to_be_does_not_change_its_points():
    short, long = (oracle_of("bayesian", max_trials=trials) for trials in (8, 100))
    assert short.first_random == long.first_random == 8  # two for each of four hyperparameters
    assert search(short, 12) == search(long, 12)


def test_bayesian_avoids_what_fails():
    # KerasTuner takes an infinite loss for a perfect one and proposes 94 % from the failing half.
    def score(point):
        return score_of(point) if point["rate"] < 0.05 else -math.inf

    points = search(oracle_of("bayesian"), 40, score)[10:]
    failing = [point for point in points if point["rate"] >= 0.05]
    assert len(failing) < 0.3 * len(points)


def test_bayesian_does_not_propose_what_runs():
    oracle = oracle_of("bayesian")
    search(oracle, 20)
    first = oracle.propose(20, oracle.store.read())
    oracle.store.trials.append(Trial(20, first, RUNNING))
    assert oracle.propose(21, oracle.store.read()) != first


def test_a_child_differs_from_a_recent_member_in_one_hyperparameter():
    oracle = oracle_of("evolution")
    points = search(oracle, 60)
    for number in range(25, 60):
        parents = points[number - 20 : number]
        differing = [
            {name for name in {*p, *points[number]} if p.get(name) != points[number].get(name)}
            for p in parents
        ]
        # A kind with a depth of its own brings or takes that along; a crowded neighbourhood is left
        # by two changes.
        assert min(len(names - {"depth"}) for names in differing) <= 2


def test_grids_of_other_seeds_start_elsewhere_and_meet_the_same_points():
    grids = [search(oracle_of("grid", seed=seed), 1000) for seed in (0, 1, 7)]
    assert grids[0][0] == oracle_of("grid").space.point(0)
    assert len({spaces.key(points[0]) for points in grids}) == 3
    assert len({frozenset(map(spaces.key, points)) for points in grids}) == 1


def test_a_grid_that_is_cut_short_is_spread_over_the_space():
    assert sorted(number * stride(140) % 140 for number in range(140)) == list(range(140))
    points = search(oracle_of("grid"), 28)
    assert {point["kind"] for point in points} == {"a", "b", "c"}
    assert len({point["rate"] for point in points}) == 7


def test_brackets_by_hand():
    assert brackets(9, 3) == [[(9, 1), (3, 3), (1, 9)], [(5, 3), (1, 9)], [(3, 9)]]
    assert brackets(8, 3) == [[(3, 3), (1, 8)], [(2, 8)]]
    assert brackets(1, 3) == [[(1, 1)]]


def test_hyperband_promotes_the_best_of_each_rung(tmp_path, monkeypatch):
    trained = []

    def accuracy(config, epoch, fold, value=toy_sweep.accuracy):
        trained.append(epoch)
        return value(config, epoch, fold)

    monkeypatch.setattr(toy_sweep, "accuracy", accuracy)
    tuner = toy_sweep.make_tuner("hyperband", tmp_path / "s", trials=3)
    tuner.search()
    trials = tuner.oracle.store.read()
    # 3 full trainings of 9 epochs: the first bracket takes 9 x 1 + 3 x 2 + 1 x 6, the next 5 x 3 ...
    first = trials[:9]
    assert sorted(trial.epochs for trial in first) == [1] * 6 + [3] * 2 + [9]
    at_one = sorted(first, key=lambda trial: -trial.curves[0]["val_accuracy"][0])
    assert {t.number for t in at_one[:3]} == {t.number for t in first if t.epochs > 1}
    at_three = max(at_one[:3], key=lambda trial: max(trial.curves[0]["val_accuracy"][:3]))
    assert at_three.epochs == 9
    assert sum(trial.epochs for trial in trials) >= 27
    # Going on where they stopped: no epoch was trained twice, and each one counts.
    assert len(trained) == sum(trial.epochs for trial in trials)
    assert sorted(trained) == sorted(e + 1 for trial in trials for e in range(trial.epochs))


def test_the_folds_are_averaged_before_the_epoch_is_chosen():
    curves = [{"val_accuracy": [0.5, 0.9, 0.7]}, {"val_accuracy": [0.8, 0.2, 0.6]}]
    # By hand: means 0.65, 0.55, 0.65; each fold's own best would give (0.9 + 0.8) / 2.
    assert best_of_curves(curves, "val_accuracy", "max") == (pytest.approx(0.65), 1)
    uneven = [{"val_loss": [3.0, 1.0]}, {"val_loss": [1.0, 2.0, 9.0]}]
    assert best_of_curves(uneven, "val_loss", "min") == (pytest.approx(1.5), 2)


def test_the_median_rule_by_hand():
    others = [[0.1, 0.5], [0.2, 0.6], [0.3, 0.7], [0.4, 0.8], [0.5, 0.9, 1.0]]
    assert below_median([0.29], others, "max", 2)
    assert not below_median([0.3], others, "max", 2)
    # The best so far counts, not the last value.
    assert not below_median([0.75, 0.1], others, "max", 5)
    assert below_median([0.1, 0.69], others, "max", 5)
    # Only one trial got to epoch 3.
    assert not below_median([0.0, 0.0, 0.0], others, "max", 5)
    assert not below_median([0.0], others[:4], "max", 2)
    assert below_median([0.35], others, "min", 2)


@pytest.mark.parametrize(("epochs", "may_stop"), [(1, []), (2, [1]), (3, [2]), (7, [3, 4, 5, 6])])
def test_nothing_is_stopped_in_its_first_third_or_after_its_last_epoch(epochs, may_stop):
    others = [[1.0] * epochs] * 5
    found = [n for n in range(epochs + 1) if below_median([0.0] * n, others, "max", epochs)]
    assert found == may_stop


def test_an_unknown_method_names_the_near_match():
    with pytest.raises(UsageError, match="did you mean 'bayesian'"):
        make_oracle("baysian")


def test_the_expected_improvement_is_the_mean_of_what_is_below_the_best():
    mean, deviation = np.array([0.2, 0.5, 0.9]), np.array([0.1, 0.3, 1e-12])
    found = expected_improvement(mean, deviation, 0.4)
    draws = mean + deviation * np.random.default_rng(0).standard_normal((200_000, 3))
    np.testing.assert_allclose(found, np.maximum(0, 0.4 - draws).mean(axis=0), atol=2e-3)
    assert found[2] == 0


def test_a_search_is_drawn_step_by_step():
    x = np.linspace(0, 1, 11)
    step = pictures.Belief(x[:3], x[:3] ** 2, x, 0 * x + 0.1, np.exp(-((x - 0.5) ** 2)))
    figure = pictures.beliefs(x, [step, step], "Two steps")
    assert [axes.get_title() for axes in figure.axes[:2]] == ["after 3 trials"] * 2
    # The candidate with the highest expected improvement is marked.
    assert figure.axes[0].lines[-1].get_xdata()[0] == pytest.approx(0.5)
