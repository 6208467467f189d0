"""The user's own folders, CSV and NPZ files, and what is wrong with them."""

import shutil
import sys

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.data import Reading, Source
from tests.data_sets import (
    load_mnist,
    load_reviews,
    random_images,
    save_image,
)


@pytest.fixture
def image_folder(tmp_path):
    """Three classes of unequal size; images of unequal size and mode."""
    root = tmp_path / "animals"
    for label, (name, count) in enumerate({"zebra": 5, "ant": 9, "bee": 7}.items()):
        for index in range(count):
            shape = (20 + index, 30, 3) if index % 2 else (25, 18 + index)
            save_image(root / name / f"{index}.png", random_images(*shape, seed=index + label))
    return root


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
    with pytest.raises(RecipeError, match=r"reads images: .*train\.csv: .*path is missing"):
        load_mnist(tmp_path / "csv")
    np.savez(tmp_path / "e.npz", x=np.array(["a", " "] * 6), y=LABELS)
    with pytest.raises(RecipeError, match=r"x\[1\] is an empty text"):
        load_reviews(tmp_path / "e.npz")


def test_the_size_of_the_test_split_can_be_chosen(tmp_path):
    rows = [f"text {n},{'ab'[n % 2]}" for n in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows]))

    def counts(**reading):
        splits = load_reviews(Source(str(tmp_path / "a.csv"), reading=Reading(**reading)))
        return splits.info.counts["test"], splits.info.fingerprint

    assert counts()[0] == 15
    assert counts(test_fraction=0.15) == counts()
    assert counts(test_fraction=0.4)[0] == 40
    assert counts(test_fraction=0.4)[1] != counts()[1]
    for wrong in (0.0, 1.0, -0.5, float("nan")):
        with pytest.raises(UsageError, match="--test-fraction must be greater than 0"):
            counts(test_fraction=wrong)
    (tmp_path / "bad.csv").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="--test-fraction must be"):  # Before anything is read.
        load_reviews(Source(str(tmp_path / "bad.csv"), reading=Reading(test_fraction=2.0)))
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_bytes((tmp_path / "a.csv").read_bytes())
    with pytest.raises(UsageError, match="--test-fraction cuts .* has one; leave it out"):
        load_reviews(Source(str(tmp_path), reading=Reading(test_fraction=0.2)))
