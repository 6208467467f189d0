"""Membership inference: can one tell from a model's answers whether an example was trained on?

The attack is the simplest one (Yeom et al. 2018): the smaller the loss, the rather a member. The area
under its curve is 0.5 where the answers tell nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from common.tasks.metrics import roc_auc

if TYPE_CHECKING:
    import keras

    from common.data.types import Splits

EXAMPLES = 10_000
"""At most so many training and test examples are asked about, always the same ones."""


def largest_auc(epsilon: float, delta: float) -> float:
    """Returns the AUC that no attack on a single example exceeds, given (epsilon, delta).

    Under them the rate of true alarms is at most e^epsilon times that of false ones, plus delta, and the
    same holds of the rates of silence.
    """
    factor = math.exp(min(epsilon, 700.0))
    # The corner of the curve that these two lines leave, which then goes on to (1 - delta, 1).
    false, true = (1 - delta) / (factor + 1), (factor + delta) / (factor + 1)
    return false * (delta + true) / 2 + (1 - delta - false) * (true + 1) / 2 + delta


def of_classifier(model: keras.Model, splits: Splits) -> dict[str, Any]:
    """Returns an entry for metrics.json: the AUC of the attack, its interval and its examples.

    Args:
        model: Trained classifier.
        splits: Its data; members are of the training split, the others of the test split.
    """
    members, others = (_scores(model, part) for part in (splits.train, splits.test))
    area, low, high = roc_auc(members, others)
    return {
        "auc": round(area, 6),
        "interval": [round(low, 6), round(high, 6)],
        "members": len(members),
        "others": len(others),
    }


def _scores(model, split):
    """Returns minus the loss of some examples of a split."""
    from common.training.outputs import inference_batches, predict

    rows = np.sort(np.random.default_rng(0).permutation(len(split))[:EXAMPLES])
    part = split.take(rows)
    probabilities = predict(model, inference_batches(part.x))
    return np.log(np.maximum(probabilities[np.arange(len(rows)), part.y], 1e-12))
