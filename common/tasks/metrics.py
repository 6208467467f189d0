"""Metrics of classifiers: accuracy, loss, confusion, precision and recall, calibration.

Functions take NumPy arrays and return plain numbers, so that all backends are scored by the same code.
They call scikit-learn if it has the metric; otherwise the docstring says why not. Probabilities always
have one column per class, two for a binary task.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from common.basics.errors import RecipeError
from common.basics.statistics import wilson_interval

# Keras clips probabilities at this value in its cross-entropies, so this loss equals val_loss.
SMALLEST_PROBABILITY = 1e-7

# The range in which temperature scaling looks for its temperature.
TEMPERATURES = (0.05, 20.0)


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


def _number(score):
    return None if np.isnan(score) else float(score)


def reliability_bins(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> dict[str, np.ndarray]:
    """Groups predictions by the probability of the predicted class, in equal-width bins.

    Bin b holds the predictions with b / bins < probability <= (b + 1) / bins (Guo et al. 2017).
    scikit-learn's `calibration_curve` is not used: it handles two classes only and returns no counts.

    Args:
        probabilities: (n, classes).
        labels: Integers (n,).
        bins: Number of bins, >= 1.

    Returns:
        Arrays (bins,): "low" and "high" edges, "count", "right" (correct predictions), "confidence"
        and "accuracy" (means in the bin, NaN if it is empty).

    Raises:
        ValueError: `bins` is below 1.
    """
    if bins < 1:
        raise ValueError(f"expected at least one bin, got {bins}")
    probabilities, labels = check_probabilities(probabilities, labels)
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.clip(np.searchsorted(edges, top, side="left") - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    right_count = np.bincount(index, weights=right, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        confidence = np.bincount(index, weights=top, minlength=bins) / count
        bin_accuracy = right_count / count
    return {
        "low": edges[:-1],
        "high": edges[1:],
        "count": count,
        "right": right_count.astype(np.int64),
        "confidence": confidence,
        "accuracy": bin_accuracy,
    }


def expected_calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15
) -> float:
    """Returns the mean gap between confidence and accuracy, weighted by bin count, in [0, 1].

    Args:
        probabilities: (n, classes).
        labels: Integers (n,).
        bins: Number of equal-width bins on the top probability (Guo et al. 2017 use 15).
    """
    table = reliability_bins(probabilities, labels, bins)
    filled = table["count"] > 0
    gaps = np.abs(table["accuracy"][filled] - table["confidence"][filled])
    return float(np.sum(gaps * table["count"][filled]) / table["count"].sum())


def apply_temperature(probabilities: ArrayLike, temperature: float) -> np.ndarray:
    """Returns softmax(log(probabilities) / temperature), float64 (n, classes).

    A temperature above 1 makes predictions less certain, one below 1 more certain. The predicted class
    stays. Logits would give the same result: they differ from log probabilities by a constant per
    example, which softmax removes.

    Raises:
        ValueError: The temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"expected a temperature above 0, got {temperature}")
    probabilities = np.asarray(probabilities, dtype=np.float64)
    # Finer than the clip of the loss: float32 softmax outputs are meaningful down to 1e-38.
    scaled = np.log(np.clip(probabilities, 1e-38, 1.0)) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Returns the temperature that minimises the log loss, within TEMPERATURES.

    Fit it on validation data and score it on test. It is 1 (no change) if the data cannot determine
    it: without mistakes the loss falls as the temperature goes to 0, and for uniform predictions all
    temperatures give the same loss. scikit-learn's calibration is not used: it needs the logits and an
    estimator to wrap.

    Args:
        probabilities: (n, classes).
        labels: Integers (n,).
    """
    from scipy.optimize import minimize_scalar

    probabilities, labels = check_probabilities(probabilities, labels)
    if np.all(probabilities.argmax(axis=1) == labels):
        return 1.0

    def loss(log_temperature):
        return log_loss(apply_temperature(probabilities, np.exp(log_temperature)), labels)

    # The loss is convex in 1 / temperature, so a bounded search on the log scale finds the minimum.
    found = minimize_scalar(
        loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x)) if found.fun < loss(0.0) - 1e-12 else 1.0


def at_bound(temperature: float) -> bool:
    """Returns whether a temperature lies at an end of its range, so that the best one may lie beyond."""
    low, high = TEMPERATURES
    return not low * 1.01 < temperature < high / 1.01


def summarise(
    val_probabilities: ArrayLike,
    val_labels: ArrayLike,
    test_probabilities: ArrayLike,
    test_labels: ArrayLike,
    seen: np.ndarray | None = None,
) -> dict[str, dict[str, Any]]:
    """Returns the "validation" and "test" parts of metrics.json.

    Args:
        val_probabilities: (n, classes); the temperature is fitted to them.
        val_labels: Integers (n,).
        test_probabilities: (m, classes); scored once, with and without that temperature.
        test_labels: Integers (m,).
        seen: Which test examples occur in the training data too, bool (m,); None: not known of any.

    Returns:
        Plain numbers, rounded to 6 decimals so that equal runs write equal files:
        {"validation": {"count", "accuracy", "loss", "ece"},
         "test": {"count", "accuracy", "accuracy_interval", "loss", "ece", "ece_calibrated",
                  "temperature"}}. Losses are in nats; the interval is Wilson's, 95 %.
        If the rarest class of the test split has less than half an equal share, "test" also holds
        "balanced_accuracy" and "macro_f1", the means over classes of recall and F1. If test examples
        were seen, it also holds "unseen": "count" and "accuracy" of the others (None if there are none).
    """
    parts: dict[str, dict[str, Any]] = {}
    for name, given, truth in (
        ("validation", val_probabilities, val_labels),
        ("test", test_probabilities, test_labels),
    ):
        probabilities, labels = check_probabilities(given, truth)
        parts[name] = {
            "count": len(labels),
            "accuracy": accuracy(labels, probabilities.argmax(axis=1)),
            "loss": log_loss(probabilities, labels),
            "ece": expected_calibration_error(probabilities, labels),
        }
    temperature = round(fit_temperature(val_probabilities, val_labels), 6)
    test = parts["test"]
    right = round(test["accuracy"] * test["count"])
    calibrated = apply_temperature(test_probabilities, temperature)
    parts["test"] = {
        "count": test["count"],
        "accuracy": test["accuracy"],
        "accuracy_interval": list(wilson_interval(right, test["count"])),
        "loss": test["loss"],
        "ece": test["ece"],
        "ece_calibrated": expected_calibration_error(calibrated, test_labels),
        "temperature": temperature,
    }
    parts["test"] |= _of_imbalanced(test_labels, test_probabilities)
    if seen is not None and np.any(seen):
        right = np.argmax(test_probabilities, axis=1)[~seen] == np.asarray(test_labels)[~seen]
        share = float(np.mean(right)) if len(right) else None
        parts["test"]["unseen"] = {"count": len(right), "accuracy": share}
    return {name: _rounded(part) for name, part in parts.items()}


def _of_imbalanced(labels, probabilities):
    """Returns balanced accuracy and macro F1; nothing if all classes are about equally frequent."""
    from sklearn.metrics import f1_score, recall_score

    labels, classes = np.asarray(labels), np.shape(probabilities)[1]
    present = np.bincount(labels, minlength=classes)
    present = present[present > 0]
    if len(present) < 2 or present.min() >= len(labels) / len(present) / 2:
        return {}
    answers = np.argmax(probabilities, axis=1)
    over = {"labels": np.unique(labels), "average": "macro", "zero_division": 0}
    return {
        "balanced_accuracy": recall_score(labels, answers, **over),
        "macro_f1": f1_score(labels, answers, **over),
    }


def _rounded(value):
    """Rounds every float in a nested structure to 6 decimals and drops NumPy types."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value if value is None or isinstance(value, int) else round(float(value), 6)
