"""The process that converts a model, runs the exported file and compares: started by conversion.py."""

import contextlib
import functools
import importlib.util
import json
import sys
import tempfile
import zipfile
from pathlib import Path

from common.basics.errors import RecipeError
from common.export import plain_keras
from common.export.comparison import compare, compare_values
from common.export.probes import as_the_model_takes, output_names


def work() -> None:
    """Does the task that comes as JSON on standard input and writes a report."""
    from common.layers import fast_lstm

    task = json.load(sys.stdin)
    # Converters know only Keras' own operations.
    fast_lstm.PLAIN = True
    Path(task["report"]).write_text(json.dumps(_report(task)), encoding="utf-8")


def _report(task):
    """Returns the result of a task, or under "error" why there is none."""
    try:
        return _convert_and_compare(task)
    except RecipeError as error:
        return {"error": str(error)}
    except Exception as error:
        # Converters raise errors of any type. The log gets the traceback, the user one line.
        import traceback

        traceback.print_exc()
        text = " ".join(str(error).split())
        return {"error": f"{type(error).__name__}: {text[:200]}{'...' * (len(text) > 200)}"}


def _convert_and_compare(task):
    import numpy as np

    from common.training.loading import load_model

    sys.path.extend(entry for entry in task["sys_path"] if entry not in sys.path)
    for name in task["modules"]:
        # If a module cannot be imported, Keras names the class that is then not registered.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    model = load_model(task["model"])
    with np.load(task["probes"]) as stored:
        probes = []
        while f"inputs_{len(probes)}_0" in stored.files:
            at, inputs, outputs = len(probes), len(model.inputs), len(model.outputs)
            probes.append(
                (
                    [stored[f"inputs_{at}_{i}"] for i in range(inputs)],
                    [stored[f"expected_{at}_{i}"] for i in range(outputs)],
                )
            )
    embedded = json.loads(Path(task["embedded"]).read_text(encoding="utf-8"))
    # If the description names classes, the output is their probabilities.
    classes = "classes" in json.loads(embedded.get("labels.json", "{}"))
    artifact = Path(task["artifact"])
    convert = {
        "savedmodel": _savedmodel,
        "onnx": _onnx,
        "litert": _litert,
        "keras": plain_keras.convert,
    }[task["format"]]
    reasons = []
    example_shapes = [array.shape for array in probes[0][0]]
    for input_shapes, run in convert(model, artifact, example_shapes, embedded, reasons):
        try:
            difference = max(
                (compare if classes else compare_values)(one, other)
                for batch, expected in probes
                if _fits(input_shapes, batch)
                for one, other in zip(expected, run(batch), strict=True)
            )
        except RecipeError as error:
            reasons.append(str(error))
        except Exception as error:
            reasons.append(f"it does not run: {' '.join(str(error).split())[:200]}")
        else:
            return {"max_difference": difference, "input_shapes": list(map(list, input_shapes))}
    raise RecipeError("; ".join(dict.fromkeys(reasons)))


def _fits(shapes, batch):
    """Returns whether a batch has the sizes that had to be fixed. Others cannot be compared."""
    return all(
        size in (None, found)
        for shape, array in zip(shapes, batch, strict=True)
        for size, found in zip(shape[1:], array.shape[1:], strict=True)
    )


# Each converter writes `artifact` with the texts of `embedded` in it. Inputs and outputs keep the names
# they have in the model. A converter yields the input shapes and a function that runs the file: from a
# list of arrays, in the order of the model's inputs, to a list of outputs. If there is another way to
# convert, it yields again. `reasons` collects the errors of conversions that failed.


def _answer(model, tensors):
    """Returns the outputs of a model by name, for tensors in the order of its inputs."""
    import keras

    outputs = model(as_the_model_takes(model, tensors), training=False)
    return dict(zip(output_names(model), keras.tree.flatten(outputs), strict=True))


def _savedmodel(model, artifact, example_shapes, embedded, reasons):
    import keras
    import tensorflow as tf

    options = {}
    if keras.backend.backend() == "jax":
        # The worker sees no GPU; without this the file would run on CPUs only.
        options["jax2tf_kwargs"] = {"native_serialization_platforms": ("cpu", "cuda")}
    archive = keras.export.ExportArchive()
    specs = [keras.InputSpec(t.dtype, t.shape, name=t.name) for t in model.inputs]
    signature = [as_the_model_takes(model, specs)]
    serve = archive.track_and_add_endpoint("serve", model, signature, **options)

    # Keras' own export names its outputs output_0, ...
    def named(*tensors):
        outputs = serve(as_the_model_takes(model, tensors))
        return dict(zip(output_names(model), tf.nest.flatten(outputs), strict=True))

    named = tf.function(
        named, input_signature=[tf.TensorSpec(t.shape, t.dtype, name=t.name) for t in model.inputs]
    )
    named.get_concrete_function()
    archive.add_endpoint("serving_default", named)
    archive.write_out(artifact, verbose=False)
    # TensorFlow's folder for files that are not a part of the graph.
    (artifact / "assets.extra").mkdir()
    for name, text in embedded.items():
        (artifact / "assets.extra" / name).write_text(text, encoding="utf-8")
    # The variables live only as long as there is a reference to the loaded object.
    loaded = tf.saved_model.load(str(artifact))
    run = loaded.signatures["serving_default"]

    def answers(batch, loaded=loaded):
        inputs = {t.name: tf.constant(array) for t, array in zip(model.inputs, batch, strict=True)}
        found = run(**inputs)
        return [found[name].numpy() for name in output_names(model)]

    yield [tuple(t.shape) for t in model.inputs], answers


def _onnx(model, artifact, example_shapes, embedded, reasons):
    import numpy as np
    import onnx
    import onnxruntime

    # The exporter refuses a model that was loaded and never called.
    ones = [
        np.ones((1, *shape[1:]), tensor.dtype)
        for shape, tensor in zip(example_shapes, model.inputs, strict=True)
    ]
    _answer(model, ones)
    model.export(artifact, format="onnx", verbose=False)
    converted = onnx.load(artifact)
    graph, names = converted.graph, [tensor.name for tensor in model.inputs]
    for values, wanted in ((graph.input, names), (graph.output, output_names(model))):
        for value, name in zip(list(values), wanted, strict=True):
            _rename(graph, value.name, name)
    onnx.helper.set_model_props(converted, embedded)
    onnx.save(converted, artifact)
    session = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])

    def answers(batch):
        return session.run(output_names(model), dict(zip(names, batch, strict=True)))

    yield [tuple(tensor.shape) for tensor in model.inputs], answers


def _rename(graph, old, new):
    """Renames a value of an ONNX graph, also in graphs inside it (those of loops)."""
    for value in (*graph.input, *graph.output):
        if value.name == old:
            value.name = new
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, old, new)


def _litert(model, artifact, example_shapes, embedded, reasons):
    """Converts with TensorFlow, each time with one more size fixed, until the file runs.

    Recurrent layers keep their steps in tensor lists, which LiteRT supports only for a fixed batch size.
    Keras' own export then uses TensorFlow operations ("Flex"). Plain LiteRT runtimes lack these, so the
    file would be written but would not run.
    """
    import keras
    import tensorflow as tf

    free = tuple((None, *tensor.shape[1:]) for tensor in model.inputs)
    one = tuple((1, *shape[1:]) for shape in free)
    fixed = tuple((1, *shape[1:]) for shape in example_shapes)
    for shapes in dict.fromkeys([free, one, fixed]):
        try:
            with tempfile.TemporaryDirectory(dir=artifact.parent) as folder:
                archive = keras.export.ExportArchive()
                archive.track(model)
                signature = [
                    tf.TensorSpec(shape, tensor.dtype, name=tensor.name)
                    for shape, tensor in zip(shapes, model.inputs, strict=True)
                ]
                archive.add_endpoint(
                    "serve", lambda *tensors: _answer(model, tensors), input_signature=signature
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
            reasons.append(f"inputs {shapes}: {' '.join(str(error).split())[:150]}")
            continue
        yield list(shapes), functools.partial(_run_litert, artifact, model, shapes[0][0] == 1)


def _run_litert(artifact, model, alone, batch):
    """Runs the file on a batch. With `alone`, it takes one example at a time."""
    import numpy as np

    if importlib.util.find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter
    else:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    run = Interpreter(model_path=str(artifact)).get_signature_runner()
    pieces = [batch]
    if alone:
        pieces = [[array[at : at + 1] for array in batch] for at in range(len(batch[0]))]
    names, results = [tensor.name for tensor in model.inputs], []
    for piece in pieces:
        found = run(**dict(zip(names, piece, strict=True)))
        results.append([found[name].copy() for name in output_names(model)])
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]
