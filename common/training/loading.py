"""Loading of .keras files that may be damaged or malicious.

A .keras file is a zip archive of config.json (the network), model.weights.h5 and metadata.json. Its
configuration can name classes and functions to call and can carry Python code as marshalled bytes
(Lambda) or pickles (TorchModuleWrapper). Two checks prevent that such code runs: `load_model` reads the
configuration as plain JSON and refuses such a file before Keras sees it, with a message that says
why; and Keras' own safe mode stays on while it loads.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from common.basics.errors import RecipeError, UsageError
from common.training.precision import in_float32

if TYPE_CHECKING:
    import keras

# Classes by which a file can run code when it is loaded or called.
_CODE_CLASSES = {
    "__lambda__": "a Python lambda",
    "Lambda": "a Lambda layer",
    "TorchModuleWrapper": "a pickled PyTorch module",
    "TFSMLayer": "a reference to an external SavedModel",
}
# Keras' notation for values, which carry data only.
_VALUE_CLASSES = {
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__bytes__",
    "__ellipsis__",
    "__slice__",
}
# The modules of Keras that networks are built from. The others (utils, config, saving, datasets, ...)
# hold functions that read files, open connections or switch safe mode off.
_MODELLING = {
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "quantizers",
    "random",
    "regularizers",
    "src",  # internal names; Keras itself accepts layers and operations only
}
_WEIGHTS_NAMES = ("model.weights.h5", "model.weights.npz")
# Keras stores the parts uncompressed. A part that is much larger than the file is a decompression bomb.
_MAXIMUM_EXPANSION = 100
_EXPANSION_FLOOR_BYTES = 1 << 28  # 256 MiB


def load_model(path: str | Path) -> keras.Model:
    """Loads a model for inference from a .keras file, and runs nothing that the file carries.

    Args:
        path: A .keras file, such as `runs/<recipe>/<name>/best.keras`.

    Returns:
        The model, not compiled; it computes in float32, whatever precision it was trained in.

    Raises:
        UsageError: There is no such file, or it has another suffix.
        RecipeError: The file is damaged, carries code (there is no flag to allow it), needs a
            class that is not registered, or does not fit into memory.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise UsageError(f"expected a .keras file, got {path}")
    if not path.is_file():
        found = "that is a folder" if path.is_dir() else "there is no such file"
        raise UsageError(f"cannot load the model {path}: {found}")
    # Imported before the check, so that Keras' own registered classes are known to it.
    import keras

    import common.layers.batch_norm
    import common.layers.fast_lstm
    import common.layers.scattering  # noqa: F401  all three register their layer

    config = _read_configuration(path)
    _register_classes_of_recipes(config)
    _check(path, config)
    # A global switch of Keras overrides the argument `safe_mode`; the scope overrides the switch.
    from keras.src.saving.serialization_lib import SafeModeScope

    try:
        with SafeModeScope(True), warnings.catch_warnings():
            # Keras only warns where a layer would keep its random initial weights.
            warnings.filterwarnings("error", message="Skipping nested container")
            return in_float32(keras.models.load_model(path, compile=False, safe_mode=True))
    except MemoryError as error:
        raise RecipeError(f"{path} describes a model that does not fit into memory") from error
    except Exception as error:
        # A damaged file can raise ValueError, TypeError, KeyError, OSError, or an error of the backend.
        # To the user they are all one case.
        if type(error).__name__ == "ResourceExhaustedError":
            raise RecipeError(f"{path} describes a model that does not fit into memory") from error
        missing = re.search(r"Could not locate \w+ '([^']*)'", str(error))
        if missing:
            raise _unknown(path, missing[1]) from error
        raise RecipeError(f"{_damaged(path)} (Keras says: {_first_line(error)})") from error


def _register_classes_of_recipes(config):
    """Imports the model.py of the recipes whose own classes a configuration names.

    The convention: `@keras.saving.register_keras_serializable(package="<name of the recipe>")`. A file
    can name existing recipes only; no other module is imported because a file names it.
    """
    from keras.saving import get_registered_object

    from common.runs import registry

    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
            name = value.get("registered_name")
            package, separator, _ = str(name).partition(">")
            known = registry.exists(package) if separator else False
            if known and get_registered_object(name) is None:
                registry.load_model_module(package)
        elif isinstance(value, list):
            pending.extend(value)


def _read_configuration(path):
    """Returns config.json of the archive, after a check that every part is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = path.stat().st_size
            for part in archive.infolist():
                name = part.filename
                if name.startswith(("/", "\\")) or ".." in Path(name.replace("\\", "/")).parts:
                    raise RecipeError(f"{path} is refused: its part {name!r} points out of it")
                # The limit is on each part and not on their sum, so that a bomb cannot hide
                # behind large weights.
                allowed = max(_EXPANSION_FLOOR_BYTES, _MAXIMUM_EXPANSION * part.compress_size)
                if part.file_size > allowed:
                    raise RecipeError(
                        f"{path} is refused: its part {name!r} claims {part.file_size:,} bytes, "
                        f"which the file's {size:,} bytes cannot honestly hold"
                    )
            broken = archive.testzip()
            if broken is not None:
                raise RecipeError(f"{_damaged(path)} (checksum of {broken!r} is wrong)")
            names = archive.namelist()
            if "config.json" not in names or not any(name in names for name in _WEIGHTS_NAMES):
                raise RecipeError(f"{_damaged(path)} (it lacks config.json or the weights)")
            config = json.loads(archive.read("config.json"))
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,  # a compression method or zip version that Python does not know
        RuntimeError,  # encrypted
        RecursionError,
        ValueError,
    ) as error:
        raise RecipeError(f"{_damaged(path)} ({_first_line(error)})") from error
    except OSError as error:
        raise RecipeError(f"could not read {path}: {error.strerror or error}") from error
    if not isinstance(config, dict):
        raise RecipeError(f"{_damaged(path)} (config.json holds no model)")
    return config


def _check(path, config):
    """Refuses a configuration that carries code or names anything but Keras' or registered objects.

    Keras resolves `module` and `class_name` itself and refuses most of this too, layer by layer;
    here the whole file is judged before anything is built, and the message can name the object.
    """
    from keras.saving import get_registered_object

    # The optimizer, loss and metrics are not loaded (compile=False), so they need no classes.
    pending = [{key: value for key, value in config.items() if key != "compile_config"}]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
            continue
        if not isinstance(value, dict):
            continue
        pending.extend(value.values())
        if "class_name" not in value:
            continue
        name = value["class_name"]
        if not isinstance(name, str):
            raise RecipeError(f"{_damaged(path)} (a class name that is no text)")
        if name in _CODE_CLASSES:
            raise RecipeError(
                f"{path} carries code ({_CODE_CLASSES[name]}) and is refused: loading it could run "
                "whatever its author put in, and there is no flag to allow it. Nothing was run. "
                "Write that layer as a class of the recipe, register it, and train again."
            )
        if name in _VALUE_CLASSES:
            continue
        module = value.get("module")
        if name == "function":
            name = value.get("config")
            registered = name
        else:
            registered = value.get("registered_name") or name
        if isinstance(registered, str) and get_registered_object(registered) is not None:
            continue
        # "builtins" is Keras' word for its own functions known by name (relu, glorot_uniform): it
        # looks them up among its own only, never among Python's.
        path_in_keras = module.split(".") if isinstance(module, str) else [None]
        if module == "keras" or (path_in_keras[0] == "keras" and path_in_keras[1] in _MODELLING):
            continue
        if module == "builtins" and value["class_name"] == "function":
            continue
        raise _unknown(path, f"{module}.{name}" if isinstance(module, str) else registered)


def _unknown(path, name):
    return RecipeError(
        f"{path} needs {name!r}, which is neither a part of Keras that networks are made of nor "
        "registered here, and is refused. Nothing was run. If it is a class of a recipe, register "
        "it in the recipe's model.py with @keras.saving.register_keras_serializable(package=...), "
        "the recipe's name."
    )


def _damaged(path):
    advice = "train again with --overwrite"
    final = path.with_name("final.keras")
    if path.name == "best.keras" and final.is_file():
        advice = f"copy {final}, the last epoch, over it, or {advice}"
    return (
        f"{path} is not a whole .keras file: it is damaged, cut short or something else; {advice}"
    )


def _first_line(error, length=200):
    """Returns the reason in an exception's message, short enough for a message of one line."""
    # Keras wraps the reason once per nested layer, each time behind the layer's configuration.
    text = str(error).rsplit("Exception encountered: ", 1)[-1].split("Full object config", 1)[0]
    text = re.sub(r"\s+", " ", text.strip().split("\n\n")[0]) or type(error).__name__
    return text if len(text) <= length else text[: length - 3] + "..."
