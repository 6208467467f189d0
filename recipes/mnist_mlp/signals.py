"""What arrives at each layer of a deep network before any training: activations and gradients.

Computed by hand in float64: after 30 layers of sigmoids, squares of gradients are below what float32
holds. Three sizes are needed to see what happens. The gradient by a kernel is the product of what comes
in from below and of what comes back from above: where activations shrink from layer to layer and so do
gradients, it is flat and looks healthy.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import erf, expit

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805
"""Constants of SELU (Klambauer et al. 2017)."""


def _relu(x):
    return np.maximum(x, 0), (x > 0).astype(float)


def _leaky_relu(x):
    return np.where(x > 0, x, 0.2 * x), np.where(x > 0, 1.0, 0.2)


def _elu(x):
    below = np.exp(np.minimum(x, 0))
    return np.where(x > 0, x, below - 1), np.where(x > 0, 1.0, below)


def _selu(x):
    below = ALPHA * np.exp(np.minimum(x, 0))
    return SCALE * np.where(x > 0, x, below - ALPHA), SCALE * np.where(x > 0, 1.0, below)


def _gelu(x):
    area = (1 + erf(x / np.sqrt(2))) / 2
    return x * area, area + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _tanh(x):
    y = np.tanh(x)
    return y, 1 - y**2


def _sigmoid(x):
    y = expit(x)
    return y, y * (1 - y)


ACTIVATIONS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}
"""Functions from x to the activation and its derivative, with the constants of Keras."""


def kernel(initializer: str, inputs: int, outputs: int, random: np.random.Generator) -> np.ndarray:
    """Returns an initial kernel, float64 `(inputs, outputs)`.

    Args:
        initializer: glorot_uniform, he_normal or lecun_normal.
        inputs, outputs: Units below and above.
        random: Where the numbers come from.
    """
    if initializer == "glorot_uniform":
        limit = np.sqrt(6 / (inputs + outputs))
        return random.uniform(-limit, limit, (inputs, outputs))
    variance = {"he_normal": 2 / inputs, "lecun_normal": 1 / inputs}[initializer]
    return random.normal(0, np.sqrt(variance), (inputs, outputs))


def sizes(
    activation: str, kernels: list[np.ndarray], x: np.ndarray, back: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the root mean square at each layer of x -> activation(x kernel), layer after layer.

    Args:
        activation: A name in ACTIVATIONS.
        kernels: Of each layer, `(inputs, outputs)`.
        x: Inputs `(n, inputs of the first layer)`.
        back: Gradient of the loss by the last layer's activations, `(n, its outputs)`.

    Returns:
        `(layers,)` each: "activation"; "gradient" of the loss by the activations; and "kernel", the
        gradient of the loss by the kernel.
    """
    taken = []
    for matrix in kernels:
        y, slope = ACTIVATIONS[activation](x @ matrix)
        taken.append((x, y, slope))
        x = y
    found = []
    for matrix, (below, y, slope) in zip(reversed(kernels), reversed(taken), strict=True):
        through = back * slope
        found.append((_size(y), _size(back), _size(below.T @ through)))
        back = through @ matrix.T
    names = ("activation", "gradient", "kernel")
    return dict(zip(names, np.array(found[::-1]).T, strict=True))


def at_start(
    activation: str, initializer: str, *, depth: int = 30, units: int = 64, draws: int = 5
) -> dict[str, np.ndarray]:
    """Returns log10 of the sizes at each layer of new networks, the mean over draws, `(depth,)` each.

    Inputs and the gradient at the top are normal, of variance 1.

    Args:
        activation, initializer: As in Config.
        depth: Number of layers.
        units: Units of each.
        draws: Networks, with seeds from 0.
    """
    logs = []
    for seed in range(draws):
        random = np.random.default_rng(seed)
        kernels = [kernel(initializer, units, units, random) for _ in range(depth)]
        x, back = random.normal(size=(2, 256, units))
        logs.append({k: np.log10(v) for k, v in sizes(activation, kernels, x, back).items()})
    return {name: np.mean([each[name] for each in logs], axis=0) for name in logs[0]}


def gain(logs: np.ndarray, towards_input: bool = False) -> float:
    """Returns by what a size is multiplied from one layer to the next, from its logarithms by layer.

    The first five layers are left out: there the inputs are still normal.

    Args:
        logs: log10 by layer, `(depth,)`.
        towards_input: Whether from a layer to the one below, as gradients go.
    """
    places = np.arange(len(logs))[5:]
    slope = np.polyfit(places, logs[5:], 1)[0]
    return float(10 ** (-slope if towards_input else slope))


def _size(values):
    return np.sqrt(np.mean(values**2))
