"""Augmentation that changes the targets too: each example is mixed with another one of its batch.

Each function here returns a function of `(x, targets, random)` that returns both, to be passed as `mix`
to `common.training.batches.ArrayBatches`. Targets are float `(n, ...)`, e.g. one-hot. The partners of a
batch are the same batch in random order, so that an example may meet itself. Where mixed examples are
trained on, the training accuracy says little: an answer counts as right if it names the larger part.
"""

from collections.abc import Callable

import numpy as np

from common.basics.errors import UsageError

Mix = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def mixup(alpha: float) -> Mix:
    """Returns a function that mixes each example with another one of its batch (Zhang et al. 2018).

    The share of the first example is drawn from Beta(alpha, alpha), once for the whole batch.

    Args:
        alpha: Positive. Near 0 hardly anything is mixed; with 1 all shares are equally likely.

    Returns:
        Function of `(x, targets, random)`: an array `(n, ...)` and float targets `(n, ...)`, e.g.
        one-hot. It returns both mixed, float32; uint8 images stay in [0, 255]. The `keras.Input` of the
        network must be float32: a uint8 input would cut the fractions off.

    Raises:
        UsageError: alpha is not positive, or (when called) the targets are class numbers.
    """
    _check_alpha("mixup", alpha)

    def mix(
        x: np.ndarray, targets: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        _check_targets("mixup", targets)
        share = np.float32(random.beta(alpha, alpha))
        order = random.permutation(len(x))
        return _mixed(x, order, share), _mixed(targets, order, share)

    return mix


def _mixed(array, order, share):
    array = array.astype("float32")
    return share * array + (1 - share) * array[order]


def cutmix(alpha: float) -> Mix:
    """Returns a function that pastes a part of another image of the batch into each (Yun et al. 2019).

    The part is the same rectangle in all images of a batch, of the shape of the image. A share of the
    image, drawn from Beta(alpha, alpha), is to be kept; the centre is any pixel. Where the border cuts
    the rectangle, less is pasted, and the targets are mixed by the pixels that were.

    Args:
        alpha: Positive; 1, as in the paper, makes all shares equally likely.

    Returns:
        Function of `(x, targets, random)`: images `(n, height, width, channels)` of any dtype, which they
        keep, and float targets `(n, ...)`.

    Raises:
        UsageError: alpha is not positive, or (when called) the targets are class numbers.
    """
    _check_alpha("cutmix", alpha)

    def mix(
        x: np.ndarray, targets: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        _check_targets("cutmix", targets)
        side = np.sqrt(1 - random.beta(alpha, alpha))
        order = random.permutation(len(x))
        spans = []
        for length in x.shape[1:3]:
            reach, centre = round(side * length), random.integers(0, length)
            start = centre - reach // 2
            spans.append(slice(max(start, 0), max(min(start + reach, length), 0)))
        rows, columns = spans
        mixed = x.copy()
        mixed[:, rows, columns] = x[order, rows, columns]
        pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
        share = np.float32(1 - pasted / (x.shape[1] * x.shape[2]))
        return mixed, _mixed(targets, order, share)

    return mix


def mixing(mixup_alpha: float = 0.0, cutmix_alpha: float = 0.0) -> Mix | None:
    """Returns what a recipe's fields ask for, for images of uint8 that the network takes as uint8.

    Args:
        mixup_alpha: As of `mixup`; 0: none.
        cutmix_alpha: As of `cutmix`; 0: none. With both, each batch draws one of the two.

    Returns:
        Function of `(x, targets, random)` that rounds images to uint8; None if both are 0.
    """
    kinds = [kind(alpha) for kind, alpha in ((mixup, mixup_alpha), (cutmix, cutmix_alpha)) if alpha]
    if not kinds:
        return None

    def mix(
        x: np.ndarray, targets: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        kind = kinds[random.integers(len(kinds))] if len(kinds) > 1 else kinds[0]
        mixed, targets = kind(x, targets, random)
        # Half a level of 255 is lost to rounding; a cast would lose up to one, always downwards.
        return np.rint(mixed).astype("uint8"), targets

    return mix


def _check_alpha(name, alpha):
    if not alpha > 0:
        raise UsageError(f"{name} needs an alpha above 0, got {alpha}; leave it out for no mixing")


def _check_targets(name, targets):
    if targets.dtype.kind != "f":
        raise UsageError(
            f"{name} needs targets that can be averaged, e.g. one-hot ones, got {targets.dtype}; "
            "give the batches num_classes"
        )
