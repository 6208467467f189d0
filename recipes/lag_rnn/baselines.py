"""What any network with a memory must beat: no look at the sequence, and a look at its end only."""

import numpy as np

from common.basics.statistics import paired_test

from .problems import losses, right

TAIL = 10
"""Steps that the network without a memory sees, the last ones."""


def constant(splits):
    """Returns the best answer that does not look: the mean sum, or how often each class comes.

    Returns:
        float64 answers to the test split, `(m, ...)` as a network's.
    """
    truth, count = splits.train.y, len(splits.test)
    if truth.dtype.kind != "f":
        truth = np.eye(int(truth.max()) + 1)[truth]
    return np.repeat(truth.mean(axis=0, dtype="float64")[None], count, axis=0)


def tail(splits):
    """Returns what a network of 64 units answers that is shown the last 10 steps only.

    Returns:
        float64 answers to the test split, `(m, ...)`; None for copies, whose end is the same in all.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    truth = splits.train.y
    if truth.ndim == 2 and truth.dtype.kind != "f":
        return None
    seen = [part.x[:, -TAIL:].reshape(len(part), -1) for part in (splits.train, splits.test)]
    settings = {"random_state": 0, "early_stopping": True, "hidden_layer_sizes": (64,)}
    if truth.dtype.kind == "f":
        return MLPRegressor(**settings).fit(seen[0], truth.ravel()).predict(seen[1])[:, None]
    return MLPClassifier(**settings).fit(seen[0], truth).predict_proba(seen[1])


def rows(splits, outputs):
    """Returns dicts for metrics.json, of `constant` and `tail`; names tell their loss.

    Args:
        splits: Splits.
        outputs: As in predictions.npz.
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
