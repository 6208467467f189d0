"""photos_transfer: what is frozen stays so, features are the backbone's, the head is copied exactly."""

import dataclasses
import shutil
import time

import keras
import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json
from common.cli import main
from common.data import Source, full
from common.runs import registry
from common.training import features as cached
from common.training.batches import ArrayBatches
from common.training.loading import load_model
from common.training.outputs import inference_batches, predict
from recipes.photos_transfer import head, model, phases, pretrained
from tests.helpers import assert_equal_weights, tiny_config, train_tiny

NAME = "photos_transfer"
MODULE = registry.load(NAME)
SMALL = dataclasses.replace(MODULE.PRESETS["sample"], epochs=2)
MOBILE = dataclasses.replace(MODULE.PRESETS["best"], image_size=32)


def images(count, size=32, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def batch(count=8, classes=3):
    labels = np.arange(count, dtype="int32") % classes
    return ArrayBatches(images(count), labels, batch_size=count, num_classes=classes)[0]


def changed(network, config, steps=2):
    """Trains a few steps; returns the paths of the weights that they changed."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # Random weights would let the signal die on its way through fifty layers.
            layer.gamma.assign(3 * keras.ops.ones_like(layer.gamma))
    before = network.get_weights()
    network.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    for _ in range(steps):
        network.train_on_batch(*batch())
    return {
        weight.path
        for weight, old in zip(network.weights, before, strict=True)
        if not np.array_equal(keras.ops.convert_to_numpy(weight), old)
    }


# What is frozen


@pytest.mark.parametrize("config", [SMALL, MOBILE], ids=["small", "MobileNetV2"])
def test_fine_tuning_leaves_batch_normalisation_bitwise_unchanged(config):
    network = model.build_model(config, 3)
    moved = changed(network, config)
    frozen = {
        weight.path
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights
    }
    assert frozen
    assert moved == {weight.path for weight in network.weights} - frozen


@pytest.mark.parametrize("config", [SMALL, MOBILE], ids=["small", "MobileNetV2"])
def test_features_train_the_head_only_and_scratch_trains_all(config):
    network = model.build_model(dataclasses.replace(config, transfer="features"), 3)
    assert changed(network, config) == {"probabilities/kernel", "probabilities/bias"}
    network = model.build_model(dataclasses.replace(config, transfer="scratch"), 3)
    assert changed(network, config) == {weight.path for weight in network.weights}


def test_trainable_counts_from_the_next_compile_on():
    """The trap that build_model avoids: what is changed after `compile` changes nothing."""
    network = model.build_model(dataclasses.replace(SMALL, transfer="features"), 3)
    network.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    network.train_on_batch(*batch())
    for layer in network.layers:
        layer.trainable = True
    before = model.backbone_of(network).get_weights()
    network.train_on_batch(*batch())
    for one, other in zip(model.backbone_of(network).get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    network.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    network.train_on_batch(*batch())
    assert not np.array_equal(model.backbone_of(network).get_weights()[0], before[0])


# Features and the head


def test_features_are_the_outputs_of_the_backbone_and_are_computed_once(capsys, monkeypatch):
    backbone = model.backbone_of(model.build_model(SMALL, 4))
    x = images(150)
    found = cached.features(backbone, x, "small")
    assert found.shape == (150, 4 * 4 * 128)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[70:80], backbone.predict_on_batch(x[70:80]), atol=1e-5)

    class NotAgain(Exception):
        pass

    def refuse(*args):
        raise NotAgain

    monkeypatch.setattr(backbone, "predict_on_batch", refuse)
    np.testing.assert_array_equal(cached.features(backbone, x, "small"), found)
    # Other images, another network, another name: nothing of it is in the cache.
    with pytest.raises(NotAgain):
        cached.features(backbone, x[:149], "small")
    with pytest.raises(NotAgain):
        cached.features(backbone, x, "small 64")
    weights = backbone.get_weights()
    weights[0] = weights[0] * 2
    backbone.set_weights(weights)
    with pytest.raises(NotAgain):
        cached.features(backbone, x, "small")


def test_a_damaged_cache_of_features_is_computed_again(cache_folder):
    backbone = model.backbone_of(model.build_model(SMALL, 4))
    found = cached.features(backbone, images(5, seed=3), "small")
    newest = max((cache_folder / "features").glob("*.npy"), key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:200])
    np.testing.assert_array_equal(cached.features(backbone, images(5, seed=3), "small"), found)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_is_scikit_learns_logistic_regression(classes):
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    labels = np.arange(40) % classes
    x = (random.normal(size=(40, 5)) * [1, 10, 0.1, 3, 0] + labels[:, None]).astype("float32")
    x[:, 4] = 7  # A feature that never changes divides by nothing.
    found = head.fit_head((x, labels), (x, labels), classes, strength=0.5)
    spread = x.std(axis=0)
    spread[4] = 1
    scaled = (x - x.mean(axis=0)) / spread
    expected = LogisticRegression(C=0.5, tol=1e-3, max_iter=300).fit(scaled, labels)
    np.testing.assert_allclose(
        found.probabilities(x), expected.predict_proba(scaled), rtol=1e-4, atol=1e-6
    )


def test_a_class_without_examples_is_never_answered():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    labels = np.array([0, 2] * 10)
    found = head.fit_head((x, labels), (x, labels), 4, strength=1.0).probabilities(x)
    assert found.shape == (20, 4)
    assert found[:, [1, 3]].max() == 0
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_scores_of_a_head_by_hand():
    log_3 = np.float32(np.log(3))
    tiny = head.Head(np.array([[0, log_3]], "float32"), np.zeros(2, "float32"), 1.0)
    # Probabilities of class 1: 3 / 4, 1 / 2 and 1 / 4.
    scores = tiny.scores(np.array([[1.0], [0.0], [-1.0]]), np.array([1, 0, 1]))
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["loss"] == pytest.approx(-np.log([0.75, 0.5, 0.25]).mean(), rel=1e-6)


def test_validation_chooses_the_penalty():
    random = np.random.default_rng(0)
    # 200 features of noise and 30 examples: without a penalty they are learned by heart.
    x, y = random.normal(size=(60, 200)).astype("float32"), np.arange(60) % 2
    x[:, 0] += y
    train, validation = (x[:30], y[:30]), (x[30:], y[30:])
    found = head.fit_head(train, validation, 2)
    losses = {
        each: head.fit_head(train, validation, 2, each).scores(*validation)["loss"]
        for each in head.STRENGTHS
    }
    assert found.strength == min(losses, key=losses.get)
    assert found.strength < max(head.STRENGTHS)
    with pytest.raises(UsageError, match="validation examples: give these, or a strength"):
        head.fit_head(train, None, 2)


def test_the_copied_head_gives_equal_answers():
    backbone = model.backbone_of(model.build_model(dataclasses.replace(SMALL, seed=5), 3))
    x, labels = images(30), np.arange(30) % 3
    found = cached.features(backbone, x, "small")
    linear = head.fit_head((found, labels), (found, labels), 3, 0.1)
    start = phases.Start(backbone, "small", linear, {}, {})
    network = model.build_model(SMALL, 3)
    start.put_into(network)
    answers = predict(network, inference_batches(x))
    np.testing.assert_allclose(answers, linear.probabilities(found), atol=1e-5)


# Whole runs


def test_a_run_of_features_is_the_head_and_resumes(tiny_data, tmp_path):
    changes = {"transfer": "features", "epochs": 1}
    run, metrics = train_tiny(NAME, tiny_data["image"], tmp_path / "run", **changes)
    assert metrics["epochs"] == metrics["best_epoch"] == 1
    assert metrics["validation"]["accuracy"] == metrics["pretrained"]["head_validation_accuracy"]
    assert metrics["parameters"] == 2048 * 3 + 3
    assert len(metrics["pretrained"]["fingerprint"]) == 64
    assert_equal_weights(run.path("best.keras"), run.path("final.keras"))
    timing = read_json(run.path("timing.json"))
    assert timing["train_wall_seconds"] > 0
    # Killed before it was scored: the same command scores it.
    run.path("metrics.json").unlink()
    run._lock_file.close()
    _, again = train_tiny(NAME, tiny_data["image"], tmp_path / "run", **changes)
    assert again == metrics


def test_fine_tuning_starts_at_the_head_and_keeps_the_statistics(tiny_data, tmp_path):
    run, metrics = train_tiny(NAME, tiny_data["image"], tmp_path / "run", learning_rate=1e-9)
    names = [row["name"] for row in metrics["baselines"]]
    assert names[-1] == "the head on frozen features"
    # With hardly a step made, the network answers as its head does.
    assert metrics["test"]["accuracy"] == metrics["baselines"][-1]["accuracy"]
    saved = load_model(run.path("best.keras"))
    normalised = [
        layer for layer in saved.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    digits = pretrained.load(run.config)
    for layer, source in zip(
        normalised,
        [x for x in digits.layers if isinstance(x, keras.layers.BatchNormalization)],
        strict=True,
    ):
        for one, other in zip(layer.get_weights(), source.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_labels_are_drawn_by_the_seed_where_a_study_asks_for_it():
    def drawn(seed, by_seed):
        config = tiny_config(NAME, train_examples=30, seed=seed, draw_by_seed=by_seed)
        splits = MODULE.load_data(config, Source("sample"))
        return splits.train.x, splits.val.x

    (one, validation), (other, same) = drawn(0, True), drawn(1, True)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(validation, same)
    np.testing.assert_array_equal(drawn(0, False)[0], drawn(1, False)[0])


def test_the_sample_is_digits_that_the_backbone_has_not_seen():
    splits = MODULE.load_data(SMALL, Source("sample"))
    assert splits.info.class_names == ("5", "6", "7", "8", "9")
    assert splits.info.label == "SAMPLE DATA: scikit-learn digits 5 to 9"
    assert set(splits.train.y) == set(range(5))


# Weights


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(full, "online", lambda host: False)


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    """An empty folder in place of ~/.keras; returns that of the models in it."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


LARGE = ("ResNet50", "DenseNet121", "EfficientNetB0")
FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"


def test_absent_weights_are_told_in_seconds(offline, keras_cache):
    started = time.perf_counter()
    with pytest.raises(RecipeError) as caught:
        pretrained.check(MODULE.PRESETS["best"])
    assert time.perf_counter() - started < 10
    for said in (FILE, "storage.googleapis.com", str(keras_cache), "--weights FILE", "scratch"):
        assert said in str(caught.value)
    pretrained.check(MODULE.PRESETS["scratch"])
    pretrained.check(MODULE.PRESETS["sample"])


def test_the_command_asks_for_weights_before_it_reads_data(
    offline, keras_cache, tmp_path, capsys, monkeypatch
):
    def refuse(config, source):
        raise AssertionError("data was read")

    monkeypatch.setattr(MODULE, "load_data", refuse)
    words = ["train", NAME, "--data", "sample", "--run-dir", str(tmp_path / "run")]
    assert main(words) == 1
    assert "are not here" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_weights_from_a_file_and_from_the_cache(offline, keras_cache, tmp_path):
    whole = model.call(MOBILE, weights=None, input_shape=(224, 224, 3))
    file = tmp_path / "mine.weights.h5"
    whole.save_weights(file)
    backbone = pretrained.load(dataclasses.replace(MOBILE, weights=str(file)))
    assert backbone.input_shape == (None, 32, 32, 3)
    for one, other in zip(backbone.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert pretrained.fingerprint(backbone) == pretrained.fingerprint(whole)
    # Pixels are brought into the form that these weights want: -1 to 1.
    x = images(2)
    plain = model.call(MOBILE, weights=None, input_shape=(32, 32, 3))
    plain.set_weights(whole.get_weights())
    expected = plain.predict_on_batch(x.astype("float32") / 127.5 - 1)
    np.testing.assert_allclose(backbone.predict_on_batch(x), expected, atol=1e-4)
    keras_cache.mkdir(parents=True)
    shutil.copy(file, keras_cache / FILE)
    with pytest.raises(RecipeError, match="holds no weights of MobileNetV2 of width 1 without"):
        pretrained.load(dataclasses.replace(MOBILE, weights=str(file), width=1.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "nowhere.h5"}, "no weights at 'nowhere.h5'"),
        ({"backbone": "MobileNetV9"}, "network of keras.applications, got 'MobileNetV9'"),
        ({"width": 0.4}, "alpha must be one of"),
        ({"backbone": "small"}, "nobody publishes weights of the backbone 'small'"),
    ],
)
def test_what_cannot_be_loaded_says_why(changes, message):
    with pytest.raises(UsageError, match=message):
        pretrained.check(dataclasses.replace(MODULE.PRESETS["best"], **changes))


@pytest.mark.parametrize(
    "name", ["MobileNet", *[pytest.param(name, marks=pytest.mark.slow) for name in LARGE]]
)
def test_any_backbone_takes_plain_bytes_and_can_be_loaded_again(name, tmp_path):
    config = dataclasses.replace(MOBILE, backbone=name)
    network = model.build_model(config, 3)
    network.save(tmp_path / "model.keras")
    x = images(2)
    answers = load_model(tmp_path / "model.keras").predict_on_batch(x)
    np.testing.assert_allclose(answers, network.predict_on_batch(x), atol=1e-6)
