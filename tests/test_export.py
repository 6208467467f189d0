"""Exported files run in their own runtime and predict what the model predicts."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.export import conversion as exporting
from common.export import worker
from common.export.comparison import compare, compare_values
from common.export.conversion import FORMATS, default_output, export
from common.export.probes import of_every_size
from common.layers import fast_lstm
from common.layers.batch_norm import BatchNormalization
from common.layers.fast_lstm import BidirectionalLSTM

ROOT = Path(__file__).parent.parent


def conv_model():
    layers, ops = keras.layers, keras.ops
    inputs = keras.Input((28, 28, 1), dtype="uint8")
    hidden = (ops.cast(inputs, "float32") / 255.0 - 0.13) / 0.31
    for filters in (4, 8):
        hidden = layers.Conv2D(filters, 3, padding="same", use_bias=False)(hidden)
        hidden = layers.MaxPooling2D()(layers.ReLU()(BatchNormalization()(hidden)))
    hidden = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(hidden))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(hidden))


def lstm_model():
    layers, ops = keras.layers, keras.ops
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(200, 8, mask_zero=True)(inputs)
    hidden = BidirectionalLSTM(layers.LSTM(4, return_sequences=True))(hidden)
    mask = ops.expand_dims(ops.cast(ops.not_equal(inputs, 0), "float32"), -1)
    hidden = ops.sum(hidden * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(hidden))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Returns paths of models and inputs by kind."""
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
    tokens = random.integers(1, 200, (20, 13), dtype=np.int32)
    for row, length in enumerate(random.integers(3, 14, 20)):
        tokens[row, length:] = 0
    for name, model in (("conv", conv_model()), ("lstm", lstm_model())):
        # Weights and moving statistics unlike the initial ones, so that swapped ones show.
        model.set_weights(
            [w + random.uniform(0.0, 0.5, w.shape).astype(w.dtype) for w in model.get_weights()]
        )
        model.save(folder / f"{name}.keras")
    np.save(folder / "conv.npy", images)
    np.save(folder / "lstm.npy", tokens)
    return folder


def inputs_of(saved, name):
    return np.load(saved / f"{name}.npy")


def require(format):
    """Skips the test where no installed backend can export `format`."""
    ready, missing = exporting._backends(format, keras.backend.backend())
    if not ready:
        pytest.skip(f"{format} export needs {' or '.join(missing)}")


@pytest.fixture
def in_process(monkeypatch):
    """Converts in this process, which has TensorFlow loaded already: half the time."""
    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(fast_lstm, "PLAIN", True)
        monkeypatch.setattr(
            exporting,
            "_run_worker",
            lambda backend, *task: worker._report(exporting._task(*task)),
        )


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def check_conv_export(saved, folder, format):
    output = default_output(folder, format)
    result = export(saved / "conv.keras", format, output, inputs_of(saved, "conv"))
    assert result.path == output
    assert (result.format, result.count) == (format, 20)
    assert 0 <= result.max_difference < 1e-5
    assert result.input_shape == (None, 28, 28, 1)
    assert left_in(folder) == [output.name]
    files = [path for path in (output, *output.rglob("*")) if path.is_file()]
    assert result.bytes == sum(path.stat().st_size for path in files) > 3000


@pytest.mark.parametrize("format", ["savedmodel", "onnx", "keras"])
def test_a_conv_net(saved, tmp_path, format, in_process):
    require(format)
    check_conv_export(saved, tmp_path, format)


def test_the_converters_are_silent(saved, tmp_path, capfd):
    """In a process of its own, as users run it; what the converters log stays there."""
    require("litert")
    check_conv_export(saved, tmp_path, "litert")
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "Saved artifact" not in shown.err
    assert "tf_tfl_flatbuffer" not in shown.err


def test_a_recurrent_net_of_any_length_in_litert(saved, tmp_path, in_process):
    """Plain LiteRT operations, one text at a time; a short text and a long one."""
    require("litert")
    output = tmp_path / "model.tflite"
    result = export(saved / "lstm.keras", "litert", output, inputs_of(saved, "lstm"))
    assert result.max_difference < 1e-5
    assert result.input_shape == (1, None)
    model = keras.models.load_model(saved / "lstm.keras", compile=False)
    for length in (1, 40):
        tokens = np.arange(1, length + 1, dtype=np.int32)[None]
        (found,) = worker._run_litert(output, model, True, [tokens])
        np.testing.assert_allclose(found, model.predict(tokens, verbose=0), atol=1e-5)


def test_an_export_that_predicts_otherwise_is_deleted(saved, tmp_path, in_process, monkeypatch):
    require("litert")
    from common.training import loading

    other = keras.models.load_model(saved / "conv.keras", compile=False)
    other.layers[-1].bias.assign(np.linspace(-2, 2, 10))
    real, models = loading.load_model, [other]
    # The reference comes from another model; the conversion loads the file's own.
    monkeypatch.setattr(loading, "load_model", lambda path: models.pop() if models else real(path))
    with pytest.raises(RecipeError, match=r"outputs differ .*by up to") as caught:
        export(saved / "conv.keras", "litert", tmp_path / "m.tflite", inputs_of(saved, "conv"))
    assert "nothing was kept" in str(caught.value)
    assert "Other formats: savedmodel, onnx, keras." in str(caught.value)
    assert left_in(tmp_path) == []


def test_a_converter_that_crashes(saved, tmp_path, monkeypatch):
    require("litert")
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(RecipeError, match=r"the converter died \(exit 1\)"):
        export(saved / "conv.keras", "litert", tmp_path / "m.tflite", inputs_of(saved, "conv"))
    assert left_in(tmp_path) == []


def fake_worker(text, chosen):
    """Returns a stand-in for the worker that writes `text` and accepts it."""

    def run(backend, format, model_path, artifact, workspace):
        chosen.append(backend)
        if backend == "tensorflow" and len(chosen) == 1:
            return {"error": "cannot"}
        if format == "savedmodel":
            artifact.mkdir()
            artifact = artifact / "saved_model.pb"
        artifact.write_text(text)
        return {"max_difference": 1e-7, "input_shapes": [[None, 28, 28, 1]]}

    return run


def test_another_backend_steps_in(saved, tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(exporting, "_backends", lambda *names: (["tensorflow", "torch"], []))
    monkeypatch.setattr(exporting, "_run_worker", fake_worker("x", chosen))
    result = export(saved / "conv.keras", "onnx", tmp_path / "m", inputs_of(saved, "conv"))
    assert chosen == ["tensorflow", "torch"]
    assert result.backend == "torch"


@pytest.mark.parametrize("format", ["onnx", "savedmodel"])
def test_an_existing_export_is_replaced_only_on_request(saved, tmp_path, monkeypatch, format):
    output = default_output(tmp_path, format)
    arguments = (saved / "conv.keras", format, output, inputs_of(saved, "conv"))
    monkeypatch.setattr(exporting, "_backends", lambda *names: (["jax"], []))
    monkeypatch.setattr(exporting, "_run_worker", fake_worker("one", []))
    export(*arguments)
    monkeypatch.setattr(exporting, "_run_worker", fake_worker("two", []))
    with pytest.raises(UsageError, match=r"exists; choose another --output, or --overwrite"):
        export(*arguments)
    file = output / "saved_model.pb" if format == "savedmodel" else output
    assert file.read_text() == "one"
    export(*arguments, overwrite=True)
    assert file.read_text() == "two"
    assert left_in(tmp_path) == [output.name]


def test_overwrite_never_deletes_something_else(saved, tmp_path):
    inputs = inputs_of(saved, "conv")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    for format in FORMATS:
        with pytest.raises(UsageError, match="is not replaced"):
            export(saved / "conv.keras", format, tmp_path / "thesis", inputs, overwrite=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file that is no savedmodel"):
        export(saved / "conv.keras", "savedmodel", tmp_path / "file", inputs, overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_unknown_format(tmp_path):
    with pytest.raises(UsageError, match=r"unknown export format 'onxx'.*did you mean 'onnx'"):
        export("best.keras", "onxx", tmp_path / "m", np.zeros((1, 4)))
    with pytest.raises(UsageError, match="unknown export format"):
        default_output(tmp_path, "tflite")


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((0, 28, 28, 1), "uint8", "got none"),
        ((2, 28, 28, 3), "uint8", r"takes inputs of shape \(28, 28, 1\), got \(28, 28, 3\)"),
        ((2, 784), "uint8", "takes inputs of shape"),
        ((2, 28, 28, 1), "float32", "takes inputs of dtype uint8, got float32"),
    ],
)
def test_inputs_that_do_not_fit(saved, tmp_path, shape, dtype, message):
    with pytest.raises(UsageError, match=message):
        export(saved / "conv.keras", "onnx", tmp_path / "m.onnx", np.zeros(shape, dtype))
    assert left_in(tmp_path) == []


def test_a_model_file_that_is_broken(tmp_path):
    (tmp_path / "best.keras").write_bytes(b"PK")
    with pytest.raises(RecipeError, match="not a whole"):
        export(tmp_path / "best.keras", "onnx", tmp_path / "m.onnx", np.zeros((1, 4)))


def test_missing_packages_are_named(saved, tmp_path, monkeypatch):
    absent = {"tf2onnx", "torch", "onnxscript"}
    real = importlib.util.find_spec

    def find_spec(name, package=None):
        # The others count as there, whether or not the extra is installed.
        return None if name in absent else real("json")

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(RecipeError) as caught:
        export(saved / "conv.keras", "onnx", tmp_path / "m.onnx", inputs_of(saved, "conv"))
    assert "the tensorflow backend with tf2onnx" in str(caught.value)
    assert 'pip install -e ".[export]"' in str(caught.value)
    assert 'pip install -e ".[export,torch]"' in str(caught.value)


def test_the_current_backend_comes_first():
    for name in ("tensorflow", "torch"):
        ready, _ = exporting._backends("onnx", name)
        if name in ready:
            assert ready[0] == name


def test_an_output_folder_that_cannot_be_made(saved, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecipeError, match="could not write"):
        export(saved / "conv.keras", "litert", tmp_path / "file" / "m", inputs_of(saved, "conv"))


def test_probes_vary_every_free_size():
    tokens = np.array([[0, 0, 0, 0, 5, 6, 7]] * 6)
    everything, one, short = of_every_size(tokens, (None, None))
    assert (everything.shape, one.shape, short.shape) == ((6, 7), (1, 7), (4, 3))
    assert np.count_nonzero(short) == short.size  # the end that holds the tokens
    assert len(of_every_size(np.zeros((6, 8, 8, 3)), (None, 8, 8, 3))) == 2


def test_compare():
    expected = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    assert compare(expected, expected) == 0
    assert compare(expected, expected + np.array([0, 5e-4, 0])) == pytest.approx(5e-4)
    with pytest.raises(RecipeError, match=r"by up to 0\.002"):
        compare(expected, expected + 2e-3)
    with pytest.raises(RecipeError, match="it gives values that are not finite"):
        compare(expected, expected * np.array([np.nan, 1, 1]))
    with pytest.raises(RecipeError, match="the model itself gives values that are not finite"):
        compare(expected * np.array([np.nan, 1, 1]), expected)
    with pytest.raises(RecipeError, match=r"shape \(1, 3\), the model \(2, 3\)"):
        compare(expected, expected[:1])
    near = np.array([[0.5002, 0.4998], [0.9, 0.1]])
    with pytest.raises(RecipeError, match="another class for 1 of 2"):
        compare(near, near + np.array([[-5e-4, 5e-4], [0, 0]]))
    with pytest.raises(RecipeError, match="another class for 1 of 3"):
        compare(np.array([[0.5002], [0.1], [0.9]]), np.array([[0.4998], [0.1], [0.9]]))
    # A tie broken by rounding is not another prediction.
    compare(np.array([[0.5, 0.5]]), np.array([[0.4999999, 0.5000001]]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conv", "lstm"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_format_from_every_backend(saved, tmp_path, backend, format, name):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    require(format)
    script = (
        "import json, sys, numpy\n"
        "from common.export.conversion import export\n"
        "model, format, output, inputs = sys.argv[1:]\n"
        "result = export(model, format, output, numpy.load(inputs))\n"
        "print(json.dumps([result.backend, result.max_difference, result.input_shape]))\n"
    )
    words = [
        saved / f"{name}.keras",
        format,
        default_output(tmp_path, format),
        saved / f"{name}.npy",
    ]
    process = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    used, difference, shape = json.loads(process.stdout)
    assert difference < 1e-5
    free = [None, 28, 28, 1] if name == "conv" else [None, None]
    assert shape == ([1, None] if (name, format) == ("lstm", "litert") else free)
    if backend in exporting._NEEDS[format] and (name, backend, format) != ("lstm", "torch", "onnx"):
        # PyTorch's tracer fixes the length of the LSTM; the check notices and TensorFlow steps in.
        assert used == backend


def test_compare_values():
    expected = np.array([[100.0, -2.0], [0.5, 3.0]])
    assert compare_values(expected, expected + np.array([[0.05, 0], [0, 0]])) == pytest.approx(0.05)
    with pytest.raises(RecipeError, match=r"by up to 0.2 \(allowed: 0.1\)"):
        compare_values(expected, expected + np.array([[0.2, 0], [0, 0]]))
    with pytest.raises(RecipeError, match="allowed: 0.001"):
        compare_values(expected / 1000, expected / 1000 + 0.002)
    assert compare_values(np.array([1, 2]), np.array([1, 2])) == 0
    with pytest.raises(RecipeError, match="allowed: 0"):
        compare_values(np.array([1, 2]), np.array([1, 3]))
    with pytest.raises(RecipeError, match="allowed: 0"):  # as floats they are equal
        compare_values(np.array([2**53]), np.array([2**53 + 1]))
    for bad in (np.nan, np.inf):
        with pytest.raises(RecipeError, match="the model itself"):
            compare_values(np.array([bad]), np.array([1.0]))
    with pytest.raises(RecipeError, match="shape"):
        compare_values(expected, expected[:1])
