"""The samples: built-in data, the same every time, without a network."""

import json
import subprocess
import sys

import numpy as np
import pytest

from common.data import (
    Source,
    Split,
    Splits,
    load_images,
    sample,
)
from tests.conftest import ROOT
from tests.data_sets import (
    MNIST,
    REVIEWS,
    SHAPES,
    load_mnist,
    load_reviews,
)


@pytest.mark.parametrize(("size", "channels"), [((28, 28), 1), ((32, 40), 3)])
def test_the_digits_sample(size, channels):
    splits = load_mnist("sample", size, channels)
    assert splits.train.x.shape[1:] == (*size, channels)
    assert splits.train.x.dtype == np.uint8
    assert splits.train.y.dtype == np.int32
    counts = {"train": 1150, "validation": 287, "test": 360}
    assert splits.info.counts == counts
    assert [len(splits.train), len(splits.val), len(splits.test)] == list(counts.values())
    assert splits.info.label.startswith("SAMPLE DATA: ")
    assert splits.info.source == "sample"
    # White on black with an empty border, as MNIST is.
    assert splits.train.x.max() > 250
    assert splits.train.x[:, 0].max() == 0
    assert np.bincount(splits.test.y).min() >= 34


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    found, found_labels = sample._digits()
    np.testing.assert_array_equal(found.reshape(1797, 64), np.round(pixels * 255 / 16))
    np.testing.assert_array_equal(found_labels, labels)


def test_the_shapes_sample_is_not_told_by_colour():
    from sklearn.linear_model import LogisticRegression

    splits = load_images(SHAPES, Source("sample"), validation_fraction=0.1)
    assert splits.train.x.shape == (1800, 32, 32, 3)
    assert splits.test.x.shape == (500, 32, 32, 3)
    assert np.bincount(splits.test.y).tolist() == [50] * 10

    def colours(split):
        return split.x.reshape(len(split), -1, 3).mean(axis=1) / 255

    model = LogisticRegression().fit(colours(splits.train), splits.train.y)
    assert model.score(colours(splits.test), splits.test.y) < 0.2


def test_the_reviews_sample_needs_more_than_counting_words():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    splits = load_reviews("sample", fraction=0.1)
    assert splits.info.class_names == ("neg", "pos")
    assert splits.info.counts == {"train": 1800, "validation": 200, "test": 500}
    texts = [*splits.train.x, *splits.val.x, *splits.test.x]
    assert len(set(texts)) == 2500
    assert all(20 <= len(text.split()) <= 120 for text in texts)
    assert any("<br />" in text for text in texts)
    scores = {}
    for words in (1, 2):
        counts = CountVectorizer(ngram_range=(1, words), binary=True)
        model = LogisticRegression().fit(counts.fit_transform(splits.train.x), splits.train.y)
        scores[words] = model.score(counts.transform(splits.test.x), splits.test.y)
    assert 0.75 < scores[1] < 0.92
    assert scores[1] + 0.01 < scores[2] < 0.97


@pytest.mark.parametrize("load", [load_mnist, load_reviews])
def test_samples_are_the_same_every_time(load):
    first, second = load("sample"), load("sample")
    assert first.info == second.info
    np.testing.assert_array_equal(first.val.x, second.val.x)
    json.dumps(first.info.to_dict(), allow_nan=False)
    assert isinstance(first.info.to_dict()["class_names"], list)


def test_another_split_seed_cuts_other_validation_examples_from_the_same_data():
    first, second = load_mnist("sample"), load_mnist("sample", split_seed=1)
    assert not np.array_equal(first.val.x, second.val.x)
    assert first.info == second.info
    np.testing.assert_array_equal(first.test.x, second.test.x)


def test_the_test_split_is_loaded_once_and_only_when_asked_for():
    calls = []

    def load_test():
        calls.append(1)
        return Split(np.zeros((2, 1)), np.zeros(2))

    splits = Splits(None, None, load_test, None)
    assert calls == []
    assert len(splits.test) == len(splits.test) == 2
    assert calls == [1]


def test_samples_need_no_network_and_no_heavy_import():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from common.data import ImageSet, Source, TextSet, load_images, load_texts
mnist, reviews, sample = {MNIST!r}, {REVIEWS!r}, Source("sample")
load_texts(reviews, sample, validation_fraction=0.1)
load_images(mnist, sample, validation_fraction=0.1)
heavy = ["tensorflow", "tensorflow_datasets", "keras", "sklearn", "scipy", "pandas"]
print([name for name in heavy if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
