"""Models on pixels beside a network: logistic regression, nearest neighbours, a random forest."""

from collections.abc import Callable
from typing import Any

import numpy as np

from common.basics.processor import one_thread
from common.data.types import Splits
from common.tasks.baselines import beside

PIXEL_EXAMPLES = 10_000
"""Largest number of training images for a model on pixels, so that it takes only seconds."""
PIXEL_SIZE = 32
"""Larger images are shrunk to this height and width for that model."""


def linear_on_pixels(splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Fits logistic regression to pixels and compares it with the network on the test split.

    Args:
        splits: The images trained on.
        outputs: The network's probabilities and labels, as in predictions.npz.

    Returns:
        One row for metrics.json.
    """
    return _on_pixels(linear_model(), splits, outputs)


def neighbours_on_pixels(splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Lets the three nearest training images answer, as `linear_on_pixels`; nearer ones count more."""
    from sklearn.neighbors import KNeighborsClassifier

    neighbours = min(3, len(splits.train))
    model = KNeighborsClassifier(neighbours, weights="distance")
    return _on_pixels((f"{neighbours} nearest neighbours", model), splits, outputs)


def forest_on_pixels(splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Fits a random forest of 100 trees to pixels, as `linear_on_pixels`."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(100, random_state=0)
    return _on_pixels(("random forest", model), splits, outputs)


def _on_pixels(named, splits, outputs):
    labels, network = outputs["test_labels"], outputs["test_probabilities"]
    name, answers = pixel_model(*named, splits, network.shape[1])
    return [beside(name, labels, answers(splits.test.x), network)]


def linear_model() -> tuple[str, Any]:
    """Returns logistic regression and its name, as `pixel_model` takes them."""
    from sklearn.linear_model import LogisticRegression

    return "logistic regression", LogisticRegression(max_iter=100)


def pixel_model(
    name: str, model: Any, splits: Splits, classes: int
) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """Fits a model of scikit-learn to pixels. Deterministic for one machine and number of threads.

    It learns from at most PIXEL_EXAMPLES training images; if the split has more, its name says so.

    Args:
        name: The kind of model.
        model: A classifier of scikit-learn, not fitted.
        splits: The images to learn from.
        classes: Number of classes.

    Returns:
        Its name for tables, and a function from uint8 images `(n, height, width, channels)` to
        probabilities `(n, classes)`.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    name, train = f"{name} on pixels", splits.train
    if len(train) > PIXEL_EXAMPLES:
        train = train.take(np.random.default_rng(0).permutation(len(train))[:PIXEL_EXAMPLES])
        name += f" of {PIXEL_EXAMPLES:,} images"
    x, y = _pixels(train.x), np.asarray(train.y)
    mean = x.mean(axis=0)
    with one_thread(), warnings.catch_warnings():
        # As a baseline logistic regression need not converge completely.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x - mean, y)

    def answers(images: np.ndarray) -> np.ndarray:
        found = np.zeros((len(images), classes))
        found[:, model.classes_] = model.predict_proba(_pixels(images) - mean)
        return found

    return name, answers


def _pixels(images):
    """Returns float32 `(n, pixels)`, 0 to 1, of images uint8 `(n, height, width, channels)`."""
    from common.data.images import convert

    size = tuple(min(side, PIXEL_SIZE) for side in images.shape[1:3])
    images = convert(np.asarray(images), size, images.shape[3])
    return images.reshape(len(images), -1).astype("float32") / 255
