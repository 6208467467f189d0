"""Muon on convolution kernels: the step by hand, who takes it, and that it is saved and loaded."""

import keras
import numpy as np
import pytest

from common.layers.muon import Muon
from common.training.loading import load_model


def newton_schulz(matrix, steps=5):
    """Jordan's iteration in NumPy, on a matrix with no more rows than columns."""
    x = matrix / (np.linalg.norm(matrix) + 1e-7)
    for _ in range(steps):
        product = x @ x.T
        x = 3.4445 * x + (-4.7750 * product + 2.0315 * product @ product) @ x
    return x


@pytest.mark.parametrize("outputs", [3, 40])  # A tall matrix and a wide one.
@pytest.mark.parametrize("nesterov", [True, False])
def test_two_steps_by_hand(outputs, nesterov):
    random = np.random.default_rng(0)
    start = random.normal(size=(3, 3, 2, outputs)).astype("float32")
    gradients = random.normal(size=(2, *start.shape)).astype("float32")
    kernel = keras.Variable(start)
    optimizer = Muon(0.5, weight_decay=0.1, momentum=0.9, nesterov=nesterov)
    optimizer.build([kernel])
    expected, momentum = start.copy(), np.zeros_like(start)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)])
        momentum = 0.9 * momentum + gradient
        update = gradient + 0.9 * momentum if nesterov else momentum
        matrix = update.reshape(18, outputs)
        wide = outputs > 18
        step = newton_schulz(matrix if wide else matrix.T)
        step = step if wide else step.T
        expected *= 1 - 0.5 * 0.1
        expected -= 0.5 * 0.2 * np.sqrt(max(18, outputs)) * step.reshape(start.shape)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(kernel.value), expected, atol=2e-3)


def test_a_kernel_of_rank_many_gets_singular_values_near_one():
    matrix = np.random.default_rng(0).normal(size=(18, 5)).astype("float32")
    found = Muon().zeropower_via_newtonschulz5(keras.ops.convert_to_tensor(matrix), 5)
    values = np.linalg.svd(keras.ops.convert_to_numpy(found), compute_uv=False)
    assert (np.abs(values - 1) < 0.35).all()


@pytest.mark.parametrize("shape", [(90, 16), (16, 90), (7, 7)])
def test_it_is_keras_iteration_also_where_the_rank_is_low(shape):
    random = np.random.default_rng(0)
    matrix = random.normal(size=(shape[0], 4)) @ random.normal(size=(4, shape[1]))
    matrix[:, -1] = 0  # As of a filter without a gradient.
    matrix = keras.ops.convert_to_tensor(matrix.astype("float32"))
    ours = Muon().zeropower_via_newtonschulz5(matrix, 5)
    theirs = keras.optimizers.Muon().zeropower_via_newtonschulz5(matrix, 5)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs), atol=1e-4
    )
    zero = Muon().zeropower_via_newtonschulz5(matrix * 0, 5)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(zero), 0)


def test_only_kernels_of_convolutions_take_it():
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    optimizer = Muon()
    optimizer.build(model.trainable_variables)
    by_muon = [v.path for v in model.trainable_variables if not optimizer._should_use_adamw(v)]
    assert len(by_muon) == 1
    assert by_muon[0].endswith("kernel")
    assert len(model.trainable_variables) == 6


def test_a_saved_model_brings_it_back(tmp_path):
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(Muon(0.02, momentum=0.8), "categorical_crossentropy")
    model.fit(np.ones((4, 6, 6, 3)), np.eye(2)[[0, 1, 0, 1]], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    whole = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(whole.optimizer, Muon)
    assert whole.optimizer.momentum == 0.8
