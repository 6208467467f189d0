import keras
import numpy as np
import pytest
from keras import layers

from common.explain import anatomy
from common.explain.gradients import weight_gradients

IMAGE = np.array([[1, 2, 0, 1], [0, 1, 3, 1], [2, 0, 1, 0]])
KERNEL = np.array([[1, 0], [2, -1]])


def test_a_sliding_dot_product_by_hand():
    # Top left: 1*1 + 2*0 + 0*2 + 1*(-1) = 0; and so on.
    np.testing.assert_array_equal(anatomy.correlate(IMAGE, KERNEL), [[0, 1, 5], [4, 0, 5]])


def test_a_layer_correlates_and_the_fft_convolves():
    layer = layers.Conv2D(1, (2, 2), use_bias=False)
    layer.build((None, 3, 4, 1))
    layer.set_weights([KERNEL.reshape(2, 2, 1, 1)])
    out = keras.ops.convert_to_numpy(layer(IMAGE.reshape(1, 3, 4, 1).astype("float32")))
    np.testing.assert_allclose(out[0, :, :, 0], anatomy.correlate(IMAGE, KERNEL))
    flipped = KERNEL[::-1, ::-1]
    np.testing.assert_allclose(
        anatomy.convolve_fft(IMAGE, flipped), anatomy.correlate(IMAGE, KERNEL), atol=1e-12
    )
    assert not np.allclose(anatomy.convolve_fft(IMAGE, KERNEL), anatomy.correlate(IMAGE, KERNEL))


def test_receptive_fields_by_hand():
    inputs = keras.Input((32, 32, 1))
    x = layers.Conv2D(2, 3, name="a")(inputs)
    x = layers.Conv2D(2, 3, name="b")(x)
    x = layers.MaxPooling2D(2, name="c")(x)
    x = layers.Conv2D(2, 3, name="d")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 3, strides=2, dilation_rate=1, name="e")(x))
    found = [(reach.layer, reach.size, reach.stride) for reach in anatomy.receptive_fields(model)]
    # 3, 3 + 2, 5 + 1, 6 + 2 * 2, 10 + 2 * 2.
    assert found == [("a", 3, 1), ("b", 5, 1), ("c", 6, 2), ("d", 10, 2), ("e", 14, 4)]


def test_a_value_depends_on_its_receptive_field_and_nothing_else():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 1))
    x = layers.MaxPooling2D(2)(layers.Conv2D(3, 3, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Conv2D(2, 3)(x))
    reach = anatomy.receptive_fields(model)[-1]
    image = np.random.default_rng(0).random((1, 24, 24, 1)).astype("float32")
    before = keras.ops.convert_to_numpy(model(image))[0, 2, 2]
    outside = image.copy()
    first = 2 * reach.stride
    mask = np.ones((24, 24), bool)
    mask[first : first + reach.size, first : first + reach.size] = False
    outside[0, mask] = 9.0
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(outside))[0, 2, 2], before)


@pytest.mark.parametrize("steps", [1, 7])
def test_the_gates_add_up_to_the_layer(steps):
    keras.utils.set_random_seed(0)
    layer = layers.LSTM(5, return_sequences=True)
    x = np.random.default_rng(0).normal(size=(1, steps, 3)).astype("float32")
    expected = keras.ops.convert_to_numpy(layer(x))[0]
    gates = anatomy.lstm_gates(layer, x[0])
    np.testing.assert_allclose(gates["hidden"], expected, rtol=1e-4, atol=1e-5)
    for name in ("input", "forget", "output"):
        assert gates[name].shape == (steps, 5)
        assert 0 < gates[name].min() <= gates[name].max() < 1


def test_the_gates_of_a_gru_add_up_to_the_layer():
    keras.utils.set_random_seed(0)
    # Other biases than 0: there are two rows of them, and one lies behind the reset gate.
    layer = layers.GRU(5, return_sequences=True, bias_initializer="random_normal")
    x = np.random.default_rng(0).normal(size=(1, 7, 3)).astype("float32")
    expected = keras.ops.convert_to_numpy(layer(x))[0]
    gates = anatomy.gru_gates(layer, x[0])
    np.testing.assert_allclose(gates["hidden"], expected, rtol=1e-4, atol=1e-5)
    before = np.concatenate([np.zeros((1, 5)), expected[:-1]])
    kept = gates["update"] * before + (1 - gates["update"]) * gates["candidate"]
    np.testing.assert_allclose(kept, expected, rtol=1e-4, atol=1e-5)


def test_changes_of_images_by_hand():
    images = np.arange(1, 13, dtype=np.uint8).reshape(1, 3, 4, 1)
    moved = anatomy.shifted(images, 1)[0, :, :, 0]
    np.testing.assert_array_equal(moved, [[0, 1, 2, 3], [0, 5, 6, 7], [0, 9, 10, 11]])
    moved = anatomy.shifted(images, -3)[0, :, :, 0]
    np.testing.assert_array_equal(moved, [[4, 0, 0, 0], [8, 0, 0, 0], [12, 0, 0, 0]])
    assert not anatomy.shifted(images, 4).any()
    square = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3, 1)
    np.testing.assert_array_equal(
        anatomy.rotated(square, 90)[0, :, :, 0], np.rot90(square[0, :, :, 0])
    )
    np.testing.assert_array_equal(anatomy.rotated(square, 0), square)


def test_accuracy_by_change_counts():
    images = np.zeros((4, 2, 2, 1), np.uint8)

    def predict(x):
        return np.tile([[0.2, 0.8]], (len(x), 1)) if x.max() == 0 else np.eye(2)[[0] * len(x)]

    accuracy = anatomy.accuracy_by_change(
        predict, images, [1, 1, 1, 0], lambda x, amount: x + np.uint8(amount), [0, 1]
    )
    np.testing.assert_array_equal(accuracy, [0.75, 0.25])


def test_outputs_of_layers():
    inputs = keras.Input((6, 6, 1))
    x = layers.Conv2D(2, 3, name="first")(inputs)
    model = keras.Model(inputs, layers.Conv2D(3, 3, name="second")(x))
    found = anatomy.outputs_of(model, np.ones((2, 6, 6, 1), "float32"), layers.Conv2D)
    assert {name: value.shape for name, value in found.items()} == {
        "first": (2, 4, 4, 2),
        "second": (2, 2, 2, 3),
    }


def test_weight_gradients_of_a_softmax_by_hand():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(inputs))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    y = np.eye(2, dtype="float32")[[0, 1, 1, 0, 1]]
    probabilities = keras.ops.convert_to_numpy(model(x))
    (gradient,) = weight_gradients(model, x, y, [model.layers[-1].kernel])
    # Cross-entropy and softmax: x^T (p - y) / n.
    np.testing.assert_allclose(gradient, x.T @ (probabilities - y) / 5, rtol=1e-4, atol=1e-6)
    ((name, norm),) = anatomy.gradient_norms(model, x, y)
    assert name == model.layers[-1].name
    assert norm == pytest.approx(np.sqrt(np.mean(gradient**2)), rel=1e-5)
