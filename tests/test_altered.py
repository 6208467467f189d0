"""Images turned, moved or covered by an exact amount, against results by hand; 5 x 7 pixels."""

import numpy as np
import pytest

from common.basics.errors import UsageError
from common.data.altered import GREY, alter

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 5, 7, 3), dtype="uint8")


def test_nothing_is_changed_where_nothing_is_asked():
    altered = alter(IMAGES)
    np.testing.assert_array_equal(altered, IMAGES)
    assert altered is not IMAGES


def test_a_shift_is_by_whole_pixels_in_one_of_four_directions():
    altered = alter(IMAGES, shift=2)
    found = set()
    for before, after in zip(IMAGES, altered, strict=True):
        # What comes from outside repeats the border.
        moves = {
            "down": np.concatenate([before[:1], before[:1], before[:-2]], axis=0),
            "up": np.concatenate([before[2:], before[-1:], before[-1:]], axis=0),
            "right": np.concatenate([before[:, :1], before[:, :1], before[:, :-2]], axis=1),
            "left": np.concatenate([before[:, 2:], before[:, -1:], before[:, -1:]], axis=1),
        }
        matching = [name for name, moved in moves.items() if np.array_equal(moved, after)]
        assert len(matching) == 1
        found.update(matching)
    assert found == {"down", "up", "right", "left"}


def test_half_a_turn_is_exact_and_a_quarter_goes_either_way():
    np.testing.assert_array_equal(alter(IMAGES, turn=180.0), IMAGES[:, ::-1, ::-1])
    square = IMAGES[:, :5, :5]
    altered = alter(square, turn=90.0)
    left = [np.array_equal(np.rot90(b), a) for b, a in zip(square, altered, strict=True)]
    right = [np.array_equal(np.rot90(b, -1), a) for b, a in zip(square, altered, strict=True)]
    assert np.all(np.logical_xor(left, right))
    assert 5 < sum(left) < 35


def test_so_much_of_the_area_is_covered():
    altered = alter(np.zeros((40, 8, 12, 1), "uint8"), cover=0.25)
    places = set()
    for image in altered[..., 0]:
        rows, columns = np.nonzero(image)
        assert set(image[image > 0]) == {GREY}
        assert len(rows) == 4 * 6 == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        places.add((rows[0], columns[0]))
    assert len(places) > 10
    assert np.all(alter(IMAGES, cover=1.0) == GREY)


def test_the_seed_decides():
    np.testing.assert_array_equal(
        alter(IMAGES, 10, 1, 0.2, seed=3), alter(IMAGES, 10, 1, 0.2, seed=3)
    )
    assert np.any(alter(IMAGES, 10, 1, 0.2, seed=3) != alter(IMAGES, 10, 1, 0.2, seed=4))


@pytest.mark.parametrize("change", [{"shift": 5}, {"shift": -1}, {"cover": 1.5}])
def test_what_cannot_be_is_refused(change):
    with pytest.raises(UsageError):
        alter(IMAGES, **change)
