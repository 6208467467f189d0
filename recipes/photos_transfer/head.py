"""The first phase: a logistic regression on features, which becomes the head of the network."""

from __future__ import annotations

import dataclasses

import numpy as np

from common.basics.errors import UsageError
from common.basics.processor import one_thread

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of C among which validation chooses, ascending."""


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """A linear softmax classifier."""

    kernel: np.ndarray
    """float32 `(features, classes)`."""
    bias: np.ndarray
    """float32 `(classes,)`."""
    strength: float
    """scikit-learn's C in the fit."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Returns float64 `(n, classes)` for features `(n, features)`."""
        logits = features.astype("float64") @ self.kernel + self.bias
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def scores(self, features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Returns "loss" (nats per example) and "accuracy" on features `(n, features)`, labels `(n,)`."""
        found = self.probabilities(features)
        right = found[np.arange(len(labels)), labels]
        return {
            "loss": float(-np.log(np.maximum(right, 1e-12)).mean()),
            "accuracy": float((found.argmax(axis=1) == labels).mean()),
        }


def fit_head(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None,
    classes: int,
    strength: float = 0.0,
    balanced: bool = False,
) -> Head:
    """Fits logistic regression; deterministic.

    Features are scaled to unit variance for the fit, so that the penalty means the same for each of them
    and for every backbone. The head that is returned takes features as they are.

    Args:
        train: Features, float32 `(n, features)`, and integer labels `(n,)` of two classes or more.
        validation: The same, to choose the strength on; None if `strength` is given.
        classes: Number of classes; one without training examples is never answered.
        strength: C; 0: the first of STRENGTHS after which the validation loss rises.
        balanced: Whether rare classes count more, so that every class counts the same.

    Raises:
        UsageError: Neither validation examples nor a strength is given.
    """
    features, labels = train
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1.0
    scaled = (features - mean) / spread

    def fitted(strength):
        return _fit(scaled, labels, classes, strength, balanced, mean, spread)

    if strength:
        return fitted(strength)
    if validation is None:
        raise UsageError("the strength is chosen on validation examples: give these, or a strength")
    best = fitted(STRENGTHS[0])
    least = best.scores(*validation)["loss"]
    for each in STRENGTHS[1:]:
        head = fitted(each)
        loss = head.scores(*validation)["loss"]
        if loss >= least:  # A weaker penalty, which takes longer, will not be better either.
            break
        best, least = head, loss
    return best


def _fit(scaled, labels, classes, strength, balanced, mean, spread):
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=strength, tol=1e-3, max_iter=300, class_weight="balanced" if balanced else None
    )
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled, labels)
    weights, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # One row stands for two classes: it is the difference of their logits.
        weights, intercept = (
            np.stack([-weights[0], weights[0]]) / 2,
            intercept[0] * np.array([-0.5, 0.5]),
        )
    kernel = np.zeros((scaled.shape[1], classes))
    bias = np.full(classes, -1e4)
    kernel[:, model.classes_] = (weights / spread).T
    bias[model.classes_] = intercept - (weights / spread) @ mean
    return Head(kernel.astype("float32"), bias.astype("float32"), strength)
