"""Baselines that a network has to beat: the majority class, linear models on pixels and n-grams."""

import re

import numpy as np

from common.basics.errors import RecipeError
from common.basics.patterns import NGRAM_TOKEN
from common.basics.statistics import paired_test
from common.basics.wording import shorten

# Words, and each punctuation mark on its own: "!" and "?" carry sentiment. On IMDB this is worth
# 1.5 points over scikit-learn's default pattern, measured on validation reviews cut from train.
TOKEN = re.compile(NGRAM_TOKEN)


PIXEL_EXAMPLES = 10_000
"""Training images that the linear model on pixels learns from, at most: seconds in place of minutes."""
PIXEL_SIZE = 32
"""Larger images are made this high and wide for it."""


def majority_class(splits, outputs):
    """Returns what metrics.json tells of always answering the commonest training class.

    Args:
        splits: The Splits.
        outputs: The network's probabilities and labels, as in predictions.npz.
    """
    classes = len(splits.info.class_names)
    commonest = int(np.bincount(splits.train.y, minlength=classes).argmax())
    labels, network = outputs["test_labels"], outputs["test_probabilities"]
    always = np.tile(np.eye(classes)[commonest], (len(labels), 1))
    name = f"always answering \u201c{shorten(splits.info.class_names[commonest], 40)}\u201d"
    return beside(name, labels, always, network)


def linear_on_pixels(splits, outputs):
    """Fits logistic regression to pixels and compares it with the network on the test split.

    Deterministic; at most PIXEL_EXAMPLES training images, whose number the name tells where it is
    smaller than that of the split.

    Args:
        splits: The Splits, of images.
        outputs: The network's probabilities and labels, as in predictions.npz.

    Returns:
        List of one dict for metrics.json.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    name, rows = "logistic regression on pixels", slice(None)
    if len(splits.train) > PIXEL_EXAMPLES:
        rows = np.random.default_rng(0).permutation(len(splits.train))[:PIXEL_EXAMPLES]
        name += f" of {PIXEL_EXAMPLES:,} images"
    x, y = _pixels(splits.train.x[rows]), np.asarray(splits.train.y)[rows]
    mean = x.mean(axis=0)
    model = LogisticRegression(max_iter=100)
    with warnings.catch_warnings():
        # It is a yardstick: the last digits are not worth the iterations.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x - mean, y)
    labels, network = outputs["test_labels"], outputs["test_probabilities"]
    answers = np.zeros(network.shape)
    answers[:, model.classes_] = model.predict_proba(_pixels(splits.test.x) - mean)
    return [beside(name, labels, answers, network)]


def mirrored(model, splits, outputs):
    """Returns the dict for metrics.json of the average over each test image and its mirror image.

    Args:
        model: The network, trained on mirrored images as well.
        splits: The Splits, of images `(n, height, width, channels)`.
        outputs: Its probabilities and labels, as in predictions.npz.
    """
    from common.training.outputs import inference_batches, predict

    plain = outputs["test_probabilities"]
    other = predict(model, inference_batches(splits.test.x[:, :, ::-1]))
    name = "average over each image and its mirror image"
    return beside(name, outputs["test_labels"], (plain + other) / 2, plain)


def _pixels(images):
    """Returns float32 `(n, pixels)`, 0 to 1, of images uint8 `(n, height, width, channels)`."""
    from common.data.images import convert

    size = tuple(min(side, PIXEL_SIZE) for side in images.shape[1:3])
    images = convert(np.asarray(images), size, images.shape[3])
    return images.reshape(len(images), -1).astype("float32") / 255


def beside(name, labels, probabilities, network):
    """Returns what metrics.json tells of an answer other than the network's on the test split.

    Args:
        name: Of the other answer, as the report shows it.
        labels: Integer array (n,).
        probabilities: Its probabilities, (n, classes).
        network: The network's, (n, classes).
    """
    right = probabilities.argmax(1) == labels
    return {
        "name": name,
        "accuracy": round(float(np.mean(right)), 6),
        "count": len(labels),
        "mcnemar_p": paired_test(right, network.argmax(1) == labels).p,
    }


class BinaryNgrams:
    """Turns texts into sparse 0/1 matrices of the words and word pairs seen in `fit`.

    The same features as scikit-learn's CountVectorizer(ngram_range=(1, 2), binary=True), in a
    fraction of its time: a pair is one integer made from two word numbers, never a string.
    """

    def fit_transform(self, texts):
        """Learns the features of `texts` (sequence of n str); returns CSR float32 (n, features)."""
        self.words = {}
        rows, codes = self._codes(texts, learn=True)
        # np.unique would hash here, at several times the cost of sorting.
        ordered = np.sort(codes)
        self.features = ordered[np.diff(ordered, prepend=-1) > 0]
        return self._matrix(rows, codes, len(texts))

    def transform(self, texts):
        """Returns CSR float32 (n, features) for `texts`; what was not seen in `fit` is ignored."""
        rows, codes = self._codes(texts, learn=False)
        return self._matrix(rows, codes, len(texts))

    def _codes(self, texts, learn):
        """Returns two int64 arrays: the text number and the feature code of each n-gram."""
        words, sequences = self.words, []
        for text in texts:
            tokens = TOKEN.findall(text.lower())
            if learn:
                sequence = [words.setdefault(token, len(words)) for token in tokens]
            else:
                sequence = [words.get(token, -1) for token in tokens]
            sequences.append(np.array(sequence, np.int64))
        lengths = np.array([len(sequence) for sequence in sequences], np.int64)
        rows = np.repeat(np.arange(len(sequences)), lengths)
        first = np.concatenate([*sequences, np.zeros(0, np.int64)])
        # A pair must not reach over the end of its text, nor hold an unknown word.
        second, same = first[1:], rows[1:] == rows[:-1]
        pair = same & (first[:-1] >= 0) & (second >= 0)
        known = first >= 0
        size = len(words)
        codes = np.concatenate([first[known], size + first[:-1][pair] * size + second[pair]])
        return np.concatenate([rows[known], rows[:-1][pair]]), codes

    def _matrix(self, rows, codes, count):
        from scipy.sparse import csr_matrix

        width = max(len(self.features), 1)
        columns = np.minimum(np.searchsorted(self.features, codes), width - 1)
        if len(self.features):
            seen = self.features[columns] == codes
            rows, columns = rows[seen], columns[seen]
        values = np.ones(len(rows), np.float32)
        matrix = csr_matrix((values, (rows, columns)), shape=(count, width))
        # Binary: an n-gram counts once in a text, however often it occurs.
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix


def nbsvm(
    train_texts,
    train_labels,
    texts_list,
    *,
    classes=None,
    inverse_regularization=1.0,
    smoothing=1.0,
):
    """Trains logistic regression on NB-weighted binary 1-2-grams and predicts.

    Wang & Manning 2012, "Baselines and bigrams", with logistic regression in place of the SVM so
    that there are probabilities. Each feature is weighted by how much more often it occurs in a
    class than outside it (the log-count ratio). More than two classes: one against the rest each,
    the scores normalised to sum to 1. Deterministic.

    Args:
        train_texts: Sequence of n str.
        train_labels: Integer array (n,).
        texts_list: Sequence of sequences of str, e.g. [validation texts, test texts].
        classes: Number of classes; default: the largest training label + 1.
        inverse_regularization: C of the logistic regression, > 0. The default was best of
            0.1, 1 and 4 on IMDB reviews held out from train.
        smoothing: Added to every feature count, > 0; 1 as in the paper.

    Returns:
        A list with one float64 array (m, classes) of probabilities for each of `texts_list`.

    Raises:
        RecipeError: Fewer than two classes to learn, or texts and labels of different number.
    """
    from sklearn.linear_model import LogisticRegression

    labels = np.asarray(train_labels)
    if len(train_texts) != len(labels):
        raise RecipeError(f"got {len(train_texts)} training texts for {len(labels)} labels")
    if len(np.unique(labels)) < 2:
        raise RecipeError("the n-gram baseline needs training texts of at least two classes")
    classes = int(labels.max()) + 1 if classes is None else classes
    ngrams = BinaryNgrams()
    train = ngrams.fit_transform(train_texts)
    others = [ngrams.transform(texts) for texts in texts_list]
    # Two classes need one model; its other column is the complement.
    positives = [1] if classes == 2 else range(classes)
    scores = [np.zeros((len(texts), classes)) for texts in texts_list]
    for positive in positives:
        target = labels == positive
        if not target.any():
            continue
        inside = smoothing + np.asarray(train[target].sum(axis=0)).ravel()
        outside = smoothing + np.asarray(train[~target].sum(axis=0)).ravel()
        ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
        ratio = ratio.astype(np.float32)
        # liblinear's dual solver: seconds where lbfgs takes a minute on a million features.
        model = LogisticRegression(
            C=inverse_regularization,
            solver="liblinear",
            dual=True,
            tol=0.01,
            max_iter=1000,
            random_state=0,
        ).fit(_scale_columns(train, ratio), target)
        for score, matrix in zip(scores, others, strict=True):
            if matrix.shape[0]:
                score[:, positive] = model.predict_proba(_scale_columns(matrix, ratio))[:, 1]
    if classes == 2:
        for score in scores:
            score[:, 0] = 1 - score[:, 1]
        return scores
    return [score / np.maximum(score.sum(axis=1, keepdims=True), 1e-12) for score in scores]


def _scale_columns(matrix, factors):
    """Returns CSR `matrix` (n, m) with column j multiplied by `factors` (m,)[j]."""
    scaled = matrix.copy()
    scaled.data *= factors[scaled.indices]
    return scaled
