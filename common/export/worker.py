"""The process that converts a model, runs the exported file and compares: started by export.py."""

import contextlib
import functools
import importlib.util
import json
import sys
import tempfile
import zipfile
from pathlib import Path

from common.basics.errors import RecipeError

# Largest accepted difference of a probability. Float32 arithmetic in another order gives 1e-7 to
# 1e-5; a wrong conversion (a shape fixed while tracing, a lost mask) shows far above this.
TOLERANCE = 1e-3
# Two classes this close may swap ranks by rounding alone: that is a tie, not another prediction.
TIE = 1e-5


def work():
    """Does the task that comes as JSON on standard input and writes a report."""
    from common.layers import fast_lstm

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
    import numpy as np

    from common.training.loading import load_model

    sys.path.extend(entry for entry in task["sys_path"] if entry not in sys.path)
    for name in task["modules"]:
        # A module that cannot be imported here shows, by name, as a class that is not registered.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    model = load_model(task["model"])
    with np.load(task["probes"]) as stored:
        count = len(stored.files) // 2
        probes = [(stored[f"inputs_{i}"], stored[f"expected_{i}"]) for i in range(count)]
    embedded = json.loads(Path(task["embedded"]).read_text(encoding="utf-8"))
    artifact = Path(task["artifact"])
    convert = {"savedmodel": _savedmodel, "onnx": _onnx, "litert": _litert}[task["format"]]
    reasons = []
    for input_shape, run in convert(model, artifact, probes[0][0].shape, embedded, reasons):
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


# Each converter writes `artifact`, whose input and output have the names they have in the model, and
# puts the texts of `embedded` into it. It yields (input shape, function that runs it on a batch). It
# yields again, after another attempt, when there is one; `reasons` collects what an attempt that
# could not be converted said.


def _savedmodel(model, artifact, example_shape, embedded, reasons):
    import keras
    import tensorflow as tf

    options = {}
    if keras.backend.backend() == "jax":
        # The worker sees no GPU; without this the file would run on CPUs only.
        options["jax2tf_kwargs"] = {"native_serialization_platforms": ("cpu", "cuda")}
    source, target = model.inputs[0], model.output_names[0]
    archive = keras.export.ExportArchive()
    serve = archive.track_and_add_endpoint(
        "serve", model, [keras.InputSpec(source.dtype, source.shape, name=source.name)], **options
    )
    # The endpoint of Keras' own export calls its output output_0.
    named = tf.function(
        lambda x: {target: serve(x)},
        input_signature=[tf.TensorSpec(source.shape, source.dtype, name=source.name)],
    )
    named.get_concrete_function()
    archive.add_endpoint("serving_default", named)
    archive.write_out(artifact, verbose=False)
    # The folder that TensorFlow leaves to what is not a part of the graph.
    (artifact / "assets.extra").mkdir()
    for name, text in embedded.items():
        (artifact / "assets.extra" / name).write_text(text, encoding="utf-8")
    # The variables live only as long as the loaded object is held.
    loaded = tf.saved_model.load(str(artifact))
    yield tuple(model.inputs[0].shape), lambda batch: loaded.serve(batch).numpy()


def _onnx(model, artifact, example_shape, embedded, reasons):
    import numpy as np
    import onnx
    import onnxruntime

    # The exporter refuses a model that was loaded and never called.
    model(np.ones((1, *example_shape[1:]), model.inputs[0].dtype))
    model.export(artifact, format="onnx", verbose=False)
    converted = onnx.load(artifact)
    source, target = model.inputs[0].name, model.output_names[0]
    _rename(converted.graph, converted.graph.input[0].name, source)
    _rename(converted.graph, converted.graph.output[0].name, target)
    onnx.helper.set_model_props(converted, embedded)
    onnx.save(converted, artifact)
    session = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])
    yield tuple(model.inputs[0].shape), lambda batch: session.run([target], {source: batch})[0]


def _rename(graph, old, new):
    """Renames a value of an ONNX graph, also where a graph inside it (of a loop) uses it."""
    for value in (*graph.input, *graph.output):
        if value.name == old:
            value.name = new
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, old, new)


def _litert(model, artifact, example_shape, embedded, reasons):
    """Converts with TensorFlow, each time with one more size fixed, until the file runs.

    Recurrent layers keep their steps in tensor lists, which LiteRT knows for a fixed batch only.
    Keras' own export falls back to TensorFlow operations there ("Flex"), which plain LiteRT
    runtimes lack, so that the file would convert and not run.
    """
    import keras
    import tensorflow as tf

    spec, target = model.inputs[0], model.output_names[0]
    free = (None, *spec.shape[1:])
    for shape in dict.fromkeys([free, (1, *free[1:]), (1, *example_shape[1:])]):
        try:
            with tempfile.TemporaryDirectory(dir=artifact.parent) as folder:
                archive = keras.export.ExportArchive()
                archive.track(model)
                archive.add_endpoint(
                    "serve",
                    lambda x: {target: model(x, training=False)},
                    input_signature=[tf.TensorSpec(shape, spec.dtype, name=spec.name)],
                )
                archive.write_out(folder, verbose=False)
                converter = tf.lite.TFLiteConverter.from_saved_model(folder)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
                converter.experimental_enable_resource_variables = True
                artifact.write_bytes(converter.convert())
                # Files that belong to a LiteRT model are an uncompressed zip archive at its end.
                with zipfile.ZipFile(artifact, "a") as archive:
                    for name, text in embedded.items():
                        archive.writestr(zipfile.ZipInfo(name), text)
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
