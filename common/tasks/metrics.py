"""Figures of merit for classifiers: accuracy, loss, confusion, precision and recall, calibration.

NumPy in, plain numbers out, and no framework: every recipe and backend is scored by this code.
scikit-learn counts where it has the same figure; what is not its own says why.
Probabilities always have one column per class, two for a binary task.
"""

import numpy as np

from common.basics.errors import RecipeError
from common.basics.statistics import wilson_interval

# Keras clips probabilities at this value in its cross-entropies, so our loss equals its val_loss.
SMALLEST_PROBABILITY = 1e-7

# The range in which temperature scaling looks for its temperature.
TEMPERATURES = (0.05, 20.0)


def check_probabilities(probabilities, labels):
    """Returns probabilities and labels as float64 and int64 arrays, or says what is wrong.

    Args:
        probabilities: Array (n, classes), classes >= 2, n >= 1, each value in [0, 1].
        labels: Integer array (n,) with values in [0, classes).

    Raises:
        RecipeError: The shapes do not fit, a value is not finite or outside [0, 1], or a label
            has no column.
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


def accuracy(labels, predictions):
    """Returns the fraction of `predictions` (n,) that equal `labels` (n,), in [0, 1]."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.size == 0:
        raise RecipeError(
            "expected as many predictions as labels, and at least one, "
            f"got {predictions.shape} and {labels.shape}"
        )
    return float(np.mean(labels == predictions))


def log_loss(probabilities, labels):
    """Returns the mean negative log-likelihood of the true class, in nats per example.

    Probabilities below 1e-7 count as 1e-7, as in Keras, so one certain mistake costs 16.1 nats and
    not infinity. Not scikit-learn's: it warns of rows that sum to 1 in float32 only, and needs 30 ms in
    place of 3 for 100,000 rows of 10 classes, which `fit_temperature` asks for some 25 times.

    Args:
        probabilities: Array (n, classes).
        labels: Integer array (n,).
    """
    probabilities, labels = check_probabilities(probabilities, labels)
    true = probabilities[np.arange(len(labels)), labels]
    return float(np.mean(-np.log(np.clip(true, SMALLEST_PROBABILITY, 1.0))))


def confusion_matrix(labels, predictions, classes):
    """Counts each pair of true and predicted class.

    Args:
        labels: Integer array (n,), the true classes.
        predictions: Integer array (n,), the predicted classes.
        classes: Number of classes; a class that never occurs keeps its row and column of zeros.

    Returns:
        int64 array (classes, classes); row = true class, column = predicted class.
    """
    from sklearn.metrics import confusion_matrix as count

    labels, predictions = np.asarray(labels, np.int64), np.asarray(predictions, np.int64)
    if labels.shape != predictions.shape:
        raise RecipeError(f"got {predictions.shape} predictions for {labels.shape} labels")
    both = np.concatenate([labels, predictions])
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise RecipeError(f"expected classes from 0 to {classes - 1}, got one outside")
    if not both.size:  # which scikit-learn refuses
        return np.zeros((classes, classes), np.int64)
    return count(labels, predictions, labels=np.arange(classes))


def per_class_scores(confusion, confidence=0.95):
    """Returns precision, recall and F1 of each class, with Wilson intervals.

    Args:
        confusion: Integer array (classes, classes) as of `confusion_matrix`, of at least one example.
        confidence: Coverage of the intervals, in (0, 1).

    Returns:
        A list with one dict per class, in class order: "class", "support" (true examples),
        "predicted" (times predicted), "precision", "precision_interval", "recall",
        "recall_interval", "f1". A score without a denominator (a class absent from the test set,
        or never predicted) is None and its interval (0, 1); F1 is None only when both are.
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


def reliability_bins(probabilities, labels, bins=15):
    """Groups predictions by the probability of the predicted class, in equal-width bins.

    Bin b holds the predictions with b / bins < probability <= (b + 1) / bins (Guo et al. 2017).
    Not scikit-learn's `calibration_curve`: that is of two classes and does not tell the counts.

    Args:
        probabilities: Array (n, classes).
        labels: Integer array (n,).
        bins: Number of bins, >= 1.

    Returns:
        A dict of arrays (bins,): "low" and "high" edges, "count", "right" (correct predictions),
        "confidence" and "accuracy" (means in the bin, NaN where it is empty).
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


def expected_calibration_error(probabilities, labels, bins=15):
    """Returns the mean gap between confidence and accuracy, weighted by bin count, in [0, 1].

    Args:
        probabilities: Array (n, classes).
        labels: Integer array (n,).
        bins: Number of equal-width bins on the top probability (Guo et al. 2017 use 15).
    """
    table = reliability_bins(probabilities, labels, bins)
    filled = table["count"] > 0
    gaps = np.abs(table["accuracy"][filled] - table["confidence"][filled])
    return float(np.sum(gaps * table["count"][filled]) / table["count"].sum())


def apply_temperature(probabilities, temperature):
    """Returns softmax(log(probabilities) / temperature), float64 (n, classes).

    A temperature above 1 makes predictions less certain, below 1 more; the predicted class stays.
    Working from probabilities instead of logits gives the same result, because softmax forgets
    the constant by which the two differ.
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


def fit_temperature(probabilities, labels):
    """Returns the temperature that minimises the log loss, within TEMPERATURES.

    One parameter, where scikit-learn's calibration needs the logits and an estimator to wrap.
    Fit it on validation data and score it on test. It is 1 (leave the model as it is) when the
    data cannot tell: without a mistake the best temperature would be 0, endless certainty, and for
    uniform predictions every temperature is the same.

    Args:
        probabilities: Array (n, classes).
        labels: Integer array (n,).
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


def at_bound(temperature):
    """Returns whether a temperature stands at an end of its range: then it was not found, but stopped."""
    low, high = TEMPERATURES
    return not low * 1.01 < temperature < high / 1.01


def summarise(val_probabilities, val_labels, test_probabilities, test_labels, seen=None):
    """Returns the "validation" and "test" parts of metrics.json.

    Args:
        val_probabilities: Array (n, classes); the temperature is fitted here.
        val_labels: Integer array (n,).
        test_probabilities: Array (m, classes); scored once, with and without that temperature.
        test_labels: Integer array (m,).
        seen: Which test examples occur in the training data as well, bool (m,); None: none is known to.

    Returns:
        A dict of plain numbers, rounded to 6 decimals so that equal runs write equal files:
        {"validation": {"count", "accuracy", "loss", "ece"},
         "test": {"count", "accuracy", "accuracy_interval", "loss", "ece", "ece_calibrated",
                  "temperature"}}. Losses are in nats; the interval is Wilson's, 95 %. Where the rarest
        class of the test split has less than half its share, "balanced_accuracy" and "macro_f1", the
        means over classes of recall and F1, are there as well; where test examples were seen, "unseen":
        "count" and "accuracy" (None of none) of the others.
    """
    parts = {}
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
    """Returns balanced accuracy and macro F1, or nothing where the classes are about as frequent."""
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
