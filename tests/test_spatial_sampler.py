"""The sampler of mnist_spatial_transformer on every backend: values, gradient, and where it is sent."""

import keras
import numpy as np
from scipy.ndimage import map_coordinates

from common.basics.backend import no_gradients
from common.training.gradients import value_and_gradients
from recipes.mnist_spatial_transformer.model import Sampler, build_model
from recipes.mnist_spatial_transformer.train import Config

IDENTITY = [1, 0, 0, 0, 1, 0]


def random(seed=0):
    return np.random.default_rng(seed)


def sampled(images, transforms, rows, columns):
    with no_gradients():
        found = Sampler(rows, columns)([images, np.array(transforms, "float32")])
    return keras.ops.convert_to_numpy(found)


def test_the_identity_returns_the_image():
    images = random().normal(size=(2, 5, 7, 3)).astype("float32")
    np.testing.assert_allclose(sampled(images, [IDENTITY] * 2, 5, 7), images, atol=1e-5)


def test_shifts_by_hand():
    # One step between pixels is 2 / 6 of the width and 2 / 4 of the height.
    images = random().normal(size=(3, 5, 7, 3)).astype("float32")
    transforms = [[1, 0, 2 / 6, 0, 1, 0], [1, 0, 0, 0, 1, -2 * 0.5], [1, 0, 1 / 6, 0, 1, 0]]
    found = sampled(images, transforms, 5, 7)
    np.testing.assert_allclose(found[0, :, :-1], images[0, :, 1:], atol=1e-5)
    np.testing.assert_allclose(found[0, :, -1], 0, atol=1e-5)
    np.testing.assert_allclose(found[1, 2:], images[1, :-2], atol=1e-5)
    np.testing.assert_allclose(found[1, :2], 0, atol=1e-5)
    half = (images[2, :, 1:] + images[2, :, :-1]) / 2
    np.testing.assert_allclose(found[2, :, :-1], half, atol=1e-5)


def test_it_reads_what_scipy_reads():
    images = random().normal(size=(40, 5, 7, 3)).astype("float32")
    # Many lie outside in part, some wholly.
    transforms = random(1).normal(size=(40, 6)).astype("float32")
    found = sampled(images, transforms, 4, 6)
    assert found.shape == (40, 4, 6, 3)
    for image, transform, result in zip(images, transforms, found, strict=True):
        for row, column in np.ndindex(4, 6):
            place = transform.reshape(2, 3) @ [2 * column / 5 - 1, 2 * row / 3 - 1, 1]
            y, x = (place[1] + 1) * 2, (place[0] + 1) * 3
            for channel in range(3):
                expected = map_coordinates(
                    image[..., channel], [[y], [x]], order=1, mode="grid-constant"
                )
                np.testing.assert_allclose(result[row, column, channel], expected[0], atol=2e-5)


def gradients(images, transforms, weights, rows, columns):
    """Returns the derivatives of the weighted sum of a sampled image by images and by transforms."""
    layer = Sampler(rows, columns)

    def total(parts):
        return keras.ops.sum(keras.ops.multiply(layer(parts), weights)), ()

    parts = [keras.ops.convert_to_tensor(part) for part in (images, transforms)]
    _, found = value_and_gradients(total, parts)
    return [np.asarray(keras.ops.convert_to_numpy(part), "float64") for part in found]


def test_the_gradient_is_that_of_finite_differences():
    images = random().normal(size=(3, 5, 7, 2)).astype("float32")
    transforms = (np.array(IDENTITY) + random(3).uniform(-0.2, 0.2, (3, 6))).astype("float32")
    weights = random(4).normal(size=(3, 4, 6, 2)).astype("float32")
    by_images, by_transforms = gradients(images, transforms, weights, 4, 6)

    def total(images, transforms):
        y, x = np.mgrid[-1:1:4j, -1:1:6j]
        places = transforms.reshape(3, 2, 3) @ np.stack([x.ravel(), y.ravel(), np.ones(24)])
        value = 0.0
        for index in range(3):
            down, right = (places[index, 1] + 1) * 2, (places[index, 0] + 1) * 3
            for channel in range(2):
                read = map_coordinates(
                    images[index, ..., channel], [down, right], order=1, mode="grid-constant"
                )
                value += (read * weights[index, ..., channel].ravel()).sum()
        return value

    # So small a step meets no kink; SciPy counts in double precision.
    for found, which in ((by_images, 0), (by_transforms, 1)):
        given = [images.astype("float64"), transforms.astype("float64")]
        expected = np.empty_like(given[which])
        for place in np.ndindex(expected.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [part.copy() for part in given]
                moved[which][place] += step
                ends.append(total(*moved))
            expected[place] = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        assert np.abs(expected).max() > 0.5


def test_the_window_goes_where_the_attention_is():
    """By hand: one filter that sums, scores that grow with it: it looks at the brightest place."""
    model = build_model(Config(distortion="clutter", localisation_filters=1, localisation_units=2))
    weights = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][:3]
    for layer in weights[:2]:
        layer.set_weights([np.full((5, 5, 1, 1), 1.0), np.zeros(1)])
    weights[2].set_weights([np.full((1, 1, 1, 1), 10.0)])
    assert weights[2].kernel.shape[:2] == (1, 1)
    images = np.zeros((2, 60, 60, 1), "uint8")
    images[0, :8, 52:] = images[1, 50:, :10] = 255
    with no_gradients():
        found = keras.Model(model.input, model.get_layer("transform").output)(images)
    places = keras.ops.convert_to_numpy(found)[:, [2, 5]]
    np.testing.assert_allclose(places, [[0.7, -0.7], [-0.7, 0.7]], atol=0.01)
