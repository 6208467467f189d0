"""What belongs together stays on one side: copies of one example, and groups."""

import numpy as np
import pytest

from common.basics.errors import RecipeError
from common.data.split import stratified_cut


def cut(labels, groups, fraction=0.15, seed=0):
    """Cuts by groups, checks that it is a cut of whole groups, and returns the held-out rows."""
    labels, groups = np.asarray(labels), np.asarray(groups)
    kept, held_out = stratified_cut(labels, fraction, seed, groups)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert not set(groups[kept]) & set(groups[held_out])
    assert set(labels[kept]) == set(labels[held_out]) == set(labels)
    return held_out


def test_groups_of_one_are_cut_as_without_groups():
    labels = np.arange(1000) % 10
    for groups in (None, np.arange(1000), np.array([f"g{i}" for i in range(1000)])):
        kept, held_out = stratified_cut(labels, 0.15, 0, groups)
        assert held_out[:10].tolist() == [20, 23, 24, 26, 28, 37, 42, 51, 62, 66]
        assert len(kept) == 850


def test_whole_groups_of_unequal_size_are_held_out_as_near_to_the_share_as_they_can():
    # Class 0 has 20 examples in groups of 8, 7, 3 and 2, class 1 has 10 in groups of 4, 3, 2 and 1. Of
    # 30 % are asked for 6 and 3. The nearest sums of class 0 are 5 (3 + 2) and 7, of which each is one
    # off; of class 1 exactly 3 (3, or 2 + 1).
    labels = np.repeat([0, 1], [20, 10])
    groups = np.repeat(np.arange(8), [8, 7, 3, 2, 4, 3, 2, 1])
    for seed in range(10):
        held_out = cut(labels, groups, 0.3, seed)
        assert np.bincount(labels[held_out]).tolist() in ([5, 3], [7, 3])


def test_the_only_exact_choice_is_found():
    # Of 100 examples of each class in groups of 45, 40, 10 and 5, only 10 + 5 are 15.
    labels = np.repeat([0, 1], 100)
    groups = np.repeat(np.arange(8), [45, 40, 10, 5, 5, 40, 45, 10])
    held_out = cut(labels, groups)
    assert set(groups[held_out]) == {2, 3, 4, 7}


def test_a_group_may_hold_several_classes():
    # Each of 20 customers has 3 of class 0 and 1 of class 1: 3 customers are 15 %.
    labels = np.tile([0, 0, 0, 1], 20)
    groups = np.repeat(np.arange(20), 4)
    held_out = cut(labels, groups)
    assert np.bincount(labels[held_out]).tolist() == [9, 3]


def test_groups_are_cut_alike_by_one_seed_and_otherwise_by_another():
    labels, groups = np.arange(300) % 2, np.arange(300) // 4
    np.testing.assert_array_equal(cut(labels, groups, seed=3), cut(labels, groups, seed=3))
    assert not np.array_equal(cut(labels, groups, seed=3), cut(labels, groups, seed=4))


def test_what_is_held_out_is_a_sample_of_all_sizes():
    # 500 examples by themselves, and 100 groups of five: neither kind alone fills the share.
    labels = np.zeros(1000, int)
    labels[::2] = 1
    groups = np.concatenate([np.arange(500), 500 + np.arange(500) // 5])
    held_out = cut(labels, groups)
    assert len(held_out) == 150
    assert 40 < np.sum(held_out < 500) < 110


@pytest.mark.parametrize("sizes", [[50, 50], [90, 5, 5], [30, 1, 1], [1, 30, 1], [2, 2, 2]])
def test_few_groups_leave_enough_for_a_second_cut(sizes):
    labels = np.repeat([0, 1], sum(sizes))
    groups = np.repeat(np.arange(2 * len(sizes)), sizes * 2)
    held_out = cut(labels, groups)
    kept = np.setdiff1d(np.arange(len(labels)), held_out)
    left = [len(set(groups[kept][labels[kept] == label])) for label in (0, 1)]
    assert left == ([1, 1] if len(sizes) == 2 else [2, 2])
    if len(sizes) > 2:
        cut(labels[kept], groups[kept])


def test_a_class_of_one_group_and_groups_that_cannot_be_parted_are_errors():
    with pytest.raises(RecipeError, match=r"class 1 belong together .*two groups or more"):
        stratified_cut([0, 0, 0, 1, 1, 1], 0.3, 0, [0, 1, 2, 3, 3, 3])
    # Three groups, each pair of which is all of a class: somewhere both are on one side.
    with pytest.raises(RecipeError, match="no choice of whole groups"):
        stratified_cut([0, 1, 1, 2, 2, 0], 0.3, 0, [0, 0, 1, 1, 2, 2])
