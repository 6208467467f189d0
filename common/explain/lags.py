"""How far back the gradient of a recurrent layer reaches: its size by lag, as a logarithm.

Over hundreds of steps a gradient may shrink to 1e-70, which float32 cannot hold. So it is carried back a
few steps at a time. After these it is scaled to length 1, and its length is kept as a logarithm.
"""

from typing import Any

import keras
import numpy as np

from common.basics import backend
from common.explain.gradients import output_gradient

CHUNK = 10
"""Steps that a gradient goes back before it is scaled to length 1 again."""


def gradient_by_lag(
    layer: keras.layers.RNN, x: np.ndarray, seed: int = 0, chunk: int = CHUNK
) -> list[float | None]:
    """Returns the size of the derivative of the last state with respect to each earlier input.

    The state is weighted by random signs, which differ between sequences. The root of the mean square
    over sequences then estimates the Frobenius norm of the Jacobian (Hutchinson 1990).

    Args:
        layer: Built SimpleRNN, GRU or LSTM, or a subclass. Its state is what it returns: of an LSTM the
            hidden one, not the cell.
        x: Sequences, float32 `(n, steps, features)`.
        seed: Seed of the signs.
        chunk: Steps at a time; the result does not depend on it.

    Returns:
        `steps` decimal logarithms, rounded to 0.001, at lag 0 (the last input), 1, 2 and so on; None
        where the derivative is 0.
    """
    x = np.asarray(x, "float32")
    count, steps, features = x.shape
    states = [np.zeros((count, layer.units), "float32") for _ in _states(layer)]
    models: dict[int, keras.Model] = {}
    before: list[tuple[keras.Model, list[Any]]] = []
    starts = range(0, steps, chunk)
    for start in starts:
        part = x[:, start : start + chunk]
        length = part.shape[1]
        if length not in models:
            models[length] = _steps(layer, length, features)
        before.append((models[length], [part, *states]))
        with backend.no_gradients():
            found = models[length]([part, *states])
        states = [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(found)]
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], states[0].shape)
    weights = [signs.astype("float32"), *(np.zeros_like(state) for state in states[1:])]
    scale, logarithms = np.zeros(count), []
    for model, inputs in reversed(before):
        _, (of_x, *weights) = output_gradient(model, inputs, weights)
        with np.errstate(divide="ignore"):
            norms = np.log10(np.linalg.norm(of_x.astype("float64"), axis=2)) + scale[:, None]
        logarithms += list(norms.T[::-1])
        # Each sequence by a factor of its own.
        length = np.sqrt(sum(np.square(w, dtype="float64").sum(axis=1) for w in weights))
        length[length == 0] = 1.0
        weights = [(w / length[:, None]).astype("float32") for w in weights]
        scale += np.log10(length)
    # The root of the mean square, without leaving logarithms.
    means = np.logaddexp.reduce(2 * np.log(10) * np.array(logarithms), axis=1) - np.log(count)
    found = means / (2 * np.log(10))
    return [round(float(value), 3) if np.isfinite(value) else None for value in found]


def _states(layer):
    size = layer.cell.state_size
    return size if isinstance(size, list | tuple) else [size]


def _steps(layer, length, features):
    """Returns a model of some steps of a layer: from inputs and states to the states after them."""
    config = {**layer.get_config(), "return_state": True, "return_sequences": False}
    copy = type(layer).from_config(config)
    inputs = keras.Input((length, features))
    states = [keras.Input((size,)) for size in _states(layer)]
    _, *after = copy(inputs, initial_state=states)
    copy.set_weights(layer.get_weights())
    return keras.Model([inputs, *states], after)
