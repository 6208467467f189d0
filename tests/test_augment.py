"""Augmentation against hand results, at unequal sizes."""

import numpy as np
import pytest

from common.basics.errors import UsageError
from common.data.augment import (
    distort,
    random_affine,
    random_crop,
    random_cutout,
    random_flip,
    random_shift,
)
from common.data.mixing import cutmix, mixing, mixup
from common.data.rand_augment import CHANGES, rand_augment
from common.training.batches import ArrayBatches


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


class Places:
    """Draws the given integers, in turn, and checks below which they are to be."""

    def __init__(self, *draws):
        self.draws = list(draws)

    def integers(self, low, high, count):
        below, values = self.draws.pop(0)
        assert (low, high, count) == (0, below, (len(values),))
        return np.array(values)


def test_cutout_covers_a_square_with_the_mean_colour():
    images = np.random.default_rng(4).integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    found = random_cutout(images, Places((5, [2, 0, 4]), (7, [3, 6, 0])), 3)
    expected = images.copy()
    for n, (y, x) in enumerate(((2, 3), (0, 6), (4, 0))):
        mean = np.rint(images[n].reshape(-1, 3).mean(axis=0))
        for row in range(y - 1, y + 2):
            for column in range(x - 1, x + 2):
                if 0 <= row < 5 and 0 <= column < 7:
                    expected[n, row, column] = mean
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(random_cutout(images, np.random.default_rng(0), 0), images)


class Box:
    """Draws what `cutmix` asks for: the share to keep, the order, the centre's row and column."""

    def __init__(self, share, order, *centre):
        self.share, self.order, self.centre = share, order, list(centre)

    def beta(self, first, second):
        assert first == second == 1.0
        return self.share

    def permutation(self, count):
        assert count == len(self.order)
        return np.array(self.order)

    def integers(self, low, high):
        return self.centre.pop(0)


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [
        # Half of each side, of 5 x 7: 2 rows and 4 columns; at the corners the border cuts them.
        ((2, 3), (1, 3), (1, 5)),
        ((0, 0), (0, 1), (0, 2)),
        ((4, 6), (3, 5), (4, 7)),
    ],
)
def test_cutmix_pastes_a_rectangle_and_counts_its_pixels(centre, rows, columns):
    images = np.random.default_rng(4).integers(0, 256, (3, 5, 7, 3), dtype=np.uint8)
    targets = np.eye(4, dtype="float32")[[0, 1, 3]]
    mixed, shares = cutmix(1.0)(images, targets, Box(0.75, [2, 0, 1], *centre))
    expected, pasted = images.copy(), 0
    for row in range(*rows):
        for column in range(*columns):
            pasted += 1
            for n, other in enumerate([2, 0, 1]):
                expected[n, row, column] = images[other, row, column]
    np.testing.assert_array_equal(mixed, expected)
    assert mixed.dtype == np.uint8
    own = 1 - pasted / 35
    by_hand = [[own, 0, 0, 1 - own], [1 - own, own, 0, 0], [0, 1 - own, 0, own]]
    np.testing.assert_allclose(shares, by_hand, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_cutmix_of_all_and_of_nothing(share):
    images = np.random.default_rng(4).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    mixed, shares = cutmix(1.0)(images, np.eye(2, dtype="float32"), Box(share, [1, 0], 2, 3))
    np.testing.assert_array_equal(mixed, images if share else images[::-1])
    np.testing.assert_array_equal(shares, np.eye(2) if share else np.eye(2)[::-1])


def test_cutmix_tells_what_it_cannot_mix(images):
    with pytest.raises(UsageError, match="alpha above 0, got -1"):
        cutmix(-1)
    with pytest.raises(UsageError, match="cutmix needs targets that can be averaged"):
        cutmix(1.0)(images, np.zeros(50, "int64"), np.random.default_rng(0))


def test_mixing_rounds_and_draws_one_of_two(images):
    assert mixing() is None
    targets = np.eye(50, dtype="float32")
    plain, _ = mixup(0.3)(images, targets, np.random.default_rng(1))
    rounded, shares = mixing(mixup_alpha=0.3)(images, targets, np.random.default_rng(1))
    assert rounded.dtype == np.uint8
    np.testing.assert_allclose(rounded, plain, atol=0.5001)
    kinds = set()
    for seed in range(12):
        mixed, shares = mixing(0.3, 1.0)(images, targets, np.random.default_rng(seed))
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
        # After a paste every pixel is that of one of the two images.
        order = shares.copy()
        np.fill_diagonal(order, 0)
        other = np.where(order.any(axis=1), order.argmax(axis=1), np.arange(50))
        kinds.add(bool(np.all((mixed == images) | (mixed == images[other]))))
    assert kinds == {True, False}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(CHANGES))
def test_each_change_keeps_the_form_and_grows_with_the_magnitude(name, channels):
    from PIL import Image

    # Too few pixels to equalise would stay as they are.
    smooth = np.linspace(40, 215, 20 * 28 * channels).reshape(20, 28, channels).astype("uint8")
    smooth[6:12, 5:15] = 235
    picture = Image.fromarray(smooth.squeeze())

    def change(share, sign=1):
        found = CHANGES[name](picture, share, sign)
        assert (found.size, found.mode) == (picture.size, picture.mode)
        return np.asarray(found).reshape(smooth.shape).astype(float)

    def distance(share):
        return np.abs(change(share) - smooth).mean()

    if name == "identity" or (name == "colour" and channels == 1):
        assert distance(1.0) == 0
    elif name in ("autocontrast", "equalize"):
        assert change(0.5).max() == 255
        np.testing.assert_array_equal(change(0.1), change(1.0))
    else:
        assert distance(0) == 0
        assert distance(1.0) > 0
        assert distance(0.3) <= distance(1.0)


def test_moves_and_solarisation_by_hand():
    from PIL import Image

    image = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
    picture = Image.fromarray(image)
    # 3/7 of a third of 7 pixels: one pixel to the left, and grey where nothing was.
    moved = np.asarray(CHANGES["move x"](picture, 3 / 7, 1))
    np.testing.assert_array_equal(moved[:, :-1], image[:, 1:])
    assert (moved[:, -1] == 128).all()
    negative = np.asarray(CHANGES["solarize"](picture, 0.5, 1))
    np.testing.assert_array_equal(negative, np.where(image < 128, image, 255 - image))
    coarse = np.asarray(CHANGES["posterize"](picture, 1.0, 1))
    np.testing.assert_array_equal(coarse, image // 16 * 16)


def test_rand_augment_is_two_changes_of_each_image(images):
    images = np.repeat(images[..., :1], 3, axis=3)
    found = rand_augment(images, np.random.default_rng(7), 12)
    from PIL import Image

    random, names = np.random.default_rng(7), list(CHANGES)
    chosen, coins = random.integers(0, 14, (50, 2)), random.random((50, 2))
    for n in range(50):
        picture = Image.fromarray(images[n])
        for place in range(2):
            sign = -1 if coins[n, place] < 0.5 else 1
            picture = CHANGES[names[chosen[n, place]]](picture, 0.4, sign)
        np.testing.assert_array_equal(found[n], np.asarray(picture))
    assert found.dtype == np.uint8


def test_what_is_not_asked_for_draws_nothing(images):
    images = images[..., :1]
    random, other = np.random.default_rng(0), np.random.default_rng(0)
    np.testing.assert_array_equal(distort(images, random), images)
    assert random.random() == other.random()
    once = distort(images, np.random.default_rng(2), 10.0, 9, 4)
    step = random_affine(images, same := np.random.default_rng(2), degrees=10.0)
    step = random_cutout(rand_augment(step, same, 9), same, 4)
    np.testing.assert_array_equal(once, step)


def test_a_batch_is_a_function_of_seed_epoch_and_index(images):
    images = np.repeat(images[..., :1], 3, axis=3)

    def batches(seed=3):
        return ArrayBatches(
            images,
            np.arange(50) % 3,
            batch_size=16,
            num_classes=3,
            seed=seed,
            augment=lambda x, random: distort(x, random, 5.0, 9, 3),
            mix=mixing(0.2, 1.0),
        ).at_epoch(2)

    # As after a resumption: the batches before this one are not asked for.
    whole, resumed = batches(), batches()
    for index in range(4):
        first = whole[index]
    for one, other in zip(first, resumed[3], strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.any(batches(seed=4)[3][0] != first[0])
