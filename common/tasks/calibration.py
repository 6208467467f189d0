"""Calibration of classifiers, and temperature scaling, which mends it (Guo et al. 2017).

Functions take NumPy arrays, as those of `metrics.py` do.
"""

import numpy as np
from numpy.typing import ArrayLike

from common.tasks.metrics import check_probabilities, log_loss

# The range in which temperature scaling looks for its temperature.
TEMPERATURES = (0.05, 20.0)


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
