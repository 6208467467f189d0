"""mnist_mlp: penalties, constraints and optimizers against hand results; signals against Keras."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from common.basics.errors import UsageError
from recipes.mnist_mlp import signals
from recipes.mnist_mlp.model import build_model
from recipes.mnist_mlp.train import PRESETS, Config, make_optimizer

SMALL = Config(hidden=(6, 5))
STEP = 0.01


def example(config, rows=8):
    """Returns a compiled model of a Config, images and one-hot labels."""
    keras.utils.set_random_seed(3)
    model = build_model(config, 4)
    model.compile(make_optimizer(config, 10), "categorical_crossentropy")
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (rows, 28, 28, 1), dtype=np.uint8)
    return model, x, np.eye(4, dtype="float32")[np.arange(rows) % 4]


def kernels(model):
    return {
        layer.name: ops.convert_to_numpy(layer.kernel)
        for layer in model.layers
        if isinstance(layer, keras.layers.Dense)
    }


def test_the_loss_holds_the_penalties_and_the_metric_does_not():
    config = dataclasses.replace(SMALL, l1=0.003, l2=0.02)
    model, x, y = example(config)
    model.compile(
        loss="categorical_crossentropy",
        metrics=[keras.metrics.CategoricalCrossentropy(name="crossentropy")],
    )
    found = model.evaluate(x, y, return_dict=True, verbose=0)
    hidden = [kernel for name, kernel in kernels(model).items() if name != "probabilities"]
    assert [kernel.shape for kernel in hidden] == [(784, 6), (6, 5)]
    penalty = sum(0.003 * np.abs(kernel).sum() + 0.02 * (kernel**2).sum() for kernel in hidden)
    assert found["loss"] - found["crossentropy"] == pytest.approx(penalty, rel=1e-4)


def test_max_norm_bounds_the_weights_that_lead_into_a_unit():
    model, x, y = example(dataclasses.replace(SMALL, max_norm=0.5, learning_rate=0.1))
    model.train_on_batch(x, y)
    found = kernels(model)
    for name in ("hidden_1", "hidden_2"):
        assert np.linalg.norm(found[name], axis=0).max() <= 0.5 + 1e-5
    assert np.linalg.norm(found["probabilities"], axis=0).max() > 0.5


@pytest.mark.parametrize(("optimizer", "same"), [("sgd", True), ("adam", False)])
def test_l2_in_the_loss_is_weight_decay_for_sgd_only(optimizer, same):
    # The gradient of l2 * w**2 is 2 * l2 * w.
    plain = dataclasses.replace(SMALL, optimizer=optimizer, learning_rate=STEP)
    first, x, y = example(dataclasses.replace(plain, l2=0.05))
    second, _, _ = example(dataclasses.replace(plain, weight_decay=0.1))
    # One step: weight_decay shrinks the last kernel too, which hidden ones see from the second on.
    first.train_on_batch(x, y)
    second.train_on_batch(x, y)
    one, other = kernels(first)["hidden_1"], kernels(second)["hidden_1"]
    assert (np.abs(one - other).max() < 1e-7) == same


@pytest.mark.parametrize(
    ("optimizer", "change"),
    [
        ("sgd", lambda g: STEP * g),
        # Nesterov: 0.9 times the momentum, which is the gradient itself, and the gradient.
        ("momentum", lambda g: STEP * 1.9 * g),
        ("rmsprop", lambda g: STEP * g / np.sqrt(0.1 * g**2 + 1e-7)),
        ("adagrad", lambda g: STEP * g / np.sqrt(0.1 + g**2 + 1e-7)),
        ("adam", lambda g: STEP * g / (np.abs(g) + 1e-7 / np.sqrt(0.001))),
    ],
)
def test_first_step_of_each_optimizer(optimizer, change):
    made = make_optimizer(Config(optimizer=optimizer, learning_rate=STEP), 10)
    weight = keras.Variable(np.ones((2, 3), "float32"))
    gradient = np.array([[0.5, -2.0, 0.1], [1.0, 3.0, -0.2]], "float32")
    made.build([weight])
    made.apply([ops.convert_to_tensor(gradient)])
    moved = 1 - ops.convert_to_numpy(weight)
    np.testing.assert_allclose(moved, change(gradient), rtol=1e-3)


def test_muon_makes_orthogonal_steps_of_hidden_kernels_and_adams_of_the_last_one():
    model, x, y = example(
        Config(hidden=(6, 5), activation="tanh", optimizer="muon", learning_rate=STEP)
    )
    before = kernels(model)
    model.train_on_batch(x, y)
    moved = {name: after - before[name] for name, after in kernels(model).items()}
    for name in ("hidden_1", "hidden_2"):
        lengths = np.linalg.svd(moved[name], compute_uv=False)
        assert lengths.max() < 2 * lengths.min(), "not orthogonal"
    np.testing.assert_allclose(np.abs(moved["probabilities"]), STEP / 4, rtol=0.02)


def test_decay_leaves_scales_and_offsets_alone():
    config = Config(hidden=(6,), batch_norm=True, weight_decay=0.5)
    model, _, _ = example(config)
    before = model.get_weights()
    model.optimizer.apply(
        [ops.zeros_like(weight) for weight in model.trainable_variables], model.trainable_variables
    )
    for weight, old in zip(model.weights, before, strict=True):
        decayed = 1 - 0.5 * config.learning_rate if weight.name == "kernel" else 1
        np.testing.assert_allclose(ops.convert_to_numpy(weight), old * decayed, rtol=1e-6)


def test_residual_adds_each_layer_to_what_it_got():
    config = Config(hidden=(5, 5, 5), residual=True)
    model, x, _ = example(config)
    weights = [layer.get_weights() for layer in model.layers if layer.get_weights()]
    flat = x.reshape(len(x), -1) / 255
    got = flat @ weights[0][0] + weights[0][1]
    for kernel, bias in weights[1:3]:
        got = got + np.maximum(got, 0) @ kernel + bias
    logits = np.maximum(got, 0) @ weights[3][0] + weights[3][1]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), expected, rtol=1e-4)


def test_what_contradicts_itself_is_refused():
    with pytest.raises(UsageError, match="residual needs hidden layers of one size, got 8, 4"):
        Config(hidden=(8, 4), residual=True)
    with pytest.raises(UsageError, match="patience and schedule one_cycle contradict"):
        Config(patience=3, schedule="one_cycle")
    assert PRESETS["deep"].hidden == (64,) * 30


def test_selu_gets_alpha_dropout():
    for activation, expected in (("selu", "AlphaDropout"), ("relu", "Dropout")):
        model = build_model(Config(hidden=(3,), activation=activation, dropout_rate=0.5))
        assert expected in {type(layer).__name__ for layer in model.layers}


@pytest.mark.parametrize("name", signals.ACTIVATIONS)
def test_activations_and_slopes_are_those_of_keras(name):
    x = np.linspace(-3, 3, 13) + 0.01
    y, slope = signals.ACTIVATIONS[name](x)
    keras_y = ops.convert_to_numpy(keras.activations.get(name)(x.astype("float32")))
    np.testing.assert_allclose(y, keras_y, atol=1e-5)
    step = 1e-6
    upper, _ = signals.ACTIVATIONS[name](x + step)
    lower, _ = signals.ACTIVATIONS[name](x - step)
    np.testing.assert_allclose(slope, (upper - lower) / (2 * step), atol=1e-5)


def test_sizes_by_finite_differences():
    random = np.random.default_rng(0)
    matrices = [random.normal(size=shape) for shape in ((4, 3), (3, 5))]
    x, back = random.normal(size=(2, 4)), random.normal(size=(2, 5))
    found = signals.sizes("tanh", matrices, x, back)

    def loss(first, added=0.0):
        return float((np.tanh((np.tanh(x @ first) + added) @ matrices[1]) * back).sum())

    def numeric(size, function):
        step = 1e-6
        units = np.eye(int(np.prod(size))).reshape(-1, *size) * step
        return np.array([(function(each) - function(-each)) / (2 * step) for each in units])

    by_kernel = numeric((4, 3), lambda change: loss(matrices[0] + change))
    by_activation = numeric((2, 3), lambda change: loss(matrices[0], change))
    assert found["kernel"][0] == pytest.approx(np.sqrt(np.mean(by_kernel**2)), rel=1e-4)
    assert found["gradient"][0] == pytest.approx(np.sqrt(np.mean(by_activation**2)), rel=1e-4)
    hidden = np.tanh(x @ matrices[0])
    assert found["activation"][0] == pytest.approx(np.sqrt(np.mean(hidden**2)))


def test_gains_through_thirty_layers():
    """He's variance keeps what ReLU halves; the gradient by kernels hides that Glorot's does not."""
    glorot = signals.at_start("relu", "glorot_uniform")
    he = signals.at_start("relu", "he_normal")
    assert signals.gain(glorot["activation"]) == pytest.approx(0.71, abs=0.03)
    assert signals.gain(glorot["gradient"], True) == pytest.approx(0.71, abs=0.03)
    assert signals.gain(glorot["kernel"], True) == pytest.approx(1.0, abs=0.05)
    assert signals.gain(he["activation"]) == pytest.approx(1.0, abs=0.05)
