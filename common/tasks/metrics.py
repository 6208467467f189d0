"""Metrics of classifiers: accuracy, loss, confusion, precision and recall.

Functions take NumPy arrays and return plain numbers, so that all backends are scored by the same code.
They call scikit-learn if it has the metric; otherwise the docstring says why not. Probabilities always
have one column per class, two for a binary task.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from common.basics.errors import RecipeError
from common.basics.statistics import wilson_interval

# Keras clips probabilities at this value in its cross-entropies, so this loss equals val_loss.
SMALLEST_PROBABILITY = 1e-7


def check_probabilities(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Returns probabilities and labels as float64 and int64 arrays, after a check.

    Args:
        probabilities: (n, classes), classes >= 2, n >= 1, each value in [0, 1].
        labels: Integers (n,) in [0, classes).

    Raises:
        RecipeError: The shapes do not fit, a value is not finite or outside [0, 1], or a label is
            out of range.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    labels = np.asarray(labels)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2 or probabilities.shape[0] < 1:
        raise RecipeError(
            "expected class probabilities of shape (examples, classes) with at least one example "
            f"and two classes, got shape {probabilities.shape}"
        )
    if labels.shape != probabilities.shape[:1]:
        raise RecipeError(
            f"expected one label for each of the {len(probabilities)} rows of probabilities, "
            f"got labels of shape {labels.shape}"
        )
    bad = np.count_nonzero(~np.isfinite(probabilities).all(axis=1))
    if bad:
        raise RecipeError(
            f"{bad} of {len(probabilities)} predictions are not finite numbers: the model "
            "diverged. Train again with a lower learning rate or gradient clipping."
        )
    # float32 softmax rows may exceed 1 by a rounding error; anything more is not a probability.
    if probabilities.min() < -1e-5 or probabilities.max() > 1 + 1e-5:
        raise RecipeError(
            "expected probabilities between 0 and 1, got values between "
            f"{probabilities.min():.4g} and {probabilities.max():.4g}; does the model end in a "
            "softmax, or does it return logits?"
        )
    labels = labels.astype(np.int64)
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise RecipeError(
            f"expected labels from 0 to {probabilities.shape[1] - 1}, the columns of the "
            f"predictions, got labels from {labels.min()} to {labels.max()}"
        )
    return np.clip(probabilities, 0.0, 1.0), labels


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Returns the fraction of `predictions` (n,) that equal `labels` (n,), in [0, 1]."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.size == 0:
        raise RecipeError(
            "expected as many predictions as labels, and at least one, "
            f"got {predictions.shape} and {labels.shape}"
        )
    return float(np.mean(labels == predictions))


def log_loss(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Returns the mean negative log-likelihood of the true class, in nats per example.

    Probabilities below 1e-7 count as 1e-7, as in Keras, so one certain mistake costs 16.1 nats and
    not infinity. scikit-learn's function is not used for two reasons: it warns of float32 rows, whose
    sums differ from 1 by rounding; and for 100,000 rows of 10 classes it takes 30 ms instead of 3, while
    `fit_temperature` computes the loss some 25 times.

    Args:
        probabilities: (n, classes).
        labels: Integers (n,).
    """
    probabilities, labels = check_probabilities(probabilities, labels)
    true = probabilities[np.arange(len(labels)), labels]
    return float(np.mean(-np.log(np.clip(true, SMALLEST_PROBABILITY, 1.0))))


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int) -> np.ndarray:
    """Counts each pair of true and predicted class.

    Args:
        labels: True classes, integers (n,).
        predictions: Predicted classes, integers (n,).
        classes: Number of classes; a class that never occurs keeps its row and column of zeros.

    Returns:
        int64 (classes, classes); row = true class, column = predicted class.
    """
    from sklearn.metrics import confusion_matrix as count

    labels, predictions = np.asarray(labels, np.int64), np.asarray(predictions, np.int64)
    if labels.shape != predictions.shape:
        raise RecipeError(f"got {predictions.shape} predictions for {labels.shape} labels")
    both = np.concatenate([labels, predictions])
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise RecipeError(f"expected classes from 0 to {classes - 1}, got one outside")
    if not both.size:  # scikit-learn refuses empty arrays
        return np.zeros((classes, classes), np.int64)
    return count(labels, predictions, labels=np.arange(classes))


def per_class_scores(confusion: ArrayLike, confidence: float = 0.95) -> list[dict[str, Any]]:
    """Returns precision, recall and F1 of each class, with Wilson intervals.

    Args:
        confusion: The result of `confusion_matrix`, of at least one example.
        confidence: Coverage of the intervals, in (0, 1).

    Returns:
        One dict per class, in class order: "class", "support" (true examples), "predicted" (times
        predicted), "precision", "precision_interval", "recall", "recall_interval", "f1". A score
        without a denominator (of a class that is absent from the test set, or never predicted) is
        None, with the interval (0, 1). F1 is None only if both scores are.
    """
    from sklearn.metrics import precision_recall_fscore_support

    confusion = np.asarray(confusion)
    true, guessed = (places.ravel() for places in np.indices(confusion.shape))
    precision, recall, f1, _ = precision_recall_fscore_support(
        true,
        guessed,
        labels=np.arange(len(confusion)),
        sample_weight=confusion.ravel(),
        zero_division=np.nan,
    )
    scores = []
    for index in range(len(confusion)):
        right = int(confusion[index, index])
        support, predicted = int(confusion[index].sum()), int(confusion[:, index].sum())
        scores.append(
            {
                "class": index,
                "support": support,
                "predicted": predicted,
                "precision": _number(precision[index]),
                "precision_interval": wilson_interval(right, predicted, confidence),
                "recall": _number(recall[index]),
                "recall_interval": wilson_interval(right, support, confidence),
                "f1": _number(f1[index]),
            }
        )
    return scores


def roc_auc(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float, float]:
    """Returns how often a positive example has the larger score, ties counted half, with a 95 % interval.

    That is the area under the ROC curve. The interval is DeLong's (1988), cut at 0 and 1; scikit-learn
    has none.

    Args:
        positive: Scores of positive examples, `(m,)`, m >= 2.
        negative: Scores of the others, `(n,)`, n >= 2.

    Returns:
        (area, low, high).
    """
    from scipy.stats import norm, rankdata

    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    # Of each positive example the share of others below it, and of each other that of positives above.
    below = (ranks[:m] - rankdata(positive)) / n
    above = 1 - (ranks[m:] - rankdata(negative)) / m
    area = float(below.mean())
    error = math.sqrt(below.var(ddof=1) / m + above.var(ddof=1) / n)
    reach = float(norm.ppf(0.975)) * error
    return area, max(area - reach, 0.0), min(area + reach, 1.0)


def separation(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Returns "auc" with its 95 % "auc_interval" (DeLong et al. 1988), and "average_precision".

    Args:
        labels: 0 or 1, `(n,)`.
        probabilities: Of class 1, `(n,)`.

    Returns:
        An empty dict if a class has fewer than two examples.
    """
    from sklearn.metrics import average_precision_score

    positive = labels == 1
    if min(positive.sum(), (~positive).sum()) < 2:
        return {}
    area, low, high = roc_auc(probabilities[positive], probabilities[~positive])
    return {
        "auc": area,
        "auc_interval": [low, high],
        "average_precision": float(average_precision_score(labels, probabilities)),
    }


def _number(score):
    return None if np.isnan(score) else float(score)
