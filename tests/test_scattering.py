"""The scattering transform against sums by hand, on images of unequal sides."""

import sys

import keras
import numpy as np
import pytest
from keras import ops
from scipy.signal import correlate2d

from common.layers.scattering import Scattering, blur, wavelet
from common.training.loading import load_model

ANGLES = 3


def scattered(images, angles=ANGLES):
    return ops.convert_to_numpy(Scattering(angles)(ops.convert_to_tensor(images)))


def images(n=2, height=11, width=14):
    return np.random.default_rng(0).random((n, height, width, 1), dtype="float32")


def moduli(image, scale):
    waves = [wavelet(scale, np.pi * index / ANGLES) for index in range(ANGLES)]
    return [np.abs(correlate2d(image, wave, mode="same")) for wave in waves]


def mean(plane, step):
    """Means at every fourth pixel of a plane that is given at every `step`-th one."""
    return correlate2d(plane, blur(step), mode="same")[:: 4 // step, :: 4 // step]


def test_wavelets_have_mean_0_and_blurs_sum_1():
    for scale, size in ((0, 11), (1, 21)):
        for angle in (0.0, 0.7, 2.0):
            found = wavelet(scale, angle)
            assert found.shape == (size, size)
            assert abs(found.sum()) < 1e-12
    assert blur(1).shape == (13, 13)
    assert blur(2).shape == (7, 7)
    assert blur(1).sum() == pytest.approx(1)
    assert blur(2).sum() == pytest.approx(1)
    # The same Gaussian at every pixel and at every second one.
    assert blur(2)[3, 5] / blur(2)[3, 3] == pytest.approx(blur(1)[6, 10] / blur(1)[6, 6])


def test_a_wavelet_by_hand():
    """Across its stripes, sigma 0.8 and frequency 3/4 pi; along them, sigma 1.6."""
    found = wavelet(0, 0.0)
    row, column = np.mgrid[-5:6, -5:6]
    window = np.exp(-(row**2) / 1.28 - column**2 / 5.12)
    wave = window * np.exp(0.75j * np.pi * row)
    wave = (wave - window * wave.sum() / window.sum()) / (2 * np.pi * 0.64 * 2)
    np.testing.assert_allclose(found, wave, atol=1e-12)
    np.testing.assert_allclose(wavelet(0, np.pi / 2), found.T, atol=1e-12)


def test_all_channels_against_sums_by_hand():
    x = images()
    found = scattered(x)
    assert found.shape == (2, 3, 4, 1 + 2 * ANGLES + ANGLES**2)
    for image, features in zip(x[..., 0].astype("float64"), found, strict=True):
        fine, coarse = moduli(image, 0), moduli(image, 1)
        expected = [mean(image, 1), *(mean(plane, 1) for plane in fine)]
        expected += [mean(plane[::2, ::2], 2) for plane in coarse]
        for plane in fine:
            expected += [mean(second[::2, ::2], 2) for second in moduli(plane, 1)]
        np.testing.assert_allclose(features, np.stack(expected, axis=-1), atol=1e-5)


def test_stripes_answer_in_their_direction():
    rows = np.sin(0.75 * np.pi * np.arange(28))[:, None]
    image = (0.5 + 0.5 * rows * np.ones((1, 28)))[None, :, :, None].astype("float32")
    found = scattered(image, angles=4)[0, 3, 3]
    assert found[1:5].argmax() == 0  # angle 0: a wave that goes down the rows
    turned = scattered(image.transpose(0, 2, 1, 3), angles=4)[0, 3, 3]
    assert turned[1:5].argmax() == 2  # a quarter turn
    np.testing.assert_allclose(turned[1], found[3], atol=1e-5)


def test_a_plain_image_has_no_stripes_and_no_gradient_that_is_not_a_number():
    from common.training.gradients import value_and_gradients

    x = np.full((1, 48, 52, 1), 0.7, "float32")
    found = scattered(x)[0, 5:7, 6]
    np.testing.assert_allclose(found[:, 0], 0.7, atol=1e-3)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-4)
    black = ops.zeros((1, 11, 14, 1))
    _, gradient = value_and_gradients(lambda x: (ops.sum(Scattering(2)(x)), ()), black)
    assert np.isfinite(ops.convert_to_numpy(gradient)).all()


def test_it_is_saved_with_a_model(tmp_path, monkeypatch):
    inputs = keras.Input((11, 14, 1))
    model = keras.Model(inputs, Scattering(ANGLES)(inputs))
    assert model.output_shape == (None, 3, 4, 16)
    assert not model.weights
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    x = images(3)
    np.testing.assert_array_equal(again.predict_on_batch(x), model.predict_on_batch(x))
    # As in a process that has not imported the layer.
    monkeypatch.delitem(keras.saving.get_custom_objects(), "keras_recipe_box>Scattering")
    monkeypatch.delitem(sys.modules, "common.layers.scattering")
    loaded = load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))
