"""Export of a trained model for use without Keras, checked against the model it came from.

The conversion runs in a process of its own, on the CPU, for three reasons. It may need another Keras
backend than the current one. On a GPU, TensorFlow would write the cuDNN LSTM into the file, which no
other runtime knows. And the converters write dozens of log lines and can crash. That process (worker.py)
also runs the exported file with the format's own runtime and compares its outputs with the predictions
of the model under the *current* backend.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics import partial
from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.files import could_not_write, make_folder, put_in_place, sync, write_json_atomic
from common.export import probes as probing
from common.export.package import Package

if TYPE_CHECKING:
    import keras
    import numpy as np

_DEFAULT_NAMES = {
    "savedmodel": "savedmodel",
    "onnx": "model.onnx",
    "litert": "model.tflite",
    "keras": "model.keras",
}
FORMATS = tuple(_DEFAULT_NAMES)

# Format to backend to the modules that the conversion and its check import.
_NEEDS = {
    "savedmodel": {
        "tensorflow": ("tensorflow",),
        "jax": ("jax", "tensorflow"),
    },
    "onnx": {
        "tensorflow": ("tensorflow", "onnx", "tf2onnx", "onnxruntime"),
        "torch": ("torch", "onnx", "onnxscript", "onnxruntime"),
    },
    "litert": {
        "tensorflow": ("tensorflow",),
    },
    "keras": {backend: (backend,) for backend in ("tensorflow", "jax", "torch")},
}
_EXTRAS = {"torch": "torch", "jax": "jax", "onnx": "export", "tf2onnx": "export"}
_EXTRAS |= {"onnxscript": "export", "onnxruntime": "export"}


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """What was written, and how close it is to the model."""

    path: Path
    """The file, or the folder of a SavedModel."""
    format: str
    """One of `FORMATS`."""
    backend: str
    """Keras backend that converted it; it may be another one than the current one."""
    max_difference: float
    """Largest absolute difference between an output and the prediction of the current backend."""
    count: int
    """Number of inputs compared."""
    bytes: int
    """Size on disk."""
    input_shape: tuple
    """Shape of the input, None where any size is accepted; of several inputs, a tuple of shapes."""
    beside: tuple[Path, ...] = ()
    """Files that belong to it, in the same folder: labels.json, predict.py, ..."""


def default_output(run_dir: str | Path, format: str) -> Path:
    """Returns where an export is written by default: a path in the run folder.

    Args:
        run_dir: The run folder.
        format: One of `FORMATS`.
    """
    return Path(run_dir) / _DEFAULT_NAMES[_known_format(format)]


def export(
    model_path: str | Path,
    format: str,
    output: str | Path,
    inputs: np.ndarray | tuple | list | dict[str, np.ndarray],
    *,
    overwrite: bool = False,
    describe: Callable[[keras.Model], Package] | None = None,
) -> ExportResult:
    """Exports a model, runs the exported file and compares it with the model.

    The current backend converts if it can. Otherwise another installed backend does, with the weights
    from the same file. The exported file takes any batch size, except LiteRT files of recurrent
    networks, which take one example at a time. It takes sequences of any length.

    Args:
        model_path: A .keras file.
        format: "savedmodel" (a folder), "onnx", "litert", or "keras" (a file that Keras opens without
            this project).
        output: Path to write. It appears whole or not at all.
        inputs: Real inputs to compare on, at least one; the first 100 are used. An array, e.g. uint8
            images `(n, height, width, channels)` or int32 token ids `(n, length)`. For a model with
            several inputs, a tuple or list of arrays in its order, or a dict by name.
        overwrite: Whether to replace what is at `output`.
        describe: Returns the description of the classes and of the preparation of inputs. It is
            written into the exported file and beside it. None: only the model is written.

    Raises:
        UsageError: Unknown format or bad inputs; `output` exists; or files beside it belong to
            something else.
        RecipeError: The model cannot be loaded or exported, a package is missing, or the exported
            file gives other predictions than the model. Then nothing is left at `output`.
    """
    import numpy as np

    from common.training.loading import load_model

    format = _known_format(format)
    output = Path(output)
    check_output(output, format, overwrite)

    import keras

    model = load_model(model_path)
    arrays = probing.check_inputs(model, inputs)
    ready, missing = _backends(format, keras.backend.backend())
    if not ready:
        raise RecipeError(f"export to {format} needs {' or '.join(missing)}")

    package = describe(model) if describe else Package({}, output.parent)
    package.check(output, overwrite)
    probes = probing.batches_to_compare(arrays, model)
    with _workspace(output) as workspace:
        stored: dict[str, Any] = probing.as_arrays(probes, model)
        np.savez(workspace / "probes.npz", **stored)
        write_json_atomic(workspace / "embedded.json", package.embedded())
        failures = []
        for backend in ready:
            # It has the name of the final file, because the converters look at the suffix.
            artifact = workspace / backend / _DEFAULT_NAMES[format]
            artifact.parent.mkdir()
            report = _run_worker(backend, format, Path(model_path), artifact, workspace)
            if "error" not in report:
                break
            failures.append(f"{backend}: {report['error']}")
        else:
            failures += [f"not tried, not installed: {what}" for what in missing]
            others = ", ".join(name for name in FORMATS if name != format)
            raise RecipeError(
                f"{model_path} could not be exported to {format} and nothing was kept "
                f"({'; '.join(failures)}). Other formats: {others}."
            )
        size = _sync(artifact)
        beside = package.write(output)
        _publish(artifact, output, workspace)
    return ExportResult(
        path=output,
        format=format,
        backend=backend,
        max_difference=report["max_difference"],
        count=len(arrays[0]),
        bytes=size,
        input_shape=_shape_of(report["input_shapes"]),
        beside=beside,
    )


def _known_format(format):
    if format not in FORMATS:
        raise UsageError(
            f"unknown export format {format!r}; the formats are {', '.join(FORMATS)}"
            f"{near_match(format, FORMATS)}"
        )
    return format


def check_output(output: Path, format: str, overwrite: bool) -> None:
    """Checks that an export may be written to `output`; the arguments are those of `export`.

    Raises:
        UsageError: Something is there that must not be replaced.
    """
    if not output.exists():
        return
    if not overwrite:
        raise UsageError(f"{output} exists; choose another --output, or --overwrite to replace it")
    if output.is_dir() != (format == "savedmodel") or (
        # A folder of something else is never deleted, even with --overwrite.
        output.is_dir() and any(output.iterdir()) and not (output / "saved_model.pb").exists()
    ):
        kind = "folder" if output.is_dir() else "file"
        raise UsageError(f"{output} is a {kind} that is no {format} export, so it is not replaced")


def _shape_of(shapes):
    shapes = [tuple(shape) for shape in shapes]
    return shapes[0] if len(shapes) == 1 else tuple(shapes)


def _backends(format, current):
    """Returns the backends that can export `format`, the current one first, and what others lack."""
    needs = _NEEDS[format]
    ready, missing = [], []
    for backend in sorted(needs, key=lambda name: name != current):
        absent = [name for name in needs[backend] if importlib.util.find_spec(name) is None]
        if not absent:
            ready.append(backend)
            continue
        extras = sorted({_EXTRAS[name] for name in absent if name in _EXTRAS})
        install = f'`pip install -e ".[{",".join(extras)}]"`' if extras else "`pip install -e .`"
        missing.append(f"the {backend} backend with {', '.join(absent)} ({install})")
    return ready, missing


@contextlib.contextmanager
def _workspace(output):
    """Yields a folder beside `output`, so that a rename puts the finished export in place."""
    try:
        make_folder(output.parent)
        partial.remove_abandoned(output.parent)
        with partial.folder_in(output.parent) as folder:
            yield folder
    except OSError as error:
        raise could_not_write(output, error) from error


def _sync(artifact):
    """Flushes a file, or a folder and all in it, to the disk; returns the bytes of the files."""
    paths = [artifact, *artifact.rglob("*")]
    for path in paths:
        sync(path)
    return sum(path.stat().st_size for path in paths if path.is_file())


def _publish(artifact, output, workspace):
    """Moves the finished export into place, and an earlier SavedModel out of the way first."""
    if output.is_dir():
        before = workspace / "before"
        output.replace(before)
        try:
            put_in_place(artifact, output)
        except OSError:
            before.replace(output)
            raise
    else:
        put_in_place(artifact, output)


def _task(format, model_path, artifact, workspace):
    """Returns what the worker needs to know, as JSON values."""
    return {
        "format": format,
        "model": str(model_path.resolve()),
        "artifact": str(artifact.resolve()),
        "probes": str((workspace / "probes.npz").resolve()),
        "embedded": str((workspace / "embedded.json").resolve()),
        "report": str((artifact.parent / "report.json").resolve()),
        "modules": _registering_modules(),
        "sys_path": [str(Path(entry).resolve()) for entry in sys.path],
    }


def _run_worker(backend, format, model_path, artifact, workspace):
    """Converts and checks under `backend` in a process of its own; returns its report."""
    task = _task(format, model_path, artifact, workspace)
    environment = dict(os.environ)
    environment.update(
        KERAS_BACKEND=backend,
        CUDA_VISIBLE_DEVICES="-1",
        JAX_PLATFORMS="cpu",
        KERAS_TORCH_DEVICE="cpu",
        PYTHONPATH=os.pathsep.join(
            [str(Path(__file__).resolve().parents[2])]
            + [entry for entry in [os.environ.get("PYTHONPATH")] if entry]
        ),
    )
    log = artifact.parent / "log.txt"
    # -P: a file in the user's current folder that has the name of a module must not be imported.
    command = [sys.executable, "-P", "-c", "from common.export import worker; worker.work()"]
    with log.open("wb") as stream:
        process = subprocess.run(
            command,
            input=json.dumps(task).encode(),
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    report = Path(task["report"])
    if report.exists():
        return json.loads(report.read_text(encoding="utf-8"))
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return {"error": f"the converter died (exit {process.returncode}) {' '.join(tail)[-200:]}"}


def _registering_modules():
    """Returns the modules that registered Keras classes here: the worker must import them too."""
    from keras.saving import get_custom_objects

    names = {getattr(value, "__module__", None) for value in get_custom_objects().values()}
    return sorted(
        name for name in names if name and name != "__main__" and name.split(".")[0] != "keras"
    )
