"""Loading .keras files: damaged ones and malicious ones fail with a message, and run nothing."""

import base64
import json
import pickle
import zipfile

import pytest

from common.basics.errors import RecipeError, UsageError
from common.training.loading import load_model

keras = pytest.importorskip("keras", reason="loading a model needs keras")


def small_model():
    inputs = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(3, activation="relu", kernel_initializer="he_normal")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "best.keras"
    small_model().save(path)
    return path


def rewrite(path, change, name="config.json"):
    """Replaces config.json of the archive with `change(config)`, leaving the rest as it is."""
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    parts[name] = json.dumps(change(json.loads(parts[name]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for part, data in parts.items():
            archive.writestr(part, data)
    return path


def replace_layer(layer):
    """Returns a change that puts `layer` in the place of the first Dense layer."""

    def change(config):
        layers = config["config"]["layers"]
        index = next(i for i, held in enumerate(layers) if held["class_name"] == "Dense")
        kept = {key: layers[index][key] for key in ("name", "inbound_nodes")}
        layers[index] = {"build_config": None, **layer, **kept}
        layers[index]["config"] = {"name": kept["name"], **layer["config"]}
        return config

    return change


def evil_lambda():
    """Returns the configuration of a Lambda layer that creates a file when loaded and called."""
    import marshal

    # The file name is relative: tests run in a folder of their own and look for it.
    code = compile("lambda x: open('executed', 'w') and x", "evil", "eval").co_consts[0]
    return {
        "class_name": "Lambda",
        "module": "keras.layers",
        "registered_name": None,
        "config": {
            "trainable": True,
            "dtype": "float32",
            "function": {
                "class_name": "__lambda__",
                "config": {
                    "code": base64.b64encode(marshal.dumps(code)).decode(),
                    "defaults": None,
                    "closure": None,
                },
            },
            "arguments": {},
        },
    }


class Bomb:
    """Unpickled, it creates a file."""

    def __reduce__(self):
        return open, ("executed", "w")


def evil_torch():
    return {
        "class_name": "TorchModuleWrapper",
        "module": "keras.layers",
        "registered_name": None,
        "config": {
            "module": base64.b64encode(pickle.dumps(Bomb())).decode(),
            "output_shape": [None, 3],
        },
    }


def call_of(module, name, argument=None):
    """Returns the configuration of a Dense layer whose activation is a function of any module."""
    return {
        "class_name": "Dense",
        "module": "keras.layers",
        "registered_name": None,
        "config": {
            "units": 3,
            "activation": {
                "module": module,
                "class_name": "function",
                "config": name,
                "registered_name": argument or "function",
            },
        },
    }


@pytest.fixture
def nothing_runs(tmp_path, monkeypatch):
    """Fails the test if anything in a model file was executed."""
    import os
    import subprocess

    def executed(*arguments, **options):
        pytest.fail(f"executed: {arguments}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", executed)
    monkeypatch.setattr(subprocess, "Popen", executed)
    yield
    assert not (tmp_path / "executed").exists()


def test_a_good_file_predicts_as_before(tmp_path):
    import numpy as np

    model = small_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(tmp_path / "best.keras")
    features = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    loaded = load_model(tmp_path / "best.keras")
    assert not loaded.compiled
    np.testing.assert_array_equal(
        loaded.predict(features, verbose=0), model.predict(features, verbose=0)
    )


def test_a_loss_of_unknown_class_does_not_hinder_inference(saved):
    def change(config):
        config["compile_config"] = {"loss": call_of("recipes.gone", "loss")}
        return config

    load_model(rewrite(saved, change))


def test_absent_folder_and_other_suffix(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        load_model(tmp_path / "best.keras")
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        load_model(tmp_path / "folder.keras")
    with pytest.raises(UsageError, match=r"expected a \.keras file"):
        load_model(tmp_path / "best.h5")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file(saved, kept):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(RecipeError, match=r"best\.keras is not a whole .*train again"):
        load_model(saved)


def test_any_flipped_byte_is_a_message_or_harmless(saved):
    data = saved.read_bytes()
    messages = []
    for position in range(7, len(data), max(1, len(data) // 40)):
        saved.write_bytes(data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :])
        try:
            load_model(saved)
        except RecipeError as error:
            messages.append(str(error))
    assert len(messages) >= 30  # Bytes such as a part's date carry nothing and may change.
    assert not any("\n" in message for message in messages)


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n junk", b"PK\x03\x04 junk", b"text"])
def test_another_kind_of_file(tmp_path, content):
    (tmp_path / "best.keras").write_bytes(content)
    with pytest.raises(RecipeError, match="not a whole"):
        load_model(tmp_path / "best.keras")


@pytest.mark.parametrize("parts", [{}, {"config.json": "{}"}, {"model.weights.h5": "x"}])
def test_parts_missing(tmp_path, parts):
    with zipfile.ZipFile(tmp_path / "best.keras", "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    with pytest.raises(RecipeError, match=r"lacks config\.json or the weights"):
        load_model(tmp_path / "best.keras")


@pytest.mark.parametrize("text", ["[]", "null", '{"a": 1}', "{", "[" * 100_000, "\xff", "NaN"])
def test_config_is_no_model(saved, text):
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(RecipeError, match="not a whole"):
        load_model(saved)


def test_weights_of_another_network(saved):
    def change(config):
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Dense":
                layer["config"]["units"] = 7
                layer["build_config"] = None
        return config

    with pytest.raises(RecipeError, match="not a whole"):
        load_model(rewrite(saved, change))


def test_the_other_file_is_suggested_when_there_is_one(saved):
    small_model().save(saved.with_name("final.keras"))
    saved.write_bytes(b"")
    with pytest.raises(RecipeError, match=r"copy .*final\.keras, the last epoch, over it"):
        load_model(saved)
    saved.with_name("final.keras").write_bytes(b"")
    with pytest.raises(RecipeError, match="; train again"):
        load_model(saved.with_name("final.keras"))


def test_a_decompression_bomb(saved):
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes((1 << 28) + 1))
    with pytest.raises(RecipeError, match="cannot honestly hold"):
        load_model(saved)


@pytest.mark.parametrize("name", ["../outside", "/outside", "assets/../../outside", "..\\outside"])
def test_a_part_that_points_out_of_the_archive(saved, name):
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(RecipeError, match="points out of it"):
        load_model(saved)


@pytest.mark.parametrize("wrap", ["plain", "nested", "wrapper", "renamed"])
def test_a_lambda_is_refused(saved, nothing_runs, wrap):
    layer = evil_lambda()
    if wrap == "nested":
        layer = {
            "class_name": "Sequential",
            "module": "keras",
            "registered_name": None,
            "config": {"layers": [layer]},
        }
    elif wrap == "wrapper":
        layer = {
            "class_name": "TimeDistributed",
            "module": "keras.layers",
            "registered_name": None,
            "config": {"layer": layer},
        }
    elif wrap == "renamed":
        # The code sits in another layer's field; the layer itself is innocent.
        code = layer["config"]["function"]
        layer = call_of("builtins", "relu")
        layer["config"]["activation"] = code
    rewrite(saved, replace_layer(layer))
    with pytest.raises(RecipeError, match=r"best\.keras carries code .*no flag"):
        load_model(saved)


def test_a_lambda_written_by_keras_is_refused(tmp_path, nothing_runs):
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)])
    outer = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(2)])
    outer.save(tmp_path / "best.keras")
    with pytest.raises(RecipeError, match="carries code"):
        load_model(tmp_path / "best.keras")


def test_the_global_switch_does_not_open_it(tmp_path, nothing_runs, monkeypatch):
    """Keras' own wall stands when the first one is gone, whatever its global switch says."""
    from common.training import loading

    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2)]).save(
        tmp_path / "best.keras"
    )
    monkeypatch.setattr(loading, "_check", lambda path, config: None)
    from keras.src.backend.common import global_state

    keras.config.enable_unsafe_deserialization()
    try:
        with pytest.raises(RecipeError, match=r"(?i)lambda"):
            load_model(tmp_path / "best.keras")
    finally:
        global_state.set_global_attribute("safe_mode_saving", None)


def test_a_pickled_torch_module_is_refused(saved, nothing_runs):
    rewrite(saved, replace_layer(evil_torch()))
    with pytest.raises(RecipeError, match=r"a pickled PyTorch module.*refused"):
        load_model(saved)


def test_a_reference_to_a_saved_model_is_refused(saved, nothing_runs):
    layer = {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"filepath": "/tmp"}}
    rewrite(saved, replace_layer(layer))
    with pytest.raises(RecipeError, match="external SavedModel"):
        load_model(saved)


@pytest.mark.parametrize(
    ("module", "name", "registered"),
    [
        ("os", "system", None),
        ("posix", "system", "touch executed"),
        ("subprocess", "Popen", None),
        ("builtins", "eval", None),
        ("builtins", "exec", "os"),
        ("keras.utils", "get_file", None),
        ("keras.config", "enable_unsafe_deserialization", None),
        ("keras.models", "load_model", None),
        ("keras.src.utils.file_utils", "os", None),
        ("keras.src.saving.saving_lib", "shutil", None),
        (None, "os.system", None),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_a_module_path_to_any_callable(saved, nothing_runs, module, name, registered, whole):
    layer = call_of(module, name, registered)
    if whole:  # as a layer's class, with the command in its configuration
        layer = {
            "module": module,
            "class_name": name,
            "registered_name": registered,
            "config": {"command": "touch executed"},
        }
    rewrite(saved, replace_layer(layer))
    with pytest.raises(RecipeError) as caught:
        load_model(saved)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_not_registered_is_named(tmp_path, monkeypatch):
    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2)(Doubled()(inputs))).save(tmp_path / "best.keras")
    with pytest.raises(RecipeError, match=r"needs '.*Doubled'.*register_keras_serializable"):
        load_model(tmp_path / "best.keras")


def test_a_registered_class_loads(tmp_path):
    @keras.saving.register_keras_serializable(package="test_loading")
    class Tripled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 3

    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2)(Tripled()(inputs))).save(tmp_path / "best.keras")
    try:
        load_model(tmp_path / "best.keras")
    finally:
        registered = keras.saving.get_custom_objects()
        registered.pop("test_loading>Tripled", None)


def test_layers_of_the_recipes_pass(tmp_path):
    """Nothing that a recipe is built from is mistaken for code."""
    layers, ops = keras.layers, keras.ops
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(10, 4, mask_zero=True)(inputs)
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(hidden)
    mask = ops.expand_dims(ops.cast(ops.not_equal(inputs, 0), "float32"), -1)
    hidden = ops.sum(hidden * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)
    hidden = layers.Dense(
        3,
        kernel_regularizer=keras.regularizers.L2(1e-4),
        kernel_initializer=keras.initializers.HeNormal(seed=1),
        activation=ops.silu,
    )(hidden)
    hidden = layers.LayerNormalization()(layers.Dropout(0.5)(hidden))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", dtype="float32")(hidden))
    model.compile(keras.optimizers.AdamW(1e-3), "sparse_categorical_crossentropy", ["accuracy"])
    model.save(tmp_path / "best.keras")
    assert load_model(tmp_path / "best.keras").count_params() == model.count_params()


def test_no_room_for_the_model(saved):
    def change(config):
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Dense":
                layer["config"]["units"] = 10**15
                layer["build_config"] = None
        return config

    with pytest.raises(RecipeError) as caught:
        load_model(rewrite(saved, change))
    assert "\n" not in str(caught.value)


def test_a_file_cannot_have_a_module_imported_by_naming_it(tmp_path, monkeypatch):
    """Only the model.py of a recipe that exists is imported, whatever the file calls its classes."""
    from common.runs import registry
    from common.training.loading import _register_classes_of_recipes

    imported = []
    monkeypatch.setattr(registry, "load_model_module", imported.append)
    names = ["os>system", "../evil>Layer", "recipes.mnist_cnn>X", "mnist_cnn>Layer", "Layer", 3]
    layers = [{"class_name": "X", "registered_name": name} for name in names]
    _register_classes_of_recipes({"config": {"layers": layers}})
    assert imported == ["mnist_cnn"]


@pytest.mark.parametrize("registered", ["mischief>Layer", "mnist_cnn>Layer", "mischief.deeper>X"])
def test_a_file_that_names_another_module_does_not_get_it(saved, tmp_path, monkeypatch, registered):
    """Also where it names a recipe that exists as the package: only that recipe is imported."""
    import sys

    (tmp_path / "mischief.py").write_text("open('executed', 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    layer = {"class_name": "Layer", "module": "mischief", "registered_name": registered}
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"needs 'mischief\.Layer', .* Nothing was run"):
        load_model(rewrite(saved, replace_layer({**layer, "config": {}})))
    assert "mischief" not in sys.modules
    assert not (tmp_path / "executed").exists()
