"""Training with differential privacy: batches, steps and the attack by hand; the secret of a run."""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from common.basics.errors import RecipeError, UsageError
from common.basics.statistics import wilson_interval
from common.runs import registry
from common.tasks import membership, metrics
from common.training import accountant, private
from common.training.gradients import values
from recipes.mnist_private.guarantee import noise_of
from tests.helpers import assert_equal_weights, train_tiny

CLIP = 0.8


def batches(n=57, seed=3, **changes):
    random = np.random.default_rng(0)
    x = random.integers(1, 256, (n, 5), dtype=np.uint8)
    settings = {"batch_size": 10, "num_classes": 3, "noise": 0.0, "parameters": 4, "seed": seed}
    return private.PoissonBatches(x, np.arange(n) % 3, **{**settings, **changes})


def test_sizes_of_batches_are_binomial_and_examples_independent():
    made = batches()
    assert made.num_batches == 6
    assert made.room == 36  # 10 + 8 sqrt(10), rounded up
    inside = np.zeros((1200, 57))
    for epoch in range(200):
        made.set_epoch(epoch)
        for index in range(6):
            inside[epoch * 6 + index, made.rows(index)] = 1
    rate = 10 / 57
    sizes = inside.sum(1)
    assert sizes.mean() == pytest.approx(10, abs=4 * np.sqrt(57 * rate * (1 - rate) / 1200))
    assert sizes.var() == pytest.approx(57 * rate * (1 - rate), rel=0.2)
    for count in inside.sum(0).astype(int):
        low, high = wilson_interval(count, 1200, 0.99999)
        assert low < rate < high
    together = np.corrcoef(inside[:, :20].T)[np.triu_indices(20, 1)]
    assert np.abs(together).max() < 5 / np.sqrt(1200)


def test_a_batch_is_its_examples_and_rows_of_zeros():
    made = batches()
    rows = made.rows(2)
    x, targets, noise = made[2]
    assert x.shape == (36, 5)
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x[: len(rows)], made.x[rows])
    np.testing.assert_array_equal(targets[: len(rows)], np.eye(3)[rows % 3])
    assert not x[len(rows) :].any()
    assert not targets[len(rows) :].any()
    np.testing.assert_array_equal(noise, np.zeros(4))
    halves = batches()
    halves.x = halves.x.astype("float16")
    assert halves[0][0].dtype == np.float32


def test_a_batch_that_does_not_fit_is_an_error(monkeypatch):
    monkeypatch.setattr(private.PoissonBatches, "room", 3)
    with pytest.raises(RecipeError, match="more than the 3 there is room for"):
        batches()[0]


def test_without_a_seed_examples_come_in_order_and_without_noise():
    made = batches(seed=None, noise=2.0)
    np.testing.assert_array_equal(made[5][0][:7], made.x[50:])
    assert not made[5][1][7:].any()
    assert not made[0][2].any()


def test_few_examples_are_in_every_batch():
    made = batches(n=6)
    assert made.rate == 1
    assert made.room == 6
    np.testing.assert_array_equal(made.rows(0), np.arange(6))


def test_the_noise_has_its_deviation_and_repeats_itself():
    made = batches(noise=1.5, parameters=20_000)
    first, second = made[0][2], made[1][2]
    assert first.std() == pytest.approx(1.5, rel=0.03)
    assert abs(first.mean()) < 0.05
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    np.testing.assert_array_equal(first, batches(noise=1.5, parameters=20_000)[0][2])
    # A secret has 128 bits.
    other = batches(noise=1.5, parameters=20_000, seed=2**127 + 3)
    assert not np.array_equal(first, other[0][2])
    made.set_epoch(1)
    assert not np.array_equal(first, made[0][2])


def regression():
    """Returns a softmax regression on doubled inputs, where it learns from, and its weights."""
    inputs = keras.Input((5,), dtype="float32")
    x = layers.Rescaling(2.0, name="features")(inputs)
    model = keras.Model(inputs, layers.Activation("softmax")(layers.Dense(3)(x)))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=(5, 3)), random.normal(size=3)])
    return model, model.get_layer("features").output


def stepped(x, y, noise, clip=CLIP, batch_size=30):
    model, start = regression()
    step = private.private_step(model, start, batch_size=batch_size, clip=clip)
    tensors = [ops.convert_to_tensor(np.asarray(part, "float32")) for part in (x, y, noise)]
    found = step(values(model.trainable_variables), [], tensors)
    return keras.tree.map_structure(ops.convert_to_numpy, found)


def by_hand(x, y):
    """Returns the losses, the probabilities and the gradients (kernel, bias) of each example."""
    kernel, bias = regression()[0].get_weights()
    logits = x @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    losses = -np.log((p * y).sum(1))
    return losses, p, x[:, :, None] * (p - y)[:, None], p - y


def test_a_step_is_the_sum_of_shortened_gradients_and_noise_over_the_mean_size():
    random = np.random.default_rng(0)
    # Features, not inputs: what comes before them is left out.
    x, y = random.normal(size=(37, 5)), np.eye(3)[random.integers(0, 3, 37)]
    noise = random.normal(size=18)
    losses, p, kernels, biases = by_hand(x, y)
    norms = np.sqrt((kernels**2).sum((1, 2)) + (biases**2).sum(1))
    assert 5 < (norms > CLIP).sum() < 32  # the clip is in the middle
    share = np.minimum(1, CLIP / norms)
    loss, (truth, answers, weights), state, (kernel, bias) = stepped(x, y, noise)
    expected = (kernels * share[:, None, None]).sum(0) + CLIP * noise[:15].reshape(5, 3)
    np.testing.assert_allclose(kernel, expected / 30, rtol=1e-4, atol=1e-6)
    expected = (biases * share[:, None]).sum(0) + CLIP * noise[15:]
    np.testing.assert_allclose(bias, expected / 30, rtol=1e-4, atol=1e-6)
    assert loss == pytest.approx(losses.sum() / 30, rel=1e-5)
    np.testing.assert_allclose(answers, p, rtol=1e-4)
    np.testing.assert_array_equal(truth, y.astype("float32"))
    np.testing.assert_array_equal(weights, np.ones(37))
    assert not state
    # One example moves the sum by the clip at most.
    without = stepped(np.delete(x, 4, 0), np.delete(y, 4, 0), noise)[3]
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip((kernel, bias), without, strict=True)))
    assert moved * 30 <= CLIP * (1 + 1e-4)


def test_rows_of_zeros_add_exactly_nothing():
    rows = np.zeros((7, 5)), np.zeros((7, 3))
    loss, (_, _, weights), _, (kernel, bias) = stepped(*rows, np.zeros(18))
    assert loss == 0
    assert not weights.any()
    assert not np.concatenate([kernel.ravel(), bias]).any()
    # Then the noise is all there is; backends round its scale differently.
    noise = np.arange(18.0)
    kernel, bias = stepped(*rows, noise)[3]
    found = np.concatenate([kernel.ravel(), bias])
    np.testing.assert_allclose(found, CLIP * noise / 30, rtol=1e-6)


def test_without_clip_it_is_the_plain_gradient():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(11, 5)), np.eye(3)[random.integers(0, 3, 11)]
    _, _, kernels, biases = by_hand(x, y)
    found = stepped(x, y, np.zeros(18), clip=None, batch_size=11)[3]
    np.testing.assert_allclose(found[0], kernels.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], biases.mean(0), rtol=1e-4, atol=1e-6)


def test_the_auc_and_its_interval_by_hand():
    members, others = np.array([3.0, 1.0, 2.0, 5.0]), np.array([2.0, 0.0, 4.0])
    # Pairs that are right: 3 beats 2 and 0; 1 beats 0; 2 ties with 2 and beats 0; 5 beats all.
    below = np.array([2, 1, 1.5, 3]) / 3
    above = np.array([2.5, 4, 1]) / 4
    area, low, high = metrics.roc_auc(members, others)
    assert area == pytest.approx(7.5 / 12)
    error = np.sqrt(below.var(ddof=1) / 4 + above.var(ddof=1) / 3)
    assert low == pytest.approx(max(7.5 / 12 - 1.959964 * error, 0))
    assert high == min(7.5 / 12 + 1.959964 * error, 1)
    assert metrics.roc_auc(np.ones(5), np.ones(3)) == (0.5, 0.5, 0.5)


def test_the_largest_auc_by_hand():
    # The corner is at a quarter of false and three quarters of true alarms.
    assert membership.largest_auc(np.log(3), 0) == pytest.approx(0.75)
    # delta 0.1: from (0, 0.1) to (0.225, 0.775) to (0.9, 1).
    expected = 0.225 * 0.875 / 2 + 0.675 * 1.775 / 2 + 0.1
    assert membership.largest_auc(np.log(3), 0.1) == pytest.approx(expected)
    assert membership.largest_auc(0, 0) == pytest.approx(0.5)
    assert membership.largest_auc(1e6, 0) == pytest.approx(1)


def test_the_secret_is_in_the_folder_while_it_trains_and_nowhere_after(
    tiny_data, tmp_path, monkeypatch
):
    drawn = iter([2**127 + 12345, 2**127 + 12345, 2**126 + 7])
    monkeypatch.setattr(private.secrets, "randbits", lambda bits: next(drawn))
    data, changes = tiny_data["image"], {"secret": True}
    whole, metrics = train_tiny("mnist_private", data, tmp_path / "whole", **changes)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("common.training.progress.Progress.on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            train_tiny("mnist_private", data, tmp_path / "stopped", **changes)
    held = tmp_path / "stopped" / private.SECRET
    assert int(held.read_text(), 16) == 2**127 + 12345
    assert held.stat().st_mode & 0o077 == 0
    resumed, again = train_tiny("mnist_private", data, tmp_path / "stopped", **changes)
    assert again == metrics
    assert_equal_weights(whole.path("final.keras"), resumed.path("final.keras"))
    for path in resumed.directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for text in (f"{2**127 + 12345:x}", str(2**127 + 12345)):
                assert text.encode() not in content, path
    # The next training draws another one, with the same seed.
    other, _ = train_tiny("mnist_private", data, tmp_path / "other", **changes)
    with pytest.raises(AssertionError):
        assert_equal_weights(whole.path("final.keras"), other.path("final.keras"))


def test_the_recipe_trains_without_the_accountant_and_says_what_is_not_known(
    tiny_data, tmp_path, monkeypatch
):
    monkeypatch.setattr(accountant.importlib.util, "find_spec", lambda name: None)
    module = registry.load("mnist_private")
    run, metrics = train_tiny("mnist_private", tiny_data["image"], tmp_path / "run", secret=True)
    assert metrics["privacy"]["epsilon"] is None
    remarks = module.TASK.remarks(metrics)
    assert remarks[0].startswith("There is noise, but what it guarantees is not known")
    assert dict(module.TASK.tiles(metrics))["epsilon"] == "none"
    assert "epsilon of all epochs" not in metrics["figures"]
    module.check(run.config)
    with pytest.raises(UsageError, match="make setup EXTRAS=privacy"):
        module.check(module.PRESETS["best"])


def test_settings_that_guarantee_nothing_are_refused():
    module = registry.load("mnist_private")
    with pytest.raises(UsageError, match="with clip_norm None, noise_multiplier must be 0"):
        module.Config(clip_norm=None)
    with pytest.raises(UsageError, match="delta must be below 1 / examples"):
        noise_of(module.Config(delta=0.01, noise_multiplier=1.0), 100)
    with pytest.raises(UsageError, match="filters must be two values"):
        module.Config(filters=(4,))


@pytest.mark.parametrize("preset", ["cnn", "cnn-plain"])
def test_the_convolutional_presets_train(preset, tiny_data, tmp_path):
    module = registry.load("mnist_private")
    base = module.PRESETS[preset]
    changes = {name: getattr(base, name) for name in ("features", "clip_norm", "noise_multiplier")}
    if preset == "cnn":
        changes["noise_multiplier"] = 0.5
    _, metrics = train_tiny("mnist_private", tiny_data["image"], tmp_path / "run", **changes)
    assert metrics["privacy"]["clip_norm"] == base.clip_norm
    guaranteed = "No privacy is guaranteed"
    assert module.TASK.remarks(metrics)[0].startswith(guaranteed)


PRIVACY = {
    "epsilon": 2.998,
    "delta": 1e-5,
    "noise_multiplier": 2.5,
    "clip_norm": 0.1,
    "sampling_rate": 0.07,
    "steps": 560,
    "epochs": 40,
    "examples": 57000,
    "secret": True,
    "chosen": False,
    "accountant": "dp-accounting 0.6.0, PLD",
}
MEMBERSHIP = {"auc": 0.5021, "interval": [0.494, 0.51], "members": 10000, "others": 9000}


def test_the_section_says_what_is_guaranteed_and_what_is_not():
    from common.tasks.private import section

    html = section({"privacy": PRIVACY, "membership": MEMBERSHIP}).html
    for words in (
        "epsilon 3 at delta 1e-05, over all 40 epochs that ran",
        '<td class="n">2.998</td>',
        "0.502 (95 % interval 0.494 to 0.510)",
        "10,000 of them and 9,000 test images",
        "can have more than 0.952",
        "Validation and test images. They give the figures",
        "trials of a search",
        "Floating-point numbers",
    ):
        assert words in html, words
    chosen = section({"privacy": {**PRIVACY, "chosen": True}, "membership": MEMBERSHIP}).html
    assert "They chose the epoch and give" in chosen
    known = section({"privacy": {**PRIVACY, "secret": False}, "membership": MEMBERSHIP}).html
    assert "drawn by the seed in config.json" in known
    assert "can have more than" not in known


def test_figures_of_runs_stand_in_the_table():
    from common.studies.tables import _figure_lines

    runs = [{"figures": {"AUC": 0.5, "epsilon": 3.0}}, {"figures": {"AUC": 0.52}}, {}]
    assert _figure_lines({("best", False, None): runs}) == [
        "- `best`: AUC 0.510 ± 0.014, epsilon 3.000"
    ]
    assert json.dumps(PRIVACY)
