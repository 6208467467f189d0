"""Explanations against hand results, on whichever backend the tests run."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from PIL import Image

from common.basics.errors import RecipeError
from common.cli import main
from common.explain import methods, pictures
from common.explain.gradients import class_gradient
from common.runs import registry
from common.training.logits import logit_model
from tests.helpers import data_of, leave_slowest_to_slow_tests, train_tiny


def linear(channels=2):
    """A linear classifier of 3 x 4 images into 3 classes, and its kernel as (pixels, classes)."""
    inputs = keras.Input((3, 4, channels), dtype="uint8")
    x = layers.Flatten()(ops.cast(inputs, "float32") / 255.0)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    kernel = np.random.default_rng(0).normal(size=(12 * channels, 3)).astype("float32")
    model.layers[-1].set_weights([kernel, np.array([0.5, 0.0, -1.0], "float32")])
    return model, kernel


def test_the_gradient_of_a_linear_model_is_its_kernel():
    model, kernel = linear()
    x = np.random.default_rng(1).uniform(0, 255, (5, 3, 4, 2))
    logits, gradient = class_gradient(logit_model(model), x, [0, 1, 2, 1, 0])
    expected = x.reshape(5, -1) / 255.0 @ kernel + [0.5, 0.0, -1.0]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    for row, label in zip(gradient, [0, 1, 2, 1, 0], strict=True):
        np.testing.assert_allclose(row.reshape(-1), kernel[:, label] / 255.0, rtol=1e-4)


def test_integrated_gradients_of_a_linear_model_by_hand():
    model, kernel = linear()
    image = np.random.default_rng(2).integers(0, 256, (3, 4, 2), dtype=np.uint8)
    attributions, residual = methods.integrated_gradients(model, image, 2, baseline=10.0)
    expected = (image.reshape(-1) - 10.0) / 255.0 * kernel[:, 2]
    np.testing.assert_allclose(attributions.reshape(-1), expected, rtol=1e-3, atol=1e-5)
    assert residual < 1e-3


def test_more_steps_complete_the_integral_of_a_curved_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 1), dtype="uint8")
    x = layers.Flatten()(ops.cast(inputs, "float32") / 255.0)
    x = layers.Dense(16, activation="tanh", kernel_initializer="random_normal")(x)
    x = layers.Dense(2, activation="softmax", kernel_initializer="random_normal")(x * 30.0)
    model = keras.Model(inputs, x)
    image = np.random.default_rng(0).integers(0, 256, (6, 5, 1), dtype=np.uint8)
    residuals = [methods.integrated_gradients(model, image, 1, steps=n)[1] for n in (2, 256)]
    assert residuals[1] < residuals[0]
    assert residuals[1] < 0.01


def test_a_sigmoid_explains_both_classes():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(inputs))
    model.layers[-1].set_weights([np.array([[1.0], [2.0], [-3.0]]), np.array([0.25])])
    x = np.array([[1.0, 0.5, 1.0]])
    logits, for_one = class_gradient(logit_model(model), x, [1])
    np.testing.assert_allclose(logits[0, 1] - logits[0, 0], 1 + 1 - 3 + 0.25, rtol=1e-5)
    np.testing.assert_allclose(for_one[0], [0.5, 1.0, -1.5], rtol=1e-5)
    _, for_zero = class_gradient(logit_model(model), x, [0])
    np.testing.assert_allclose(for_zero, -for_one)


def test_grad_cam_of_a_global_average_by_hand():
    # With global average pooling a channel weighs as its row of the last kernel.
    inputs = keras.Input((6, 7, 1), dtype="uint8")
    x = ops.cast(inputs, "float32") / 255.0
    features = layers.Conv2D(3, 1, use_bias=False, activation="relu")(x)
    outputs = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(features))
    model = keras.Model(inputs, outputs)
    model.layers[1].set_weights([np.array([1.0, 2.0, 0.5]).reshape(1, 1, 1, 3)])
    kernel = np.array([[1.0, -1.0], [-0.25, 1.0], [4.0, 0.0]])
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    image = np.random.default_rng(0).integers(1, 256, (1, 6, 7, 1), dtype=np.uint8)
    maps = image[0, :, :, 0, None] / 255.0 * np.array([1.0, 2.0, 0.5])
    expected = np.maximum(maps @ kernel[:, 0], 0.0)
    heat = methods.grad_cam(model, image, [0])
    np.testing.assert_allclose(heat[0], expected / expected.max(), rtol=1e-4)
    # Here the average changes nothing.
    hires = methods.grad_cam(model, image, [0], average=False)
    np.testing.assert_allclose(hires, heat, rtol=1e-4)


def test_hirescam_marks_only_places_that_raise_the_logit():
    # A dense layer over places: only the first pixel counts. Averaging smears its weight over all.
    inputs = keras.Input((5, 5, 1), dtype="uint8")
    features = layers.Conv2D(1, 1, use_bias=False)(ops.cast(inputs, "float32"))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(features)))
    model.layers[1].set_weights([np.ones((1, 1, 1, 1))])
    kernel = np.zeros((25, 2))
    kernel[0, 1] = 1.0
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    image = np.full((1, 5, 5, 1), 200, np.uint8)
    hires = methods.grad_cam(model, image, [1], average=False)[0]
    assert hires[0, 0] == 1.0
    assert hires.sum() == 1.0
    assert methods.grad_cam(model, image, [1])[0].sum() == 25.0


def test_grad_cam_where_nothing_speaks_for_the_class_is_zero():
    inputs = keras.Input((5, 5, 1), dtype="uint8")
    features = layers.Conv2D(2, 1, use_bias=False)(ops.cast(inputs, "float32"))
    outputs = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(features))
    model = keras.Model(inputs, outputs)
    model.layers[1].set_weights([np.ones((1, 1, 1, 2))])
    model.layers[-1].set_weights([-np.ones((2, 2)), np.zeros(2)])
    image = np.full((1, 5, 5, 1), 9, np.uint8)
    assert methods.grad_cam(model, image, [1]).max() == 0.0


def test_a_model_without_maps_is_refused():
    model, _ = linear()
    with pytest.raises(RecipeError, match="no feature map of 5 x 5"):
        methods.grad_cam(model, np.zeros((1, 3, 4, 2), np.uint8), [0])


def counting(ids):
    """Probabilities that grow with the number of 7s and fall with that of 9s."""
    score = (ids == 7).sum(axis=1) - 2.0 * (ids == 9).sum(axis=1)
    p = 1 / (1 + np.exp(-score))
    return np.stack([1 - p, p], axis=1)


def test_erased_words_by_hand():
    ids = np.array([7, 3, 9, 7, 0, 0])
    np.testing.assert_allclose(methods.erase_words(counting, ids, 1), [1, 0, -2, 1], atol=1e-5)
    np.testing.assert_allclose(methods.erase_words(counting, ids, 0), [-1, 0, 2, -1], atol=1e-5)


def test_a_deletion_curve_removes_the_most_important_first():
    ids = np.array([7, 7, 3, 3, 7, 3, 0, 0])
    scores = methods.erase_words(counting, ids, 1)
    shares, values, area = methods.deletion_curve(counting, ids, scores, 1, fill=1, points=6)
    np.testing.assert_allclose(shares, np.arange(7) / 6)
    # Three 7s, two, one, none, and then only neutral words.
    np.testing.assert_allclose(values, 1 / (1 + np.exp([-3.0, -2, -1, 0, 0, 0, 0])))
    assert area == pytest.approx(values.mean())
    assert area < methods.random_deletion(counting, ids, 6, 1, fill=1, points=6)[2]


@pytest.fixture(scope="module")
def trained(tiny_data, tmp_path_factory):
    done = {}

    def get(name):
        if name not in done:
            directory = tmp_path_factory.mktemp("explain") / name
            done[name] = train_tiny(name, data_of(name, tiny_data), directory, epochs=6)[0]
        return done[name]

    return get


# How a gradient is taken depends on the backend, not on the network: elsewhere one of each kind will do.
EXPLAINED = (
    registry.names() if keras.backend.backend() == "tensorflow" else ["cifar10_cnn", "imdb_bilstm"]
)


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_recipe_can_be_explained_and_the_weights_matter(name, trained, tiny_data):
    leave_slowest_to_slow_tests(name)
    if not registry.load(name).TASK.explains:
        pytest.skip("answers of this task are not explained")
    run = trained(name)
    from common.training.loading import load_model

    model = load_model(run.path("best.keras"))
    module = registry.load(name)
    splits = module.load_data(run.config, run.source)
    if splits.info.kind == "text":
        from common.explain.explanation import answers

        ids = module.encode(run, splits.test.x[:1])[0]
        scores = methods.erase_words(answers(model), ids, 1)
        again = methods.erase_words(answers(model), ids, 1)
        other = methods.erase_words(answers(methods.randomised(model)), ids, 1)
        assert scores.shape == (np.count_nonzero(ids),)
        np.testing.assert_array_equal(scores, again)
        assert methods.similarity(scores, other) < 0.9
        return
    images = splits.test.x[:4]
    heat = methods.grad_cam(model, images, [0, 1, 2, 0])
    assert heat.shape == images.shape[:3]
    assert (heat.min(), heat.max()) >= (0.0, 0.0)
    assert heat.max() <= 1.0
    _, residual = methods.integrated_gradients(model, images[0], 1, steps=512)
    assert residual < 0.1
    other = methods.grad_cam(methods.randomised(model), images, [0, 1, 2, 0])
    assert methods.similarity(heat, other) < 0.9


def test_what_is_marked_in_a_trained_network_matters_more_than_random_parts(trained):
    from common.explain.explanation import answers, explain_image
    from common.training.loading import load_model

    run = trained("mnist_cnn")
    model = load_model(run.path("best.keras"))
    splits = registry.load("mnist_cnn").load_data(run.config, run.source)
    images = splits.test.x[:3]
    areas = []
    for image, row in zip(images, answers(model)(images), strict=True):
        label = int(row.argmax())
        explained = explain_image(model, image, label, str(label), float(row[label]))
        assert abs(explained["gradients_similarity"]) < 0.9
        areas.append(explained["areas"])
    for kind in ("integrated gradients", "HiResCAM"):
        ours, chance = (np.mean([each[key] for each in areas]) for key in (kind, "random"))
        assert ours < chance, kind


def test_the_command_writes_a_picture_and_says_how_far_to_trust_it(
    trained, tiny_data, tmp_path, capsys
):
    run = trained("mnist_cnn")
    image = np.load(tiny_data["image"])["x_test"][0]
    Image.fromarray(image).save(tmp_path / "spot.png")
    assert main(["explain", str(run.directory), str(tmp_path / "spot.png")]) == 0
    text = capsys.readouterr().out
    for part in ("spot.png: ", "residual", "at random", "randomised weights"):
        assert part in text
    picture = Image.open(run.path("explanations/spot.png"))
    assert picture.size[0] > 1000
    code = main(["explain", str(run.directory), str(tmp_path / "spot.png"), "--label", "tree"])
    assert code == 2
    assert "there is no class 'tree'" in capsys.readouterr().err


def test_a_folder_and_the_rows_of_a_csv_are_explained(trained, tiny_data, tmp_path, capsys):
    image = np.load(tiny_data["image"])["x_test"][0]
    (tmp_path / "photos/cat").mkdir(parents=True)
    for name in ("one.png", "cat/one.png"):
        Image.fromarray(image).save(tmp_path / "photos" / name)
    run, output = trained("mnist_cnn"), tmp_path / "pictures"
    words = [str(tmp_path / "photos"), "--output", str(output)]
    assert main(["explain", str(run.directory), *words]) == 0
    assert sorted(path.name for path in output.iterdir()) == ["cat-one.png", "one.png"]
    (tmp_path / "reviews.csv").write_text("review\na superb film\na dull plot\n")
    run = trained("imdb_bilstm")
    words = [str(tmp_path / "reviews.csv"), "--text-column", "review", "--output", str(output)]
    assert main(["explain", str(run.directory), *words]) == 0
    assert sorted(path.name for path in output.glob("*.html")) == [
        "reviews-1.html",
        "reviews-2.html",
    ]
    assert main(["explain", str(run.directory), str(tmp_path / "absent.txt")]) == 1
    assert "there is no such file" in capsys.readouterr().err


def test_the_command_shades_the_words_of_a_text(trained, tmp_path, capsys):
    run = trained("imdb_bilstm")
    (tmp_path / "review.txt").write_text("The film was superb and <b>great</b>")
    output = tmp_path / "out"
    words = ["explain", str(run.directory), str(tmp_path / "review.txt"), "--output", str(output)]
    assert main([*words, "--label", "pos"]) == 0
    text = capsys.readouterr().out
    assert "Words that weigh most, for (+) or against (-): " in text
    listed = text.split("against (-): ")[1].split(". Mean ")[0].split(", ")
    assert len(set(listed)) == len(listed)
    assert all(word[0] in "+-" and len(word) > 1 for word in listed)
    assert "+superb" in listed
    page = (output / "review.html").read_text()
    assert ">superb</span>" in page
    assert "&lt;b&gt;" not in page  # tags are not words


@pytest.mark.parametrize("name", ["mnist_cnn", "imdb_bilstm"])
def test_the_report_shows_what_answers_rest_on(name, trained):
    run = trained(name)
    assert main(["report", str(run.directory)]) == 0
    page = run.path("report.html").read_text()
    section = page[page.index('<section id="explanations">') : page.index('id="time"')]
    assert section.count("Mean probability while") >= section.count("<h3>") >= 1
    assert ("blockquote" in section) == (name == "imdb_bilstm")
    assert run.path("figures/explanation_1.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_says_what_cannot_be_explained(trained, monkeypatch):
    from common.basics.errors import RecipeError
    from common.explain import explanation

    def refuse(*_):
        raise RecipeError("no maps")

    run = trained("mnist_cnn")
    monkeypatch.setattr(explanation, "explain_image", refuse)
    assert main(["report", str(run.directory)]) == 0
    assert "This model cannot be explained: no maps." in run.path("report.html").read_text()


@pytest.mark.parametrize(
    ("areas", "sentence"),
    [
        ((0.2, 0.1), "what a and b mark matters more than random parts"),
        ((0.2, 0.495), "what a marks matters more than random parts"),
        ((0.49, 0.51), "what is marked matters no more than random parts"),
        ((0.49, 0.9), "what b marks matters less than random parts"),
        ((0.9, 0.1), "what b marks matters more than random parts, what a marks less"),
    ],
)
def test_verdict_needs_a_clear_difference(areas, sentence):
    curves = {name: ([], [], area) for name, area in zip("ab", areas, strict=True)}
    assert pictures.verdict({**curves, "random": ([], [], 0.5)}) == sentence
