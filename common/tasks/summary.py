"""The figures of a classifier that metrics.json holds, of validation and test."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from common.basics.statistics import wilson_interval
from common.tasks.calibration import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
)
from common.tasks.metrics import accuracy, check_probabilities, log_loss, separation


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
        "balanced_accuracy" and "macro_f1", the means over classes of recall and F1. Of two classes it
        holds what `metrics.separation` returns. If test examples
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
    if np.shape(test_probabilities)[1] == 2:
        parts["test"] |= separation(np.asarray(test_labels), np.asarray(test_probabilities)[:, 1])
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
