"""Export of a trained model for use without Keras, checked against the model it came from.

The conversion runs in a process of its own, on the CPU, for three reasons: another Keras backend
than the current one can do it; TensorFlow on a GPU would put the cuDNN LSTM into the file, which no
other runtime knows; and the converters write dozens of log lines and can crash. That process also
runs the exported file with the format's own runtime and compares it with the predictions of the
model under the *current* backend.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common.errors import RecipeError, UsageError, near_match

# Largest accepted difference of a probability. Float32 arithmetic in another order gives 1e-7 to
# 1e-5; a wrong conversion (a shape fixed while tracing, a lost mask) shows far above this.
TOLERANCE = 1e-3
# Two classes this close may swap ranks by rounding alone: that is a tie, not another prediction.
TIE = 1e-5
MAXIMUM_INPUTS = 100

_DEFAULT_NAMES = {"savedmodel": "savedmodel", "onnx": "model.onnx", "litert": "model.tflite"}
FORMATS = tuple(_DEFAULT_NAMES)

# format -> backend -> modules that the conversion and its check import.
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
}
_EXTRAS = {"torch": "torch", "jax": "jax", "onnx": "export", "tf2onnx": "export"}
_EXTRAS |= {"onnxscript": "export", "onnxruntime": "export"}


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """What was written, and how close it is to the model."""

    path: Path
    """The file, or the folder of a SavedModel."""
    format: str
    """"savedmodel", "onnx" or "litert"."""
    backend: str
    """Keras backend that converted it; not always the current one."""
    max_difference: float
    """Largest absolute difference of a probability from the current backend's prediction."""
    count: int
    """Number of inputs compared."""
    bytes: int
    """Size on disk."""
    input_shape: tuple
    """Shape of the input, None where any size is accepted."""


def default_output(run_dir, format):
    """Returns where `export` writes by default: a name in the run folder.

    Args:
        run_dir: The run folder.
        format: One of `FORMATS`.
    """
    return Path(run_dir) / _DEFAULT_NAMES[_known_format(format)]


def export(model_path, format, output, inputs, *, overwrite=False):
    """Exports a model, runs the exported file and compares it with the model.

    The current backend converts where it can; else another installed one does, with the weights
    from the same file. The batch size stays free in the exported file, except in LiteRT files of
    recurrent networks, which take one example at a time. Sequence lengths stay free.

    Args:
        model_path: A .keras file with one input and one output of probabilities.
        format: "savedmodel" (a folder), "onnx" or "litert".
        output: Path to write. It appears whole or not at all.
        inputs: Real inputs to compare on, at least one; the first 100 are used. uint8 images
            `(n, height, width, channels)` or int32 token ids `(n, length)`.
        overwrite: Whether to replace what is at `output`.

    Returns:
        An `ExportResult`.

    Raises:
        UsageError: Unknown format, bad inputs, or `output` exists.
        RecipeError: The model cannot be loaded or exported, a package is missing, or the exported
            file predicts otherwise than the model. Nothing is left at `output` then.
    """
    import numpy as np

    from common.loading import load_model

    format = _known_format(format)
    output = Path(output)
    _check_output(output, format, overwrite)
    if len(inputs) < 1:
        raise UsageError("export compares the exported file on real inputs, and got none")

    import keras

    model = load_model(model_path)
    inputs = _check_inputs(model, np.asarray(inputs[:MAXIMUM_INPUTS]))
    ready, missing = _backends(format, keras.backend.backend())
    if not ready:
        raise RecipeError(f"export to {format} needs {' or '.join(missing)}")

    probes = _probes(inputs, model.inputs[0].shape)
    with _workspace(output) as workspace:
        arrays = {f"inputs_{index}": probe for index, probe in enumerate(probes)}
        for index, probe in enumerate(probes):
            arrays[f"expected_{index}"] = np.asarray(model.predict(probe, verbose=0))
        np.savez(workspace / "probes.npz", **arrays)
        failures = []
        for backend in ready:
            # Named as the final file is: the converters look at the suffix.
            artifact = workspace / backend / _DEFAULT_NAMES[format]
            artifact.parent.mkdir()
            report = _run_worker(backend, format, Path(model_path), artifact, workspace)
            if "error" not in report:
                break
            failures.append(f"{backend}: {report['error']}")
        else:
            failures += [f"not tried, not installed: {what}" for what in missing]
            others = " and ".join(name for name in FORMATS if name != format)
            raise RecipeError(
                f"{model_path} could not be exported to {format} and nothing was kept "
                f"({'; '.join(failures)}). Try the formats {others}."
            )
        size = _sync(artifact)
        _publish(artifact, output, workspace)
    return ExportResult(
        path=output,
        format=format,
        backend=backend,
        max_difference=report["max_difference"],
        count=len(inputs),
        bytes=size,
        input_shape=tuple(report["input_shape"]),
    )


def _known_format(format):
    if format not in FORMATS:
        raise UsageError(
            f"unknown export format {format!r}; the formats are {', '.join(FORMATS)}"
            f"{near_match(format, FORMATS)}"
        )
    return format


def _check_output(output, format, overwrite):
    if not output.exists():
        return
    if not overwrite:
        raise UsageError(f"{output} exists; choose another --output, or --overwrite to replace it")
    if output.is_dir() != (format == "savedmodel") or (
        # Never delete a folder of something else, however the flags read.
        output.is_dir() and any(output.iterdir()) and not (output / "saved_model.pb").exists()
    ):
        kind = "folder" if output.is_dir() else "file"
        raise UsageError(f"{output} is a {kind} that is no {format} export; it is not replaced")


def _check_inputs(model, inputs):
    """Returns `inputs` in the model's dtype, or says what does not fit."""
    import numpy as np

    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise RecipeError(
            f"export handles models of one input and one output; this one has {len(model.inputs)} "
            f"and {len(model.outputs)}"
        )
    wanted = model.inputs[0]
    expected = tuple(wanted.shape[1:])
    got = inputs.shape[1:]
    fits = len(expected) == len(got) and all(
        size is None or size == found for size, found in zip(expected, got, strict=True)
    )
    if not fits:
        raise UsageError(f"the model takes inputs of shape {expected}, got {got}")
    dtype = np.dtype(wanted.dtype)
    if not np.can_cast(inputs.dtype, dtype, "same_kind"):
        raise UsageError(f"the model takes inputs of dtype {dtype}, got {inputs.dtype}")
    return np.ascontiguousarray(inputs, dtype)


def _probes(inputs, shape):
    """Returns the batches to compare on: all, one alone, and a few of another length.

    A size that a converter fixed by mistake (PyTorch's tracer fixes the length of an LSTM) shows
    only when the size varies.
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
        # Padding lies at one end; the other end holds the tokens.
        probes.append(max(first, last, key=np.count_nonzero))
    return probes


def _backends(format, current):
    """Returns the backends that can export `format`, current one first, and what others lack."""
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
    """Yields a folder beside `output`, so that the finished export moves there by a rename."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=output.parent, prefix=".partial-"))
    except OSError as error:
        raise RecipeError(f"could not write to {output.parent}: {error.strerror}") from error
    try:
        yield folder
    except OSError as error:
        raise RecipeError(
            f"could not write {output}: {error.strerror or error}. "
            "Free some space or choose another folder; what was there before is unchanged."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(artifact):
    """Flushes a file, or the files of a folder, to the disk; returns the bytes they take."""
    files = [artifact] if artifact.is_file() else [p for p in artifact.rglob("*") if p.is_file()]
    for path in files:
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    return sum(path.stat().st_size for path in files)


def _publish(artifact, output, workspace):
    """Moves the finished export into place; a SavedModel there before moves out of the way."""
    if output.is_dir():
        before = workspace / "before"
        output.replace(before)
        try:
            artifact.replace(output)
        except OSError:
            before.replace(output)
            raise
    else:
        artifact.replace(output)


def _task(format, model_path, artifact, workspace):
    """Returns what the worker needs to know, as JSON values."""
    return {
        "format": format,
        "model": str(model_path.resolve()),
        "artifact": str(artifact.resolve()),
        "probes": str((workspace / "probes.npz").resolve()),
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
            [str(Path(__file__).resolve().parent.parent)]
            + [entry for entry in [os.environ.get("PYTHONPATH")] if entry]
        ),
    )
    log = artifact.parent / "log.txt"
    # -P: a file named as a module in the user's current folder must not be imported.
    command = [sys.executable, "-P", "-c", "from common import export; export._work()"]
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
    """Returns the modules whose classes are registered here, for the worker to import as well."""
    from keras.saving import get_custom_objects

    names = {getattr(value, "__module__", None) for value in get_custom_objects().values()}
    return sorted(
        name for name in names if name and name != "__main__" and name.split(".")[0] != "keras"
    )


# What follows runs in the worker process.


def _work():
    """Does the task that comes as JSON on standard input and writes a report."""
    from common import fast_lstm

    task = json.load(sys.stdin)
    # Converters know Keras' own operations only.
    fast_lstm.PLAIN = True
    Path(task["report"]).write_text(json.dumps(_report(task)), encoding="utf-8")


def _report(task):
    """Returns what came out of a task, or under "error" why nothing did."""
    try:
        return _convert_and_compare(task)
    except RecipeError as error:
        return {"error": str(error)}
    except Exception as error:
        # Converters raise anything. The traceback goes to the log, one line to the user.
        import traceback

        traceback.print_exc()
        text = " ".join(str(error).split())
        return {"error": f"{type(error).__name__}: {text[:200]}{'...' * (len(text) > 200)}"}


def _convert_and_compare(task):
    import importlib

    import numpy as np

    from common.loading import load_model

    sys.path.extend(entry for entry in task["sys_path"] if entry not in sys.path)
    for name in task["modules"]:
        # A module that cannot be imported here shows, by name, as a class that is not registered.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    model = load_model(task["model"])
    with np.load(task["probes"]) as stored:
        count = len(stored.files) // 2
        probes = [(stored[f"inputs_{i}"], stored[f"expected_{i}"]) for i in range(count)]
    artifact = Path(task["artifact"])
    convert = {"savedmodel": _savedmodel, "onnx": _onnx, "litert": _litert}[task["format"]]
    reasons = []
    for input_shape, run in convert(model, artifact, probes[0][0].shape, reasons):
        try:
            # A length that had to be fixed cannot be probed at another.
            fitting = [
                (batch, expected)
                for batch, expected in probes
                if all(
                    size in (None, found)
                    for size, found in zip(input_shape[1:], batch.shape[1:], strict=True)
                )
            ]
            difference = max(compare(expected, run(batch)) for batch, expected in fitting)
        except RecipeError as error:
            reasons.append(str(error))
        except Exception as error:
            reasons.append(f"it does not run: {' '.join(str(error).split())[:200]}")
        else:
            return {"max_difference": difference, "input_shape": list(input_shape)}
    raise RecipeError("; ".join(dict.fromkeys(reasons)))


def compare(expected, got):
    """Returns the largest absolute difference of two arrays of probabilities.

    Args:
        expected: Probabilities of the model, float `(n, classes)`; `(n, 1)` is read as the
            probability of the second of two classes.
        got: Probabilities of the exported file, same shape.

    Raises:
        RecipeError: The shapes differ, a value is not finite, the difference is above `TOLERANCE`,
            or an example is given another class.
    """
    import numpy as np

    expected, got = np.asarray(expected, "float64"), np.asarray(got, "float64")
    if expected.shape != got.shape:
        raise RecipeError(f"it gives outputs of shape {got.shape}, the model {expected.shape}")
    if not np.isfinite(got).all():
        raise RecipeError("it gives values that are not finite")
    difference = float(np.abs(expected - got).max())
    if difference > TOLERANCE:
        raise RecipeError(
            f"its probabilities differ from the model's by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:g})"
        )
    if expected.shape[-1] == 1:
        expected, got = (np.concatenate([1 - values, values], -1) for values in (expected, got))
    two_best = np.sort(expected, -1)[..., -2:]
    differs = expected.argmax(-1) != got.argmax(-1)
    differs &= two_best[..., 1] - two_best[..., 0] > TIE
    if differs.any():
        raise RecipeError(f"it predicts another class for {int(differs.sum())} of {differs.size}")
    return difference


# Each converter writes `artifact` and yields (input shape, function that runs it on a batch). It
# yields again, after another attempt, when there is one; `reasons` collects what an attempt that
# could not be converted said.


def _savedmodel(model, artifact, example_shape, reasons):
    import keras
    import tensorflow as tf

    options = {}
    if keras.backend.backend() == "jax":
        # The worker sees no GPU; without this the file would run on CPUs only.
        options["jax2tf_kwargs"] = {"native_serialization_platforms": ("cpu", "cuda")}
    model.export(artifact, format="tf_saved_model", verbose=False, **options)
    # The variables live only as long as the loaded object is held.
    loaded = tf.saved_model.load(str(artifact))
    yield tuple(model.inputs[0].shape), lambda batch: loaded.serve(batch).numpy()


def _onnx(model, artifact, example_shape, reasons):
    import numpy as np
    import onnxruntime

    # The exporter refuses a model that was loaded and never called.
    model(np.ones((1, *example_shape[1:]), model.inputs[0].dtype))
    model.export(artifact, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    yield tuple(model.inputs[0].shape), lambda batch: session.run(None, {name: batch})[0]


def _litert(model, artifact, example_shape, reasons):
    """Converts with TensorFlow, each time with one more size fixed, until the file runs.

    Recurrent layers keep their steps in tensor lists, which LiteRT knows for a fixed batch only.
    Keras' own export falls back to TensorFlow operations there ("Flex"), which plain LiteRT
    runtimes lack, so that the file would convert and not run.
    """
    import functools

    import keras
    import tensorflow as tf

    spec = model.inputs[0]
    free = (None, *spec.shape[1:])
    for shape in dict.fromkeys([free, (1, *free[1:]), (1, *example_shape[1:])]):
        try:
            with tempfile.TemporaryDirectory(dir=artifact.parent) as folder:
                archive = keras.export.ExportArchive()
                archive.track(model)
                archive.add_endpoint(
                    "serve",
                    functools.partial(model.__call__, training=False),
                    input_signature=[tf.TensorSpec(shape, spec.dtype, name=spec.name)],
                )
                archive.write_out(folder, verbose=False)
                converter = tf.lite.TFLiteConverter.from_saved_model(folder)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
                converter.experimental_enable_resource_variables = True
                artifact.write_bytes(converter.convert())
        except Exception as error:
            reasons.append(f"inputs {shape}: {' '.join(str(error).split())[:150]}")
            continue
        yield shape, functools.partial(_run_litert, artifact)


def _run_litert(artifact, batch):
    import numpy as np

    if importlib.util.find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter
    else:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    interpreter = Interpreter(model_path=str(artifact))
    source = interpreter.get_input_details()[0]
    target = interpreter.get_output_details()[0]
    pieces = [batch]
    if source["shape_signature"][0] == 1:
        pieces = [batch[index : index + 1] for index in range(len(batch))]
    results = []
    for piece in pieces:
        if tuple(interpreter.get_input_details()[0]["shape"]) != piece.shape:
            interpreter.resize_tensor_input(source["index"], piece.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], piece)
        interpreter.invoke()
        results.append(interpreter.get_tensor(target["index"]).copy())
    return np.concatenate(results)
