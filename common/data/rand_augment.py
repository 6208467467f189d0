"""RandAugment (Cubuk et al. 2020): a few changes of each image, drawn from fourteen, all equally strong.

Pillow does the work: on 128 images of 32 x 32 some 25 ms, an eighth of what Keras' layer takes.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

OPERATIONS = 2
"""Changes of an image, one after the other; the paper's choice for CIFAR-10 is 3, for ImageNet 2."""
STRONGEST = 30
"""The largest magnitude."""


def rand_augment(
    images: np.ndarray,
    random: np.random.Generator,
    magnitude: int,
    operations: int = OPERATIONS,
) -> np.ndarray:
    """Changes each image by operations drawn from CHANGES, with repetition.

    Args:
        images: uint8 `(n, height, width, channels)`, 1 or 3 channels.
        random: Source of randomness.
        magnitude: 0 (those that have a strength change nothing) to STRONGEST.
        operations: Changes of an image.

    Returns:
        uint8, of the same shape. Pixels from outside are grey.
    """
    count = len(images)
    names = tuple(CHANGES)
    chosen = random.integers(0, len(names), (count, operations))
    # Half of the turns go the other way, half of the colours become paler.
    signs = np.where(random.random((count, operations)) < 0.5, -1, 1)
    result = np.empty_like(images)
    for row, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        for which, sign in zip(chosen[row], signs[row], strict=True):
            picture = CHANGES[names[which]](picture, magnitude / STRONGEST, int(sign))
        result[row] = np.asarray(picture).reshape(image.shape)
    return result


def _moved(picture, matrix):
    grey = 128 if picture.mode == "L" else (128, 128, 128)
    return picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=grey
    )


def _rotate(picture, share, sign):
    grey = 128 if picture.mode == "L" else (128, 128, 128)
    return picture.rotate(30 * share * sign, Image.Resampling.BILINEAR, fillcolor=grey)


def _enhanced(kind):
    """Returns a change that moves a property up to 90 % up or down."""
    return lambda picture, share, sign: kind(picture).enhance(1 + 0.9 * share * sign)


# From a picture, the strength in [0, 1] and a sign to a picture.
CHANGES: dict[str, Callable[[Image.Image, float, int], Image.Image]] = {
    "identity": lambda picture, share, sign: picture,
    "autocontrast": lambda picture, share, sign: ImageOps.autocontrast(picture),
    "equalize": lambda picture, share, sign: ImageOps.equalize(picture),
    "rotate": _rotate,
    # From 8 bits to 4.
    "posterize": lambda picture, share, sign: ImageOps.posterize(picture, 8 - round(4 * share)),
    # What is brighter than this becomes its negative; nothing is at 256.
    "solarize": lambda picture, share, sign: ImageOps.solarize(picture, round(256 * (1 - share))),
    "colour": _enhanced(ImageEnhance.Color),
    "contrast": _enhanced(ImageEnhance.Contrast),
    "brightness": _enhanced(ImageEnhance.Brightness),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "shear x": lambda picture, share, sign: _moved(picture, (1, 0.3 * share * sign, 0, 0, 1, 0)),
    "shear y": lambda picture, share, sign: _moved(picture, (1, 0, 0, 0.3 * share * sign, 1, 0)),
    # Up to a third of the side.
    "move x": lambda picture, share, sign: _moved(
        picture, (1, 0, picture.width / 3 * share * sign, 0, 1, 0)
    ),
    "move y": lambda picture, share, sign: _moved(
        picture, (1, 0, 0, 0, 1, picture.height / 3 * share * sign)
    ),
}
"""The changes by name."""
