"""A split of any arrays: its length, and rows taken of it."""

import numpy as np

from common.data.types import Split


def test_rows_are_taken_of_every_part():
    number = np.arange(7)
    x = {"image": number[:, None] * np.ones((1, 3)), "more": (number * 2, number * 3)}
    y = (number * 4, {"mask": number[:, None] > 2})
    split = Split(x, y, groups=number % 3)
    assert len(split) == 7
    taken = split.take(np.array([5, 1, 1]))
    assert len(taken) == 3
    np.testing.assert_array_equal(taken.x["image"], [[5] * 3, [1] * 3, [1] * 3])
    np.testing.assert_array_equal(taken.x["more"][0], [10, 2, 2])
    np.testing.assert_array_equal(taken.x["more"][1], [15, 3, 3])
    np.testing.assert_array_equal(taken.y[0], [20, 4, 4])
    np.testing.assert_array_equal(taken.y[1]["mask"], [[True], [False], [False]])
    np.testing.assert_array_equal(taken.groups, [2, 1, 1])


def test_plain_arrays_are_taken_as_such():
    texts = np.array(["a", "b", "c"], object)
    taken = Split(texts, np.array([0, 1, 0], "int32")).take(np.array([2, 0]))
    assert taken.x.tolist() == ["c", "a"]
    assert taken.y.tolist() == [0, 0]
    assert taken.groups is None
