"""What stands beside the network: ridge regression and gradient boosting on the same columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from common.basics.processor import one_thread
from common.data.table_encoder import Layout, TableEncoder, one_hot
from common.data.types import Splits
from common.tasks.regression import beside

MOST_CATEGORIES = 255
"""Categories that scikit-learn's trees take in a column; ids of a larger one are read as numbers."""


def rows(
    splits: Splits, encoder: TableEncoder, outputs: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Fits both models to the rows that the network was trained on, and compares them with it.

    Args:
        splits: The data.
        encoder: The network's. Here its numbers are standardised.
        outputs: The network's answers and the truth, as in predictions.npz.

    Returns:
        Two rows for metrics.json.
    """
    plain = TableEncoder(encoder.columns, encoder.numbers, encoder.categories, ranks=False)
    train, test = plain.encode(splits.train.x), plain.encode(splits.test.x)
    found = []
    for name, fit in (("ridge regression", ridge), ("gradient boosting", gradient_boosting)):
        answers = fit(train, splits.train.y, plain.layout)(test)
        found.append(beside(f"{name} on the same columns", dict(outputs), answers[:, None]))
    return found


def ridge(x: np.ndarray, y: np.ndarray, layout: Layout) -> Callable[[np.ndarray], np.ndarray]:
    """Fits linear regression with a squared penalty, whose weight is chosen on the training rows.

    Args:
        x: Encoded rows, float32 `(n, layout.width)`, with standardised numbers.
        y: Numbers `(n,)`.
        layout: What stands where in a row.

    Returns:
        A function from encoded rows to answers `(m,)`.
    """
    from sklearn.linear_model import RidgeCV

    # By leaving out one row after the other, for which there is a formula.
    model = RidgeCV(alphas=np.logspace(-2, 4, 13))
    with one_thread():
        model.fit(one_hot(x, layout), y)
    return lambda rows: model.predict(one_hot(rows, layout))


def gradient_boosting(
    x: np.ndarray, y: np.ndarray, layout: Layout
) -> Callable[[np.ndarray], np.ndarray]:
    """Fits boosted trees; arguments and result as of `ridge`."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    first = layout.numbers + layout.missing
    few = [first + place for place, size in enumerate(layout.categories) if size <= MOST_CATEGORIES]
    model = HistGradientBoostingRegressor(categorical_features=few or None, random_state=0)
    with one_thread():
        return model.fit(x, y).predict
