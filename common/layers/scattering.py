"""A scattering transform: features of images by fixed wavelets, nothing of which is learned.

An image passes through wavelets of two scales and several directions, the modulus is taken, and what
comes out passes through wavelets once more (Bruna and Mallat 2013, with the Morlet wavelets of the
library kymatio, cut off where they are almost 0). Means over small neighbourhoods are the features: they
hardly change where the image moves a little, and tell strokes by place, direction and size.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

SCALES = 2
STRIDE = 2**SCALES
"""The features lie on every fourth pixel."""
WIDTH = 0.8
"""Standard deviation of the finest wavelet across its stripes, pixels; of the next one twice that."""
LENGTH = 2.0
"""The same along the stripes, as a multiple of that across."""


def wavelet(scale: int, angle: float) -> np.ndarray:
    """Returns a Morlet wavelet: a wave under a Gaussian, with mean 0; complex `(size, size)`.

    Args:
        scale: 0: the finest one; each further one is twice as large and half as frequent.
        angle: Direction of the wave, radians.
    """
    sigma, frequency = WIDTH * 2**scale, 0.75 * np.pi / 2**scale
    radius = 5 * 2**scale
    row, column = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    across = row * np.cos(angle) + column * np.sin(angle)
    along = column * np.cos(angle) - row * np.sin(angle)
    window = np.exp(-(across**2 + (along / LENGTH) ** 2) / (2 * sigma**2))
    wave = window * np.exp(1j * frequency * across)
    # What is constant has no stripes.
    wave -= window * (wave.sum() / window.sum())
    return wave / (2 * np.pi * sigma**2 * LENGTH)


def blur(step: int) -> np.ndarray:
    """Returns the Gaussian of the means, with sum 1, `(size, size)`.

    Args:
        step: Pixels between the places that it is applied to.
    """
    radius, sigma = 6 // step, WIDTH * 2 ** (SCALES - 1) / step
    line = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


@keras.saving.register_keras_serializable(package="keras_recipe_box")
class Scattering(keras.layers.Layer):
    """Images `(n, h, w, 1)`, float, to features `(n, ceil(h / 4), ceil(w / 4), 1 + 2 A + A^2)`.

    The channels are the mean of the image, of the A directions of the fine wavelets, of the A of the
    coarse ones, and of the coarse ones within each of the fine ones. Beyond its border an image is 0.

    Args:
        angles: Number of directions A, evenly spaced over half a turn.
        **kwargs: As for any layer.
    """

    def __init__(self, angles: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.angles = angles
        turns = [np.pi * index / angles for index in range(angles)]
        self.waves = [_stacked([wavelet(scale, turn) for turn in turns]) for scale in range(SCALES)]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        places = [-(-size // STRIDE) for size in input_shape[1:3] if size is not None]
        return (input_shape[0], *places, 1 + 2 * self.angles + self.angles**2)

    def call(self, inputs: Any) -> Any:
        fine = _modulus(_filtered(inputs, self.waves[0], 1))
        coarse = _modulus(_filtered(inputs, self.waves[1], 2))
        height, width = fine.shape[1:3]
        # Each of the directions is an image of its own: (n A, h, w, 1).
        apart = ops.reshape(ops.transpose(fine, (0, 3, 1, 2)), (-1, height, width, 1))
        second = _modulus(_filtered(apart, self.waves[1], 2))
        height, width = second.shape[1:3]
        second = ops.reshape(second, (-1, self.angles, height, width, self.angles))
        second = ops.transpose(second, (0, 2, 3, 1, 4))
        second = ops.reshape(second, (-1, height, width, self.angles**2))
        means = [_mean(inputs, 1), _mean(fine, 1), _mean(coarse, 2), _mean(second, 2)]
        return ops.concatenate(means, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "angles": self.angles}


def _stacked(waves):
    """Returns kernels `(size, size, 1, 2 A)`: real parts, then imaginary ones."""
    parts = [part for kind in ("real", "imag") for part in (getattr(w, kind) for w in waves)]
    return np.stack(parts, axis=-1)[:, :, None].astype("float32")


def _filtered(x, kernel, stride):
    """Returns a convolution at every `stride`-th pixel from the first one on."""
    radius = kernel.shape[0] // 2
    x = ops.pad(x, ((0, 0), (radius, radius), (radius, radius), (0, 0)))
    return ops.conv(x, kernel, strides=stride, padding="valid", data_format="channels_last")


def _modulus(x):
    real, imaginary = ops.split(x, 2, axis=-1)
    # At 0 the root has no derivative.
    return ops.sqrt(ops.square(real) + ops.square(imaginary) + 1e-12)


def _mean(x, step):
    """Returns means at every fourth pixel of maps that are given at every `step`-th one."""
    channels, kernel = x.shape[-1], blur(step).astype("float32")
    radius = kernel.shape[0] // 2
    x = ops.pad(x, ((0, 0), (radius, radius), (radius, radius), (0, 0)))
    kernel = np.tile(kernel[:, :, None, None], (1, 1, channels, 1))
    return ops.depthwise_conv(
        x, kernel, strides=STRIDE // step, padding="valid", data_format="channels_last"
    )
