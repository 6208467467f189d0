"""Data: samples, the user's own, the real sets, the array cache, and every kind of bad input."""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.cli.data import declared
from common.cli.data import main as prepare_data
from common.data import (
    ImageSet,
    Source,
    Split,
    Splits,
    TextSet,
    cache,
    full,
    images,
    load_images,
    load_texts,
    sample,
    tfds_worker,
)
from common.data.sets import RealSet
from common.data.split import stratified_cut
from common.runs import registry

ROOT = Path(__file__).parent.parent
MNIST = ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")
SHAPES = ImageSet("cifar10", "CIFAR-10", image_size=(32, 32), channels=3, sample="shapes")
REVIEWS = TextSet("imdb_reviews", "IMDB reviews", config="plain_text", sample="reviews")


def load_mnist(data, image_size=(28, 28), channels=1, fraction=0.2, **kwargs):
    """Loads images in the form that MNIST recipes ask for."""
    return load_images(
        dataclasses.replace(MNIST, image_size=image_size, channels=channels),
        data if isinstance(data, Source) else Source(str(data)),
        validation_fraction=fraction,
        **kwargs,
    )


def load_reviews(data, fraction=0.2):
    """Loads texts in the form that the IMDB recipe asks for."""
    source = data if isinstance(data, Source) else Source(str(data))
    return load_texts(REVIEWS, source, validation_fraction=fraction)


def random_images(*shape, seed=0):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def save_image(path, array, **kwargs):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **kwargs)


@pytest.fixture
def image_folder(tmp_path):
    """Three classes of unequal size; images of unequal size and mode."""
    root = tmp_path / "animals"
    for label, (name, count) in enumerate({"zebra": 5, "ant": 9, "bee": 7}.items()):
        for index in range(count):
            shape = (20 + index, 30, 3) if index % 2 else (25, 18 + index)
            save_image(root / name / f"{index}.png", random_images(*shape, seed=index + label))
    return root


@pytest.fixture
def offline(monkeypatch):
    """A machine without a network."""

    def refuse(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)


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


# The samples


@pytest.mark.parametrize(("size", "channels"), [((28, 28), 1), ((32, 40), 3)])
def test_the_digits_sample(size, channels):
    splits = load_mnist("sample", size, channels)
    assert splits.train.x.shape[1:] == (*size, channels)
    assert splits.train.x.dtype == np.uint8
    assert splits.train.y.dtype == np.int32
    counts = {"train": 1150, "validation": 287, "test": 360}
    assert splits.info.counts == counts
    assert [len(splits.train), len(splits.val), len(splits.test)] == list(counts.values())
    assert splits.info.label.startswith("SAMPLE DATA: ")
    assert splits.info.source == "sample"
    # White on black with an empty border, as MNIST is.
    assert splits.train.x.max() > 250
    assert splits.train.x[:, 0].max() == 0
    assert np.bincount(splits.test.y).min() >= 34


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    found, found_labels = sample._digits()
    np.testing.assert_array_equal(found.reshape(1797, 64), np.round(pixels * 255 / 16))
    np.testing.assert_array_equal(found_labels, labels)


def test_the_shapes_sample_is_not_told_by_colour():
    from sklearn.linear_model import LogisticRegression

    splits = load_images(SHAPES, Source("sample"), validation_fraction=0.1)
    assert splits.train.x.shape == (1800, 32, 32, 3)
    assert splits.test.x.shape == (500, 32, 32, 3)
    assert np.bincount(splits.test.y).tolist() == [50] * 10

    def colours(split):
        return split.x.reshape(len(split), -1, 3).mean(axis=1) / 255

    model = LogisticRegression().fit(colours(splits.train), splits.train.y)
    assert model.score(colours(splits.test), splits.test.y) < 0.2


def test_the_reviews_sample_needs_more_than_counting_words():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    splits = load_reviews("sample", fraction=0.1)
    assert splits.info.class_names == ("neg", "pos")
    assert splits.info.counts == {"train": 1800, "validation": 200, "test": 500}
    texts = [*splits.train.x, *splits.val.x, *splits.test.x]
    assert len(set(texts)) == 2500
    assert all(20 <= len(text.split()) <= 120 for text in texts)
    assert any("<br />" in text for text in texts)
    scores = {}
    for words in (1, 2):
        counts = CountVectorizer(ngram_range=(1, words), binary=True)
        model = LogisticRegression().fit(counts.fit_transform(splits.train.x), splits.train.y)
        scores[words] = model.score(counts.transform(splits.test.x), splits.test.y)
    assert 0.75 < scores[1] < 0.92
    assert scores[1] + 0.01 < scores[2] < 0.97


@pytest.mark.parametrize("load", [load_mnist, load_reviews])
def test_samples_are_the_same_every_time(load):
    first, second = load("sample"), load("sample")
    assert first.info == second.info
    np.testing.assert_array_equal(first.val.x, second.val.x)
    json.dumps(first.info.to_dict(), allow_nan=False)
    assert isinstance(first.info.to_dict()["class_names"], list)


def test_another_split_seed_cuts_other_validation_examples_from_the_same_data():
    first, second = load_mnist("sample"), load_mnist("sample", split_seed=1)
    assert not np.array_equal(first.val.x, second.val.x)
    assert first.info == second.info
    np.testing.assert_array_equal(first.test.x, second.test.x)


def test_the_test_split_is_loaded_once_and_only_when_asked_for():
    calls = []

    def load_test():
        calls.append(1)
        return Split(np.zeros((2, 1)), np.zeros(2))

    splits = Splits(None, None, load_test, None)
    assert calls == []
    assert len(splits.test) == len(splits.test) == 2
    assert calls == [1]


def test_samples_need_no_network_and_no_heavy_import():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from common.data import ImageSet, Source, TextSet, load_images, load_texts
mnist, reviews, sample = {MNIST!r}, {REVIEWS!r}, Source("sample")
load_texts(reviews, sample, validation_fraction=0.1)
load_images(mnist, sample, validation_fraction=0.1)
heavy = ["tensorflow", "tensorflow_datasets", "keras", "sklearn", "scipy", "pandas"]
print([name for name in heavy if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


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


# The user's own data


def test_a_folder_of_class_folders(image_folder):
    (image_folder / ".hidden").mkdir()
    (image_folder / "ant" / ".DS_Store").write_bytes(b"x")
    (image_folder / "ant" / "notes.txt").write_text("not an image")
    splits = load_mnist(image_folder, (16, 12), 3)
    info = splits.info
    assert info.class_names == ("ant", "bee", "zebra")
    assert (info.source, info.kind, info.label) == ("own", "image", "animals")
    assert sum(info.counts.values()) == 21
    assert info.counts["test"] == len(splits.test) == 3
    assert splits.train.x.shape == (info.counts["train"], 16, 12, 3)
    assert set(splits.train.y) == set(splits.val.y) == set(splits.test.y) == {0, 1, 2}
    assert load_mnist(image_folder, (28, 28), 1).info.fingerprint == info.fingerprint
    save_image(image_folder / "ant" / "0.png", random_images(9, 9))
    assert load_mnist(image_folder, (16, 12), 3).info.fingerprint != info.fingerprint


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_of_files_and_classes_need_not_be_text(image_folder):
    (image_folder / "bee").rename(image_folder / "b\udcff")
    (image_folder / "ant" / "0.png").rename(image_folder / "ant" / "\udcfe.png")
    folder = image_folder.rename(image_folder.with_name("d\udcff"))
    info = load_mnist(folder, (16, 12), 3).info
    # Text from here on: fonts, pages and files draw and hold nothing else.
    assert info.class_names == ("ant", "b\\udcff", "zebra")
    assert info.label == "d\\udcff"


def test_folders_named_train_and_test_are_the_splits(image_folder, tmp_path):
    root = tmp_path / "split"
    shutil.copytree(image_folder, root / "train")
    shutil.copytree(image_folder / "ant", root / "test" / "ant")
    splits = load_mnist(root)
    assert splits.info.counts["test"] == 9
    assert splits.info.counts["train"] + splits.info.counts["validation"] == 21
    assert splits.test.y.tolist() == [0] * 9
    shutil.rmtree(root / "test")
    assert load_mnist(root).info.counts["test"] == 3

    shutil.copytree(image_folder, root / "val")
    with pytest.raises(RecipeError, match=r"found val/"):
        load_mnist(root)
    shutil.rmtree(root / "val")
    shutil.copytree(image_folder / "ant", root / "test" / "wasp")
    with pytest.raises(RecipeError, match="class 'wasp' is in test/ and not in train/"):
        load_mnist(root)


def test_a_csv(tmp_path):
    path = tmp_path / "mine.csv"
    rows = [f'{index},"Grüße, Zeile {index}\nzwei",{index % 3 * 5}' for index in range(40)]
    path.write_text("\ufeffid,Text,LABEL\n" + "\n".join(rows) + "\n", encoding="utf-8")
    splits = load_reviews(path)
    # Labels that are numbers are in the order of numbers.
    assert splits.info.class_names == ("0", "5", "10")
    assert sum(splits.info.counts.values()) == 40
    assert splits.info.counts["test"] == 6
    assert splits.train.x[0] == "Grüße, Zeile 0\nzwei"
    assert splits.info.label == "mine.csv"


def test_a_folder_with_train_and_test_csv(tmp_path):
    rows = [f"text {index},{'yes' if index % 2 else 'no'}" for index in range(20)]
    (tmp_path / "train.csv").write_text("text,label\n" + "\n".join(rows))
    (tmp_path / "test.csv").write_text("label,text\nyes,good\n")
    splits = load_reviews(tmp_path)
    assert splits.info.class_names == ("no", "yes")
    assert splits.test.x.tolist() == ["good"]
    assert splits.test.y.tolist() == [1]
    (tmp_path / "test.csv").write_text("label,text\nmaybe,good\n")
    with pytest.raises(RecipeError, match="label 'maybe' does not occur in train"):
        load_reviews(tmp_path)


@pytest.mark.parametrize("scale", [1, 255])
def test_npz_images_with_and_without_test_split(tmp_path, scale):
    x = random_images(40, 10, 14)
    x[0, 0, 0] = 255
    stored = x if scale == 1 else (x / 255).astype(np.float32)
    y = np.arange(40) % 4 + 3
    np.savez(tmp_path / "a.npz", x=stored, y=y[:, None])
    splits = load_mnist(tmp_path / "a.npz", (10, 14), 1)
    assert splits.info.class_names == ("3", "4", "5", "6")
    together = np.concatenate([splits.train.x, splits.val.x, splits.test.x])
    assert together.sum() == x.sum()
    names = np.array(["a", "b", "c", "d"])
    np.savez(
        tmp_path / "b.npz",
        x_train=stored,
        y_train=y - 3,
        x_test=stored[:5],
        y_test=y[:5] - 3,
        class_names=names,
    )
    splits = load_mnist(tmp_path / "b.npz", (20, 20), 3)
    assert splits.info.class_names == ("a", "b", "c", "d")
    assert splits.test.x.shape == (5, 20, 20, 3)
    assert splits.info.counts["train"] + splits.info.counts["validation"] == 40


def test_npz_texts(tmp_path):
    texts = np.array([f"text {index}" for index in range(20)])
    np.savez(tmp_path / "t.npz", x=texts, y=np.arange(20) % 2)
    splits = load_reviews(tmp_path / "t.npz")
    assert splits.info.kind == "text"
    assert splits.train.x.dtype == object
    assert set(splits.train.x) | set(splits.val.x) | set(splits.test.x) == set(texts)


# Bad input: each one error, one line, that names the thing


def test_a_path_that_does_not_exist_and_one_of_another_kind(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'sample'"):
        load_mnist("smaple")
    with pytest.raises(UsageError, match="no data at"):
        load_reviews(tmp_path / "absent.csv")
    (tmp_path / "data.xlsx").write_bytes(b"x")
    with pytest.raises(RecipeError, match=r"data\.xlsx"):
        load_mnist(tmp_path / "data.xlsx")
    with pytest.raises(RecipeError, match=r"data\.xlsx"):
        load_reviews(tmp_path / "data.xlsx")


@pytest.mark.parametrize("damage", ["text", "cut", "empty"])
def test_a_corrupt_image_is_named(image_folder, damage):
    path = image_folder / "bee" / "3.png"
    held = path.read_bytes()
    path.write_bytes({"text": b"not an image", "cut": held[: len(held) // 2], "empty": b""}[damage])
    with pytest.raises(RecipeError, match=r"bee.3\.png"):
        load_mnist(image_folder)
    path.write_bytes(held)
    load_mnist(image_folder)


def test_an_empty_class_folder_is_named(image_folder):
    (image_folder / "cat").mkdir()
    (image_folder / "cat" / "readme.txt").write_text("soon")
    with pytest.raises(RecipeError, match="cat holds no images"):
        load_mnist(image_folder)


def test_too_few_classes_or_examples(image_folder):
    shutil.rmtree(image_folder / "bee")
    for index in range(2, 5):
        (image_folder / "zebra" / f"{index}.png").unlink()
    with pytest.raises(RecipeError, match="class 'zebra' has 2 training examples"):
        load_mnist(image_folder)
    shutil.rmtree(image_folder / "zebra")
    with pytest.raises(RecipeError, match="at least two classes, found only 'ant'"):
        load_mnist(image_folder)
    shutil.rmtree(image_folder / "ant")
    with pytest.raises(RecipeError, match="no class folders"):
        load_mnist(image_folder)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ("review,label\na,b\n", "column text is missing; found: review, label"),
        ("text:label\na:b\n", "column text is missing; found: text:label"),
        ("text,rating\na,b\n", "column label is missing"),
        ("", "found: an empty file"),
        ("text,label\n", "no rows"),
        ("text,label\n ,pos\n", r"of 1 rows, 1 without a text \(the first in line 2\)"),
        ("text,label\ngood,\n", r"of 1 rows, 1 without a label \(the first in line 2\)"),
        ("text,label\ngood, really,pos\n", "line 2: 3 fields where the header has 2"),
        ("text,label\n" + "good,pos\n" * 9, "at least two classes, found only 'pos'"),
        ("text,label\n" + "good,pos\n" * 9 + "bad,neg\n" * 2, "class 'neg' has 2"),
        (b"text,label\n\xff\xfe\xfa,pos\n", "not a readable UTF-8 CSV"),
        ('text,label\n"never closed,pos\n', "not a readable UTF-8 CSV"),
    ],
)
def test_bad_csv_files(tmp_path, held, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(held if isinstance(held, bytes) else held.encode())
    with pytest.raises(RecipeError, match=message) as caught:
        load_reviews(path)
    assert "bad.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


IMAGES = random_images(12, 8, 8, 3)
LABELS = np.arange(12) % 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES}, "y is missing|x_train is missing"),
        ({"images": IMAGES, "y": LABELS}, "found images, y"),
        ({"x_train": IMAGES, "y_train": LABELS}, "x_test is missing"),
        ({"x": IMAGES, "y": LABELS * 0.5}, "must be integers, got dtype float64"),
        ({"x": IMAGES, "y": np.array(["a", "b"] * 6)}, "must be integers"),
        ({"x": IMAGES, "y": LABELS[:5]}, r"shape \(12,\); got \(5,\)"),
        ({"x": IMAGES[..., :2], "y": LABELS}, r"got shape \(12, 8, 8, 2\)"),
        ({"x": IMAGES[:, 0, 0], "y": LABELS}, r"got shape \(12, 3\)"),
        ({"x": IMAGES.astype(float), "y": LABELS}, r"must lie in 0\.\.1"),
        ({"x": np.where(IMAGES > 9, np.nan, 0.5), "y": LABELS}, "NaN"),
        ({"x": IMAGES.astype(int) - 9, "y": LABELS}, r"must lie in 0\.\.65535"),
        ({"x": IMAGES.astype(complex), "y": LABELS}, "dtype complex128"),
        ({"x": np.array([{"a": 1}] * 12), "y": LABELS}, "pickled Python objects"),
        ({"x": IMAGES, "y": LABELS * 0}, "at least two classes"),
        ({"x": IMAGES, "y": (np.arange(12) > 9) * 1}, "class '1' has 2"),
        ({"x": IMAGES, "y": LABELS, "class_names": np.array(["a", "b", "c"])}, "lists 3 classes"),
        ({"x": IMAGES, "y": LABELS, "class_names": np.array(["a", "a"])}, "twice"),
        (
            {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:1], "y_test": [7]},
            "label 7 in y_test",
        ),
        (
            {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:0], "y_test": LABELS[:0]},
            "test split is empty",
        ),
        ({"x": np.array(["a text"] * 12), "y": LABELS}, "reads images.*holds texts"),
    ],
)
def test_bad_npz_files(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(RecipeError, match=message) as caught:
        load_mnist(tmp_path / "bad.npz")
    assert "bad.npz" in str(caught.value)


@pytest.mark.parametrize("damage", ["text", "cut", "flipped", "npy", "pickle"])
def test_a_corrupt_npz_file(tmp_path, damage):
    path = tmp_path / "bad.npz"
    np.savez(path, x=IMAGES, y=LABELS)
    held = bytearray(path.read_bytes())
    if damage == "text":
        held = b"this is no zip file"
    elif damage == "cut":
        held = held[: len(held) // 2]
    elif damage == "flipped":
        held[len(held) // 4] ^= 255
    path.write_bytes(held)
    if damage == "npy":
        with path.open("wb") as file:
            np.save(file, IMAGES)
    if damage == "pickle":
        path.write_bytes(b"\x80\x04]\x94.")
    with pytest.raises(RecipeError, match=r"bad\.npz (cannot be read|is a single array)"):
        load_mnist(path)


def test_data_of_the_other_kind_is_refused(image_folder, tmp_path):
    (tmp_path / "t.csv").write_text("text,label\na,b\n")
    with pytest.raises(RecipeError, match="this recipe reads images"):
        load_mnist(tmp_path / "t.csv")
    with pytest.raises(RecipeError, match="this recipe reads texts"):
        load_reviews(image_folder)
    np.savez(tmp_path / "i.npz", x=IMAGES, y=LABELS)
    with pytest.raises(RecipeError, match=r"reads texts.*holds images"):
        load_reviews(tmp_path / "i.npz")
    (tmp_path / "csv").mkdir()
    shutil.copy(tmp_path / "t.csv", tmp_path / "csv" / "train.csv")
    with pytest.raises(RecipeError, match="holds CSV files of texts"):
        load_mnist(tmp_path / "csv")
    np.savez(tmp_path / "e.npz", x=np.array(["a", " "] * 6), y=LABELS)
    with pytest.raises(RecipeError, match=r"x\[1\] is an empty text"):
        load_reviews(tmp_path / "e.npz")


# Offline


def test_absent_and_offline_is_a_clear_error_in_seconds(tmp_path, monkeypatch, offline):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path / "cache"))
    started = time.perf_counter()
    for load in (load_mnist, load_reviews):
        with pytest.raises(RecipeError) as caught:
            load("full")
        for way_out in ("--data sample", "--data-dir", "TFDS_DATA_DIR", "make data"):
            assert way_out in str(caught.value)
        assert str(tmp_path / "nothing") in str(caught.value)
    assert time.perf_counter() - started < 5
    assert prepare_data(["mnist", "--data-dir", str(tmp_path)]) == 1


def test_the_server_that_a_declaration_names_is_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(full, "online", lambda host: bool(asked.append(host)))
    with pytest.raises(RecipeError, match="storage.googleapis.com cannot be reached"):
        load_mnist(Source("full", tmp_path))
    elsewhere = dataclasses.replace(REVIEWS, host="example.org")
    with pytest.raises(RecipeError, match=r"example\.org cannot be reached"):
        load_texts(elsewhere, Source("full", tmp_path), validation_fraction=0.1)
    assert asked == ["storage.googleapis.com", "example.org"]


@pytest.mark.parametrize(
    ("kind", "features", "absent"),
    [("text", ["description", "label"], "text"), ("image", ["image", "labels"], "label")],
)
def test_a_set_without_the_features_that_recipes_read_says_so(
    tmp_path, monkeypatch, capsys, kind, features, absent
):
    info = types.SimpleNamespace(features=dict.fromkeys(features))
    stand_in = types.SimpleNamespace(
        disable_progress_bar=lambda: None,
        builder_from_directory=lambda folder: types.SimpleNamespace(info=info),
    )
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", stand_in)
    assert tfds_worker.main(["decode", "folder", str(tmp_path), kind]) == 1
    line = capsys.readouterr().out
    assert line.startswith(f"error: it has no feature '{absent}'")
    assert f"it has: {', '.join(features)}" in line


def test_a_network_that_swallows_everything_costs_three_seconds(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *args, **kwargs: time.sleep(60))
    monkeypatch.setattr(full, "CONNECT_SECONDS", 0.2)
    started = time.perf_counter()
    assert not full.online("example.org")
    assert time.perf_counter() - started < 2


def test_without_tensorflow_datasets_the_message_says_so(tmp_path, monkeypatch, offline):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(RecipeError, match=r"tensorflow-datasets .* is not installed.*sample"):
        load_mnist(Source("full", tmp_path))
    prepared(tmp_path)
    with pytest.raises(RecipeError, match="needs tensorflow-datasets, which is not installed"):
        load_mnist(Source("full", tmp_path))


# The cache, filled by a stand-in for TFDS


def prepared(folder, version="3.0.1", content=b"records"):
    """Writes files that look like a prepared MNIST."""
    path = folder / "mnist" / version
    path.mkdir(parents=True)
    (path / "dataset_info.json").write_text("{}")
    (path / "features.json").write_text("{}")
    for split in ("train", "test"):
        (path / f"mnist-{split}.tfrecord-00000-of-00001").write_bytes(content)
    return path


def stand_in(name, task, folder, out, kind, quiet=True):
    """Does what `_run_worker` does, without TFDS."""
    for split, count in (("train", 30), ("test", 7)):
        cache.write_split(out, split, random_images(count, 28, 28, 1), np.arange(count) % 3)
    meta = {"kind": "image", "class_names": ["a", "b", "c"], "encoding": "png"}
    (Path(out) / "decoded.json").write_text(json.dumps(meta))


@pytest.fixture
def mnist_files(tmp_path, monkeypatch):
    """A TFDS folder with a stand-in for MNIST, an empty cache, and a count of the decodings."""
    calls = []

    def worker(*args, **kwargs):
        calls.append(args)
        stand_in(*args, **kwargs)

    monkeypatch.setattr(full, "_run_worker", worker)
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    prepared(tmp_path / "tfds")
    return calls


def test_data_is_decoded_once(mnist_files):
    first = load_mnist("full")
    second = load_mnist("full")
    assert len(mnist_files) == 1
    assert first.info == second.info
    np.testing.assert_array_equal(first.train.x, second.train.x)
    assert isinstance(second.test.x, np.memmap)
    assert not second.test.x.flags.writeable
    assert first.info.counts == {"train": 24, "validation": 6, "test": 7}
    assert first.info.label == "MNIST"


def test_other_files_are_another_fingerprint(mnist_files, tmp_path):
    first = load_mnist("full").info.fingerprint
    record = tmp_path / "tfds" / "mnist" / "3.0.1" / "mnist-train.tfrecord-00000-of-00001"
    record.write_bytes(b"changed")
    assert load_mnist("full").info.fingerprint != first
    assert len(mnist_files) == 2


def test_the_newest_complete_version_is_read(mnist_files, tmp_path):
    incomplete = prepared(tmp_path / "tfds", "10.0.0")
    (incomplete / "mnist-test.tfrecord-00000-of-00001").unlink()
    prepared(tmp_path / "tfds", "3.0.0")
    assert load_mnist("full").info.version == "3.0.1"


@pytest.mark.parametrize("damage", ["cut", "flipped", "absent", "meta", "no meta", "file"])
def test_a_damaged_entry_is_rebuilt(mnist_files, tmp_path, damage):
    before = load_mnist("full")
    entry = full.prepare(MNIST).folder
    array = entry / "train_x.npy"
    if damage == "cut":
        array.write_bytes(array.read_bytes()[:2000])
    elif damage == "flipped":
        held = bytearray(array.read_bytes())
        held[5000] ^= 1
        array.write_bytes(held)
    elif damage == "absent":
        array.unlink()
    elif damage == "meta":
        (entry / "meta.json").write_text("{")
    elif damage == "no meta":
        (entry / "meta.json").unlink()
    else:
        shutil.rmtree(entry)
        entry.write_text("a file where a folder should be")
    after = load_mnist("full")
    assert len(mnist_files) == 2
    np.testing.assert_array_equal(before.train.x, after.train.x)
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]


def test_the_cache_alone_is_enough_where_no_folder_was_named(
    mnist_files, tmp_path, monkeypatch, offline
):
    info = load_mnist("full").info
    shutil.rmtree(tmp_path / "tfds")
    with pytest.raises(RecipeError, match="--data-dir"):
        load_mnist("full")  # TFDS_DATA_DIR names a folder: it must hold the data.
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load_mnist("full").info == info
    with pytest.raises(RecipeError, match="--data-dir"):
        load_mnist(Source("full", tmp_path / "elsewhere"))
    # Two entries: which of them is meant?
    prepared(tmp_path / "tfds", content=b"others")
    load_mnist(Source("full", tmp_path / "tfds"))
    with pytest.raises(RecipeError, match="2 versions of it in the cache"):
        load_mnist("full")


def test_a_run_keeps_its_test_split_when_the_cache_is_cleared(mnist_files, tmp_path):
    splits = load_mnist("full")
    shutil.rmtree(tmp_path / "cache")
    assert splits.test.x.sum() == random_images(7, 28, 28, 1).sum()


@pytest.mark.parametrize("blocked", ["file", "proc"])
def test_a_cache_that_cannot_be_written_is_done_without(
    mnist_files, tmp_path, monkeypatch, capsys, blocked
):
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" if blocked == "file" else Path("/proc/none")
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(root))
    assert load_mnist("full").info.counts["test"] == 7
    assert "cannot be written" in capsys.readouterr().err


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(mnist_files, tmp_path, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full_disk)
    with pytest.raises(RecipeError, match="No space left on device"):
        load_mnist("full")
    assert list((tmp_path / "cache" / "mnist").iterdir()) == []


def test_a_full_disk_while_decoding_does_not_blame_the_data(tmp_path, monkeypatch, capsys):
    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tfds_worker, "decode", full_disk)
    code = tfds_worker.main(["decode", "folder", "out", "image"])
    result = subprocess.CompletedProcess([], code, capsys.readouterr().out, "")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: result)
    with pytest.raises(RecipeError, match=r"no space to write mnist.*KERAS_RECIPE_BOX_CACHE") as e:
        full._run_worker("mnist", "decode", "folder", "out", "image")
    assert "damaged" not in str(e.value)


@pytest.mark.parametrize("content", [b"", b"these are not records"])
def test_damaged_records_are_one_clear_error(tmp_path, content):
    folder = prepared(tmp_path, content=content)
    with pytest.raises(RecipeError, match=r"could not read mnist in .*make data") as caught:
        load_mnist(Source("full", tmp_path))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def build_slowly(root, done):
    """Builds the same entry as other processes do, slowly; reports what it read."""
    os.environ["KERAS_RECIPE_BOX_CACHE"] = root

    def build(folder):
        for split in ("train", "test"):
            cache.write_split(folder, split, random_images(50, 64, 64, 3), np.arange(50))
            time.sleep(0.3)
        return {"kind": "image"}

    entry = cache.get("set", "1", "f" * 64, build)
    done.put(hashlib.sha256(entry.split("train").x.tobytes()).hexdigest())


@pytest.mark.parametrize("damaged", [False, True])
def test_processes_that_write_at_once_all_succeed(tmp_path, damaged):
    entry = tmp_path / "set" / f"1-{'f' * 16}"
    if damaged:
        entry.mkdir(parents=True)
        (entry / "meta.json").write_text("{}")
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    processes = [context.Process(target=build_slowly, args=(str(tmp_path), done)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    expected = hashlib.sha256(random_images(50, 64, 64, 3).tobytes()).hexdigest()
    assert {done.get(timeout=60) for _ in processes} == {expected}
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]


def test_a_killed_writer_leaves_no_torn_entry(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path))
    context = multiprocessing.get_context("spawn")
    for wait in (0.1, 0.35, 0.5):
        process = context.Process(target=build_slowly, args=(str(tmp_path), context.Queue()))
        process.start()
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert cache.find("set") == [] or wait > 0.6
    # What the dead left is not an entry, and goes.
    build_slowly(str(tmp_path), context.Queue())
    assert len(cache.find("set")) == 1
    assert list((tmp_path / "set").glob(".partial-*")) == []


def test_texts_survive_the_cache():
    texts = ["", "plain", "Grüße 🎬", "line\nbreak\0zero"]
    blob, offsets = cache.pack_texts(texts)
    assert (blob.dtype, offsets.dtype) == (np.uint8, np.int64)
    assert cache.unpack_texts(blob, offsets).tolist() == texts


# The real data sets

REAL = {
    "mnist": (60000, 10000, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    "cifar10": (50000, 10000, [1000] * 10),
    "imdb_reviews": (25000, 25000, [12500, 12500]),
}


def load_real(name):
    """Loads a real data set; skips where it is not at hand."""
    folder = Path(os.environ["TFDS_DATA_DIR"])
    data_set = declared()[name]
    if full._find_files(data_set, folder) is None:
        pytest.skip(f"real data: TFDS_DATA_DIR holds no {name}")
    load = load_texts if name == "imdb_reviews" else load_images
    return load(data_set, Source("full"), validation_fraction=0.15)


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_data(name):
    train_count, test_count, test_labels = REAL[name]
    splits = load_real(name)
    assert len(splits.train) + len(splits.val) == train_count
    assert len(splits.val) == round(0.15 * train_count)
    assert len(splits.test) == test_count
    assert np.bincount(splits.test.y).tolist() == test_labels
    train_labels = np.bincount(splits.train.y) + np.bincount(splits.val.y)
    expected = {"mnist": [5923, 6742], "cifar10": [5000, 5000], "imdb_reviews": [12500, 12500]}
    assert train_labels[:2].tolist() == expected[name]
    assert splits.info.source == "full"
    again = load_real(name)
    assert again.info == splits.info
    assert len(splits.info.fingerprint) == 64
    if name == "cifar10":
        assert splits.info.class_names[:2] == ("airplane", "automobile")
    if name == "imdb_reviews":
        assert splits.info.class_names == ("neg", "pos")
        assert all(isinstance(text, str) and text for text in splits.test.x)


@pytest.mark.real_data
def test_a_jpeg_copy_of_cifar10_says_so():
    info = load_real("cifar10").info
    files = full._find_files(SHAPES, Path(os.environ["TFDS_DATA_DIR"]))
    path = next(file for file in files if "-train." in file.name)
    # JPEG files start with these bytes and PNG files with others: look at the first record.
    is_jpeg = b"\xff\xd8\xff" in path.read_bytes()[:2000]
    assert (info.label == "CIFAR-10, JPEG copy") == is_jpeg
    assert ("not comparable" in info.note) == is_jpeg
    assert is_jpeg or info.label == "CIFAR-10"


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_the_second_start_needs_no_tensorflow(name):
    info = load_real(name).info
    function = "load_texts" if name == "imdb_reviews" else "load_images"
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
sys.modules["tensorflow"] = sys.modules["tensorflow_datasets"] = None  # Importing them fails.
from common.data import ImageSet, Source, TextSet, load_images, load_texts
splits = {function}({declared()[name]!r}, Source(), validation_fraction=0.15)
splits.test
print(splits.info.fingerprint, "keras" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    fingerprint, keras_imported = result.stdout.split()
    assert fingerprint == info.fingerprint
    assert keras_imported == "False"


@pytest.mark.real_data
def test_make_data_prints_a_line_per_data_set(capsys):
    load_real("mnist")
    assert prepare_data(["mnist"]) == 0
    line = capsys.readouterr().out
    assert "mnist 3.0.1: 60,000 train, 10,000 test, 10 classes" in line


def test_data_info_is_complete():
    info = load_mnist("sample").info
    fields = {field.name for field in dataclasses.fields(info)}
    assert fields == set(info.to_dict())
    assert set(info.counts) == {"train", "validation", "test"}
