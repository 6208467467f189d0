"""The n-gram baseline: features by hand and against scikit-learn, and what it predicts."""

from types import SimpleNamespace

import numpy as np
import pytest

from common.basics.errors import RecipeError
from common.data.types import Split
from common.tasks.baselines import majority_class
from common.tasks.ngram_baselines import TOKEN, BinaryNgrams, nbsvm
from common.tasks.pixel_baselines import forest_on_pixels, linear_on_pixels, neighbours_on_pixels


def reviews(count, seed=0):
    """Returns made-up reviews whose verdict is in a word pair as often as in a word."""
    generator = np.random.default_rng(seed)
    neutral = ["the", "film", "was", "about", "a", "man", "and", "his", "dog", "with", "plot"]
    texts, labels = [], generator.integers(0, 2, count)
    for label in labels:
        words = list(generator.choice(neutral, 12))
        words[4:6] = [["not", "good"], ["not", "bad"]][label]
        words[9:11] = [["very", "bad"], ["very", "good"]][label]
        texts.append(" ".join(words))
    return texts, labels


def test_features_by_hand():
    ngrams = BinaryNgrams()
    train = ngrams.fit_transform(["good good film!", "", "Film good"])
    # good, film, !, "good good", "good film", "film !", "film good"; no pair across two texts.
    assert train.shape == (3, 7)
    np.testing.assert_array_equal(np.asarray(train.sum(axis=1)).ravel(), [6, 0, 3])
    assert set(train.data) == {1.0}
    # An unknown word neither counts nor lets its neighbours touch.
    assert ngrams.transform(["good great film"]).sum() == 2
    assert ngrams.transform(["unheard of"]).nnz == 0


def test_features_equal_those_of_scikit_learn():
    from sklearn.feature_extraction.text import CountVectorizer

    texts, _ = reviews(37)
    others, _ = reviews(11, seed=1)
    others.append("an unseen word, good film")
    reference = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=TOKEN.pattern)
    ngrams = BinaryNgrams()
    expected, found = reference.fit_transform(texts), ngrams.fit_transform(texts)
    assert found.shape == expected.shape
    for ours, theirs in (
        (found, expected),
        (ngrams.transform(others), reference.transform(others)),
    ):
        # Columns are in another order; compare which texts share how many features.
        np.testing.assert_array_equal((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray())


def test_word_pairs_decide():
    train, test = reviews(301), reviews(83, seed=1)
    probabilities, empty = nbsvm(*train, [test[0], []])
    assert probabilities.shape == (83, 2)
    assert empty.shape == (0, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert np.mean(probabilities.argmax(axis=1) == test[1]) > 0.98
    again = nbsvm(*train, [test[0]])[0]
    np.testing.assert_array_equal(probabilities, again)


def test_more_than_two_classes_and_one_never_seen():
    generator = np.random.default_rng(0)
    signs = ["goal match team", "vote law party", "atom cell theory"]
    labels = generator.integers(0, 3, 120)
    texts = [" ".join(generator.permutation(signs[label].split())) for label in labels]
    (probabilities,) = nbsvm(texts[:100], labels[:100], [texts[100:]], classes=5)
    assert probabilities.shape == (20, 5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), labels[100:])
    np.testing.assert_array_equal(probabilities[:, 3:], 0.0)


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(RecipeError, match="at least two classes"):
        nbsvm(["a b", "b c"], [1, 1], [["a"]])
    with pytest.raises(RecipeError, match="2 training texts for 3 labels"):
        nbsvm(["a b", "b c"], [0, 1, 1], [["a"]])


def test_majority_class_comes_from_train():
    info = SimpleNamespace(class_names=("cat", "dog"))
    splits = SimpleNamespace(train=SimpleNamespace(y=np.array([1, 1, 0])), info=info)
    outputs = {
        "test_labels": np.array([0, 0, 0, 1, 0]),
        "test_probabilities": np.eye(2)[[0, 0, 0, 1, 1]],
    }
    row = majority_class(splits, outputs)
    assert row["name"] == "always answering \u201cdog\u201d"
    assert (row["accuracy"], row["count"]) == (0.2, 5)
    # Three answers that only the network has right, none that only it has wrong.
    assert row["mcnemar_p"] == pytest.approx(2 / 2**3)


@pytest.mark.parametrize(
    ("baseline", "name"),
    [
        (linear_on_pixels, "logistic regression on pixels"),
        (neighbours_on_pixels, "3 nearest neighbours on pixels"),
        (forest_on_pixels, "random forest on pixels"),
    ],
)
@pytest.mark.parametrize("size", [(8, 6), (40, 40)])  # The larger one is resized.
def test_models_on_pixels_learn_what_a_line_divides(size, baseline, name):
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = random.integers(0, 6, (90, *size, 3), dtype=np.uint8)
    images[np.arange(90), 0, 0] += (labels * 80).astype(np.uint8)[:, None]
    images[:, : size[0] // 4] = images[:, :1, :1]
    splits = SimpleNamespace(
        train=Split(images[:60], labels[:60]), test=Split(images[60:], labels[60:])
    )
    # The network's fourth class never occurs in train.
    outputs = {"test_labels": labels[60:], "test_probabilities": np.full((30, 4), 0.25)}
    (row,) = baseline(splits, outputs)
    assert row["name"] == name
    assert row["accuracy"] > 0.9


def test_pairs_of_characters_where_words_have_no_spaces():
    fill = "这部电影的故事讲述了一个年轻人在城市里生活"
    random = np.random.default_rng(0)
    texts, labels = [], np.arange(200) % 2
    for label in labels:
        # Either character says nothing: the order of the pair does.
        letters = [fill[index] for index in random.integers(0, len(fill), 12)]
        letters.insert(int(random.integers(0, 12)), "看好" if label else "好看")
        texts.append("".join(letters))
    (found,) = nbsvm(texts[:120], labels[:120], [texts[120:]])
    assert np.mean(found.argmax(1) == labels[120:]) > 0.9
