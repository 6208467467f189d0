"""The inputs on which an exported file is compared with its model: all, one alone, another length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from common.basics.errors import UsageError

if TYPE_CHECKING:
    import keras
    import numpy as np

MAXIMUM_INPUTS = 100


def check_inputs(
    model: keras.Model, inputs: np.ndarray | tuple | list | dict[str, np.ndarray]
) -> list[np.ndarray]:
    """Returns at most `MAXIMUM_INPUTS` rows of each input, in the order and dtypes of the model.

    Raises:
        UsageError: The inputs do not fit the model, or there are none.
    """
    import numpy as np

    names = [tensor.name for tensor in model.inputs]
    if isinstance(inputs, dict):
        if set(inputs) != set(names):
            raise UsageError(
                f"the model takes inputs named {', '.join(names)}, got {', '.join(inputs)}"
            )
        inputs = [inputs[name] for name in names]
    elif not isinstance(inputs, tuple | list) or len(names) == 1:
        inputs = [inputs]
    if len(inputs) != len(names):
        raise UsageError(
            f"the model takes {len(names)} inputs ({', '.join(names)}), got {len(inputs)}"
        )
    arrays = [np.asarray(array[:MAXIMUM_INPUTS]) for array in inputs]
    if len(arrays[0]) < 1:
        raise UsageError("export compares the exported file on real inputs, and got none")
    counts = [len(array) for array in arrays]
    if len(set(counts)) > 1:
        raise UsageError(
            f"the model's inputs {', '.join(names)} belong together and need equally many examples, "
            f"got {', '.join(map(str, counts))}"
        )
    return [_checked(*pair) for pair in zip(model.inputs, arrays, strict=True)]


def _checked(wanted, array):
    import numpy as np

    expected, got = tuple(wanted.shape[1:]), array.shape[1:]
    fits = len(expected) == len(got) and all(
        size is None or size == found for size, found in zip(expected, got, strict=True)
    )
    if not fits:
        raise UsageError(f"the model takes inputs of shape {expected}, got {got} ({wanted.name})")
    dtype = np.dtype(wanted.dtype)
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise UsageError(
            f"the model takes inputs of dtype {dtype}, got {array.dtype} ({wanted.name})"
        )
    return np.ascontiguousarray(array, dtype)


def batches_to_compare(inputs: list[np.ndarray], model: keras.Model) -> list[list[np.ndarray]]:
    """Returns the batches to compare on, each with an array for each input of the model."""
    if len(inputs) == 1:
        return [[probe] for probe in of_every_size(inputs[0], model.inputs[0].shape)]
    # The lengths of several inputs may depend on each other, so only the number of examples varies.
    return [inputs, [array[:1] for array in inputs]]


def of_every_size(inputs: np.ndarray, shape: Sequence[int | None]) -> list[np.ndarray]:
    """Returns the batches to compare on: all inputs, one alone, and a few of another length.

    A converter may fix a size by mistake (PyTorch's tracer fixes the length of an LSTM). That shows only
    when the size varies.

    Args:
        inputs: `(n, ...)`.
        shape: Shape of the model's input, None for sizes that vary.
    """
    import numpy as np

    probes = [inputs]
    if len(inputs) > 1:
        probes.append(inputs[:1])
    free = [axis for axis, size in enumerate(shape) if size is None and axis > 0]
    if free and all(inputs.shape[axis] > 1 for axis in free):
        first, last = inputs[:4], inputs[:4]
        for axis in free:
            half = inputs.shape[axis] // 2
            first = np.take(first, range(half), axis)
            last = np.take(last, range(last.shape[axis] - half, last.shape[axis]), axis)
        # Padding is at one end. The half at the other end holds more tokens.
        probes.append(max(first, last, key=np.count_nonzero))
    return probes


def as_the_model_takes(model: keras.Model, values: Iterable[Any]) -> Any:
    """Returns values in the structure that the model's `call` takes: one value, a list or a dict.

    Args:
        model: The model.
        values: One for each of `model.inputs`, in that order: arrays, tensors or specifications.
    """
    import keras

    return keras.tree.pack_sequence_as(model.input, list(values))


def output_names(model: keras.Model) -> list[str]:
    """Returns a name for each output, all different. Keras gives all outputs of a layer the same name."""
    names: list[str] = []
    for name in model.output_names:
        taken = {*names, *model.output_names}
        again = (f"{name}_{number}" for number in range(1, 2 + len(taken)))
        names.append(next(each for each in again if each not in taken) if name in names else name)
    return names


def as_arrays(batches: Sequence[list[np.ndarray]], model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the batches and the model's outputs for them as one dict, for the worker.

    Input i of batch b is `inputs_b_i`, output i is `expected_b_i`.
    """
    import keras

    arrays: dict[str, np.ndarray] = {}
    for index, probe in enumerate(batches):
        answers = model.predict(as_the_model_takes(model, probe), verbose=0)
        arrays |= {f"inputs_{index}_{i}": array for i, array in enumerate(probe)}
        answers = keras.tree.flatten(answers)
        arrays |= {f"expected_{index}_{i}": array for i, array in enumerate(answers)}
    return arrays
