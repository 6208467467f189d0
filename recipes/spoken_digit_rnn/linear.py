"""The linear model that the network must beat: logistic regression on the frames' bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common import data
from common.basics.processor import one_thread
from common.tasks.baselines import beside
from common.training.outputs import inference_batches, outputs_of


def linear_baseline(
    model: keras.Model, splits: data.Splits, outputs: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Fits logistic regression to the mean and deviation of each band, and compares it with the network.

    Args:
        model: The network, whose layer `log_mel` computes the frames.
        splits: The data.
        outputs: The network's probabilities and labels, as in predictions.npz.

    Returns:
        A row for metrics.json.
    """
    frames = keras.Model(model.input, model.get_layer("log_mel").output)

    def features(waves):
        held = outputs_of(frames, inference_batches(waves))
        return np.concatenate([held.mean(axis=1), held.std(axis=1)], axis=1)

    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    x = features(splits.train.x)
    with one_thread():
        linear.fit(x, splits.train.y)
    answers = np.zeros(outputs["test_probabilities"].shape)
    answers[:, linear.classes_] = linear.predict_proba(features(splits.test.x))
    name = "logistic regression on mean and deviation of the log-mel bands"
    return beside(name, outputs["test_labels"], answers, outputs["test_probabilities"])
