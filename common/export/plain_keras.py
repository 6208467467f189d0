"""A .keras file that Keras opens without this project: its faster layers become Keras' own.

The layers of `common/layers` that only train faster are subclasses of Keras' layers, with the same
arguments, weights and values. In the file they get the names of those. A recipe's own layers have no such
name: a model that has some is refused.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError

if TYPE_CHECKING:
    import keras
    import numpy as np

# Opens the file in a process that has imported nothing of this project.
_RUN = """
import sys
import keras
import numpy as np
model = keras.saving.load_model(sys.argv[1])
with np.load(sys.argv[2]) as stored:
    inputs = [stored[f"arr_{index}"] for index in range(len(stored.files))]
found = model(keras.tree.pack_sequence_as(model.input, inputs), training=False)
np.savez(sys.argv[3], *map(keras.ops.convert_to_numpy, keras.tree.flatten(found)))
"""


def convert(
    model: keras.Model,
    artifact: Path,
    example_shapes: list[tuple],
    embedded: dict[str, str],
    reasons: list[str],
) -> Iterator[tuple[list[tuple], Callable[[list[np.ndarray]], list[np.ndarray]]]]:
    """Writes the file; yields as the converters of worker.py do.

    Raises:
        RecipeError: The model has layers that Keras does not have.
    """
    import keras

    own: set[str] = set()
    config = _plain(keras.saving.serialize_keras_object(model), own)
    if own:
        raise RecipeError(
            f"Keras alone does not have {', '.join(sorted(own))}; the formats savedmodel and onnx hold "
            "what a layer computes"
        )
    # The optimizer and the loss belong to training.
    config.pop("compile_config", None)
    plain = keras.saving.deserialize_keras_object(config)
    plain.set_weights(model.get_weights())
    plain.save(artifact)
    with zipfile.ZipFile(artifact, "a") as archive:
        for name, text in embedded.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    yield [tuple(tensor.shape) for tensor in model.inputs], lambda batch: _answers(artifact, batch)


def _plain(value: Any, own: set[str]) -> Any:
    """Returns a configuration in which classes of this project are those of Keras that they extend.

    Names of classes that extend no layer of Keras with the same arguments go into `own`.
    """
    from keras.saving import get_registered_object

    if isinstance(value, list):
        return [_plain(item, own) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {name: _plain(item, own) for name, item in value.items()}
    package, separator, name = str(value.get("registered_name")).partition(">")
    if not separator:
        return changed
    base = _base(get_registered_object(value["registered_name"]))
    if package != "keras_recipe_box" or base is None:
        own.add(name)
        return changed
    return {**changed, "module": "keras.layers", "class_name": base, "registered_name": None}


def _base(found):
    """Returns the name of the Keras layer that a class extends directly; None where there is none."""
    import keras

    for base in getattr(found, "__bases__", ()):
        if getattr(keras.layers, base.__name__, None) is base and base is not keras.layers.Layer:
            return base.__name__
    return None


def _answers(artifact, batch):
    """Returns the outputs of the file for a list of inputs, from a process without this project."""
    import numpy as np

    with tempfile.TemporaryDirectory(dir=artifact.parent) as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, *batch)
        # -P: not from the current folder.
        done = subprocess.run(
            [sys.executable, "-P", "-c", _RUN, artifact, given, found],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RecipeError(f"Keras cannot open it: {done.stderr.strip().splitlines()[-1][:200]}")
        with np.load(found) as stored:
            return [stored[f"arr_{index}"] for index in range(len(stored.files))]
