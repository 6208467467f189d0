"""What a network with a memory must beat: answers without the sequence, or from its end alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from common.basics.processor import one_thread
from common.basics.statistics import paired_test
from common.data import Splits

from .problems import losses, right

TAIL = 10
"""The last steps of a sequence, all that the network without a memory sees."""


def constant(splits: Splits) -> np.ndarray:
    """Returns the best answer that is the same for all: the mean sum, or the share of each class.

    Returns:
        Answers to the test split, float64 `(m, ...)`, of the shape of a network's.
    """
    truth, count = splits.train.y, len(splits.test)
    if truth.dtype.kind != "f":
        truth = np.eye(int(truth.max()) + 1)[truth]
    return np.repeat(truth.mean(axis=0, dtype="float64")[None], count, axis=0)


def tail(splits: Splits) -> np.ndarray | None:
    """Trains a network of 64 units that sees the last 10 steps only, and returns its answers.

    Returns:
        Answers to the test split, floats `(m, ...)`. None for the copy problem: there all sequences end
        in the same way.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    truth = splits.train.y
    if truth.ndim == 2 and truth.dtype.kind != "f":
        return None
    seen = [part.x[:, -TAIL:].reshape(len(part), -1) for part in (splits.train, splits.test)]
    settings = {"random_state": 0, "early_stopping": True, "hidden_layer_sizes": (64,)}
    with one_thread():
        if truth.dtype.kind == "f":
            return MLPRegressor(**settings).fit(seen[0], truth.ravel()).predict(seen[1])[:, None]
        return MLPClassifier(**settings).fit(seen[0], truth).predict_proba(seen[1])


def rows(splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Returns the rows for metrics.json of `constant` and `tail`; each name ends with the loss.

    Args:
        splits: The data.
        outputs: The network's answers and the truth, as in predictions.npz.
    """
    truth = outputs["test_truth"]
    unit = "MSE" if truth.dtype.kind == "f" else "nats"
    network, found = right(truth, outputs["test_outputs"]), []
    named = (("a constant answer", constant), (f"an MLP on the last {TAIL} steps", tail))
    for name, baseline in named:
        answers = baseline(splits)
        if answers is None:
            continue
        scores = right(truth, answers)
        found.append(
            {
                "name": f"{name} ({unit} {losses(truth, answers).mean():.4f})",
                "value": round(float(scores.mean()), 6),
                "count": len(truth),
                "p": paired_test(scores.astype(float), network.astype(float)).p,
            }
        )
    return found
