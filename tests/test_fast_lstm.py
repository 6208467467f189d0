"""The fast bidirectional LSTM against Keras' own: values, gradients, masks, files; on every backend."""

import keras
import numpy as np
import pytest
from keras import layers

from common.explain.gradients import weight_gradients
from common.layers import fast_lstm
from common.layers.fast_lstm import BidirectionalLSTM


def pair(units=5, features=3, steps=None, masked=True):
    """Returns the same classifier with our layer and with Keras', equal weights; inputs are floats.

    The dense layer before them shows the gradient of their inputs, and makes padding other than zero.
    """
    models = []
    for cls in (BidirectionalLSTM, layers.Bidirectional):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((steps, features))
        x = layers.Masking(0.0)(inputs) if masked else inputs
        x = layers.Dense(features, bias_initializer="ones")(x)
        x = cls(layers.LSTM(units, return_sequences=True), name="both")(x)
        outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x))
        models.append(keras.Model(inputs, outputs))
    models[0].set_weights(models[1].get_weights())
    return models


def sequences(lengths=(7, 1, 4, 7, 2), steps=9, features=3):
    """Returns random sequences of unequal lengths, zeros after them."""
    x = np.random.default_rng(0).normal(size=(len(lengths), steps, features)).astype("float32")
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 0.0
    return x


def states(model, x):
    """Returns the outputs of the recurrent layer."""
    inner = keras.Model(model.input, model.get_layer("both").output)
    return keras.ops.convert_to_numpy(inner(x))


# 64: with TensorFlow padded to 68.
UNITS = pytest.mark.parametrize("units", [5, 64])


@UNITS
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("lengths", [(7, 1, 4, 7, 2), (9, 3, 9, 5, 6), (1, 1, 1, 1, 1)])
def test_values_are_those_of_keras(masked, lengths, units):
    ours, theirs = pair(units, masked=masked)
    x = sequences(lengths)
    assert ours.get_layer("both")._fast(None) is not None
    np.testing.assert_allclose(states(ours, x), states(theirs, x), rtol=1e-4, atol=1e-5)


@UNITS
@pytest.mark.parametrize("masked", [True, False])
def test_gradients_are_those_of_keras(masked, units):
    ours, theirs = pair(units, masked=masked)
    x, y = sequences(), np.eye(3, dtype="float32")[[0, 2, 1, 1, 0]]
    found = weight_gradients(ours, x, y, ours.trainable_variables)
    expected = weight_gradients(theirs, x, y, theirs.trainable_variables)
    assert len(found) == 10
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_training_goes_the_same_way():
    ours, theirs = pair()
    x, y = sequences(), np.eye(3, dtype="float32")[[0, 2, 1, 1, 0]]
    losses = []
    for model in (ours, theirs):
        from common.basics.backend import jit_compile

        model.compile(
            keras.optimizers.SGD(0.5), "categorical_crossentropy", jit_compile=jit_compile()
        )
        losses.append([float(model.train_on_batch(x, y)) for _ in range(8)])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


def test_it_is_saved_and_loaded(tmp_path):
    ours, _ = pair()
    ours.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert isinstance(again.get_layer("both"), BidirectionalLSTM)
    np.testing.assert_array_equal(states(again, sequences()), states(ours, sequences()))


def test_what_it_cannot_do_is_left_to_keras(monkeypatch):
    ours, theirs = pair()
    monkeypatch.setattr(fast_lstm, "PLAIN", True)
    assert ours.get_layer("both")._fast(None) is None
    np.testing.assert_array_equal(states(ours, sequences()), states(theirs, sequences()))
    monkeypatch.setattr(fast_lstm, "PLAIN", False)
    other = BidirectionalLSTM(layers.LSTM(2, return_sequences=True, activation="relu"))
    other(sequences())
    assert other._fast(None) is None
    summed = BidirectionalLSTM(layers.LSTM(2, return_sequences=True), merge_mode="sum")
    assert summed(sequences()).shape == (5, 9, 2)


def test_a_row_without_a_word_harms_nobody():
    ours, theirs = pair()
    x = sequences((5, 0, 3, 1, 2))
    found, expected = states(ours, x), states(theirs, x)
    rows = [0, 2, 3, 4]
    np.testing.assert_allclose(found[rows], expected[rows], rtol=1e-4, atol=1e-5)
    assert np.isfinite(found).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's kernels only")
def test_keras_does_not_hand_it_to_xla():
    model, _ = pair()
    model.compile("sgd", "categorical_crossentropy")  # jit_compile="auto"
    assert not model.jit_compile
    model.fit(sequences(), np.eye(3)[[0, 1, 2, 0, 1]], verbose=0)
