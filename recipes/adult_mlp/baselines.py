"""What stands beside the network: logistic regression and gradient boosting on the same columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from common.basics.processor import one_thread
from common.data.table_encoder import Layout, TableEncoder, one_hot
from common.data.types import Splits
from common.tasks.baselines import beside

MOST_CATEGORIES = 255
"""Categories that scikit-learn's trees take in a column; ids of a larger one are read as numbers."""


def rows(
    splits: Splits, encoder: TableEncoder, outputs: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Fits both models to the rows that the network was trained on, and compares them with it.

    Args:
        splits: The data.
        encoder: The network's. Here its numbers are standardised.
        outputs: The network's probabilities and labels, as in predictions.npz.

    Returns:
        Two rows for metrics.json.
    """
    plain = TableEncoder(encoder.columns, encoder.numbers, encoder.categories, ranks=False)
    train, test = plain.encode(splits.train.x), plain.encode(splits.test.x)
    found = []
    models: tuple[tuple[str, Callable], ...] = (
        ("logistic regression on the same columns", logistic_regression),
        ("gradient boosting on the same columns", gradient_boosting),
    )
    for name, fit in models:
        model, prepare = fit(train, splits.train.y, plain.layout)
        answers = np.zeros(outputs["test_probabilities"].shape)
        answers[:, model.classes_] = model.predict_proba(prepare(test))
        found.append(beside(name, outputs["test_labels"], answers, outputs["test_probabilities"]))
    return found


def logistic_regression(
    x: np.ndarray, y: np.ndarray, layout: Layout
) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """Returns a fitted model, and a function that makes its inputs of encoded rows.

    Args:
        x: Encoded rows, float32 `(n, layout.width)`, with standardised numbers.
        y: Integer labels `(n,)`.
        layout: What stands where in a row.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=300)
    with one_thread(), warnings.catch_warnings():
        # As a baseline it need not converge completely.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(one_hot(x, layout), y)
    return model, lambda rows: one_hot(rows, layout)


def gradient_boosting(
    x: np.ndarray, y: np.ndarray, layout: Layout
) -> tuple[Any, Callable[[np.ndarray], np.ndarray]]:
    """Returns a fitted model and a function; arguments and result as of `logistic_regression`."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    first = layout.numbers + layout.missing
    few = [first + place for place, size in enumerate(layout.categories) if size <= MOST_CATEGORIES]
    model = HistGradientBoostingClassifier(categorical_features=few or None, random_state=0)
    with one_thread():
        model.fit(x, y)
    return model, lambda rows: rows
