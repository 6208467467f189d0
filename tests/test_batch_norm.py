"""The fused batch normalisation against Keras' own: values, gradients, moving averages, files."""

import keras
import numpy as np
import pytest
from keras import layers

from common.explain.gradients import weight_gradients
from common.layers.batch_norm import BatchNormalization

numbers = keras.ops.convert_to_numpy
RANDOM = np.random.default_rng(0)


def pair(shape=(5, 7, 3)):
    """Returns the same classifier with our layer and with Keras', equal weights."""
    models = []
    for cls in (BatchNormalization, layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        inputs = keras.Input(shape)
        x = layers.Conv2D(3, 1)(inputs)  # Its gradient passes through the layer.
        x = layers.Activation("relu")(cls(momentum=0.9, name="norm")(x))
        outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
        models.append(keras.Model(inputs, outputs))
    models[0].set_weights(
        [w + RANDOM.normal(0.5, 0.1, w.shape).astype(w.dtype) for w in models[1].get_weights()]
    )
    models[1].set_weights(models[0].get_weights())
    return models


def images(count, shape=(5, 7, 3)):
    return (RANDOM.normal(size=(count, *shape)) * [3.0, 1.0, 0.1] + [9.0, 0.0, -2.0]).astype(
        "float32"
    )


# One pixel in all has no unbiased variance: 0 times infinity, were it taken from the kernel.
@pytest.mark.parametrize(("count", "shape"), [(4, (5, 7, 3)), (1, (2, 1, 3)), (1, (1, 1, 3))])
def test_values_gradients_and_averages_are_those_of_keras(count, shape):
    ours, theirs = pair(shape)
    x, y = images(count, shape), np.eye(3, dtype="float32")[RANDOM.integers(0, 3, count)]
    np.testing.assert_allclose(
        numbers(ours(x, training=True)), numbers(theirs(x, training=True)), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(numbers(ours(x)), numbers(theirs(x)), rtol=1e-4, atol=1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    found = weight_gradients(ours, x, y, ours.trainable_variables)
    expected = weight_gradients(theirs, x, y, theirs.trainable_variables)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the kernel is TensorFlow's")
def test_the_fused_kernel_is_taken_for_images_only():
    def fuses(layer, x, mask=None):
        layer.build(x.shape)
        return layer._fusable(x, mask)

    assert fuses(BatchNormalization(), images(2))
    assert not fuses(BatchNormalization(axis=1), images(2))
    assert not fuses(BatchNormalization(center=False), images(2))
    assert not fuses(BatchNormalization(), images(2, (7, 3)))
    assert not fuses(BatchNormalization(), images(2), np.ones((2, 5, 7), bool))


def test_a_frozen_layer_keeps_its_averages():
    ours, _ = pair()
    ours.get_layer("norm").trainable = False
    before = ours.get_weights()
    ours(images(4), training=True)
    for one, other in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_saved_model_is_loaded(tmp_path):
    from common.training.loading import load_model

    ours, _ = pair()
    ours.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("norm")) is BatchNormalization
    np.testing.assert_array_equal(loaded.predict(images(3), verbose=0).shape, (3, 3))
    x = images(3)
    np.testing.assert_allclose(numbers(loaded(x)), numbers(ours(x)), rtol=1e-6)
