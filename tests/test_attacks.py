"""Attacks against results by hand on linear classifiers, training by them, and `recipes attack`."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from common.basics.backend import no_gradients
from common.training import adversarial
from common.training.attacks import CHUNK, Target, square_side, unit
from common.training.gradients import values

SHAPE = (4, 3, 2)


def linear(seed=0):
    """Returns a linear classifier of three classes, and its kernel `(24, 3)`."""
    inputs = keras.Input(SHAPE, dtype="uint8")
    x = layers.Flatten()(ops.cast(inputs, "float32") / 255.0)
    model = keras.Model(inputs, layers.Activation("softmax")(layers.Dense(3)(x)))
    kernel = np.random.default_rng(seed).normal(size=(24, 3)).astype("float32")
    model.set_weights([kernel, np.zeros(3, "float32")])
    return model, kernel


def answered(n=7):
    """Returns n images, their right answers by the linear classifier, and both parts of it."""
    model, kernel = linear()
    x = unit(np.random.default_rng(1).integers(40, 216, (n, *SHAPE), dtype=np.uint8))
    return x, (x.reshape(n, -1) @ kernel).argmax(axis=1), model, kernel


def test_the_losses_by_hand():
    logits = ops.convert_to_tensor(np.array([[1.0, 3.0, 2.0], [5.0, 0.0, -1.0]], "float32"))
    y = ops.convert_to_tensor(np.eye(3, dtype="float32")[[2, 0]])
    expected = [np.log(np.exp([-1, 1, 0]).sum()), np.log(np.exp([0, -5, -6]).sum())]
    found = ops.convert_to_numpy(adversarial.cross_entropy(logits, y))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(adversarial.margin(logits, y)), [1, -5])
    clean = ops.convert_to_tensor(np.log(np.array([[0.5, 0.25, 0.25]], "float32")))
    other = ops.convert_to_tensor(np.log(np.array([[0.2, 0.6, 0.2]], "float32")))
    divergence = 0.5 * np.log(0.5 / 0.2) + 0.25 * np.log(0.25 / 0.6) + 0.25 * np.log(0.25 / 0.2)
    found = ops.convert_to_numpy(adversarial.divergence(other, clean))
    np.testing.assert_allclose(found, [divergence], rtol=1e-5)


def test_a_step_goes_by_the_sign_of_the_gradient_and_stays_inside():
    x = np.array([[[[0.5, 0.05, 0.98, 0.5]]]], "float32")
    w = ops.convert_to_tensor(np.array([2.0, -1.0, 0.1, 0.0], "float32"))
    with no_gradients():
        found = adversarial.climb(
            lambda images: ops.sum(images * w, axis=(1, 2, 3)),
            x,
            ops.convert_to_tensor(x),
            0.1,
            0.3,
        )
    # Within epsilon, at black, at white, and where there is no gradient.
    np.testing.assert_allclose(ops.convert_to_numpy(found)[0, 0, 0], [0.6, 0, 1, 0.5], atol=1e-6)


def test_fgsm_turns_a_linear_classifier_of_two_classes_where_it_can_be_turned():
    """The margin falls by epsilon times the sum of the differences of weights, where no border is."""
    inputs = keras.Input(SHAPE, dtype="uint8")
    outputs = layers.Dense(1, activation="sigmoid")(
        layers.Flatten()(ops.cast(inputs, "float32") / 255.0)
    )
    model = keras.Model(inputs, outputs)
    random = np.random.default_rng(0)
    w = random.normal(size=24).astype("float32")
    model.set_weights([w[:, None], np.zeros(1)])
    x = unit(random.integers(40, 216, (CHUNK + 7, *SHAPE), dtype=np.uint8))
    z = x.reshape(len(x), -1) @ w
    y = (z > 0).astype(int)
    expected = np.abs(z) > 0.1 * np.abs(w).sum()
    assert 0 < expected.sum() < len(x)
    target = Target(model)
    for settings in ({"steps": 1, "size": 0.1}, {"steps": 5, "size": 0.04}):
        held = target.pgd(x, y, epsilon=0.1, **settings)
        np.testing.assert_array_equal(held, expected)
    held = target.pgd(
        x, y, epsilon=0.1, steps=8, size=0.03, random=np.random.default_rng(1), loss="margin"
    )
    np.testing.assert_array_equal(held, expected)
    # Without gradients never more than with them.
    few = target.moved(x[:7], y[:7], epsilon=0.1, steps=4, size=0.04)
    side = np.sign(w) * np.where(y[:7], -1, 1)[:, None]
    np.testing.assert_allclose(few.reshape(7, -1), x[:7].reshape(7, -1) + 0.1 * side, atol=1e-6)
    black = target.square(x, y, epsilon=0.1, queries=60, random=np.random.default_rng(2))
    assert not (expected & ~black).any()
    assert (~black).sum() > 0.5 * (~expected).sum()


def test_l2_attacks_turn_a_linear_classifier_where_they_can_and_stay_in_the_ball():
    """The steepest change of length epsilon moves z by epsilon times the length of the weights."""
    inputs = keras.Input(SHAPE, dtype="uint8")
    outputs = layers.Dense(1, activation="sigmoid")(
        layers.Flatten()(ops.cast(inputs, "float32") / 255.0)
    )
    model = keras.Model(inputs, outputs)
    random = np.random.default_rng(4)
    w = random.normal(size=24).astype("float32")
    model.set_weights([w[:, None], np.array([-w.sum() / 2])])
    # So far from black and white that nothing is clipped.
    x = unit(random.integers(110, 146, (45, *SHAPE), dtype=np.uint8))
    z, epsilon = (x.reshape(45, -1) - 0.5) @ w, 0.05
    y = (z > 0).astype(int)
    expected = np.abs(z) > epsilon * np.linalg.norm(w)
    assert 0 < expected.sum() < 45
    target = Target(model, "l2")
    for settings in (
        {"steps": 1, "size": epsilon},
        {"steps": 9, "size": 0.02, "random": np.random.default_rng(5), "loss": "margin"},
    ):
        np.testing.assert_array_equal(target.pgd(x, y, epsilon=epsilon, **settings), expected)
    moved = target.moved(x[:7], y[:7], epsilon=epsilon, steps=5, size=0.03)
    side = np.where(y[:7], -1, 1)[:, None] * w / np.linalg.norm(w)
    np.testing.assert_allclose((moved - x[:7]).reshape(7, -1), epsilon * side, atol=1e-5)
    black = target.square(x, y, epsilon=epsilon, queries=200, random=np.random.default_rng(6))
    assert not (expected & ~black).any()
    assert (~black).sum() > 0.5 * (~expected).sum()


def test_what_leaves_the_l2_ball_or_the_image_is_brought_back():
    x = np.array([[[[0.5, 0.9]]], [[[0.5, 0.5]]]], "float32")
    moved = x + np.array([[[[0.6, 0.8]]], [[[0.0, 0.1]]]], "float32")
    moved, x = map(ops.convert_to_tensor, (moved, x))
    found = ops.convert_to_numpy(adversarial.inside(moved, x, 0.5, "l2"))
    # Of length 1: halved, then cut at white. The other is inside.
    np.testing.assert_allclose(found[:, 0, 0], [[0.8, 1.0], [0.5, 0.6]], atol=1e-6)


def test_an_attack_counts_only_what_was_right():
    x, y, model, _ = answered()
    y[2] = (y[2] + 1) % 3
    held = Target(model).pgd(x, y, epsilon=1e-4, steps=2, size=1e-4)
    np.testing.assert_array_equal(held, np.arange(7) != 2)


def test_squares_shrink_by_the_schedule():
    sides = [square_side(query, 10_000, 28, 20) for query in range(10_000)]
    assert sides[0] == 20  # The root of 0.8 x 28 x 20 is 21: more than the image is wide.
    assert sides[-1] == 1
    assert sides == sorted(sides, reverse=True)
    assert square_side(30, 10_000, 28, 20) == round((0.4 * 28 * 20) ** 0.5)


def test_the_attack_leaves_weights_and_batch_statistics_alone():
    inputs = keras.Input(SHAPE, dtype="uint8")
    x = layers.Conv2D(4, 2)(ops.cast(inputs, "float32") / 255.0)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    before = [np.array(weight) for weight in model.get_weights()]
    images = unit(np.random.default_rng(0).integers(0, 256, (9, *SHAPE), dtype=np.uint8))
    Target(model).pgd(images, np.zeros(9, int), epsilon=0.1, steps=3, size=0.05)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


# Training


@pytest.mark.parametrize("trades", [0.0, 2.0])
def test_a_step_by_hand(trades):
    """A linear softmax: FGSM moves by the sign of the kernel times the error, which gives the loss."""
    model, kernel = linear()
    n, epsilon = 5, 0.1
    x = np.random.default_rng(2).integers(60, 200, (n, *SHAPE), dtype=np.uint8)
    y = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1]]
    start = np.random.default_rng(3).uniform(-1, 1, (n, 24)).astype("float32")
    head = np.tile(np.array([epsilon, 0.05, 1], "float32"), (n, 1))
    step = adversarial.adversarial_step(model, trades=trades)
    batch = [ops.convert_to_tensor(part) for part in (x, y, np.concatenate([head, start], 1))]
    weights, state = values(model.trainable_variables), values(model.non_trainable_variables)
    with no_gradients():
        loss, (seen, outputs), after, gradients = step(weights, state, batch)

    def softmax(images):
        z = np.exp(images @ kernel)
        return z / z.sum(axis=1, keepdims=True)

    clean = unit(x).reshape(n, -1)
    begun = clean + epsilon * start
    # The loss climbed has the gradient (answer - what is wanted) in the logits.
    wanted = softmax(clean) if trades else y
    direction = np.sign((softmax(begun) - wanted) @ kernel.T)
    moved = np.clip(begun + 0.05 * direction, clean - epsilon, clean + epsilon)
    p = softmax(moved)
    np.testing.assert_allclose(ops.convert_to_numpy(outputs), p, rtol=1e-3, atol=1e-5)
    expected = -np.sum(y * np.log(p), axis=1)
    if trades:
        q = softmax(clean)
        expected = -np.sum(y * np.log(q), axis=1) + trades * np.sum(q * np.log(q / p), axis=1)
    assert float(ops.convert_to_numpy(loss)) == pytest.approx(expected.mean(), rel=1e-4)
    if not trades:
        np.testing.assert_allclose(
            ops.convert_to_numpy(gradients[0]), moved.T @ (p - y) / n, rtol=1e-3, atol=1e-5
        )
    np.testing.assert_array_equal(ops.convert_to_numpy(seen), y)
    assert len(after) == len(state)


def test_draws_carry_the_attack_and_a_start_for_each_pixel():
    draw = adversarial.draws(lambda index: (0.1 * index, 0.02, 3))
    found = draw(np.zeros((5, *SHAPE), "uint8"), np.random.default_rng(0), 2)
    assert found.shape == (5, 3 + 24)
    np.testing.assert_allclose(found[:, :3], [[0.2, 0.02, 3]] * 5, rtol=1e-6)
    assert np.abs(found[:, 3:]).max() <= 1
    assert found[:, 3:].std() == pytest.approx(3**-0.5, rel=0.2)


def test_a_softmax_within_a_dense_layer_is_refused():
    inputs = keras.Input(SHAPE, dtype="uint8")
    x = layers.Flatten()(ops.cast(inputs, "float32"))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    with pytest.raises(ValueError, match="a softmax of its own"):
        adversarial.adversarial_step(model)
