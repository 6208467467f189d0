"""Explanations of a classifier's answer (Grad-CAM, integrated gradients, erased words) and their checks.

Every explanation is checked by two questions. Does it change when the weights of the model are
randomised (Adebayo et al. 2018)? If not, it shows the input, not the model. Does the probability fall
faster when the marked parts are removed than when random parts are (Samek et al. 2017)?
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from common.basics.errors import RecipeError
from common.data.text import PADDING, UNKNOWN
from common.explain.gradients import class_gradient
from common.training.logits import logit_model, pixels

Predict = Callable[[np.ndarray], np.ndarray]
"""Takes inputs `(n, ...)` and returns probabilities `(n, classes)`."""
Curve = tuple[np.ndarray, np.ndarray, float]
"""A deletion curve: shares removed, probabilities, and the mean of the probabilities."""

# A coarser feature map does not show where something is.
SMALLEST_MAP = 5


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    classes: Sequence[int] | np.ndarray,
    *,
    average: bool = True,
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al. 2017): which places of a feature map speak for a class.

    The map is the last one of SMALLEST_MAP x SMALLEST_MAP or more. Grad-CAM averages the gradient of
    each channel over all places. That is exact where global average pooling follows. Where other
    layers follow, it can mark places that do not matter. HiResCAM (Draelos & Carin 2020) does not
    average, and marks only places that raise the logit.

    Args:
        model: Image classifier; its input is `(n, height, width, channels)`.
        images: uint8 `(n, height, width, channels)`.
        classes: The class to explain for each image, int `(n,)`.
        average: True: Grad-CAM. False: HiResCAM.

    Returns:
        float32 `(n, height, width)`, 0 to 1 in each image; all 0 where nothing speaks for the class.

    Raises:
        RecipeError: The model has no feature map of 5 x 5 or more.
    """
    below, above = _split(model)
    features = keras.ops.convert_to_numpy(below(np.asarray(images, "float32"), training=False))
    _, gradient = class_gradient(above, features, classes)
    # The weight of a channel is how much the logit grows with it.
    weights = gradient.mean(axis=(1, 2), keepdims=True) if average else gradient
    heat = np.maximum((weights * features).sum(axis=-1), 0.0)
    heat = np.stack([resized(each, images.shape[1:3]) for each in heat])
    peak = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, peak, out=np.zeros_like(heat), where=peak > 0).astype("float32")


def _split(model):
    """Returns the model up to its last map of SMALLEST_MAP or more, and the model from there on."""
    for operation in reversed(model.operations):
        shape = getattr(operation.output, "shape", ())
        if len(shape) == 4 and min(shape[1], shape[2]) >= SMALLEST_MAP:
            try:
                above = logit_model(model, operation.output)
            except ValueError:
                continue  # Inside a residual block, where the shortcut bypasses it.
            return keras.Model(pixels(model), operation.output), above
    raise RecipeError(
        f"{model.name} has no feature map of {SMALLEST_MAP} x {SMALLEST_MAP} or more for Grad-CAM"
    )


def resized(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a map float32 `(height, width)` at another size, interpolated bilinearly.

    Args:
        heat: float `(h, w)`.
        size: Height and width.
    """
    from PIL import Image

    image = Image.fromarray(np.asarray(heat, "float32"), mode="F")
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def integrated_gradients(
    model: keras.Model,
    image: np.ndarray,
    label: int,
    *,
    steps: int = 64,
    baseline: float | np.ndarray = 0.0,
) -> tuple[np.ndarray, float]:
    """Integrated gradients (Sundararajan et al. 2017) of one logit, from a baseline to an image.

    Args:
        model: Image classifier.
        image: uint8 `(height, width, channels)`.
        label: Index of the class to explain.
        steps: Points of the integral (midpoint rule).
        baseline: Pixel value that stands for "nothing": a number, or an array that broadcasts to the
            image.

    Returns:
        The attributions, float32 like the image, and the completeness residual. The attributions
        should sum to the difference of the logits at image and baseline; the residual is how far
        they are from it, as a share of it. Above a few per cent, take more steps.
    """
    network = logit_model(model)
    image = np.asarray(image, "float32")
    start = np.broadcast_to(np.asarray(baseline, "float32"), image.shape)
    places = (np.arange(steps, dtype="float32") + 0.5) / steps
    path = start + places[:, None, None, None] * (image - start)
    total = np.zeros_like(image)
    for part in np.array_split(path, max(steps // 64, 1)):
        total += class_gradient(network, part, np.full(len(part), label))[1].sum(axis=0)
    attributions = (image - start) * total / steps
    ends, _ = class_gradient(network, np.stack([start, image]), [label, label])
    difference = float(ends[1, label] - ends[0, label])
    residual = abs(float(attributions.sum()) - difference) / max(abs(difference), 1e-9)
    return attributions.astype("float32"), residual


def erase_words(predict: Predict, ids: np.ndarray, label: int) -> np.ndarray:
    """Returns for each word how much the log-odds of a class fall when it is replaced by "unknown".

    Args:
        predict: Classifier of ids `(n, tokens)`.
        ids: One text, int32 `(tokens,)`, padded with 0 at the end.
        label: Index of the class to explain.

    Returns:
        float32 `(words,)`: positive where a word speaks for the class.
    """
    ids = np.asarray(ids)
    count = int(np.count_nonzero(ids != PADDING))
    rows = np.repeat(ids[None], count + 1, axis=0)
    rows[np.arange(count), np.arange(count)] = UNKNOWN
    odds = log_odds(predict(rows), label)
    return (odds[-1] - odds[:-1]).astype("float32")


def log_odds(probabilities: np.ndarray, label: int) -> np.ndarray:
    """Returns the log-odds of a class, float64 `(n,)`; probabilities are clipped to [1e-7, 1 - 1e-7].

    Args:
        probabilities: `(n, classes)`.
        label: Index of the class.
    """
    p = np.clip(np.asarray(probabilities, "float64")[:, label], 1e-7, 1 - 1e-7)
    return np.log(p) - np.log1p(-p)


def deletion_curve(
    predict: Predict,
    x: np.ndarray,
    importance: np.ndarray,
    label: int,
    *,
    fill: float | np.ndarray,
    points: int = 20,
) -> Curve:
    """Returns the probability of a class while the most important parts of an input are removed.

    Args:
        predict: Classifier.
        x: One input: an image `(height, width, channels)` or ids `(tokens,)`.
        importance: A number for each pixel `(height, width)` or word `(words,)`.
        label: Index of the class.
        fill: What replaces a removed part: a pixel value, or the id of the unknown word.
        points: Steps from 0 to all parts removed.

    Returns:
        The shares removed, 0 to 1, and the probabilities, both float64 `(points + 1,)`; and the mean
        of the probabilities: the smaller, the better the explanation.
    """
    order = np.argsort(-np.asarray(importance, "float64").reshape(-1), kind="stable")
    shares = np.linspace(0.0, 1.0, points + 1)
    rows = []
    for share in shares:
        row = np.array(x)
        gone = order[: round(share * len(order))]
        if row.ndim == 3:
            row.reshape(-1, row.shape[-1])[gone] = fill
        else:
            row[gone] = fill
        rows.append(row)
    values = np.asarray(predict(np.stack(rows)), "float64")[:, label]
    return shares, values, float(values.mean())


def random_deletion(
    predict: Predict,
    x: np.ndarray,
    parts: int,
    label: int,
    *,
    fill: float | np.ndarray,
    repeats: int = 10,
    points: int = 20,
    seed: int = 0,
) -> Curve:
    """Returns the mean deletion curve of random orders. A good explanation has a lower one.

    Args:
        predict, x, label, fill, points: As for `deletion_curve`.
        parts: Number of pixels or words.
        repeats: Number of random orders.
        seed: Of the orders.
    """
    random = np.random.default_rng(seed)
    curves = [
        deletion_curve(predict, x, random.random(parts), label, fill=fill, points=points)
        for _ in range(repeats)
    ]
    values = np.mean([curve[1] for curve in curves], axis=0)
    return curves[0][0], values, float(values.mean())


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """Returns a copy of a model in which each array of weights is shuffled, so that it knows nothing.

    The moving statistics of batch normalisation stay as they are: shuffled, they would saturate the
    network.
    """
    copy = keras.models.clone_model(model)
    random = np.random.default_rng(seed)
    weights = []
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable.value)
        if "moving" not in variable.name and value.ndim:
            value = random.permutation(value.reshape(-1)).reshape(value.shape)
        weights.append(value)
    copy.set_weights(weights)
    return copy


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the rank correlation (Spearman) of two arrays of equal shape, -1 to 1.

    It is 0 where one of them is constant.
    """
    from scipy.stats import spearmanr

    first, second = np.ravel(first), np.ravel(second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(spearmanr(first, second).statistic)
