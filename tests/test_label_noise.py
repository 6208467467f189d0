"""Labels that are wrong on purpose: exactly so many, and never right by chance."""

import numpy as np
import pytest

from common.data.label_noise import mislabel

LABELS = np.arange(703) % 5


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.3, 211), (1.0, 703)])
def test_so_many_are_wrong(share, count):
    wrong = mislabel(LABELS, share, 5, seed=1)
    assert (wrong != LABELS).sum() == count
    assert wrong.dtype == LABELS.dtype
    assert set(wrong) == set(range(5))
    np.testing.assert_array_equal(wrong, mislabel(LABELS, share, 5, seed=1))


def test_the_other_classes_are_equally_frequent():
    zeros = np.zeros(30_000, int)
    counts = np.bincount(mislabel(zeros, 1.0, 4, seed=0), minlength=4)
    assert counts[0] == 0
    # 10,000 each, deviation 82.
    assert np.all(np.abs(counts[1:] - 10_000) < 400)
    assert np.any(mislabel(zeros, 0.5, 4, seed=0) != mislabel(zeros, 0.5, 4, seed=1))
