"""Tasks, prototypes by hand, gradients through a learner against finite differences, intervals."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from common.basics.errors import RecipeError, UsageError
from common.data import Source
from common.data.types import Dataset, Split
from common.training.gradients import value_and_gradients, values
from recipes.omniglot_fewshot import asking, episodes, form, learners, reading, scoring
from recipes.omniglot_fewshot.glyphs import glyphs
from recipes.omniglot_fewshot.model import ImageNormalisation, build_model
from recipes.omniglot_fewshot.train import DATA, PRESETS, TASK, load_data, train

FLAT = form.SIZE, form.SIZE, 1


def numpy(parts):
    return keras.tree.map_structure(ops.convert_to_numpy, parts)


def tensor(array):
    return ops.convert_to_tensor(np.asarray(array, "float32"))


def unequal(counts=(9, 5, 7, 6, 8, 5, 11, 5)):
    """Returns characters of unequal numbers of drawings; a drawing's pixels say its number."""
    labels = np.repeat(np.arange(len(counts)), counts).astype("int32")
    labels = np.random.default_rng(0).permutation(labels)
    images = np.tile(np.arange(len(labels), dtype="uint8")[:, None, None, None], (1, *FLAT))
    return episodes.Characters(images, labels, np.arange(len(counts)) // 3, ("a", "b", "c"))


def test_a_task_has_other_drawings_in_its_queries_than_in_its_support():
    characters = unequal()
    random = np.random.default_rng(1)
    for _ in range(50):
        chosen, places = episodes.draw(characters.rows, 7, 2 + 3, random)
        assert places.shape == (7, 5)
        assert len(set(chosen)) == 7
        assert len(set(places.ravel())) == 35
        np.testing.assert_array_equal(characters.labels[places], np.repeat(chosen, 5).reshape(7, 5))


def test_test_tasks_are_always_the_same_and_differ_by_seed():
    first, again, other = (episodes.tasks_of(unequal(), 20, 4, 2, seed) for seed in (2, 2, 3))
    np.testing.assert_array_equal(first.places, again.places)
    assert not np.array_equal(first.places, other.places)
    # The character with the fewest drawings has 5: 2 known, 3 asked.
    assert first.shape == (20, 4, 5, *FLAT) == np.asarray(first).shape
    np.testing.assert_array_equal(first[[3, 7]][:, :, :, 0, 0, 0], first.places[[3, 7]])
    np.testing.assert_array_equal(first.labels[0], [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])


def test_training_tasks_are_a_function_of_the_generator():
    characters = glyphs()
    split = Split(characters.images, characters.labels)
    make = reading.task_maker(split, dataclasses.replace(PRESETS["sample"], way=7, shot=2))
    (x, y), (again, _) = (make(3, np.random.default_rng([1, 2, 3])) for _ in range(2))
    assert x.shape == (3, 7, 2 + 3, *FLAT)
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(y, [np.repeat(np.arange(7), 3)] * 3)
    with pytest.raises(RecipeError, match="takes 1 \\+ 30 drawings of a character, and one has 20"):
        reading.task_maker(split, dataclasses.replace(PRESETS["sample"], query=30))


def test_turned_characters_are_four_times_as_many():
    characters = glyphs().keep(np.arange(108) < 3)
    turned = episodes.turned(characters)
    assert len(turned) == 12
    assert turned.fewest == 20
    np.testing.assert_array_equal(
        turned.images[turned.labels == 3 + 1], np.rot90(characters.images[20:40], 1, (1, 2))
    )


def test_images_on_a_bright_ground_are_inverted():
    ink = np.zeros((2, *FLAT), "uint8")
    ink[:, 5:8, 5:20] = 255
    np.testing.assert_array_equal(episodes.prepared(np.stack([ink[0], 255 - ink[1]])), ink)


def test_prototypes_by_hand():
    random = np.random.default_rng(0)
    z = random.normal(size=(2, 3, 2 + 4, 5))
    found = numpy(learners.prototype_logits(tensor(z), 2))
    assert found.shape == (2, 3 * 4, 3)
    for task in range(2):
        for way in range(3):
            for query in range(4):
                for other in range(3):
                    prototype = (z[task, other, 0] + z[task, other, 1]) / 2
                    squared = ((z[task, way, 2 + query] - prototype) ** 2).sum()
                    logit = found[task, way * 4 + query, other]
                    assert logit == pytest.approx(-squared / 5**0.5, abs=1e-4)


def test_cross_entropy_by_hand():
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    found = learners.cross_entropy(tensor(logits), ops.convert_to_tensor(np.array([0, 1])))
    assert float(numpy(found)) == pytest.approx(-(np.log(0.5) + np.log(0.1)) / 2)


def test_the_normalisation_has_a_right_second_derivative():
    """Against finite differences, weighted at random: a sum of squares would hide the fault."""
    random = np.random.default_rng(5)
    layer = ImageNormalisation()
    layer.build((None, 3, 4, 2))
    x = random.random((2, 3, 4, 2)).astype("float32")
    weighting = tensor(random.normal(size=x.shape))

    def first(parts):
        return ops.sum(ops.sin(3.0 * layer(parts[0]))), ()

    def second(parts):
        _, (gradient,) = value_and_gradients(first, parts)
        return ops.sum(gradient * weighting), ()

    _, (found,) = value_and_gradients(second, [tensor(x)])
    expected, step = np.zeros_like(x), 3e-3
    for place in np.ndindex(*x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            ends.append(float(numpy(value_and_gradients(second, [tensor(moved)])[0][0])))
        expected[place] = (ends[0] - ends[1]) / (2 * step)
    assert np.abs(numpy(found) - expected).max() < 0.02 * np.abs(expected).max()


def test_the_normalisation_keeps_how_strongly_a_channel_answers():
    """By hand: both channels share a mean and a variance, images do not."""
    layer = ImageNormalisation(epsilon=0.0)
    images = np.array([[[[0.0, 4.0]], [[2.0, 6.0]]], [[[1.0, 1.0]], [[1.0, 3.0]]]])
    expected = [
        (images[0] - 3) / np.sqrt((9 + 1 + 1 + 9) / 4),
        (images[1] - 1.5) / np.sqrt((3 * 0.25 + 2.25) / 4),
    ]
    np.testing.assert_allclose(numpy(layer(tensor(images))), expected, rtol=1e-5)


def smooth():
    """Returns a network without kinks: finite differences on ReLU and noise hit many."""
    inputs = keras.Input(FLAT)
    x = keras.layers.Conv2D(3, 5, strides=6)(inputs / 255.0)
    x = keras.layers.Activation("tanh")(ImageNormalisation()(x))
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(x)))


def small(learner="maml", network=None, **changes):
    config = dataclasses.replace(
        PRESETS["maml"], learner=learner, filters=(3, 4), inner_steps=2, inner_rate=0.1, **changes
    )
    keras.utils.set_random_seed(0)
    model = network() if network else build_model(config)
    random = np.random.default_rng(3)
    model.set_weights(
        [
            random.normal(0, 0.5 / np.sqrt(np.prod(weight.shape[:-1]) + 1), weight.shape)
            + (weight.ndim == 1)
            for weight in model.get_weights()
        ]
    )
    images = random.integers(0, 256, (5, 1 + 2, *FLAT)).astype("uint8")
    labels = np.repeat(np.arange(5), 2)

    def call(weights, images):
        return model.stateless_call(weights, [], images, training=True)[0]

    def gradients(weights, config=config):
        found = learners.task_gradients(
            call, weights, ops.convert_to_tensor(images), ops.convert_to_tensor(labels), config
        )
        return numpy(list(found))

    return config, model, images, labels, call, gradients


def test_second_order_maml_against_finite_differences():
    config, model, *_, gradients = small(network=smooth)
    weights = values(model.trainable_variables)
    random = np.random.default_rng(7)
    direction = [random.normal(size=weight.shape) for weight in weights]

    def along(found):
        return sum(float((d * g).sum()) for d, g in zip(direction, found, strict=True))

    def loss(step):
        moved = [
            tensor(numpy(weight) + step * d) for weight, d in zip(weights, direction, strict=True)
        ]
        return float(gradients(moved)[0])

    expected = (loss(2e-3) - loss(-2e-3)) / 4e-3
    assert along(gradients(weights)[2]) == pytest.approx(expected, rel=0.01)
    first = gradients(weights, dataclasses.replace(config, first_order=True))
    assert first[0] == pytest.approx(gradients(weights)[0])
    assert along(first[2]) != pytest.approx(expected, rel=0.05)


def plain(call, weights, images, labels):
    def loss(weights):
        logits = call(weights, ops.convert_to_tensor(images.reshape(-1, *FLAT)))
        return learners.cross_entropy(logits, ops.convert_to_tensor(labels)), ()

    return numpy(value_and_gradients(loss, list(weights))[1])


def test_maml_without_a_step_is_plain_training_on_the_queries():
    config, model, images, labels, call, gradients = small()
    weights = values(model.trainable_variables)
    found = gradients(weights, dataclasses.replace(config, inner_steps=0))[2]
    for one, other in zip(found, plain(call, weights, images[:, 1:], labels), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_each_step_of_reptile_is_plain_training_on_the_next_drawings():
    """Three drawings of each character: the fourth step is on the first drawings again."""
    config, model, images, _, call, gradients = small("reptile")
    first = values(model.trainable_variables)
    weights, moved = first, [0.0] * len(first)
    for drawing in (0, 1, 2, 0):
        step = plain(call, weights, images[:, drawing], np.arange(5))
        weights = [
            tensor(numpy(w) - config.inner_rate * g) for w, g in zip(weights, step, strict=True)
        ]
        moved = [m + g / 4 for m, g in zip(moved, step, strict=True)]
    found = gradients(first, dataclasses.replace(config, inner_steps=4))[2]
    for one, other in zip(found, moved, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("method", ["maml", "reptile"])
def test_a_step_on_several_tasks_is_the_mean_of_single_ones(method):
    config, model, images, labels, *_ = small(method)
    step = learners.training_step(model, config)
    weights = values(model.trainable_variables)
    other = np.random.default_rng(9).integers(0, 256, images.shape).astype("uint8")

    def of(*tasks):
        x, y = np.stack(tasks), np.tile(labels, (len(tasks), 1))
        return numpy(step(weights, [], (ops.convert_to_tensor(x), ops.convert_to_tensor(y)))[3])

    for both, one, two in zip(of(images, other), of(images), of(other), strict=True):
        np.testing.assert_allclose(both, (one + two) / 2, atol=1e-5)


def test_right_answers_and_losses_by_hand():
    outputs = np.array(
        [[[0.7, 0.3], [0.4, 0.6], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]]], "float32"
    )
    np.testing.assert_array_equal(scoring.right(outputs), [[[1, 0, 1], [1, 1, 0]]])
    expected = -np.log([0.7, 0.4, 0.9, 0.8, 0.7, 0.4]).mean()
    assert scoring.losses(outputs)[0] == pytest.approx(expected, rel=1e-6)


def test_the_interval_over_alphabets_is_that_of_their_accuracies():
    """Two alphabets, all right and all wrong: a quarter of the draws has one of them twice."""
    answered = np.array([[[1, 1], [0, 0]], [[1, 1], [0, 0]]], bool)
    characters, alphabets = np.array([[0, 1], [2, 3]]), np.array([[0, 1], [0, 1]])
    assert scoring.over_alphabets(answered, characters, alphabets) == [0.0, 1.0]
    assert scoring.over_alphabets(answered, characters, alphabets * 0) is None
    equal = np.tile([True, False, True], (2, 2, 1))
    assert scoring.over_alphabets(equal, characters, alphabets) == pytest.approx([2 / 3, 2 / 3])


def test_the_real_set_is_cut_by_alphabet(monkeypatch):
    names = ["Greek/character01", "Early_Aramaic/character02", "Latin_7"]
    names += ["Japanese_(katakana)/character01", "Tagalog_3", "Greek/character09"]

    def part(labels):
        images = np.full((len(labels), 105, 105, 3), 255, "uint8")
        images[:, 20:80, 40 : 40 + 10] = 0
        return Split(images, np.array(labels, "int32"))

    def load(data_set, data_dir):
        assert data_set.parts == ("small1", "small2")
        test = part(np.repeat([3, 4, 0, 5], 20))
        return Dataset(
            "omniglot",
            "3.0.0",
            "full",
            "0" * 64,
            "image",
            names,
            "Omniglot",
            "",
            train=part(np.repeat([0, 1, 2], 20)),
            load_test=lambda: test,
            test_count=80,
        )

    monkeypatch.setattr("common.data.full.load", load)
    monkeypatch.setattr(
        reading, "_tasks", lambda characters, *more: Split(characters, characters.alphabets)
    )
    splits = load_data(PRESETS["best"], Source("full"))
    assert splits.val.x.names == ("Early_Aramaic",)
    assert splits.test.x.names == ("Japanese_(katakana)", "Tagalog")
    assert splits.train.x.shape == (40, *FLAT)
    assert splits.train.y.max() == 1
    # Black ink on white has become bright strokes on black.
    assert splits.train.x[:, 0].max() == 0
    assert splits.train.x.max() > 250


def written(folder, classes, images):
    from PIL import Image

    characters = glyphs()
    for label in range(classes):
        place = folder / f"class{label:02d}"
        place.mkdir(parents=True)
        for row in range(images):
            Image.fromarray(255 - characters.images[label * 20 + row, ..., 0]).save(
                place / f"{row}.png"
            )
    return folder


def test_own_data_needs_enough_classes_and_images(tmp_path):
    config = PRESETS["sample"]
    with pytest.raises(RecipeError, match="at least 15 class folders.*; found 14"):
        load_data(config, Source(str(written(tmp_path / "few", 14, 6))))
    with pytest.raises(RecipeError, match="at least 6 images of each class; one has 5"):
        load_data(config, Source(str(written(tmp_path / "rare", 15, 5))))
    splits = load_data(config, Source(str(written(tmp_path / "enough", 16, 7))))
    assert splits.info.source == "own"
    assert splits.test.x.shape[1:3] == (5, 7)
    assert len(splits.train.x) == 6 * 7
    assert len(splits.val) == form.VALIDATION_TASKS
    np.testing.assert_array_equal(np.unique(splits.test.y), np.arange(5))


def test_predictions_by_hand_with_supports_of_unequal_size():
    config = dataclasses.replace(PRESETS["sample"], filters=(4, 4))
    model = build_model(config)
    images = glyphs().images[::13]
    support, labels = images[:6], np.array([0, 0, 0, 1, 2, 2], "int32")
    found = asking.probabilities(model, (support, labels), images[6:10], steps=0, rate=0.1)
    z = ops.convert_to_numpy(model(images[:10])).astype("float64")
    prototypes = np.stack([z[:3].mean(0), z[3], z[4:6].mean(0)])
    logits = -((z[6:, None] - prototypes) ** 2).sum(-1) / z.shape[1] ** 0.5
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_network_that_adapts_learns_the_support_by_heart():
    config, model, *_ = small()
    images = glyphs().images[::100][:5]
    found = asking.probabilities(
        model, (images, np.arange(5)), images, steps=60, rate=config.inner_rate
    )
    np.testing.assert_array_equal(found.argmax(-1), np.arange(5))
    with pytest.raises(
        UsageError, match="tells 5 classes apart: expected 5 folders in --support, got 2"
    ):
        TASK.with_support((images[:2], np.arange(2)), ["a", "b"], config)


@pytest.fixture
def few_tasks(monkeypatch):
    """Makes scoring short: 30 tasks to test on, 20 to validate on."""
    monkeypatch.setattr(reading, "TEST_TASKS", 30)
    monkeypatch.setattr(reading, "VALIDATION_TASKS", 20)
    monkeypatch.setattr("recipes.omniglot_fewshot.further.FURTHER_TASKS", 30)


def test_a_run_of_maml_is_trained_and_scored(tmp_path, few_tasks):
    from common.runs.options import Options
    from common.runs.run import Run

    config = dataclasses.replace(
        PRESETS["maml-first-order"], filters=(8, 8), epochs=1, epoch_examples=16, batch_size=8
    )
    options = Options(data="sample", run_dir=tmp_path / "run", report=False)
    run = Run("omniglot_fewshot", config, options).open()
    metrics = train(run.config, run)
    assert metrics["headline"]["name"] == "5-way 1-shot accuracy"
    assert [(row["way"], row["shot"]) for row in metrics["tasks"]] == [(5, 5)]


def test_predict_takes_a_folder_of_classes_and_one_of_queries(tmp_path, few_tasks, capsys):
    from common.cli.asking import predict_command
    from tests.helpers import train_tiny

    run, metrics = train_tiny("omniglot_fewshot", "sample", tmp_path / "run")
    assert metrics["test"]["alphabet_interval"][0] < metrics["test"]["accuracy"]
    support = written(tmp_path / "support", 3, 2)
    (support / "class01" / "1.png").unlink()
    capsys.readouterr()
    asked = str(support / "class02")
    assert predict_command([str(run.directory), asked, "--support", str(support)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(": class02 " in line for line in lines)
    with pytest.raises(UsageError, match="knows no classes of its own: add --support FOLDER"):
        predict_command([str(run.directory), asked])
    (tmp_path / "one").mkdir()
    (support / "class00").rename(tmp_path / "one" / "class00")
    with pytest.raises(RecipeError, match="at least two class folders with images, found 1"):
        predict_command([str(run.directory), asked, "--support", str(tmp_path / "one")])


def test_the_set_names_its_splits():
    from common.data import full

    assert full._form(DATA) == {"splits": ["small1", "small2"]}
