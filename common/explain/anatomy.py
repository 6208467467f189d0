"""Looking inside networks: what layers compute, see and remember, and how gradients reach them."""

import dataclasses

import keras
import numpy as np
from keras import layers

from common.explain.gradients import weight_gradients


def correlate(image, kernel):
    """Slides a kernel over an image and takes dot products: what a convolution layer computes.

    The kernel is not flipped: layers correlate. Places where it would stick out are left out.

    Args:
        image: Array `(height, width)`.
        kernel: Array `(rows, columns)`, no larger.

    Returns:
        float64 `(height - rows + 1, width - columns + 1)`.
    """
    image, kernel = np.asarray(image, "float64"), np.asarray(kernel, "float64")
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return np.einsum("ijkl,kl->ij", windows, kernel)


def convolve_fft(image, kernel):
    """Convolution proper, with the kernel flipped, by multiplying Fourier transforms: O(N log N).

    Args:
        image, kernel: As for `correlate`.

    Returns:
        As `correlate` of the flipped kernel.
    """
    image, kernel = np.asarray(image, "float64"), np.asarray(kernel, "float64")
    rows, columns = (a + b - 1 for a, b in zip(image.shape, kernel.shape, strict=True))
    # Padded to the full size, so that nothing wraps around.
    product = np.fft.rfft2(image, (rows, columns)) * np.fft.rfft2(kernel, (rows, columns))
    full = np.fft.irfft2(product, (rows, columns))
    return full[kernel.shape[0] - 1 : image.shape[0], kernel.shape[1] - 1 : image.shape[1]]


@dataclasses.dataclass(frozen=True)
class Reach:
    """How much of the input one value after a layer depends on."""

    layer: str
    """Name of the layer."""
    size: int
    """Receptive field: pixels a side."""
    stride: int
    """Pixels of the input between neighbouring values."""


def receptive_fields(model):
    """Returns the Reach after each convolution and pooling of a network without branches.

    Args:
        model: keras.Model whose Conv2D and pooling layers follow one another (square kernels).
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


def outputs_of(model, inputs, kind):
    """Returns the outputs of all layers of a kind, by name.

    Args:
        model: keras.Model.
        inputs: Its input.
        kind: A layer class, or a tuple of them.
    """
    chosen = [layer for layer in model.layers if isinstance(layer, kind)]
    inner = keras.Model(model.input, [layer.output for layer in chosen])
    values = inner(inputs, training=False)
    values = values if isinstance(values, (list, tuple)) else [values]
    return {
        layer.name: keras.ops.convert_to_numpy(value)
        for layer, value in zip(chosen, values, strict=True)
    }


def accuracy_by_change(predict, images, labels, change, amounts):
    """Returns the accuracy on changed images, for each amount of the change.

    Args:
        predict: Function from images to probabilities `(n, classes)`.
        images: uint8 `(n, height, width, channels)`.
        labels: int `(n,)`.
        change: Function `(images, amount) -> images`, e.g. `rotated` or `shifted`.
        amounts: The amounts.
    """
    labels = np.asarray(labels)
    return np.array(
        [np.mean(predict(change(images, amount)).argmax(1) == labels) for amount in amounts]
    )


def rotated(images, degrees):
    """Returns images turned anticlockwise about their centre, bilinear, outside 0, uint8."""
    from scipy.ndimage import rotate

    turned = rotate(
        images.astype("float32"), degrees, axes=(2, 1), reshape=False, order=1, mode="constant"
    )
    return np.rint(np.clip(turned, 0, 255)).astype("uint8")


def shifted(images, pixels):
    """Returns images moved to the right by whole pixels; what comes in is 0."""
    moved = np.zeros_like(images)
    width = images.shape[2]
    if abs(pixels) < width:
        source = images[:, :, max(-pixels, 0) : width - max(pixels, 0)]
        moved[:, :, max(pixels, 0) : width - max(-pixels, 0)] = source
    return moved


def lstm_gates(layer, inputs):
    """Runs a Keras LSTM layer by hand, in NumPy, and keeps what its gates did.

    Args:
        layer: keras.layers.LSTM with the default activations.
        inputs: float `(steps, features)`, one sequence.

    Returns:
        Dict of float32 `(steps, units)`: `input`, `forget` and `output` (the three gates, 0 to 1),
        `candidate`, `cell` (the memory) and `hidden` (the output).
    """
    kernel, recurrent, bias = (np.asarray(weight) for weight in layer.get_weights())
    units = recurrent.shape[0]
    hidden = cell = np.zeros(units, "float32")
    steps = {name: [] for name in ("input", "forget", "candidate", "output", "cell", "hidden")}
    for x in np.asarray(inputs, "float32"):
        i, f, c, o = np.split(x @ kernel + hidden @ recurrent + bias, 4)
        i, f, o, c = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(c)
        cell = f * cell + i * c
        hidden = o * np.tanh(cell)
        values = (i, f, c, o, cell, hidden)
        for name, value in zip(steps, values, strict=True):
            steps[name].append(value)
    return {name: np.stack(values).astype("float32") for name, values in steps.items()}


def sigmoid(x):
    """Returns 1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-x))


def gradient_norms(model, x, y):
    """Returns the norm of the loss's gradient at each kernel, from the input to the output.

    Args:
        model: Classifier with a softmax, uncompiled or compiled.
        x: A batch of inputs.
        y: One-hot labels, float32 `(n, classes)`.

    Returns:
        List of (name of the layer, norm), the norm divided by the root of the kernel's size: the
        root mean square of its entries.
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
