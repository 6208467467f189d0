"""The first phase: a logistic regression on features, which becomes the head of the network."""

import dataclasses

import numpy as np

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
    """scikit-learn's C, which it was fitted with."""

    def probabilities(self, features):
        """Returns float64 `(n, classes)` for features `(n, features)`."""
        logits = features.astype("float64") @ self.kernel + self.bias
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def scores(self, features, labels):
        """Returns loss (nats per example) and accuracy on features `(n, features)`, labels `(n,)`."""
        found = self.probabilities(features)
        right = found[np.arange(len(labels)), labels]
        return {
            "loss": float(-np.log(np.maximum(right, 1e-12)).mean()),
            "accuracy": float((found.argmax(axis=1) == labels).mean()),
        }


def fit_head(train, validation, classes, strength=0.0, balanced=False):
    """Fits logistic regression; deterministic.

    Features are brought to unit variance for it, so that the penalty means the same for all of them and
    for every backbone; the head that is returned takes them as they are.

    Args:
        train: Tuple of features, float32 `(n, features)`, and integer labels `(n,)`, two classes or more.
        validation: The same, for the choice of the strength.
        classes: Number of classes; one without training examples is never answered.
        strength: C; 0: the first of STRENGTHS after which the validation loss rises.
        balanced: Whether rare classes count more, so that every class counts the same.

    Returns:
        Head.
    """
    features, labels = train
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1.0
    scaled = (features - mean) / spread

    def fitted(strength):
        return _fit(scaled, labels, classes, strength, balanced, mean, spread)

    if strength:
        return fitted(strength)
    best, least = None, np.inf
    for each in STRENGTHS:
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled, labels)
    weights, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # One row stands for two classes: their logits differ by it.
        weights, intercept = (
            np.stack([-weights[0], weights[0]]) / 2,
            intercept[0] * np.array([-0.5, 0.5]),
        )
    kernel = np.zeros((scaled.shape[1], classes))
    bias = np.full(classes, -1e4)
    kernel[:, model.classes_] = (weights / spread).T
    bias[model.classes_] = intercept - (weights / spread) @ mean
    return Head(kernel.astype("float32"), bias.astype("float32"), strength)
