"""Models of any inputs and outputs: exported files take and give them by name, in every format."""

import keras
import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.export import conversion as exporting
from common.export import worker
from common.export.comparison import compare
from common.export.conversion import FORMATS, default_output, export
from common.export.package import Package
from common.export.probes import as_the_model_takes, output_names
from common.layers import fast_lstm

layers, ops = keras.layers, keras.ops
# Keras alone knows no functions of ours: test_plain_keras.py.
FORMATS = tuple(format for format in FORMATS if format != "keras")
RANDOM = np.random.default_rng(0)
FLOATS = RANDOM.normal(size=(9, 6)).astype("float32")


def two_inputs(structure):
    """Returns a model in which the two inputs, of one shape, do not stand for each other."""
    b, a = keras.Input((6,), name="b"), keras.Input((6,), name="a")
    outputs = layers.Dense(2, name="y")(b - 2 * a)
    return keras.Model({"late": a, "early": b} if structure is dict else [b, a], outputs)


def two_outputs(structure):
    """Returns a model of one input with a float and an integer output of one shape."""
    x = keras.Input((6,), name="x")
    z = layers.Dense(3, name="z", kernel_initializer="normal")(x)
    signs = layers.Activation(positive, name="a")(layers.Dense(3)(x))
    return keras.Model(x, {"z": z, "a": signs} if structure is dict else [z, signs])


@keras.saving.register_keras_serializable(package="test_export_any_model")
def positive(x):
    return ops.cast(x > 0, "int32")


def tokens_to_classes():
    x = keras.Input((None,), name="x", dtype="int32")
    return keras.Model(x, layers.Dense(5, name="y")(layers.Embedding(20, 4)(x)))


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    """Converts in this process where it has TensorFlow loaded already: half the time."""
    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(fast_lstm, "PLAIN", True)
        monkeypatch.setattr(
            exporting,
            "_run_worker",
            lambda backend, *task: worker._report(exporting._task(*task)),
        )


def exported(model, format, inputs, folder, **options):
    ready, missing = exporting._backends(format, keras.backend.backend())
    if not ready:
        pytest.skip(f"{format} export needs {' or '.join(missing)}")
    model.save(folder / "best.keras")
    return export(folder / "best.keras", format, default_output(folder, format), inputs, **options)


def answers(path, format, inputs):
    """Returns what a file gives for inputs by name, by the names that it has for its outputs."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        names = [value.name for value in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))
    import tensorflow as tf

    if format == "savedmodel":
        loaded = tf.saved_model.load(str(path))
        found = loaded.signatures["serving_default"](**inputs)
        return {name: value.numpy() for name, value in found.items()}
    return tf.lite.Interpreter(model_path=str(path)).get_signature_runner()(**inputs)


def same(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)
        assert found[name].dtype == values.dtype, name


@pytest.mark.parametrize("structure", [list, dict])
@pytest.mark.parametrize("format", FORMATS)
def test_two_inputs(structure, format, tmp_path):
    model = two_inputs(structure)
    inputs = {"a": FLOATS, "b": FLOATS[::-1].copy()}
    result = exported(model, format, inputs, tmp_path)
    assert result.input_shape == ((None, 6), (None, 6))
    expected = (inputs["b"] - 2 * inputs["a"]) @ model.get_weights()[0]
    same(answers(result.path, format, inputs), {"y": expected})


@pytest.mark.parametrize("structure", [list, dict])
@pytest.mark.parametrize("format", FORMATS)
def test_two_outputs(structure, format, tmp_path):
    model = two_outputs(structure)
    result = exported(model, format, FLOATS, tmp_path)
    z, a = keras.Model(model.inputs, [model.get_layer(name).output for name in "za"])(FLOATS)
    expected = {name: ops.convert_to_numpy(values) for name, values in (("z", z), ("a", a))}
    assert expected["a"].min() < expected["a"].max()
    same(answers(result.path, format, {"x": FLOATS}), expected)


@pytest.mark.parametrize("format", FORMATS)
def test_an_output_for_each_token_of_any_number(format, tmp_path):
    tokens = RANDOM.integers(0, 20, (6, 9)).astype("int32")
    model = tokens_to_classes()
    result = exported(model, format, tokens, tmp_path)
    assert result.input_shape == (None, None)
    for length in (1, 30):
        other = RANDOM.integers(0, 20, (3, length)).astype("int32")
        same(answers(result.path, format, {"x": other}), {"y": model.predict(other, verbose=0)})


@pytest.mark.parametrize("format", FORMATS)
def test_outputs_of_one_layer_have_names_of_their_own(format, tmp_path):
    x = keras.Input((6,), name="x")
    halves = ops.split(layers.Dense(4)(x), 2, axis=-1)
    model = keras.Model(x, halves)
    first, second = output_names(model)
    assert first != second
    result = exported(model, format, FLOATS, tmp_path)
    values = model.predict(FLOATS, verbose=0)
    same(answers(result.path, format, {"x": FLOATS}), {first: values[0], second: values[1]})


def test_a_name_for_each_output():
    class Model:
        output_names = ("lstm", "lstm", "lstm_1", "lstm")

    assert output_names(Model) == ["lstm", "lstm_2", "lstm_1", "lstm_3"]


def test_values_in_the_structure_of_the_model():
    # A dict's values lie in the order of its keys: "early" (b) first.
    assert as_the_model_takes(two_inputs(dict), [1, 2]) == {"early": 1, "late": 2}
    assert as_the_model_takes(two_inputs(list), [1, 2]) == [1, 2]
    assert as_the_model_takes(tokens_to_classes(), [1]) == 1


def test_large_numbers_are_no_probabilities_unless_classes_are_described(tmp_path):
    x = keras.Input((6,), name="x")
    model = keras.Model(x, layers.Dense(1, name="y")(x) * 1e6)
    result = exported(model, "litert", FLOATS, tmp_path)
    assert result.max_difference < 100  # of millions, in another order of float32 additions
    package = Package({"labels.json": '{"classes": ["a", "b"]}'}, tmp_path)
    judged = []

    def judge(one, other):
        judged.append(one.shape)
        return compare(one * 0, other * 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "compare", judge)
        exported(model, "litert", FLOATS, tmp_path, overwrite=True, describe=lambda _: package)
    assert judged == ([(9, 1), (1, 1)] if keras.backend.backend() == "tensorflow" else [])


def test_what_a_converter_cannot_do_is_said_with_the_other_formats(tmp_path):
    x = keras.Input((6,), name="x")
    model = keras.Model(x, ops.argmax(layers.Dense(3)(x), -1))
    with pytest.raises(
        RecipeError, match=r"to litert and nothing was kept .*savedmodel, onnx, keras"
    ):
        exported(model, "litert", FLOATS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["best.keras"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": FLOATS}, "takes inputs named b, a, got a"),
        ({"a": FLOATS, "c": FLOATS}, "takes inputs named b, a, got a, c"),
        (FLOATS, r"takes 2 inputs \(b, a\), got 1"),
        ((FLOATS, FLOATS[:4]), "equally many examples, got 9, 4"),
        ((FLOATS, FLOATS[:, :2]), r"takes inputs of shape \(6,\), got \(2,\) \(a\)"),
        ((FLOATS, FLOATS.astype(complex)), r"dtype float32, got complex128 \(a\)"),
        ((FLOATS[:0], FLOATS[:0]), "got none"),
    ],
)
def test_inputs_that_do_not_fit(inputs, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        exported(two_inputs(list), "savedmodel", inputs, tmp_path)
