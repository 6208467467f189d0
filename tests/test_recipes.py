"""What is particular to single recipes: sizes by hand, the paper's figures, masks."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from common.basics.errors import UsageError
from common.layers.fast_lstm import BidirectionalLSTM
from common.runs import registry
from common.runs.options import Options
from common.runs.run import Run
from common.training.finish import parameter_count
from tests.helpers import assert_equal_weights, tiny_config, train_tiny


def build(name, preset="article", classes=10, **changes):
    config = dataclasses.replace(registry.load(name).PRESETS[preset], **changes)
    return registry.load_model_module(name).build_model(config, classes)


def test_mnist_article_by_hand():
    convolutions = (9 * 1 + 1) * 64 + (9 * 64 + 1) * 64 + (9 * 64 + 1) * 128 + (9 * 128 + 1) * 128
    assert parameter_count(build("mnist_cnn")) == convolutions + 129 * 10


def test_cifar10_article_by_hand():
    convolutions = (9 * 3 + 1) * 32 + (9 * 32 + 1) * 64
    dense = (8 * 8 * 64 + 1) * 128 + 129 * 10
    assert parameter_count(build("cifar10_cnn")) == convolutions + dense


def test_fashion_mnist_article_by_hand():
    convolutions = (9 * 1 + 1) * 32 + (9 * 32 + 1) * 64
    dense = (7 * 7 * 64 + 1) * 128 + 129 * 10
    assert parameter_count(build("fashion_mnist_cnn")) == convolutions + dense


def test_fashion_mnist_is_the_copy_it_says_it_is():
    """The same fields with the same defaults, so that what is learnt about one holds for the other."""
    configs = [registry.load(name).Config() for name in ("cifar10_cnn", "fashion_mnist_cnn")]
    first, second = map(dataclasses.asdict, configs)
    assert first == second


def test_imdb_article_by_hand():
    lstm = 4 * (64 + 64 + 1) * 64
    assert parameter_count(build("imdb_bilstm", classes=2)) == 10_000 * 64 + 2 * lstm + 129


@pytest.mark.parametrize(
    ("name", "architecture", "deepest"),
    [
        ("mnist_cnn", "plain", 2),
        ("mnist_cnn", "strided", 4),
        ("cifar10_cnn", "plain", 5),
        ("cifar10_cnn", "blocks", 4),
        ("fashion_mnist_cnn", "plain", 4),
        ("fashion_mnist_cnn", "blocks", 4),
    ],
)
def test_as_many_filters_as_the_image_has_room_for(name, architecture, deepest):
    build(name, architecture=architecture, filters=(4,) * deepest)
    with pytest.raises(UsageError, match=f"filters must be at most {deepest} values"):
        build(name, architecture=architecture, filters=(4,) * (deepest + 1))


@pytest.mark.parametrize("name", ["cifar10_cnn", "cifar10_resnet", "fashion_mnist_cnn"])
@pytest.mark.parametrize("field", ["mixup", "cutmix"])
def test_mixed_examples_have_no_class_to_weight(name, field):
    with pytest.raises(UsageError, match="leave out class_weights, or mixup and cutmix"):
        tiny_config(name, class_weights="balanced", **{field: 0.5})


def test_all_augmentations_together_train_the_same_network_twice(tiny_data, tmp_path):
    changes = {"rotation": 10.0, "randaugment": 9, "cutout": 8, "mixup": 0.2, "cutmix": 1.0}
    runs = [
        train_tiny("cifar10_cnn", tiny_data["image"], tmp_path / name, epochs=1, **changes)
        for name in ("first", "second")
    ]
    assert runs[0][1] == runs[1][1]
    assert_equal_weights(*(run.path("final.keras") for run, _ in runs))


def test_patience_counts_from_one():
    with pytest.raises(UsageError, match="patience must be at least 1, got 0"):
        tiny_config("mnist_cnn", patience=0)


@pytest.mark.parametrize(
    ("blocks", "millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85), (18, 1.7)]
)
def test_resnet_has_the_parameters_of_the_paper(blocks, millions):
    model = build("cifar10_resnet", blocks_per_stage=blocks)
    assert parameter_count(model) / 1e6 == pytest.approx(millions, rel=0.02)


def test_resnet_20_by_hand():
    convolutions = 9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
    normalisations = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    assert parameter_count(build("cifar10_resnet")) == convolutions + normalisations + 65 * 10
    plain = build("cifar10_resnet", residual=False)
    assert parameter_count(plain) == parameter_count(build("cifar10_resnet"))
    projections = (16 + 2) * 32 + (32 + 2) * 64
    option_b = build("cifar10_resnet", shortcut="B")
    assert parameter_count(option_b) == parameter_count(plain) + projections


@pytest.mark.parametrize("blocks", [3, 9])
def test_resnet_depth_is_6n_plus_2(blocks):
    model = build("cifar10_resnet", blocks_per_stage=blocks)
    layers = [
        layer
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
    ]
    assert len(layers) == 6 * blocks + 2
    sizes = [layer.output.shape[1] for layer in layers[:-1]]
    assert sizes == [32] * (1 + 2 * blocks) + [16] * 2 * blocks + [8] * 2 * blocks


def test_zero_gamma_makes_every_block_the_identity():
    """Then ResNet-20 and ResNet-8 with the same first and last weights give the same output."""
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    outputs = []
    for blocks in (1, 3):
        model = build("cifar10_resnet", blocks_per_stage=blocks, zero_gamma=True)
        first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
        first.set_weights([np.linspace(-1, 1, 432).reshape(3, 3, 3, 16)])
        dense = model.get_layer("probabilities")
        dense.set_weights([np.linspace(-1, 1, 640).reshape(64, 10), np.zeros(10)])
        outputs.append(keras.ops.convert_to_numpy(model(images)))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "mean_max"])
def test_imdb_padding_changes_nothing(pooling):
    model = build("imdb_bilstm", classes=2, pooling=pooling)
    ids = np.array([[5, 9, 3], [7, 0, 0]], "int32")
    padded = np.pad(ids, ((0, 0), (0, 4)))
    short, long = (keras.ops.convert_to_numpy(model(x)) for x in (ids, padded))
    np.testing.assert_allclose(short, long, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "mean_max"])
def test_imdb_gives_a_number_for_a_text_without_any_word(pooling):
    model = build("imdb_bilstm", classes=2, pooling=pooling)
    ids = np.array([[0, 0, 0], [5, 9, 0]], "int32")
    both = keras.ops.convert_to_numpy(model(ids))
    assert np.isfinite(both).all()
    np.testing.assert_allclose(both[1:], keras.ops.convert_to_numpy(model(ids[1:])), atol=1e-6)


def test_imdb_takes_the_mean_that_keras_takes():
    model = build("imdb_bilstm", classes=2)
    states = next(layer for layer in model.layers if isinstance(layer, BidirectionalLSTM))
    ids = np.array([[5, 9, 3, 8], [7, 4, 0, 0]], "int32")
    hidden = keras.Model(model.input, states.output)(ids)
    mean = keras.layers.GlobalAveragePooling1D()(hidden, mask=keras.ops.not_equal(ids, 0))
    np.testing.assert_array_equal(
        *map(keras.ops.convert_to_numpy, (model.layers[-1](mean), model(ids)))
    )


def test_imdb_without_a_mask_padding_matters():
    model = build("imdb_bilstm", classes=2, mask_padding=False)
    ids = np.array([[5, 9, 3]], "int32")
    short, long = (
        keras.ops.convert_to_numpy(model(x)) for x in (ids, np.pad(ids, ((0, 0), (0, 9))))
    )
    assert not np.allclose(short, long, atol=1e-6)


def test_imdb_more_than_two_classes_make_a_softmax():
    assert build("imdb_bilstm", classes=4).output_shape == (None, 4)
    assert build("imdb_bilstm", classes=2).output_shape == (None, 1)


def test_resume_with_a_moving_average_of_weights(tiny_data, tmp_path):
    """Stopped after its last epoch, before the end of the training: the average is the result."""
    changes = {"ema_momentum": 0.9, "optimizer": "sgd", "learning_rate": 0.01}
    whole, metrics = train_tiny("cifar10_cnn", tiny_data["image"], tmp_path / "whole", **changes)
    killed, _ = train_tiny("cifar10_cnn", tiny_data["image"], tmp_path / "killed", **changes)
    for name in ("metrics.json", "final.keras"):
        killed.path(name).unlink()
    again, resumed = train_tiny("cifar10_cnn", tiny_data["image"], tmp_path / "killed", **changes)
    assert resumed == metrics
    assert_equal_weights(whole.path("final.keras"), again.path("final.keras"))


def test_tensorboard_logs_are_written_on_demand(tiny_data, tmp_path):
    module = registry.load("cifar10_cnn")
    options = Options(data=str(tiny_data["image"]), run_dir=tmp_path, tensorboard=True)
    run = Run("cifar10_cnn", tiny_config("cifar10_cnn", epochs=1), options).open()
    module.train(run.config, run)
    assert list((tmp_path / "tensorboard").rglob("events.out.tfevents.*"))


def test_imdb_tells_what_share_of_words_it_does_not_know(tmp_path, capsys):
    # One of three words is a number that no other text has.
    rows = [f"{'good' if n % 2 else 'bad'} film no{n},{n % 2}" for n in range(60)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    run, metrics = train_tiny("imdb_bilstm", tmp_path / "texts.csv", tmp_path / "run")
    assert metrics["unknown_words"] == pytest.approx(1 / 3, abs=1e-4)
    assert json.loads(run.path("metrics.json").read_text())["unknown_words"] > 0.2
    assert "does not know 33% of the words" in capsys.readouterr().err
