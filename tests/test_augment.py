"""Augmentation against hand results, at unequal sizes."""

import numpy as np
import pytest

from common.basics.errors import UsageError
from common.data.augment import mixup, random_affine, random_crop, random_flip, random_shift


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (50, 6, 9, 2), dtype=np.uint8)


def test_flip_mirrors_left_to_right_half_of_the_images(images):
    flipped = random_flip(images, np.random.default_rng(1))
    mirrored = [np.array_equal(new, old[:, ::-1]) for new, old in zip(flipped, images, strict=True)]
    same = [np.array_equal(new, old) for new, old in zip(flipped, images, strict=True)]
    assert sum(mirrored) + sum(same) == 50
    assert 10 < sum(mirrored) < 40
    assert flipped.dtype == np.uint8


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_shift_is_a_crop_of_the_padded_image(images, mode):
    shifted = random_shift(images, np.random.default_rng(2), 2, mode)
    assert shifted.shape == images.shape
    offsets = set()
    for new, old in zip(shifted, images, strict=True):
        padded = np.pad(old, ((2, 2), (2, 2), (0, 0)), mode=mode)
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if np.array_equal(padded[top : top + 6, left : left + 9], new)
        ]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) > 15


class Drawn:
    """Draws what it was given: for each image the share, the place from the top and from the left."""

    def __init__(self, *rows):
        self.rows = np.array(rows)

    def random(self, shape):
        assert self.rows.T.shape == shape
        return self.rows.T


@pytest.mark.parametrize("channels", [1, 3])
def test_crop_enlarges_a_part_by_hand(channels):
    image = np.zeros((4, 8, channels), np.uint8)
    image[:2, 4:] = 200
    images = np.stack([image] * 3)
    # Half of both sides, from the top right corner and from the bottom left one; then all of it.
    found = random_crop(images, Drawn((0, 0, 1), (0, 1, 0), (1, 0.3, 0.3)), 0.5)
    assert found.dtype == np.uint8
    # Where the part was cut, a pixel of the enlarged image is a mixture of both sides.
    assert (found[0, :-1, 1:] == 200).all()
    assert (found[1, 1:, :-1] == 0).all()
    np.testing.assert_array_equal(found[2], image)


def test_crops_differ_and_keep_the_shape(images):
    images = np.repeat(images[..., :1], 3, axis=3)
    found = random_crop(images, np.random.default_rng(0), 0.4)
    assert found.shape == images.shape
    assert sum(np.array_equal(*pair) for pair in zip(found, images, strict=True)) < 5


def test_affine_without_range_is_the_identity(images):
    assert np.array_equal(random_affine(images, np.random.default_rng(0)), images)


def test_affine_rotation_by_hand():
    class Quarter:
        """Draws a rotation of 90 degrees and nothing else."""

        def uniform(self, low, high, size):
            return np.full(size, high)

    image = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1) * 10
    turned = random_affine(image, Quarter(), degrees=90)
    # Output (y, x) is read at (y', x') = (-x, y) about the centre.
    assert np.array_equal(turned[0, :, :, 0], np.rot90(image[0, :, :, 0], -1)) or np.array_equal(
        turned[0, :, :, 0], np.rot90(image[0, :, :, 0])
    )


def test_affine_shift_by_hand_fills_with_zero():
    class Half:
        def __init__(self):
            self.calls = 0

        def uniform(self, low, high, size):
            self.calls += 1
            # The third draw is the shift: 0.5 pixels down the rows, none along the columns.
            return np.array([[0.5], [0.0]]) if self.calls == 3 else np.zeros(size)

    image = np.full((1, 3, 4, 1), 100, np.uint8)
    image[0, 1] = 200
    moved = random_affine(image, Half(), pixels=1)[0, :, :, 0]
    assert moved[:, 0].tolist() == [150, 150, 50]


def test_affine_never_reads_outside(images):
    out = random_affine(images, np.random.default_rng(3), degrees=180, scale=0.5, pixels=6)
    assert out.shape == images.shape
    assert out.dtype == np.uint8
    black = random_affine(np.zeros_like(images), np.random.default_rng(3), degrees=45, pixels=3)
    assert not black.any()


class Draws:
    """Draws a share of 0.75 and the order 2, 0, 1."""

    def beta(self, first, second):
        assert (first, second) == (0.2, 0.2)
        return 0.75

    def permutation(self, count):
        assert count == 3
        return np.array([2, 0, 1])


def test_mixup_by_hand_of_three():
    x = np.array([0, 100, 255], "uint8").reshape(3, 1, 1, 1)
    targets = np.eye(3, dtype="float32")
    mixed, shares = mixup(0.2)(x, targets, Draws())
    np.testing.assert_allclose(mixed.reshape(-1), [63.75, 75.0, 216.25])
    np.testing.assert_allclose(shares, [[0.75, 0, 0.25], [0.25, 0.75, 0], [0, 0.25, 0.75]])
    assert mixed.dtype == shares.dtype == np.float32
    # What was given stays as it is.
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(targets, np.eye(3))


def test_mixup_draws_one_share_a_batch_from_its_generator(images):
    mix, targets = mixup(1.0), np.eye(50, dtype="float32")
    random = np.random.default_rng(5)
    share, order = random.beta(1.0, 1.0), random.permutation(50)
    mixed, shares = mix(images, targets, np.random.default_rng(5))
    np.testing.assert_allclose(mixed, share * images + (1 - share) * images[order], rtol=1e-5)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(mix(images, targets, np.random.default_rng(5))[0], mixed)


def test_mixup_tells_what_it_cannot_mix(images):
    with pytest.raises(UsageError, match="alpha above 0, got 0"):
        mixup(0)
    with pytest.raises(UsageError, match="one-hot ones, got int64"):
        mixup(0.2)(images, np.zeros(50, "int64"), np.random.default_rng(0))
