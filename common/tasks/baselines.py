"""Baselines that a network has to beat: the commonest class, and how another model compares with it.

Models on pixels are in pixel_baselines.py, those on words in ngram_baselines.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from common.basics.statistics import paired_test
from common.basics.wording import shorten
from common.data.types import Splits

if TYPE_CHECKING:
    import keras


def majority_class(splits: Splits, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the row for metrics.json of always answering the most frequent training class.

    Args:
        splits: The data trained on.
        outputs: The network's probabilities and labels, as in predictions.npz.
    """
    classes = len(splits.info.class_names)
    commonest = int(np.bincount(np.asarray(splits.train.y), minlength=classes).argmax())
    labels, network = outputs["test_labels"], outputs["test_probabilities"]
    always = np.tile(np.eye(classes)[commonest], (len(labels), 1))
    name = f"always answering \u201c{shorten(splits.info.class_names[commonest], 40)}\u201d"
    return beside(name, labels, always, network)


def mirrored(model: keras.Model, splits: Splits, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the row for metrics.json of averaging over each test image and its mirror image.

    Args:
        model: The network, trained on mirrored images too.
        splits: The images trained on, `(n, height, width, channels)`.
        outputs: The network's probabilities and labels, as in predictions.npz.
    """
    from common.training.outputs import inference_batches, predict

    plain = outputs["test_probabilities"]
    other = predict(model, inference_batches(np.asarray(splits.test.x)[:, :, ::-1]))
    name = "average over each image and its mirror image"
    return beside(name, outputs["test_labels"], (plain + other) / 2, plain)


def beside(
    name: str, labels: np.ndarray, probabilities: np.ndarray, network: np.ndarray
) -> dict[str, Any]:
    """Returns the row for metrics.json that compares another model with the network on the test split.

    Args:
        name: Name of the other model in the report.
        labels: Integers (n,).
        probabilities: Those of the other model, (n, classes).
        network: Those of the network, (n, classes).
    """
    right = probabilities.argmax(1) == labels
    return {
        "name": name,
        "accuracy": round(float(np.mean(right)), 6),
        "count": len(labels),
        "mcnemar_p": paired_test(right, network.argmax(1) == labels).p,
    }
