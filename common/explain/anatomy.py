"""Looking inside networks: what layers compute, see and remember, and what gradients reach them."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from keras import layers

from common.explain.gradients import weight_gradients


def correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Cross-correlation of an image with a kernel: what a convolution layer computes.

    The kernel slides over the image, and each value is a dot product. The kernel is not flipped, and
    it never sticks out over an edge ("valid" padding).

    Args:
        image: Array `(height, width)`.
        kernel: Array `(rows, columns)`, no larger.

    Returns:
        float64 `(height - rows + 1, width - columns + 1)`.
    """
    image, kernel = np.asarray(image, "float64"), np.asarray(kernel, "float64")
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijkl,kl->ij", windows, kernel)


def convolve_fft(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolution with a flipped kernel, by multiplying Fourier transforms: O(N log N).

    Args:
        image: Array `(height, width)`.
        kernel: Array `(rows, columns)`, no larger.

    Returns:
        The same as `correlate` with the flipped kernel.
    """
    image, kernel = np.asarray(image, "float64"), np.asarray(kernel, "float64")
    rows, columns = (a + b - 1 for a, b in zip(image.shape, kernel.shape, strict=True))
    # Padded to the full size, so that nothing wraps around.
    product = np.fft.rfft2(image, (rows, columns)) * np.fft.rfft2(kernel, (rows, columns))
    full = np.fft.irfft2(product, (rows, columns))
    return full[kernel.shape[0] - 1 : image.shape[0], kernel.shape[1] - 1 : image.shape[1]]


LayerClass = type[layers.Layer]


@dataclasses.dataclass(frozen=True)
class Reach:
    """How much of the input a single value in the output of a layer depends on."""

    layer: str
    """Name of the layer."""
    size: int
    """Side of the receptive field, in pixels."""
    stride: int
    """Distance between neighbouring values, in pixels of the input."""


def receptive_fields(model: keras.Model) -> list[Reach]:
    """Returns the Reach after each convolution and pooling layer of a network without branches.

    Args:
        model: Its Conv2D and pooling layers follow one another and have square kernels.
    """
    size, stride, found = 1, 1, []
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, step = layer.kernel_size[0], layer.strides[0]
            kernel = (kernel - 1) * layer.dilation_rate[0] + 1
        elif isinstance(layer, (layers.MaxPooling2D, layers.AveragePooling2D)):
            kernel, step = layer.pool_size[0], layer.strides[0]
        else:
            continue
        size += (kernel - 1) * stride
        stride *= step
        found.append(Reach(layer.name, size, stride))
    return found


def outputs_of(
    model: keras.Model, inputs: np.ndarray, kind: LayerClass | tuple[LayerClass, ...]
) -> dict[str, np.ndarray]:
    """Returns the outputs of all layers of a kind, by the names of the layers.

    Args:
        model: Functional model.
        inputs: A batch of its inputs.
        kind: One layer class, or several.
    """
    chosen = [layer for layer in model.layers if isinstance(layer, kind)]
    inner = keras.Model(model.input, [layer.output for layer in chosen])
    values = inner(inputs, training=False)
    values = values if isinstance(values, (list, tuple)) else [values]
    return {
        layer.name: keras.ops.convert_to_numpy(value)
        for layer, value in zip(chosen, values, strict=True)
    }


def accuracy_by_change(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    change: Callable[[np.ndarray, Any], np.ndarray],
    amounts: Iterable,
) -> np.ndarray:
    """Returns the accuracy on changed images, float64, one value for each amount of change.

    Args:
        predict: Takes images and returns probabilities `(n, classes)`.
        images: uint8 `(n, height, width, channels)`.
        labels: int `(n,)`.
        change: Takes images and an amount and returns changed images, e.g. `rotated` or `shifted`.
        amounts: E.g. degrees or pixels.
    """
    labels = np.asarray(labels)
    return np.array(
        [np.mean(predict(change(images, amount)).argmax(1) == labels) for amount in amounts]
    )


def rotated(images: np.ndarray, degrees: float) -> np.ndarray:
    """Returns images rotated anticlockwise about their centre, uint8 `(n, height, width, channels)`.

    Pixels are interpolated bilinearly. What comes in from outside the image is 0.
    """
    from scipy.ndimage import rotate

    turned = rotate(
        images.astype("float32"), degrees, axes=(2, 1), reshape=False, order=1, mode="constant"
    )
    return np.rint(np.clip(turned, 0, 255)).astype("uint8")


def shifted(images: np.ndarray, pixels: int) -> np.ndarray:
    """Returns images moved to the right, `(n, height, width, channels)`; what comes in is 0.

    Args:
        images: `(n, height, width, channels)`.
        pixels: Negative: to the left.
    """
    moved = np.zeros_like(images)
    width = images.shape[2]
    if abs(pixels) < width:
        source = images[:, :, max(-pixels, 0) : width - max(pixels, 0)]
        moved[:, :, max(pixels, 0) : width - max(-pixels, 0)] = source
    return moved


def lstm_gates(layer: keras.layers.LSTM, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Runs a Keras LSTM layer step by step in NumPy, and keeps the values of its gates.

    Args:
        layer: Built, with the default activations.
        inputs: One sequence, float `(steps, features)`.

    Returns:
        By name, float32 `(steps, units)`: `input`, `forget` and `output` (the three gates, 0 to 1),
        `candidate`, `cell` (the memory) and `hidden` (the output).
    """
    kernel, recurrent, bias = (np.asarray(weight) for weight in layer.get_weights())
    units = recurrent.shape[0]
    hidden = cell = np.zeros(units, "float32")
    names = ("input", "forget", "candidate", "output", "cell", "hidden")
    steps: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for x in np.asarray(inputs, "float32"):
        i, f, c, o = np.split(x @ kernel + hidden @ recurrent + bias, 4)
        i, f, o, c = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(c)
        cell = f * cell + i * c
        hidden = o * np.tanh(cell)
        values = (i, f, c, o, cell, hidden)
        for name, value in zip(steps, values, strict=True):
            steps[name].append(value)
    return {name: np.stack(values).astype("float32") for name, values in steps.items()}


def gru_gates(layer: keras.layers.GRU, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Runs a Keras GRU layer step by step in NumPy, and keeps the values of its gates.

    Args:
        layer: Built, with the default activations and `reset_after=True`.
        inputs: One sequence, float `(steps, features)`.

    Returns:
        By name, float32 `(steps, units)`: `update` (1 keeps the state) and `reset`, the two gates, 0 to
        1; `candidate`; and `hidden` (the output).
    """
    kernel, recurrent, biases = (np.asarray(weight) for weight in layer.get_weights())
    hidden = np.zeros(recurrent.shape[0], "float32")
    steps: dict[str, list[np.ndarray]] = {
        name: [] for name in ("update", "reset", "candidate", "hidden")
    }
    for x in np.asarray(inputs, "float32"):
        given = np.split(x @ kernel + biases[0], 3)
        held = np.split(hidden @ recurrent + biases[1], 3)
        z, r = sigmoid(given[0] + held[0]), sigmoid(given[1] + held[1])
        candidate = np.tanh(given[2] + r * held[2])
        hidden = z * hidden + (1 - z) * candidate
        for name, value in zip(steps, (z, r, candidate, hidden), strict=True):
            steps[name].append(value)
    return {name: np.stack(values).astype("float32") for name, values in steps.items()}


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-x))


def gradient_norms(model: keras.Model, x: np.ndarray, y: np.ndarray) -> list[tuple[str, float]]:
    """Returns how large the gradient of the loss is at each kernel, from the input to the output.

    Args:
        model: Classifier with a softmax. It need not be compiled.
        x: A batch of inputs.
        y: One-hot labels, float32 `(n, classes)`.

    Returns:
        The name of each layer with a kernel, and the root mean square of the gradient's entries.
    """
    kernels = [
        (layer.name, layer.kernel)
        for layer in model.layers
        if isinstance(layer, (layers.Conv2D, layers.Dense))
    ]
    gradients = weight_gradients(model, x, y, [kernel for _, kernel in kernels])
    return [
        (name, float(np.sqrt(np.mean(np.square(gradient)))))
        for (name, _), gradient in zip(kernels, gradients, strict=True)
    ]
