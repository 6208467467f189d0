"""cifar10_nas: the table of the space, supernets that rank it, and searches replayed on both."""

import json

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from recipes.cifar10_nas import rank, replay, space, table
from recipes.cifar10_nas.train import Config


def test_spread_by_hand():
    # Means 2, 5, 11 with variances 2, 8, 2 within: 4 within; of the means 21, less 4 / 2.
    values = np.array([[1.0, 3.0], [3.0, 7.0], [10.0, 12.0]])
    between, within = table.spread(values)
    assert within == pytest.approx(2.0)
    assert between == pytest.approx(19**0.5)
    assert table.spread(np.array([[0.0, 9.0], [9.0, 0.0]]))[0] == 0


def test_forms_are_all_there_in_an_order_that_stays():
    forms = table.forms()
    assert len(set(forms)) == len(forms) == 676
    assert forms == table.forms()
    assert all(space.plain_form(form) == form for form in forms)


def fake(config, splits):
    """A training that takes no time: the accuracy is a function of the Config."""
    share = space.index_of(config.operations) / 2048 + config.seed / 100
    return {"value": share, "test": share / 2, "seconds": 1.0 + config.seed}


def test_a_table_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    trained = []

    def train(config, splits):
        trained.append((config.operations, config.seed))
        return fake(config, splits)

    monkeypatch.setattr(table, "train_alone", train)
    settings = table.Settings(examples=40, epochs=1, data="sample")
    first = table.collect(tmp_path, settings, seeds=2, networks=3)
    assert len(first) == len(trained) == 6
    rows = tmp_path / "rows.jsonl"
    # Killed while it wrote the last line.
    rows.write_text(rows.read_text()[:-20])
    assert table.collect(tmp_path, settings, seeds=2, networks=3) == first
    assert len(trained) == 7
    assert trained[6] == trained[5]
    table.collect(tmp_path, settings, seeds=2, networks=4)
    assert len(trained) == 9
    with pytest.raises(UsageError, match="another --folder"):
        table.collect(tmp_path, table.Settings(epochs=2), seeds=2, networks=3)


def test_networks_of_one_form_share_a_row():
    found = {
        (space.index_of(("conv1", "skip", "pool", "pool", "pool")), seed): fake(
            Config(operations=("conv1", "skip", "pool", "pool", "pool"), seed=seed), None
        )
        for seed in range(2)
    }
    arrays = table.arrays(found)
    assert arrays["value"].shape == (1024, 2)
    assert np.isfinite(arrays["value"]).all(axis=1).sum() == 2
    other = space.index_of(("skip", "conv1", "pool", "pool", "pool"))
    np.testing.assert_allclose(arrays["seconds"][other], [1, 2])
    assert "conv1 skip pool pool pool" in table.section(
        {**found, (0, 0): fake(Config(), None), (0, 1): fake(Config(), None)},
        table.Settings(),
        "noise",
    )


@pytest.fixture
def held():
    """Returns a made-up table: the more convolutions, the better; 2 seeds."""
    random = np.random.default_rng(0)
    good = {"conv3": 3.0, "conv1": 2.0, "pool": 1.0, "skip": 0.0}
    sums = np.array([sum(good[w] for w in space.network(i)) for i in range(1024)])
    value = 0.3 + sums[:, None] / 75 + random.normal(0, 0.005, (1024, 2))
    return replay.Table(value, value - 0.01, np.full((1024, 2), 2.0), {**SETTINGS}, "digits")


SETTINGS = {"examples": 10, "epochs": 1, "data": "noise"}


def made_up(held, count=3):
    random = np.random.default_rng(1)
    inherited = held.value.mean(axis=1) + random.normal(0, 0.02, (count, 1024))
    return {
        "inherited": inherited.astype("float32"),
        "training": np.full(count, 8.0),
        "scoring": np.full(count, 4.0),
    }


def test_searches_spend_the_same_and_the_supernet_pays_first(held):
    budget = 40.0
    for method in replay.METHODS:
        steps = replay.search(held, method, 0, budget)
        assert len(steps) == 20
        assert steps[-1][0] == budget
        assert len({index for _, _, index in steps}) == 20
    # 12 of the 40 seconds are the supernet's: 14 trainings of 2 seconds are left.
    steps = replay.by_rank(held, np.argsort(-held.value.mean(axis=1)), 12.0, 0, budget)
    assert len(steps) == 14
    assert steps[0][0] == 14.0


def test_what_is_thought_best_by_hand(held):
    held.test[5], held.test[6] = [0.2, 0.4], [0.5, 0.9]
    steps = [(3.0, 0.5, 5), (6.0, 0.4, 7), (8.0, 0.6, 6)]
    curve = replay.incumbents(held, steps, np.array([2.0, 4.0, 6.0, 8.0, 10.0]))
    np.testing.assert_allclose(curve, [np.nan, 0.3, 0.3, 0.7, 0.7])
    # Of 1, 2, 6: mean 3, deviation sqrt(7), and 4.3027 of Student's with 2 degrees of freedom.
    mean, half = replay.interval([1.0, 2.0, 6.0])
    assert mean == 3
    assert half == pytest.approx(4.3027 * (7 / 3) ** 0.5, rel=1e-4)


def test_a_replay_is_one_table_and_one_picture(held):
    from recipes.cifar10_nas.picture import draw

    supernets = made_up(held)
    found = replay.replay(held, supernets, seeds=3, trials=22)
    assert found["cost"] == [6.0, 6.0, 6.0]
    text = replay.section(found, held)
    # What the data is called is the table's to say.
    assert "2 seeds; digits." in text
    for word in ("random", "evolution", "bayesian", "supernet", "hand-made", "Kendall"):
        assert word in text
    assert draw(found, held, supernets["inherited"][0]).startswith(b"\x89PNG")
    assert replay.kendall(held.value.mean(axis=1), held) == pytest.approx(1)
    assert replay.kendall(-held.value.mean(axis=1), held) == pytest.approx(-1)
    with pytest.raises(UsageError, match="rank --seeds 5"):
        replay.replay(held, supernets, seeds=5)


def test_a_table_with_holes_is_refused(held, tmp_path):
    path = tmp_path / "table.npz"
    with pytest.raises(RecipeError, match=r"missing: run `python -m recipes.cifar10_nas.table`"):
        replay.read_table(path)
    parts = {
        "value": held.value,
        "test": held.test,
        "seconds": held.seconds,
        "label": held.label,
    }
    np.savez(path, settings=json.dumps(SETTINGS), **parts)
    read = replay.read_table(path)
    assert (read.settings, read.label) == (SETTINGS, "digits")
    held.value[3:5, 1] = np.nan
    np.savez(path, settings=json.dumps(SETTINGS), **parts)
    with pytest.raises(RecipeError, match=r"2 of 1,024 lack a training: run `python -m"):
        replay.read_table(path)


def test_supernets_rank_all_networks_and_go_on(tmp_path, monkeypatch):
    asked = []

    def ranked(config, splits):
        asked.append(config.seed)
        return {"inherited": np.arange(1024.0), "training": 1.0, "scoring": 2.0}

    monkeypatch.setattr(rank, "rank", ranked)
    words = ["--data", "sample", "--examples", "40", "--output", str(tmp_path / "s.npz")]
    rank.main([*words, "--seeds", "2"])
    rank.main([*words, "--seeds", "3"])
    assert asked == [0, 1, 2]
    assert rank.read(tmp_path / "s.npz")["inherited"].shape == (3, 1024)
    with pytest.raises(UsageError, match="delete it first"):
        rank.main([*words, "--epochs", "3"])


def test_pictures_of_networks_alone_and_in_a_supernet():
    from recipes.cifar10_nas.picture import inherited_and_own, two_seeds

    alone = np.array([[0.5, 0.7], [0.2, 0.3], [0.8, 0.9]])
    axes = two_seeds(alone, ["middle", "worst", "best"], "Three networks").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["worst", "middle", "best"]
    np.testing.assert_allclose([line.get_xdata() for line in axes.lines], 100 * alone[[1, 0, 2]])
    (dots,) = inherited_and_own(alone[:, 0], alone[:, 1], "Three").axes[0].lines
    np.testing.assert_allclose(dots.get_xydata(), 100 * alone)
