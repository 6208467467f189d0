"""Augmentation against hand results, at unequal sizes."""

import numpy as np
import pytest

from common.data.augment import random_affine, random_flip, random_shift


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
