"""mnist_spatial_transformer: its distortions, its sampler, equal sizes, and the film of a training."""

import dataclasses

import keras
import numpy as np
import pytest

from common.basics.backend import no_gradients
from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json
from common.data import Source, Split
from common.data.augment import affine
from common.export.conversion import export
from common.runs import registry
from common.runs.options import Options
from common.runs.run import Run
from common.studies.study import arm_config
from common.training.batches import ArrayBatches
from common.training.finish import parameter_count
from recipes.mnist_spatial_transformer import distortion, picture
from recipes.mnist_spatial_transformer.film import Film
from recipes.mnist_spatial_transformer.model import Sampler, build_model
from recipes.mnist_spatial_transformer.studies import STUDIES
from recipes.mnist_spatial_transformer.train import PRESETS, TASK, Config, load_data, train

NAME = "mnist_spatial_transformer"
IDENTITY = [1, 0, 0, 0, 1, 0]


def random(seed=0):
    return np.random.default_rng(seed)


def digits(count=4, seed=0):
    return random(seed).integers(1, 256, (count, 28, 28, 1)).astype("uint8")


def sampled(images, transforms, rows, columns):
    with no_gradients():
        found = Sampler(rows, columns)([images, np.array(transforms, "float32")])
    return keras.ops.convert_to_numpy(found)


@pytest.mark.parametrize("format", ["onnx", "litert"])
@pytest.mark.slow
def test_it_is_exported(tmp_path, format):
    keras.utils.set_random_seed(0)
    model = build_model(Config(distortion="rotation", filters=(4, 4), units=8))
    # Far from the start, so that places are between pixels.
    model.set_weights([2 * weight for weight in model.get_weights()])
    model.save(tmp_path / "model.keras")
    done = export(tmp_path / "model.keras", format, tmp_path / f"model.{format}", digits(5))
    assert done.count == 5
    assert done.max_difference < 1e-5


@pytest.mark.slow
def test_it_learns_to_turn_digits(tmp_path):
    """With dead units before the window's form, all windows had one, and 1 degree in the median."""
    options = Options(data="sample", run_dir=tmp_path / "run", report=False)
    run = Run(NAME, PRESETS["sample"], options).open()
    film = train(PRESETS["sample"], run)["film"]
    assert picture.windows(film["transforms"][-1])["turned"] > 5


def test_a_picture_shows_what_the_layer_makes():
    images = digits(3)
    transforms = np.array(IDENTITY) + random(3).uniform(-0.4, 0.4, (3, 6))
    expected = sampled(images.astype("float32"), transforms, 20, 20)[..., 0]
    np.testing.assert_allclose(picture.straighten(images, transforms, 20), expected, atol=0.02)


@pytest.mark.parametrize("which", distortion.CANVAS)
@pytest.mark.parametrize("changes", [{}, {"filters": (20,)}, {"filters": (8, 24), "units": 50}])
def test_both_networks_are_of_one_size(which, changes):
    classes = 10 if changes else 3
    counts = [
        parameter_count(build_model(Config(distortion=which, transformer=each, **changes), classes))
        for each in (True, False)
    ]
    assert abs(counts[1] - counts[0]) <= 0.02 * counts[0], counts


@pytest.mark.parametrize("which", distortion.CANVAS)
def test_it_begins_near_the_middle_of_the_image(which):
    model = build_model(Config(distortion=which))
    images = distortion.centred(digits(3), which)
    with no_gradients():
        found = keras.Model(model.input, model.get_layer("transform").output)(images)
    start = np.array(IDENTITY) * 28 / distortion.CANVAS[which]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), [start] * 3, atol=0.3)


def test_sizes_and_turns_of_rts():
    # A bright block right of the middle of a digit: its place and its area tell what was done.
    one = np.zeros((1, 28, 28, 1), "uint8")
    one[0, 10:18, 10:18] = 200
    images = distortion.centred(np.repeat(one, 400, axis=0), "rts")
    moved = distortion.distort(images, random(), "rts")[..., 0].astype("float64")
    assert moved.shape == (400, 42, 42)
    area = moved.sum(axis=(1, 2)) / 200 / 64
    assert 0.47 < area.min() < 0.55
    assert 1.35 < area.max() < 1.46
    grid = np.arange(42)
    for axis in (1, 2):
        place = (moved.sum(axis=axis) * grid).sum(axis=1) / moved.sum(axis=(1, 2))
        # The whole digit, 28 pixels scaled, stays inside.
        room = (42 - 28 * np.sqrt(area)) / 2
        assert (np.abs(place - 20.5) < room + 0.5).all()
        assert place.min() < 12.5
        assert place.max() > 28.5


def test_a_digit_is_moved_where_it_is_said_to(monkeypatch):
    """By hand, with all draws fixed: turned by 45 degrees and moved 3.5 pixels down and 7 to the left."""

    class Drawn:
        def uniform(self, low, high, size):
            if low == -45:
                return np.array([45.0])
            return np.array([1.0]) if low == 0.7 else np.array([[0.5], [-1.0]])

    one = np.zeros((1, 28, 28, 1), "uint8")
    one[0, 13:15, 13:23] = 255  # A bar from the middle to the right.
    (found,) = distortion.distort(distortion.centred(one, "rts"), Drawn(), "rts")
    weight = found[..., 0].astype("float64") / found.sum()
    middle = [(weight.sum(axis=axis) * np.arange(42)).sum() for axis in (1, 0)]
    # The bar's own middle lies 4 pixels right of the digit's: turned, 2.83 to the right and down.
    np.testing.assert_allclose(middle, [20.5 + 3.5 + 2.83, 20.5 - 7 + 2.83], atol=0.1)


def test_a_quarter_turn_is_exact():
    images = digits(2)
    still = np.zeros(2)
    found = affine(images, still + 90, still + 1, still, still)
    np.testing.assert_array_equal(found, np.rot90(images, -1, axes=(1, 2)))


def test_clutter_holds_the_digit_and_pieces_of_the_others():
    # Digits are of even pixels, those that pieces are cut from of odd ones.
    images = (digits(60) // 2 * 2).clip(2)
    others = (digits(9, seed=1) // 2 * 2 - 1).clip(1, 253)
    found = distortion.distort(distortion.centred(images, "clutter"), random(), "clutter", others)
    assert found.shape == (60, 60, 60, 1)
    tops = set()
    for image, digit in zip(found[..., 0], images[..., 0], strict=True):
        # Where nothing brighter covers it the digit is whole.
        places = [
            (top, left)
            for top, left in np.ndindex(33, 33)
            if np.mean(image[top : top + 28, left : left + 28] == digit) > 0.5
        ]
        assert len(places) == 1
        (top, left), rest = places[0], image.copy()
        tops |= {top, left}
        inside = rest[top : top + 28, left : left + 28]
        assert (inside >= digit).all()
        rest[top : top + 28, left : left + 28] = 1
        assert (rest[rest > 0] % 2 == 1).all(), "a piece of something else"
        assert 20 < np.sum(rest > 0) - 784 <= 16 * 36
    assert min(tops) < 3
    assert max(tops) > 29


@pytest.mark.parametrize("which", distortion.CANVAS)
def test_batches_are_a_function_of_seed_epoch_and_index(which):
    images = distortion.centred(digits(50), which)
    np.testing.assert_array_equal(distortion.uncentred(images), digits(50))

    def batches(seed=3):
        return ArrayBatches(
            images,
            np.zeros(50, "int32"),
            batch_size=16,
            num_classes=2,
            seed=seed,
            augment=lambda x, random: distortion.distort(x, random, which, digits(50)),
        )

    first, moved = batches(), batches()
    moved.set_epoch(2)
    np.testing.assert_array_equal(moved[1][0], first.at_epoch(2)[1][0])
    for other in (first[0], moved[1], batches(4)[1]):
        assert not np.array_equal(first[1][0], other[0])
    np.testing.assert_array_equal(images, distortion.centred(digits(50), which))


@pytest.mark.parametrize("which", distortion.CANVAS)
def test_validation_and_test_are_fixed(which):
    config = Config(distortion=which)
    splits = load_data(config, Source("sample"))
    again = load_data(
        dataclasses.replace(config, seed=5, units=3, train_examples=30), Source("sample")
    )
    np.testing.assert_array_equal(splits.val.x, again.val.x)
    np.testing.assert_array_equal(splits.test.x, again.test.x)
    assert len(again.train) == 30
    size = distortion.CANVAS[which]
    assert splits.test.x.shape == (len(splits.test), size, size, 1)
    plain = load_data(Config(distortion="rotation"), Source("sample"))
    assert (plain.info.fingerprint == splits.info.fingerprint) == (which == "rotation")
    # Digits of train are upright.
    np.testing.assert_array_equal(distortion.uncentred(splits.train.x), plain.train.x)


def test_clutter_of_every_split_is_of_training_digits(monkeypatch):
    seen = []
    original = distortion.distort

    def noted(images, random, which, others=None):
        seen.append(others)
        return original(images, random, which, others)

    monkeypatch.setattr(distortion, "distort", noted)
    splits = load_data(Config(distortion="clutter", train_examples=30), Source("sample"))
    assert len(splits.test.x) > 30
    whole = load_data(Config(distortion="clutter"), Source("sample"))
    for others in seen:
        np.testing.assert_array_equal(others, distortion.uncentred(whole.train.x))


def run_in(folder):
    return Run(NAME, Config(), Options(run_dir=folder)).open()


def test_a_film_goes_on_where_a_killed_run_was(tmp_path):
    images = distortion.centred(digits(6), "rts")
    split = Split(images, np.array([2, 0, 0, 1, 2, 1], "int32"))
    run = run_in(tmp_path / "run")

    def film(bias):
        film = Film(run, split)
        model = build_model(Config(filters=(2,), units=2))
        form = next(each for each in model.layers if getattr(each, "units", None) == 4)
        form.set_weights([np.zeros(form.kernel.shape), np.array([bias, 0, 0, bias])])
        film.set_model(model)
        return film

    first = film(1)
    first.on_train_begin()
    first.on_epoch_end(0)
    film(2).on_epoch_end(1)
    # Killed before the second epoch was stored: it is trained again.
    resumed = film(3)
    resumed.on_train_begin()
    resumed.on_epoch_end(1)
    assert resumed.content["rows"] == [1, 3, 0]
    sizes = np.array(resumed.content["transforms"])[:, :, 0]
    expected = 28 / 42 + np.array([[1.0], [1.0], [3.0]])
    np.testing.assert_allclose(sizes, np.repeat(expected, 3, axis=1), atol=1e-3)
    assert read_json(tmp_path / "run" / "film.json") == resumed.content


def film_of(count=2, epochs=9):
    frames = np.array(IDENTITY) * np.linspace(1, 0.5, epochs + 1)[:, None, None]
    return {"rows": list(range(count)), "transforms": np.repeat(frames, count, axis=1).tolist()}


def test_what_a_window_is():
    turn = np.deg2rad(30)
    cosine, sine = 0.5 * np.cos(turn), 0.5 * np.sin(turn)
    seen = picture.windows([[cosine, -sine, 0.3, sine, cosine, -0.4]])
    assert seen == pytest.approx({"size": 0.5, "moved": 0.5, "turned": 30})
    assert "after epoch 9 50 % of the width, moved by 0 % of it" in picture.finding(film_of())


def test_a_report_shows_the_film_of_a_transformer_only():
    splits = load_data(Config(), Source("sample"))
    figures = {}
    for film, expected in ((film_of(), True), (None, False)):
        sections = TASK.sections(
            None,
            "absent",
            metrics={"test": {}, "film": film},
            info=splits.info.to_dict(),
            splits=splits,
            encode=None,
            figures=figures,
        )
        assert ("film" in [section.id for section in sections]) == expected
    assert figures["film.png"][:4] == b"\x89PNG"


def test_a_run_without_a_transformer_has_no_film(tmp_path):
    with pytest.raises(RecipeError, match="not a run folder|no film"):
        picture.write([_folder(tmp_path)])


def _folder(path):
    (path / "run").mkdir()
    return path / "run"


def test_the_readme_shows_what_films_json_holds():
    held = read_json(picture.FOLDER / "films.json")
    text = (picture.FOLDER / "README.md").read_text(encoding="utf-8")
    shown = text.split(picture.BEGIN)[1].split(picture.END)[0]
    assert shown.strip() == picture.section(held)
    for which in held:
        assert (picture.FOLDER / f"film-{which}.png").is_file()


def test_more_blocks_than_the_image_has_room_for_are_refused():
    with pytest.raises(UsageError, match="filters must be at most 2 values, got 3"):
        Config(filters=(8, 8, 8))


def test_presets_come_in_pairs_that_differ_in_the_transformer():
    assert dataclasses.replace(PRESETS["plain"], transformer=True) == PRESETS["best"]
    assert dataclasses.replace(PRESETS["plain-clutter"], transformer=True) == PRESETS["clutter"]


@pytest.mark.parametrize("title", STUDIES)
def test_the_arms_of_every_study_are_configurations(title):
    study = STUDIES[title]
    found = [arm_config(NAME, study, arm) for arm in study.arms]
    assert [config.transformer for config in found] == [False, True]
    assert registry.load(NAME).Config is Config
