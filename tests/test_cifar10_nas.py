"""cifar10_nas: its space, and a supernet whose paths are the networks built alone."""

import keras
import numpy as np
import pytest
from keras import ops

from common.basics.errors import UsageError
from common.layers.choose import choose
from common.training.gradients import value_and_gradients
from recipes.cifar10_nas import space
from recipes.cifar10_nas.supernet import (
    BatchStatistics,
    PathBatches,
    build_supernet,
    compile_supernet,
    draw_path,
    inherit,
    path_of,
    score,
)
from recipes.cifar10_nas.train import Config

MIXED = ("conv3", "pool", "skip", "conv1", "conv3")
OTHERS = (MIXED, ("conv1", "conv1", "pool", "conv3", "skip"), ("skip",) * 5, ("pool",) * 5)


@pytest.fixture
def supernet():
    """Returns a supernet of 3 classes and 5 filters, no two of whose weights are alike."""
    keras.utils.set_random_seed(0)
    model = build_supernet(Config(width=5), 3)
    random = np.random.default_rng(0)
    model.set_weights(
        [
            weight + random.normal(0, 0.1, weight.shape).astype("float32")
            for weight in model.get_weights()
        ]
    )
    return model


def images(count, seed=0):
    """Returns noise, from dark to bright images: a network sees that they differ."""
    random = np.random.default_rng(seed)
    bright = np.linspace(0.1, 1.0, count)[:, None, None, None]
    return (bright * random.integers(0, 256, (count, 32, 32, 3))).astype("uint8")


def test_networks_are_numbered_in_order():
    assert space.NETWORKS == 1024
    assert space.CHOICES == 5
    assert space.network(0) == ("conv3",) * 5
    assert space.network(1) == ("conv3",) * 4 + ("conv1",)
    assert space.network(1023) == ("skip",) * 5
    # 0 * 256 + 2 * 64 + 3 * 16 + 1 * 4 + 0
    assert space.index_of(MIXED) == 180
    assert space.network(180) == MIXED
    assert len({space.network(index) for index in range(1024)}) == 1024
    for index in (-1, 1024):
        with pytest.raises(IndexError):
            space.network(index)


def test_a_skip_may_stand_anywhere_in_its_stage():
    before = ("skip", "conv3", "skip", "pool", "skip")
    assert space.plain_form(before) == ("conv3", "skip", "pool", "skip", "skip")
    forms = {space.plain_form(space.network(index)) for index in range(1024)}
    # Of 16 pairs in a stage 3 say what another says; the last stage has one choice.
    assert len(forms) == 13 * 13 * 4


@pytest.mark.parametrize(
    ("operations", "words"),
    [(("conv3",) * 4, "5 words, got 4"), (("conv3",) * 4 + ("conv2",), "did you mean|unknown")],
)
def test_what_is_no_network_is_refused(operations, words):
    with pytest.raises(UsageError, match=words):
        Config(operations=operations)


def test_choose_is_the_branch_and_leaves_the_others_alone():
    tensors = [ops.convert_to_tensor(value) for value in (2.0, 3.0, 5.0)]
    x = ops.convert_to_tensor(np.array([[1.0, -2.0, 4.0], [0.5, 0.0, 1.0]], "float32"))

    def value(tensors):
        branches = [
            lambda x: tensors[0] * x,
            lambda x: tensors[1] + x,
            lambda x: tensors[2] * x * x,
        ]
        chosen = choose(ops.convert_to_tensor(index, "int32"), branches, x)
        return ops.sum(chosen), chosen

    # The sums of x, of ones, of squares: by hand.
    for index, (first, gradient) in enumerate([(2.0, 4.5), (4.0, 6.0), (5.0, 22.25)]):
        (_, chosen), gradients = value_and_gradients(value, tensors)
        assert ops.convert_to_numpy(chosen)[0, 0] == first
        expected = [0.0, 0.0, 0.0]
        expected[index] = gradient
        np.testing.assert_allclose(
            [ops.convert_to_numpy(each) for each in gradients], expected, rtol=1e-6
        )


def test_batch_statistics_by_hand():
    layer = BatchStatistics(epsilon=0.5)
    x = np.array([1.0, 2.0, 6.0, 3.0, 0.0, 0.0], "float32").reshape(1, 3, 1, 2)
    layer.build(x.shape)
    layer.gamma.assign([2.0, 1.0])
    layer.beta.assign([1.0, -1.0])
    # Channel 0 holds 1, 6, 0: mean 7/3, variance 62/9; channel 1 holds 2, 3, 0: 5/3 and 14/9.
    expected = [
        [
            (value - mean) / np.sqrt(variance + 0.5) * gamma + beta
            for value, mean, variance, gamma, beta in (
                (one, 7 / 3, 62 / 9, 2, 1),
                (two, 5 / 3, 14 / 9, 1, -1),
            )
        ]
        for one, two in ((1, 2), (6, 3), (0, 0))
    ]
    found = ops.convert_to_numpy(layer(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("operations", OTHERS)
def test_a_path_is_the_network_built_alone(supernet, operations):
    x = images(7)
    alone = inherit(supernet, Config(width=5, operations=operations), 3)
    inherited = supernet([ops.convert_to_tensor(x), ops.convert_to_tensor(path_of(operations, 7))])
    expected = alone(ops.convert_to_tensor(x), training=True)
    np.testing.assert_allclose(
        ops.convert_to_numpy(inherited), ops.convert_to_numpy(expected), atol=2e-6
    )
    assert np.ptp(ops.convert_to_numpy(inherited), axis=0).max() > 1e-3


def chosen(path, operations):
    """Returns whether a weight of the supernet is on a path."""
    parts = path.split("/")
    if not parts[0].startswith("place"):
        return True
    word = operations[int(parts[0][len("place") :]) - 1]
    return any(part in (word, f"{word}_norm") for part in parts)


def test_a_step_moves_its_path_and_nothing_else(supernet, monkeypatch):
    compile_supernet(supernet, 0.1)
    monkeypatch.setattr("recipes.cifar10_nas.supernet.draw_path", lambda *where: MIXED)
    batches = PathBatches(images(6), np.arange(6) % 3, batch_size=6, num_classes=3, seed=0)
    before = supernet.get_weights()
    supernet.fit(batches, shuffle=False, verbose=0)
    moved = {
        weight.path: bool(np.any(ops.convert_to_numpy(weight) != old))
        for weight, old in zip(supernet.weights, before, strict=True)
    }
    assert moved == {path: chosen(path, MIXED) for path in moved}
    assert not all(moved.values())


def test_paths_are_drawn_uniformly_and_again():
    counts = np.zeros((5, 4))
    steps = 4000
    for step in range(steps):
        path = draw_path(3, step // 50, step % 50)
        for place, word in enumerate(path):
            counts[place, space.OPERATIONS.index(word)] += 1
    expected = steps / 4
    # 3 degrees of freedom each: 16.27 is passed once in a thousand.
    assert (((counts - expected) ** 2 / expected).sum(axis=1) < 16.27).all()
    assert draw_path(3, 1, 2) == draw_path(3, 1, 2)
    seeds = {draw_path(seed, 0, 0) for seed in range(40)}
    assert len(seeds) > 30


def test_scores_are_of_each_path_alone(supernet):
    x, y = images(9, seed=1), np.arange(9) % 3
    networks = [space.index_of(operations) for operations in OTHERS]
    found = score(supernet, x, y, networks)
    for value, operations in zip(found, OTHERS, strict=True):
        outputs = supernet(
            [ops.convert_to_tensor(x), ops.convert_to_tensor(path_of(operations, 9))]
        )
        right = ops.convert_to_numpy(outputs).argmax(axis=1) == y
        assert value == pytest.approx(right.mean())
