"""Corruptions against slow loops on images of 5 x 7 x 3, and scores under corruption by hand."""

import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from common.basics.errors import UsageError
from common.basics.files import read_json
from common.cli import main
from common.data import corruptions
from common.data.corruptions import NAMES, SEVERITIES, corrupt
from common.tasks import corrupted_images
from common.tasks.classification import Classification
from tests.helpers import train_tiny


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 5, 7, 3), dtype=np.uint8)


@pytest.fixture
def one_pixel(monkeypatch):
    """A length of one pixel is one, in images that are smaller than those the lengths are made for."""
    monkeypatch.setattr(corruptions, "_unit", lambda x: 1.0)


def stream(name, severity=3, seed=0):
    return np.random.default_rng([seed, zlib.crc32(name.encode()), severity])


def places(shape):
    return np.ndindex(*shape)


def at(image, y, x):
    """The pixel, or the nearest one of the border."""
    height, width = image.shape[:2]
    return image[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]


def between(image, y, x):
    """The value at a place between pixels, bilinear."""
    top, left = int(np.floor(y)), int(np.floor(x))
    down, right = y - top, x - left
    above = (1 - right) * at(image, top, left) + right * at(image, top, left + 1)
    below = (1 - right) * at(image, top + 1, left) + right * at(image, top + 1, left + 1)
    return (1 - down) * above + down * below


def slow_blur(image, sigma):
    reach = int(4 * sigma + 0.5)
    weights = {t: np.exp(-0.5 * (t / sigma) ** 2) for t in range(-reach, reach + 1)}
    total, result = sum(weights.values()), np.zeros(image.shape)
    for y, x in places(image.shape[:2]):
        for down, one in weights.items():
            for right, other in weights.items():
                result[y, x] += one * other / total**2 * at(image, y + down, x + right)
    return result


def check(images, name, expected, severity=3):
    """Compares with values in 0 to 1, up to the rounding to 256 levels."""
    found = corrupt(images, name, severity)
    expected = 255 * np.clip(expected, 0, 1)
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=0.51)
    assert np.any(found != images)


def test_noise_is_added_to_each_value(images):
    drawn, expected = stream("gaussian_noise").normal(0, 0.08, images.shape), np.zeros(images.shape)
    for place in places(images.shape):
        expected[place] = images[place] / 255 + drawn[place]
    check(images, "gaussian_noise", expected)


def test_shot_noise_counts_photons(images):
    light = images.astype("float32") / 255
    check(images, "shot_noise", stream("shot_noise").poisson(light * 25) / 25)
    many = np.full((1, 90, 100, 1), 128, np.uint8)
    counts = corrupt(many, "shot_noise") / 255
    # A Poisson number has its mean as variance.
    assert counts.mean() == pytest.approx(128 / 255, abs=0.01)
    assert counts.var() == pytest.approx(128 / 255 / 25, rel=0.15)


def test_impulses_are_black_or_white(images):
    drawn, expected = stream("impulse_noise", 5).random(images.shape), images / 255
    for place in places(images.shape):
        if drawn[place] < 0.15:
            expected[place] = 0 if drawn[place] < 0.075 else 1
    check(images, "impulse_noise", expected, 5)


def test_gaussian_blur(images, one_pixel):
    check(images, "gaussian_blur", np.array([slow_blur(image / 255, 0.9) for image in images]))


def test_motion_blur_is_the_mean_over_a_line(images, one_pixel):
    directions = stream("motion_blur").integers(0, 4, 4)
    assert len(set(directions)) > 1
    expected = np.zeros(images.shape)
    for n, y, x in places(images.shape[:3]):
        down, right = ((0, 1), (1, 0), (1, 1), (1, -1))[directions[n]]
        line = [at(images[n] / 255, y - down * t, x - right * t) for t in range(-2, 3)]
        expected[n, y, x] = np.mean(line, axis=0)
    check(images, "motion_blur", expected)


def test_glass_takes_pixels_from_near_by(images, one_pixel):
    random = stream("glass_blur")
    down, right = random.integers(-2, 3, (2, *images.shape[:3]))
    moves = random.random(images.shape[:3]) < 0.7
    assert 0.4 < moves.mean() < 0.9
    expected = images / 255
    for n, y, x in places(images.shape[:3]):
        if moves[n, y, x]:
            expected[n, y, x] = at(images[n] / 255, y + down[n, y, x], x + right[n, y, x])
    check(images, "glass_blur", np.array([slow_blur(image, 0.4) for image in expected]))


def test_fog_is_four_grids_between_0_and_1(images):
    random, clouds = stream("fog"), np.zeros((4, 5, 7))
    for cells, weight in ((2, 0.5), (4, 0.27), (8, 0.15), (16, 0.08)):
        grid = random.random((4, cells, cells))
        for n, y, x in places(clouds.shape):
            clouds[n, y, x] += weight * between(grid[n], y * (cells - 1) / 4, x * (cells - 1) / 6)
    expected = np.zeros(images.shape)
    for n, cloud in enumerate(clouds):
        cloud = (cloud - cloud.min()) / (cloud.max() - cloud.min())
        expected[n] = (images[n] / 255 + 1.2 * cloud[..., None]) / 2.2
    check(images, "fog", expected)


def test_spatter_covers_with_grey(images, one_pixel):
    noise = stream("spatter").normal(size=(4, 5, 7, 1))
    noise = np.array([slow_blur(each, 1.0) for each in noise])
    drops = np.array([slow_blur(each, 0.6) for each in noise > 1.2 * noise.std()])
    assert 0 < drops.mean() < 0.5
    check(images, "spatter", images / 255 * (1 - drops) + 0.35 * drops)


def test_brightness_and_contrast(images):
    check(images, "brightness", images / 255 + 0.3)
    means = [image.mean() / 255 for image in images]
    expected = [m + 0.4 * (image / 255 - m) for m, image in zip(means, images, strict=True)]
    check(images, "contrast", np.array(expected))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixelate_takes_means_of_squares(channels):
    images = np.random.default_rng(1).integers(0, 256, (3, 4, 6, channels), dtype=np.uint8)
    expected = np.zeros(images.shape)
    for n, y, x in places(images.shape[:3]):
        top, left = y // 2 * 2, x // 2 * 2
        expected[n, y, x] = images[n, top : top + 2, left : left + 2].mean(axis=(0, 1))
    # Pillow rounds to levels in between.
    found = corrupt(images, "pixelate")
    np.testing.assert_allclose(found, expected, atol=1.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_pillow_writes_at_that_quality(images, channels):
    images = images[..., :channels]
    for image, found in zip(images, corrupt(images, "jpeg"), strict=True):
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "jpeg", quality=20)
        np.testing.assert_array_equal(np.asarray(Image.open(file)).reshape(found.shape), found)


def moved(images, place):
    """Returns images of which each pixel comes from `place(n, y, x)`, y and x from the centre."""
    expected = np.zeros(images.shape)
    for n, y, x in places(images.shape[:3]):
        down, right = place(n, y - 2, x - 3)
        expected[n, y, x] = between(images[n] / 255, down + 2, right + 3)
    return expected


def test_rotation_about_the_centre(images):
    signs = stream("rotation").choice([-1, 1], 4)
    turns = np.exp(1j * np.deg2rad(22) * signs)

    def place(n, y, x):
        turned = (y + 1j * x) * turns[n]
        return turned.real, turned.imag

    check(images, "rotation", moved(images, place))


def test_smaller_about_the_centre(images):
    check(images, "smaller", moved(images, lambda n, y, x: (1.35 * y, 1.35 * x)))


def test_translation_by_three_pixels(images, one_pixel):
    angles = stream("translation").uniform(0, 2 * np.pi, 4)

    def place(n, y, x):
        return y + 3 * np.sin(angles[n]), x + 3 * np.cos(angles[n])

    check(images, "translation", moved(images, place))


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_function_of_images_severity_and_seed(name):
    smooth = np.linspace(20, 230, 40 * 48).reshape(40, 48).astype(np.uint8)
    images = np.stack([smooth, smooth[::-1], smooth[:, ::-1]] * 10)[..., None]
    images[:, 10:20, 12:30] = 200
    before = images.copy()
    worse = {severity: corrupt(images, name, severity, seed=1) for severity in SEVERITIES}
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(corrupt(images, name, 2, seed=1), worse[2])
    assert all(each.shape == images.shape and each.dtype == np.uint8 for each in worse.values())
    far = [np.abs(each.astype(float) - images).mean() for each in worse.values()]
    assert far[0] > 0
    assert far[0] < far[2] < far[4]
    assert corrupt(images[:0], name).shape == (0, 40, 48, 1)


def test_a_length_grows_with_the_image():
    small = np.zeros((1, 32, 48, 1), np.uint8)
    small[:, 8:24, 16:32] = 255
    large = small.repeat(4, axis=1).repeat(4, axis=2)
    moves = [corrupt(each, "translation").astype(float) for each in (small, large)]
    centres = [np.argwhere(each[0, ..., 0] > 127).mean(axis=0) for each in (*moves, small, large)]
    np.testing.assert_allclose(centres[1] - centres[3], 4 * (centres[0] - centres[2]), atol=2.1)


def test_what_cannot_be_corrupted_is_refused(images):
    with pytest.raises(UsageError, match="unknown corruption 'frog'; did you mean 'fog'"):
        corrupt(images, "frog")
    with pytest.raises(UsageError, match="severity must be 1 .* to 5, got 6"):
        corrupt(images, "fog", 6)
    with pytest.raises(UsageError, match=r"need uint8 images .* got float32 \(4, 5, 7, 3\)"):
        corrupt(images.astype("float32"), "fog")
    with pytest.raises(UsageError, match="1 or 3"):
        corrupt(images[..., :2], "fog")


# Scores


def test_scores_by_hand():
    """A model that answers 1 to a bright image, and is always 80 % certain."""
    images = np.full((5, 6, 9, 1), 100, np.uint8)
    images[3:] = 160
    labels = np.array([0, 0, 1, 1, 1])

    def answers(x):
        bright = x.mean(axis=(1, 2, 3)) > 130
        return np.where(bright[:, None], [[0.2, 0.8]], [[0.8, 0.2]])

    found = corrupted_images.measure(
        answers, images, labels, beside={"always 0": lambda x: answers(0 * x)}
    )
    assert found["examples"] == 5
    assert found["clean"] == {"accuracy": 0.8, "ece": 0.0}
    rows = {row["name"]: row for row in found["rows"]}
    assert tuple(rows) == NAMES
    # 0.3 of 255 brighter, all images are: three of five are right.
    assert rows["brightness"] == {"name": "brightness", "accuracy": 0.6, "ece": 0.2}
    assert rows["contrast"]["accuracy"] == 0.8
    assert found["worst"]["accuracy"] == min(row["accuracy"] for row in rows.values()) <= 0.6
    mean = np.mean([row["accuracy"] for row in rows.values()])
    assert found["mean"]["accuracy"] == pytest.approx(mean, abs=1e-6)
    (other,) = found["beside"]
    assert other["name"] == "always 0"
    assert other["worst"]["accuracy"] == other["mean"]["accuracy"] == 0.4
    assert json.loads(json.dumps(found)) == found


def test_the_same_images_are_chosen_and_fewer_large_ones():
    def chosen(*shape):
        return corrupted_images.chosen(np.broadcast_to(np.uint8(0), shape))

    rows = chosen(2500, 28, 28, 1)
    assert len(set(rows)) == 1000
    np.testing.assert_array_equal(rows, chosen(2500, 32, 32, 3))
    np.testing.assert_array_equal(chosen(7, 28, 28, 1), np.arange(7))
    assert [len(chosen(2500, *sides, 3)) for sides in ((64, 128), (160, 160))] == [500, 200]


@pytest.fixture(scope="module")
def image_run(tiny_data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("corrupted") / "image"
    return train_tiny("mnist_cnn", tiny_data["image"], directory, filters=(4, 8))[0]


def test_evaluate_adds_them_to_metrics_and_report(image_run, tiny_data, tmp_path, capsys):
    before = read_json(image_run.path("metrics.json"))
    assert main(["evaluate", str(image_run.directory), "--corruptions", "--severity", "2"]) == 0
    printed = capsys.readouterr().out
    assert "15 corruptions, 37 test images, severity 2 of 5:" in printed
    assert "motion blur" in printed
    after = read_json(image_run.path("metrics.json"))
    held = after.pop("corruptions")
    assert after == before
    assert held["severity"] == 2
    assert held["clean"]["accuracy"] == before["test"]["accuracy"]
    assert held["beside"][0]["name"].startswith("logistic regression")
    page = image_run.path("report.html").read_text(encoding="utf-8")
    assert "Does it hold on worse images?" in page
    assert image_run.path("figures/corrupted.png").exists()
    # Written again without the model's answers to them, the report keeps what was measured.
    assert main(["report", str(image_run.directory)]) == 0
    assert "Does it hold on worse images?" in image_run.path("report.html").read_text()
    with np.load(tiny_data["image"]) as arrays:
        part = {name: arrays[name][:30] for name in arrays.files}
    np.savez(tmp_path / "other.npz", **part)
    words = ["evaluate", str(image_run.directory), "--data", str(tmp_path / "other.npz")]
    capsys.readouterr()
    assert main([*words, "--corruptions", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["corruptions"]["examples"] == 30
    # Other data: the run's own figures stay.
    assert read_json(image_run.path("metrics.json"))["corruptions"] == held


def test_texts_have_no_corruptions():
    with pytest.raises(UsageError, match="corruptions are of images .* text: leave --corruptions"):
        Classification("text").corrupted(None, None, None, 3)
