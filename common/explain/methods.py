"""What a classifier's answer rests on: Grad-CAM, integrated gradients, erased words, and checks of them.

Every explanation here comes with two questions to put to it. Does it change when the weights are
randomised (Adebayo et al. 2018)? If not, it shows the input, not the model. And does the answer fall
sooner when what it marks is removed than when something random is (Samek et al. 2017)?
"""

import keras
import numpy as np

from common.basics.errors import RecipeError
from common.data.text import PADDING, UNKNOWN
from common.explain.gradients import class_gradient, logit_model, pixels

# A coarser map than this says nothing about places.
SMALLEST_MAP = 5


def grad_cam(model, images, classes, *, average=True):
    """Grad-CAM (Selvaraju et al. 2017): which places of the last fine enough feature map speak for it.

    Averaging a channel's gradient over its places is right where global average pooling follows.
    Where more layers do, it can point to places that do not matter; without it, the map is HiResCAM
    (Draelos & Carin 2020), which marks only places that raise the logit.

    Args:
        model: Image classifier, from images `(n, height, width, channels)`.
        images: uint8 `(n, height, width, channels)`.
        classes: The class to explain for each image, int `(n,)`.
        average: Grad-CAM; False: HiResCAM.

    Returns:
        float32 `(n, height, width)`, 0 to 1 in each image; all 0 where nothing speaks for the class.

    Raises:
        RecipeError: The model has no feature map of 5 x 5 or more.
    """
    below, above = _split(model)
    features = keras.ops.convert_to_numpy(below(np.asarray(images, "float32"), training=False))
    _, gradient = class_gradient(above, features, classes)
    # A channel weighs as much as the class grows with it.
    weights = gradient.mean(axis=(1, 2), keepdims=True) if average else gradient
    heat = np.maximum((weights * features).sum(axis=-1), 0.0)
    heat = np.stack([resized(each, images.shape[1:3]) for each in heat])
    peak = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, peak, out=np.zeros_like(heat), where=peak > 0).astype("float32")


def _split(model):
    """Returns the model up to its last fine enough feature map, and from there on."""
    for operation in reversed(model.operations):
        shape = getattr(operation.output, "shape", ())
        if len(shape) == 4 and min(shape[1], shape[2]) >= SMALLEST_MAP:
            try:
                above = logit_model(model, operation.output)
            except ValueError:
                continue  # Inside a residual block: the shortcut bypasses it.
            return keras.Model(pixels(model), operation.output), above
    raise RecipeError(
        f"{model.name} has no feature map of {SMALLEST_MAP} x {SMALLEST_MAP} or more for Grad-CAM"
    )


def resized(heat, size):
    """Returns a map `(h, w)` at another size, bilinear."""
    from PIL import Image

    image = Image.fromarray(np.asarray(heat, "float32"), mode="F")
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def integrated_gradients(model, image, label, *, steps=64, baseline=0.0):
    """Integrated gradients (Sundararajan et al. 2017) of one image's logit, from a baseline to it.

    Args:
        model: Image classifier.
        image: uint8 `(height, width, channels)`.
        label: The class to explain.
        steps: Points of the integral (midpoint rule).
        baseline: Pixel value that stands for "nothing": a number, or an array like the image.

    Returns:
        Tuple of the attributions, float32 like the image, and the completeness residual: how far their
        sum is from the difference of the logits, as a share of it. Above a few per cent: more steps.
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


def erase_words(predict, ids, label):
    """How much the log-odds of a class fall when one word is made unknown, word by word.

    Args:
        predict: Function from ids `(n, tokens)` to probabilities `(n, classes)`.
        ids: int32 `(tokens,)`, padded with 0 at the end.
        label: The class to explain.

    Returns:
        float32 `(words,)`: positive where a word speaks for the class.
    """
    ids = np.asarray(ids)
    count = int(np.count_nonzero(ids != PADDING))
    rows = np.repeat(ids[None], count + 1, axis=0)
    rows[np.arange(count), np.arange(count)] = UNKNOWN
    odds = log_odds(predict(rows), label)
    return (odds[-1] - odds[:-1]).astype("float32")


def log_odds(probabilities, label):
    """Returns the log-odds of a class, float64 `(n,)`; probabilities are kept 1e-7 from 0 and 1."""
    p = np.clip(np.asarray(probabilities, "float64")[:, label], 1e-7, 1 - 1e-7)
    return np.log(p) - np.log1p(-p)


def deletion_curve(predict, x, importance, label, *, fill, points=20):
    """The class's probability while the most important parts of an input are removed.

    Args:
        predict: Function from inputs `(n, ...)` to probabilities `(n, classes)`.
        x: One input: an image `(height, width, channels)` or ids `(tokens,)`.
        importance: A number for each pixel `(height, width)` or word `(words,)`.
        label: The class.
        fill: What a removed part becomes: a pixel value, or the unknown word.
        points: Points of the curve.

    Returns:
        Tuple of the shares removed and the probabilities, float64 `(points + 1,)`, and their mean: a
        smaller area is a better explanation.
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


def random_deletion(predict, x, parts, label, *, fill, repeats=10, points=20, seed=0):
    """The mean deletion curve of random orders, which an explanation must beat.

    Args:
        parts: Number of pixels or words.
        repeats: Orders.
        Others: as for deletion_curve.

    Returns:
        Tuple as from deletion_curve.
    """
    random = np.random.default_rng(seed)
    curves = [
        deletion_curve(predict, x, random.random(parts), label, fill=fill, points=points)
        for _ in range(repeats)
    ]
    values = np.mean([curve[1] for curve in curves], axis=0)
    return curves[0][0], values, float(values.mean())


def randomised(model, seed=0):
    """Returns a copy of a model whose weights are permuted within each array: same numbers, no sense.

    Statistics of batch normalisation stay in place: with others the network would only saturate.
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


def similarity(first, second):
    """Returns the rank correlation (Spearman) of two maps or rows of attributions, -1 to 1."""
    from scipy.stats import spearmanr

    first, second = np.ravel(first), np.ravel(second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(spearmanr(first, second).statistic)
