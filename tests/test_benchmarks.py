"""The benchmarks' own arithmetic, by hand; and that the READMEs show what was measured."""

import json

import keras
import numpy as np
import pytest

from common.runs import registry
from tests.benchmarks import readme, search_replay
from tests.benchmarks.probe import TestAccuracy


@pytest.fixture
def table(tmp_path):
    """Two hyperparameters, four rows, two seeds, three epochs; one training diverged."""
    value = np.array([[0.5, 0.6], [0.9, 0.7], [0.1, np.nan], [0.3, 0.4]], "float32")
    curve = np.stack([value * share for share in (0.5, 0.75, 1.0)], axis=2)
    curve[3, 1] = [0.4, np.nan, np.nan]
    meta = {
        "space": {"a": [1, 2], "b": ["x", "y"]},
        "epochs": 3,
        "best_mean": 0.8,
        "worst_mean": 0.1,
    }
    (tmp_path / "tables.json").write_text(json.dumps({"toy": meta}))
    np.savez(
        tmp_path / "toy.npz",
        index=np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "int8"),
        value=value,
        curve=curve,
        test=value / 2,
    )
    return search_replay.Table(tmp_path, "toy")


def test_regret_by_hand(table):
    assert table.regret({"a": 1, "b": "y"}) == pytest.approx(0.0, abs=1e-6)
    assert table.regret({"a": 2, "b": "x"}) == pytest.approx(1.0)  # the missing seed does not count
    assert table.regret({"a": 1, "b": "x"}) == pytest.approx(0.25 / 0.7)
    assert table.test_accuracy({"a": 1, "b": "y"}) == pytest.approx(0.4)


def test_the_best_score_of_all_points_by_hand(table):
    table.best = 1.0
    table.value[0] = [0.9, 0.95]  # wins with either seed, and is worth their mean
    assert table.exhaustive() == pytest.approx((1.0 - 0.925) / 0.9)
    table.value[2] = [np.nan, 0.97]  # the missing seed is never drawn
    assert table.exhaustive() == pytest.approx((1.0 - 0.97) / 0.9)


def test_a_seed_that_is_missing_is_never_drawn_and_divergence_is_worth_the_worst(table):
    random = np.random.default_rng(0)
    for _ in range(20):
        assert table.train({"a": 2, "b": "x"}, random)[-1] == pytest.approx(0.1)
    curves = {tuple(table.train({"a": 2, "b": "y"}, random)) for _ in range(20)}
    assert sorted(np.round(sorted(curves)[-1], 3)) == [0.1, 0.1, 0.4]


def test_the_mean_over_seeds_by_hand(table, tmp_path):
    mean = search_replay.Table(tmp_path, "toy", mean=True)
    random = np.random.default_rng(0)
    # Of the seeds that were trained; one that diverged counts as the lowest value from there on.
    for (a, b), curve in {
        (1, "x"): [0.275, 0.4125, 0.55],
        (2, "x"): [0.05, 0.075, 0.1],
        (2, "y"): [0.275, 0.1625, 0.2],
    }.items():
        assert mean.train({"a": a, "b": b}, random) == pytest.approx(curve)
    point = {"a": 1, "b": "y"}
    assert mean.regret(point) == table.regret(point) == pytest.approx(0, abs=1e-6)
    assert mean.exhaustive() == pytest.approx(0, abs=1e-6)


def test_the_incumbent_changes_only_for_a_better_score(table):
    good, bad = {"a": 1, "b": "y"}, {"a": 2, "b": "x"}
    seen = [(3, 0.2, bad), (5, 0.7, good), (8, 0.6, bad)]
    regrets, test = search_replay.incumbents(table, seen, np.array([1, 3, 4, 6, 9]))
    np.testing.assert_allclose(regrets, [1, 1, 1, 0, 0], atol=1e-6)
    assert test == pytest.approx(0.4)


@pytest.mark.parametrize("method", ["random", "grid", "evolution", "hyperband", "bayesian"])
def test_a_method_spends_its_budget_and_exhausts_the_space(table, method):
    seen = search_replay.ours(table, method, seed=0, trials=4)
    assert seen[-1][0] <= 12 + 2
    assert [spent for spent, _, _ in seen] == sorted(spent for spent, _, _ in seen)
    if method != "hyperband":
        assert len({tuple(point.values()) for _, _, point in seen}) == len(seen) == 4


def test_kerastuners_hyperband_pays_only_for_what_it_adds(table):
    seen = search_replay.stock(table, "kt_hyperband", seed=0, trials=6)
    steps = np.diff([0, *(spent for spent, _, _ in seen)]).tolist()
    # One epoch for three, then two more for the best of them.
    assert steps[:4] == [1, 1, 1, 2]
    assert all(point in [{"a": a, "b": b} for a in (1, 2) for b in "xy"] for _, _, point in seen)


def test_ratio_and_ranks_by_hand():
    ratio, low, high = search_replay.ratio_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert ratio == pytest.approx(0.5)
    assert low <= 0.5 <= high
    ranks, count = search_replay.mean_ranks({"a": [1.0, 2.0, 9.0], "b": [1.0, 3.0]})
    assert (ranks, count) == ({"a": 1.25, "b": 1.75}, 2)


def test_the_readmes_show_what_was_measured():
    for path, name, section in readme.sections():
        assert readme.updated(path, name, section) == path.read_text(encoding="utf-8"), (
            f"{path.name}: {name} differs; run python -m tests.benchmarks.readme"
        )


def test_a_replay_keeps_earlier_methods_and_is_whole_after_each_search(table):
    first = list(search_replay.replay(table, ["random"], 2, seeds=3, stock_seeds=1))[-1]
    kept = first["methods"]["random"]
    states = [
        {name: len(one["regrets"]) for name, one in result["methods"].items()}
        for result in search_replay.replay(table, ["grid", "evolution"], 2, 2, 1, earlier=first)
    ]
    assert states[:2] == [{"random": 3, "grid": 1}, {"random": 3, "grid": 2}]
    assert states[-1] == {"random": 3, "grid": 2, "evolution": 2}
    assert first["methods"] == {"random": kept}
    # Of another budget nothing is kept.
    other = list(search_replay.replay(table, ["grid"], 3, 2, 1, earlier=first))[-1]
    assert list(other["methods"]) == ["grid"]


def test_an_interrupted_replay_goes_on_after_the_searches_that_it_has(table):
    whole = list(search_replay.replay(table, ["random"], 4, seeds=5, stock_seeds=1))
    rest = list(search_replay.replay(table, ["random"], 4, 5, 1, earlier=whole[1]))
    assert [len(result["methods"]["random"]["regrets"]) for result in rest] == [3, 4, 5]
    ends = [results[-1]["methods"]["random"] for results in (whole, rest)]
    for name in ("regrets", "tests", "trials"):
        assert ends[0][name] == ends[1][name]
    # One that has them all is run again.
    assert len(list(search_replay.replay(table, ["random"], 4, 5, 1, earlier=whole[-1]))) == 5


def test_means_over_searches_of_unequal_length_by_hand():
    one = {"regrets": [], "tests": [], "trials": 0.0, "cpu_ms": 0.0}
    one = search_replay.with_search(one, [None] * 2, 0.1, [0.5], None)
    one = search_replay.with_search(one, [None] * 8, 0.1, [0.25], 0.9)
    assert one["regrets"] == [[0.5], [0.25]]
    assert one["tests"] == [None, 0.9]
    assert (one["trials"], one["cpu_ms"]) == (5, pytest.approx(20))


def test_methods_with_fewer_searches_are_not_compared_in_pairs():
    def method(finals):
        return {
            "regrets": [[0.5] * 99 + [final] for final in finals],
            "tests": [None] * len(finals),
            "trials": 100,
            "cpu_ms": 1.0,
        }

    methods = {"random": method([0.2, 0.4]), "tpe": method([0.1, 0.2]), "kt_random": method([0.3])}
    result = {"table": "t", "points": 9, "exhaustive": 0.0, "unit": "trainings"}
    result |= {"epochs": [100], "methods": methods}
    rows = {
        line.split("|")[1].strip(): line for line in search_replay.text(result).splitlines()[4:]
    }
    assert "| 0.50 (0.50 to 0.50) | 1.00 |" in rows["tpe"]
    assert "| 300.0 | - | - |" in rows["kt_random"]


def test_the_probe_scores_the_average_of_weights_and_gives_the_weights_back():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax", use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), "categorical_crossentropy")
    inputs, labels = np.eye(2, dtype="float32"), np.array([0, 1])
    model.train_on_batch(inputs, np.eye(2))
    crossed, straight = np.array([[-9.0, 9.0], [9.0, -9.0]]), np.array([[9.0, -9.0], [-9.0, 9.0]])
    model.layers[0].kernel.assign(crossed)
    model.optimizer._model_variables_moving_average[0].assign(straight)
    probe = TestAccuracy(inputs, labels)
    probe.set_model(model)
    probe.on_train_begin()
    probe.on_epoch_end(0)
    assert probe.rows[0]["accuracy"] == 1.0
    np.testing.assert_array_equal(model.get_weights()[0], crossed)


@pytest.mark.parametrize("packed", [True, False])
def test_packed_rows_make_pytorchs_lstm_compute_what_the_recipe_does(packed):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra [torch])")
    from tests.benchmarks import peers

    config = registry.load("imdb_bilstm").PRESETS["article"]
    model = registry.load_model_module("imdb_bilstm").build_model(config)
    peer = peers.NETWORKS["imdb_bilstm, packed" if packed else "imdb_bilstm"]()
    embedding, *weights, kernel, bias = model.get_weights()
    with torch.no_grad():
        peer.embedding.weight.copy_(torch.from_numpy(embedding))
        for end, (w, u, b) in {"l0": weights[:3], "l0_reverse": weights[3:]}.items():
            for part, value in {"weight_ih": w.T, "weight_hh": u.T, "bias_ih": b}.items():
                getattr(peer.lstm, f"{part}_{end}").copy_(torch.from_numpy(value))
            getattr(peer.lstm, f"bias_hh_{end}").zero_()
        peer.head.weight.copy_(torch.from_numpy(kernel.T))
        peer.head.bias.copy_(torch.from_numpy(bias))
        ids = np.random.default_rng(0).integers(2, 10_000, (3, 9)).astype("int32")
        ids[0, 4:], ids[1, 7:] = 0, 0
        found = torch.sigmoid(peer(torch.from_numpy(ids).long())).numpy()
    expected = keras.ops.convert_to_numpy(model(ids))
    assert np.allclose(found[2], expected[2], atol=1e-5)
    assert np.allclose(found, expected, atol=1e-5) == packed
