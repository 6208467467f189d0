"""What recipes declare, the stratified cut, and converting images."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.cli.data import declared
from common.cli.data import main as prepare_data
from common.data import (
    ImageSet,
    Source,
    full,
    images,
    load_images,
    load_texts,
)
from common.data.sets import RealSet
from common.data.split import stratified_cut
from common.runs import registry
from tests.conftest import ROOT
from tests.data_sets import (
    MNIST,
    REVIEWS,
    load_mnist,
    load_reviews,
    random_images,
)

# The stratified cut


def test_the_cut_is_stratified_complete_and_repeatable():
    labels = np.repeat([0, 1, 2], [100, 31, 7])
    kept, held_out = stratified_cut(labels, 0.15, seed=3)
    assert sorted([*kept, *held_out]) == list(range(138))
    assert len(held_out) == round(0.15 * 138)
    assert np.bincount(labels[held_out]).tolist() == [15, 5, 1]
    again = stratified_cut(labels, 0.15, seed=3)
    np.testing.assert_array_equal(held_out, again[1])
    assert not np.array_equal(held_out, stratified_cut(labels, 0.15, seed=4)[1])


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_each_class_keeps_an_example_on_both_sides(fraction):
    labels = np.repeat([0, 1, 2], [50, 2, 3])
    kept, held_out = stratified_cut(labels, fraction, seed=0)
    assert set(labels[kept]) == set(labels[held_out]) == {0, 1, 2}
    assert len(kept) + len(held_out) == 55


def test_the_cut_of_a_published_result_does_not_change():
    # From NumPy's frozen generator: these numbers must come out of every version.
    labels = np.arange(1000) % 10
    _, held_out = stratified_cut(labels, 0.15, seed=0)
    assert held_out[:10].tolist() == [20, 23, 24, 26, 28, 37, 42, 51, 62, 66]


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1, float("nan")])
def test_a_validation_fraction_outside_0_1_is_a_usage_error(fraction):
    with pytest.raises(UsageError, match="validation_fraction must be greater than 0"):
        load_mnist("sample", fraction=fraction)
    with pytest.raises(UsageError, match="validation_fraction"):
        load_reviews("sample", fraction=fraction)


def test_what_is_no_declaration_and_a_bad_seed_are_usage_errors():
    for data_set in ("mnist", REVIEWS):
        with pytest.raises(UsageError, match=r"ImageSet\(name, label, \.\.\.\) beside load_data"):
            load_images(data_set, Source("sample"), validation_fraction=0.1)
    with pytest.raises(UsageError, match=r"TextSet\(name, label, .*got ImageSet\(name='mnist'"):
        load_texts(MNIST, Source("sample"), validation_fraction=0.1)
    with pytest.raises(UsageError, match="split_seed"):
        load_mnist("sample", split_seed=-1)


@pytest.mark.parametrize(
    ("data_set", "change", "message"),
    [
        (MNIST, {"sample": "shape"}, "unknown image sample 'shape'.*did you mean 'shapes'"),
        (MNIST, {"sample": "reviews"}, r"known: digits, digits 0 to 4, digits 5 to 9, shapes"),
        (REVIEWS, {"sample": "digits"}, r"imdb_reviews: unknown text sample.*known: reviews"),
        (MNIST, {"channels": 4}, "mnist: channels must be 1 or 3, got 4"),
        (MNIST, {"image_size": (28,)}, "image_size must be height and width"),
        (MNIST, {"image_size": (0, 28)}, "both at least 1"),
    ],
)
def test_a_declaration_that_nothing_can_load_is_refused(data_set, change, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(data_set, **change)


def test_a_declaration_names_any_sample_of_its_kind():
    fashion = ImageSet("fashion_mnist", "Fashion", image_size=(9, 7), channels=1, sample="shapes")
    splits = load_images(fashion, Source("sample"), validation_fraction=0.1)
    assert splits.info.name == "sample-shapes"
    assert splits.train.x.shape == (1800, 9, 7, 1)


# What recipes declare


def test_a_recipe_is_imported_without_numpy():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from common.runs import registry
modules = [registry.load(name) for name in registry.names()]
print(len(modules), [name for name in ("numpy", "keras", "tensorflow") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == f"{len(registry.names())} []", result.stderr


def test_recipes_that_share_a_data_set_describe_it_alike():
    found = declared()
    assert {"mnist", "cifar10", "imdb_reviews"} <= set(found)
    for name in registry.names():
        data_set = getattr(registry.load(name), "DATA", None)
        # The user fetches tables: `make data` has none.
        assert not isinstance(data_set, RealSet) or data_set == found[data_set.name]


def test_make_data_prepares_what_recipes_declare(monkeypatch, capsys):
    prepared = []

    def prepare(data_set, data_dir):
        prepared.append(data_set)
        raise RecipeError("not today")

    monkeypatch.setattr(full, "prepare", prepare)
    assert prepare_data([]) == 1
    assert prepared == list(declared().values())
    assert "cifar10: not today" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        prepare_data(["nonsense"])
    names = "recipes declare: cifar10, fashion_mnist, imdb_reviews, mnist, omniglot, tf_flowers"
    assert names in capsys.readouterr().err


# Converting images


def test_conversion_agrees_with_pillow():
    from PIL import Image

    x = random_images(3, 17, 23, 3)
    for channels, mode in ((1, "L"), (3, "RGB")):
        converted = images.convert(x, (17, 23), channels)
        expected = np.asarray(Image.fromarray(x[1]).convert(mode)).reshape(17, 23, channels)
        np.testing.assert_array_equal(converted[1], expected)
    resized = images.convert(x, (9, 11), 3)
    expected = Image.fromarray(x[2]).resize((11, 9), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resized[2], np.asarray(expected))
    assert images.convert(x, (17, 23), 3) is x
    assert images.convert(x[..., :1], (5, 6), 3).shape == (3, 5, 6, 3)


def test_exif_orientation_16_bit_grey_and_transparency_are_respected(tmp_path):
    from PIL import Image

    array = np.zeros((4, 8, 3), np.uint8)
    array[:, :4] = 255
    picture = Image.fromarray(array)
    exif = picture.getexif()
    exif[274] = 6  # Lying on its side: to be turned by 90 degrees clockwise.
    picture.save(tmp_path / "turned.png", exif=exif)
    turned = images.read_image(tmp_path / "turned.png", (8, 4), 1)
    assert turned[:4].min() == 255
    assert turned[4:].max() == 0

    deep = np.full((4, 4), 32896, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    deep_image = images.read_image(tmp_path / "deep.png", (4, 4), 1, (0, 65535))
    assert (deep_image == 128).all()

    clear = np.zeros((4, 4, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (images.read_image(tmp_path / "clear.png", (4, 4), 3) == 255).all()


def test_data_info_is_complete():
    info = load_mnist("sample").info
    fields = {field.name for field in dataclasses.fields(info)}
    assert fields == set(info.to_dict())
    assert set(info.counts) == {"train", "validation", "test"}
