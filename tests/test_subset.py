"""Subsets of the training split: stratified, nested, of whole groups; by hand and through loading."""

import dataclasses
import itertools

import numpy as np
import pytest

from common.basics.errors import UsageError
from common.data import ImageSet, Source, TextSet, load_images, load_texts
from common.data.subset import stratified_subset
from common.runs import registry
from common.runs.options import Options
from common.runs.run import Run
from common.training import budget
from common.tuning.folds import DataCache, cut
from tests import toy_sweep

DIGITS = ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")
REVIEWS = TextSet("imdb_reviews", "IMDB reviews", sample="reviews")

UNEQUAL = np.repeat([0, 1, 2], [100, 31, 7])


def counts(labels, rows):
    return np.bincount(np.asarray(labels)[rows], minlength=3).tolist()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (3, [1, 1, 1]),
        # The largest class is at 1.5 / 100 = 0.015 of its examples, the others at 0.048 and 0.21.
        (4, [2, 1, 1]),
        # 0.045 of class 0 comes before 0.048 of class 1, 0.055 after it.
        (7, [5, 1, 1]),
        (8, [5, 2, 1]),
        # 14.49, 4.49 and 1.01 in proportion.
        (20, [15, 4, 1]),
        # 72.5, 22.5 and 5.07.
        (100, [73, 22, 5]),
        (138, [100, 31, 7]),
    ],
)
def test_classes_keep_their_shares(count, expected):
    rows = stratified_subset(UNEQUAL, count)
    assert counts(UNEQUAL, rows) == expected
    assert rows.tolist() == sorted(set(rows.tolist()))


def test_a_smaller_subset_lies_in_every_larger_one():
    shuffled = np.random.default_rng(0).permutation(UNEQUAL)
    found = [set(stratified_subset(shuffled, count).tolist()) for count in range(3, 139)]
    for smaller, larger in itertools.pairwise(found):
        assert smaller < larger
        assert len(larger) == len(smaller) + 1


def test_a_seed_chooses_alike_and_another_otherwise():
    first = stratified_subset(UNEQUAL, 50, seed=3)
    np.testing.assert_array_equal(first, stratified_subset(UNEQUAL, 50, seed=3))
    other = stratified_subset(UNEQUAL, 50, seed=4)
    assert counts(UNEQUAL, first) == counts(UNEQUAL, other)
    assert first.tolist() != other.tolist()


def test_the_subset_of_a_published_result_does_not_change():
    # From NumPy's frozen generator: these numbers must come out of every version.
    rows = stratified_subset(np.arange(1000) % 10, 10)
    assert rows.tolist() == [27, 55, 298, 306, 310, 672, 784, 859, 971, 993]


@pytest.mark.parametrize("count", [-1, 2, 139])
def test_more_than_there_are_and_fewer_than_classes_are_refused(count):
    message = rf"train_examples must be 0 \(all\), or 3 .* to 138 .*, got {count}$"
    with pytest.raises(UsageError, match=message):
        stratified_subset(UNEQUAL, count)


def test_groups_are_taken_whole_and_nested():
    labels = np.tile([0, 0, 0, 1], 50)
    labels[::40] = 2
    groups = np.repeat(np.arange(60), [1, 2, 3, 4, 5, 5] * 10)
    assert len(groups) == len(labels)
    before = set()
    for count in range(3, 201):
        rows = stratified_subset(labels, count, groups=groups)
        chosen = set(groups[rows].tolist())
        assert len(rows) == np.isin(groups, list(chosen)).sum()
        assert before <= chosen
        assert min(counts(labels, rows)) > 0
        # Half a group of five; more only where every class needs its first group.
        assert abs(len(rows) - count) <= (2 if count > 15 else 12)
        before = chosen
    assert before == set(range(60))


def test_groups_of_one_class_each_come_near_by_hand():
    # Class 0 in groups of 4, class 1 in groups of 2. One group of each is 6 examples.
    labels = np.repeat([0, 1], [40, 20])
    groups = np.repeat(np.arange(20), [4] * 10 + [2] * 10)
    # 6, then class 1 is behind (2.5 / 20 = 0.125, class 0 at 4.5 / 40 = 0.1125): class 0 first: 10.
    for count, expected in ((2, [4, 2]), (7, [4, 2]), (8, [4, 2]), (9, [8, 2]), (12, [8, 4])):
        rows = stratified_subset(labels, count, groups=groups)
        assert np.bincount(labels[rows]).tolist() == expected, count


def images(train_examples, **kwargs):
    return load_images(
        DIGITS,
        Source("sample"),
        validation_fraction=0.2,
        train_examples=train_examples,
        **kwargs,
    )


def test_validation_and_test_stay_the_same():
    whole, part, less = images(0), images(200), images(50)
    assert whole.info.remarks == ()
    assert part.info.counts == {"train": 200, "validation": 287, "test": 360}
    assert part.info.remarks == ("trained on 200 of the 1,150 training examples",)
    for split in ("val", "test"):
        np.testing.assert_array_equal(getattr(whole, split).x, getattr(part, split).x)
    assert part.info.fingerprint == whole.info.fingerprint
    as_sets = [{x.tobytes() for x in splits.train.x} for splits in (less, part, whole)]
    assert as_sets[0] < as_sets[1] < as_sets[2]
    shares = np.bincount(whole.train.y) * 200 / 1150
    assert np.abs(np.bincount(part.train.y) - shares).max() < 1
    np.testing.assert_array_equal(images(1150).train.x, whole.train.x)
    with pytest.raises(UsageError, match=r"to 1150 .*, got 1151"):
        images(1151)
    with pytest.raises(UsageError, match="subset_seed must be in"):
        images(50, subset_seed=-1)
    other = images(50, subset_seed=1).train
    assert {x.tobytes() for x in other.x} != as_sets[0]


def test_texts():
    part = load_texts(REVIEWS, Source("sample"), validation_fraction=0.1, train_examples=9)
    assert part.info.counts == {"train": 9, "validation": 200, "test": 500}
    assert len(part.train.x) == 9


def test_copies_among_own_images_stay_together_and_the_count_says_so(tmp_path):
    x = np.random.RandomState(0).randint(0, 256, (20, 28, 28, 1)).astype(np.uint8)
    # Every image four times: none may be parted from its copies.
    np.savez(tmp_path / "a.npz", x=np.repeat(x, 4, axis=0), y=np.repeat(np.arange(20) % 2, 4))
    splits = load_images(
        DIGITS,
        Source(str(tmp_path / "a.npz")),
        validation_fraction=0.2,
        train_examples=17,
    )
    assert splits.info.counts["train"] == len(splits.train) == 16
    assert np.unique(splits.train.groups, return_counts=True)[1].tolist() == [4, 4, 4, 4]
    assert splits.info.remarks[-1].endswith("training examples: whole groups, 17 were asked for")


def test_folds_validate_on_everything_and_train_on_a_subset_of_the_rest():
    splits = toy_sweep.load_data(toy_sweep.Config(), None)
    whole = [cut(splits, fold, 4) for fold in range(4)]
    parts = [cut(splits, fold, 4, 10) for fold in range(4)]
    assert sorted(x for part in parts for x in part.val.x) == list(range(40))
    for part, one in zip(parts, whole, strict=True):
        assert set(part.train.x) < set(one.train.x)
        assert part.info.counts["train"] == len(part.train) == 10
        assert np.bincount(part.train.y).tolist() == [5, 5]
    with pytest.raises(UsageError, match="to 30 .*, got 31"):
        cut(splits, 0, 4, 31)


@pytest.mark.parametrize("folds", [1, 4])
def test_a_search_loads_what_its_trials_train_on(folds):
    module = registry.load("mnist_cnn")
    cache = DataCache(module.load_data, Source("sample"))
    start = module.PRESETS["sample"]
    for count in (100, 50):
        config = dataclasses.replace(start, train_examples=count)
        found = cache.splits(config, 0, folds)
        assert len(found.train) == count
    again = cache.splits(dataclasses.replace(config, epochs=1), 0, folds)
    assert again is found


def test_presets_are_fitted_to_a_subset_of_a_built_in_set(tmp_path):
    module = registry.load("mnist_cnn")
    start = module.PRESETS["best"]
    asked = dataclasses.replace(start, train_examples=300)
    run = Run("mnist_cnn", asked, Options(data="sample", run_dir=tmp_path / "run"), preset="best")
    run.check()
    run.fit_to_data(module, ())
    assert run.config == module.BUDGET.fit(asked, 300)
    assert run.config.epochs > start.epochs
    splits = run.load(module.load_data)
    assert "fitted to the subset; preset best has 8" in budget.describe(run, splits)
    assert budget.fit_to_data(module, asked, (), Source("sample")) == run.config
    assert budget.fit_to_data(module, start, (), Source("sample")) == start
