"""The user's own images: what was read is said, nothing is dropped or darkened in silence."""

import hashlib
import json
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.data import (
    ImageSet,
    Reading,
    Source,
    cache,
    folders,
    images,
    load_images,
    own_images,
    remarks,
)
from common.data import progress as progress_module
from common.data.progress import progress


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path / "cache"))


def load(path, size=(8, 8), channels=1, **reading):
    """Loads images of one's own as a recipe does."""
    source = Source(str(path), reading=Reading(**reading))
    digits = ImageSet("mnist", "MNIST", image_size=size, channels=channels, sample="digits")
    return load_images(digits, source, validation_fraction=0.2)


def everything(splits):
    """Returns all images and labels of Splits."""
    parts = (splits.train, splits.val, splits.test)
    return np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])


def save(path, array):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def noise(seed, shape=(8, 8), high=256, dtype=np.uint8):
    return np.random.RandomState(seed).randint(0, high, shape).astype(dtype)


def write(root, count=10, classes=("ant", "bee"), kind="png", make=noise):
    """Writes `count` different pictures of each class."""
    for label, name in enumerate(classes):
        for index in range(count):
            save(root / name / f"{index}.{kind}", make(1000 * label + index))
    return root


def text(splits):
    return "\n".join(splits.info.remarks)


# What was read is said


def test_what_was_read_is_said_also_when_it_comes_from_the_cache(tmp_path, capsys):
    root = write(tmp_path / "set")
    save(root / "ant" / "wide.png", noise(5, (24, 32, 3)))
    (root / "bee" / "notes.txt").write_text("not an image")
    first = load(root)
    assert first.info.remarks == (
        "21 examples in 2 classes: ant 11, bee 10",
        "training and validation: 18, test: 3 (cut off)",
        "sizes: 8 x 8 (20 of 21), from 8 x 8 to 32 x 24 -> 8 x 8, aspect not kept",
        "pixels: 20 grey, 1 in colour; read as grey",
        "skipped: 1 .txt",
    )
    assert load(root).info == first.info
    json.dumps(first.info.to_dict(), allow_nan=False)
    remarks.show(first.info)
    printed = capsys.readouterr().out
    assert printed.startswith("Data: set\n  21 examples in 2 classes: ant 11, bee 10\n")


def test_built_in_data_needs_no_words(capsys):
    remarks.show(load("sample").info)
    assert capsys.readouterr().out == ""


def test_an_entry_of_the_cache_without_remarks_is_written_anew(tmp_path, monkeypatch):
    root = write(tmp_path / "set")
    monkeypatch.setattr(own_images, "KEPT", 1)
    load(root)
    monkeypatch.undo()
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path / "cache"))
    load(root)
    (entry,) = cache.find("own-images")
    assert entry.meta["fingerprint"].endswith("-2")


@pytest.mark.parametrize(
    ("sizes", "line"),
    [
        ({(28, 28): 5}, "sizes: 28 x 28"),
        ({(1024, 768): 3}, "sizes: 1024 x 768 -> 28 x 28, aspect not kept"),
        ({(56, 56): 2}, "sizes: 56 x 56 -> 28 x 28, aspect kept"),
        (
            {(64, 48): 2, (48, 64): 1, (32, 20): 1},
            "sizes: 64 x 48 (2 of 4), from 32 x 20 to 64 x 48 -> 28 x 28, aspect not kept",
        ),
    ],
)
def test_sizes(sizes, line):
    import collections

    assert remarks.sizes(collections.Counter(sizes), (28, 28)) == line


def test_unequal_and_many_classes_are_said():
    counts = np.array([380, 20])
    lines = remarks.classes(["ok", "fault"], counts - 5, np.array([5, 5]), True)
    assert lines == [
        "400 examples in 2 classes: ok 380, fault 20",
        "training and validation: 390, test: 10 (given)",
        "unequal classes: the rarest, fault, has 20 examples (equal shares would be 200); the most "
        "frequent, ok, is 95.0% of all",
    ]
    # Just at half of an equal share: nothing to say.
    assert len(remarks.classes(["a", "b"], np.array([25, 75]), np.array([0, 0]), True)) == 2
    names = [f"c{label}" for label in range(12)]
    first = remarks.classes(names, np.full(12, 4), np.full(12, 1), False)[0]
    assert first.endswith("c9 5 and 2 more classes (10)")


def test_the_data_of_a_run_from_before_keeps_its_fingerprint_and_split(tmp_path):
    # Of 8-bit pictures without copies: the names and bytes of the files, and nothing else.
    root = write(tmp_path / "set", 20)
    digest = hashlib.sha256()
    for file in sorted(root.glob("*/*"), key=lambda file: (file.parent.name, file.name)):
        held = file.read_bytes()
        digest.update(f"{file.parent.name}/{file.name}\0{len(held)}\0".encode() + held)
    splits = load(root)
    assert splits.info.fingerprint == digest.hexdigest()
    assert splits.info.reading == {}
    assert splits.train.groups is None


# Files that are no images, or none that can be read here


def test_heic_without_its_extra_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "suffixes", lambda: folders.IMAGE_SUFFIXES)
    root = write(tmp_path / "set", 20)
    for index in range(20):
        (root / "ant" / f"{index}.heic").write_bytes(b"a photograph")
    with pytest.raises(RecipeError, match=r"20 of 40 files .*\(20 \.heic\).*\[heic\]"):
        load(root)
    for file in root.glob("ant/*.png"):
        file.unlink()
    with pytest.raises(RecipeError, match=r"ant holds no images .*\[heic\]"):
        load(root)


def test_heic_is_read_with_its_extra(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="the extra [heic] is not installed")
    heif.register_heif_opener()
    root = write(tmp_path / "set", 6)
    write(root, 6, kind="heic", make=lambda seed: noise(seed, (64, 64, 3)))
    splits = load(root)
    assert sum(splits.info.counts.values()) == 24
    assert "skipped" not in text(splits)


def test_known_companions_do_not_count_and_a_tenth_is_the_limit(tmp_path):
    root = write(tmp_path / "set", 9)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png", ".hidden"):
        (root / "ant" / name).write_bytes(b"x")
    (root / "ant" / "__MACOSX").mkdir()
    (root / "ant" / "__MACOSX" / "0.png").write_bytes(b"x")
    assert "skipped" not in text(load(root))
    (root / "ant" / "readme").write_text("x")
    (root / "bee" / "list.CSV").write_text("x")
    assert text(load(root)).endswith("skipped: 1 without suffix, 1 .csv")
    (root / "bee" / "more.csv").write_text("x")
    with pytest.raises(RecipeError, match=r"bee: 2 of 11 files .*2 \.csv.*PNG or JPEG"):
        load(root)


def test_images_outside_of_a_class_folder_are_counted(tmp_path):
    root = write(tmp_path / "set", 15)
    save(root / "lost.png", noise(1))
    (root / "labels.csv").write_text("x")
    assert text(load(root)).endswith("skipped: 1 images outside of a class folder")
    for index in range(9):
        save(root / f"{index}.png", noise(index))
    with pytest.raises(RecipeError, match="10 images outside of a class folder"):
        load(root)


@pytest.mark.parametrize("kind", ["pipe", "socket", "itself", "nothing"])
@pytest.mark.parametrize("name", ["extra.png", "extra"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind, name, monkeypatch):
    root = write(tmp_path / "set")
    path = root / "bee" / name
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(path.parent)  # The path of a socket must be short.
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(name)
    else:
        path.symlink_to(path if kind == "itself" else tmp_path / "absent")
    with pytest.raises(RecipeError, match=rf"bee.{name} is .*remove it"):
        load(root)


def test_a_class_folder_that_is_a_link_to_nothing_is_refused(tmp_path):
    root = write(tmp_path / "set", classes=("ant", "bee", "cat"))
    (root / "dog").symlink_to(tmp_path / "unmounted")
    with pytest.raises(RecipeError, match="dog is a link that leads nowhere"):
        load(root)


def test_linked_folders_are_followed_once(tmp_path):
    root = write(tmp_path / "set")
    outside = write(tmp_path / "outside", 30, classes=("cats",)) / "cats"
    (root / "ant" / "external").symlink_to(outside)
    (root / "ant" / "again").symlink_to(outside)
    (root / "cat").symlink_to(outside)
    splits = load(root)
    _, labels = everything(splits)
    assert np.bincount(labels).tolist() == [40, 10, 30]


@pytest.mark.parametrize("target", [".", "..", "../..", "inner"])
def test_a_link_to_a_folder_that_it_lies_in_is_refused(tmp_path, target):
    root = write(tmp_path / "set")
    save(root / "ant" / "inner" / "deeper" / "a.png", noise(1))
    folder = root / "ant" / ("inner/deeper" if target == "inner" else "")
    (folder / "loop").symlink_to(root / "ant" / target)
    with pytest.raises(RecipeError, match=r"loop is a link to .* contains it"):
        load(root)


def test_files_come_in_the_order_of_before(tmp_path):
    # Of each folder its files first, then its subfolders: the fingerprint rests on it.
    root = write(tmp_path / "set", 2)
    for name in ("ant/a/x.png", "ant/z.png", "ant/b.png", "ant/a/q/y.png"):
        save(root / name, noise(len(name)))
    listed, _ = folders.list_files(root, folders.IMAGES)
    names = [file.relative_to(root / "ant").as_posix() for file in listed["ant"]]
    assert names == ["0.png", "1.png", "b.png", "z.png", "a/x.png", "a/q/y.png"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    root, listdir = write(tmp_path / "set"), os.listdir

    def refuse(path):
        if Path(path).name == "bee":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(RecipeError, match=r"cannot read the folder .*bee: Permission denied"):
        load(root)


# Names


def test_names_load_as_they_are(tmp_path):
    names = ("$x_{1}$", "<b>bold", "Größe", "数字", "a,b=c")
    splits = load(write(tmp_path / "set", 4, classes=names))
    assert sorted(splits.info.class_names) == sorted(names)


def test_a_name_that_is_no_utf_8_loads_and_can_be_printed(tmp_path):
    root = write(tmp_path / os.fsdecode(b"caf\xe9"), 4, classes=(os.fsdecode(b"th\xe9"), "tea"))
    save(root / "tea" / os.fsdecode(b"\xff.png"), noise(77))
    info = load(root).info
    assert info.class_names == ("tea", "th\\udce9")
    assert (info.label, info.name) == ("caf\\udce9", "caf\\udce9")
    json.dumps(info.to_dict(), ensure_ascii=False).encode()


# Large pictures


def test_the_limit_of_pillow_does_not_hold_back_a_sound_picture(tmp_path, monkeypatch):
    from PIL import Image

    images.pillow.cache_clear()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    save(tmp_path / "large.png", flat(9, np.uint8))
    assert (images.read_image(tmp_path / "large.png", (4, 4), 1) == 9).all()
    monkeypatch.undo()
    images.pillow.cache_clear()


def test_a_picture_that_is_too_large_is_not_called_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MEGAPIXELS", 2)
    save(tmp_path / "large.png", np.zeros((2000, 1500), np.uint8))
    with pytest.raises(RecipeError, match=r"has 3 megapixels .*at most 2 are read") as caught:
        images.read_image(tmp_path / "large.png", (4, 4), 1)
    assert "damaged" not in str(caught.value)


# Deep pixels


def flat(value, dtype):
    return np.full((8, 8), value, dtype)


def test_one_range_for_the_whole_set(tmp_path):
    # Of 12 bits, so 4095 is white. Scaled one by one, 250 would be brighter than 300.
    values = [250, 300, 2000, 4000, *range(401, 412)]
    for index, value in enumerate(values):
        for label, name in enumerate(("ant", "bee")):
            save(tmp_path / "set" / name / f"{index}.png", flat(value + 16 * label, np.uint16))
    splits = load(tmp_path / "set")
    assert splits.info.reading == {"value_range": [0.0, 4095.0]}
    x, _ = everything(splits)
    expected = sorted(round((value + 16 * c) / 4095 * 255) for value in values for c in (0, 1))
    assert sorted(x[:, 0, 0, 0]) == expected
    assert "values 250 to 4016; 0 is black and 4095 white (12 bits)" in text(splits)
    assert load(tmp_path / "set").info == splits.info

    again = load(tmp_path / "set", value_range=(0.0, 8000.0))
    assert everything(again)[0].max() == round(4016 / 8000 * 255)
    assert again.info.reading == {"value_range": [0.0, 8000.0]}
    assert "8000 white, in all" in text(again)
    # Another reading is not the same data; the same one, given or found, is.
    assert again.info.fingerprint != splits.info.fingerprint
    given = load(tmp_path / "set", value_range=(0.0, 4095.0)).info
    assert given.fingerprint == splits.info.fingerprint


@pytest.mark.parametrize(
    ("high", "white"),
    [(255, 255), (256, 1023), (1024, 4095), (4096, 16383), (16384, 65535), (65535, 65535)],
)
def test_whole_numbers_take_the_fewest_bits_that_hold_them(tmp_path, high, white):
    root = write(tmp_path / "set", make=lambda seed: noise(seed, (8, 8), high + 1, np.uint16))
    save(root / "ant" / "brightest.png", flat(high, np.uint16))
    assert load(root).info.reading == {"value_range": [0.0, white]}


def test_the_range_is_that_of_the_training_images(tmp_path):
    root = tmp_path / "set"
    write(root / "train", make=lambda seed: noise(seed, (8, 8), 1000, np.uint16))
    save(root / "test" / "ant" / "bright.png", flat(60000, np.uint16))
    splits = load(root)
    assert splits.info.reading == {"value_range": [0.0, 1023.0]}
    assert splits.test.x.max() == 255


def test_floating_point_pixels_lie_in_0_to_1(tmp_path):
    root = write(tmp_path / "set", kind="tif", make=lambda s: (noise(s) / 255).astype(np.float32))
    splits = load(root)
    assert splits.info.reading == {"value_range": [0.0, 1.0]}
    np.testing.assert_array_equal(
        images.read_image(root / "bee" / "3.tif", (8, 8), 1, (0, 1))[..., 0], noise(1003)
    )
    save(root / "ant" / "counts.tif", flat(700.0, np.float32))
    with pytest.raises(RecipeError, match=r"0\.\.1; found 0\.\.700.*--value-range LOW HIGH"):
        load(root)
    assert load(root, value_range=(-1.0, 2.0)).info.reading == {"value_range": [-1.0, 2.0]}
    save(root / "ant" / "counts.tif", flat(np.nan, np.float32))
    with pytest.raises(RecipeError, match=r"counts\.tif holds pixels that are NaN"):
        load(root)


def test_deep_pixels_of_two_types_or_below_0_need_a_range(tmp_path):
    root = write(tmp_path / "set", make=lambda s: noise(s, (8, 8), 900, np.uint16))
    save(root / "ant" / "a.tif", flat(-5, np.int32))
    with pytest.raises(RecipeError, match=r"0\.\.65535; found -5\.\.\d+.*--value-range"):
        load(root)
    assert load(root, value_range=(-100.0, 1000.0)).info.counts["test"] == 3
    save(root / "ant" / "a.tif", flat(0.5, np.float32))
    with pytest.raises(RecipeError, match="of two kinds, whole numbers and floating-point"):
        load(root)


def test_8_bit_pictures_beside_deep_ones_are_taken_as_they_are_and_it_is_said(tmp_path):
    root = write(tmp_path / "set", make=lambda s: noise(s, (8, 8), 900, np.uint16))
    save(root / "ant" / "bytes.png", flat(200, np.uint8))
    splits = load(root)
    assert (everything(splits)[0] == 200).all(axis=(1, 2, 3)).sum() == 1
    assert "deeper than 8 bits: 20 of 21" in text(splits)
    assert "those of 8 bits are not changed" in text(splits)


def test_a_value_range_without_deep_pixels_changes_nothing_and_that_is_said(tmp_path):
    root = write(tmp_path / "set")
    splits = load(root, value_range=(0.0, 10.0))
    assert "--value-range changes nothing" in text(splits)
    assert splits.info.reading == {}
    np.testing.assert_array_equal(splits.train.x, load(root).train.x)


def test_a_deep_picture_where_the_run_knows_of_none_is_an_error(tmp_path):
    save(tmp_path / "deep.png", flat(300, np.uint16))
    with pytest.raises(RecipeError, match=r"deep\.png is deeper than 8 bits .*300.*save it with 8"):
        images.read_image(tmp_path / "deep.png", (8, 8), 1)
    with pytest.raises(RecipeError, match="whole numbers up to 300, but the value range is for"):
        images.read_image(tmp_path / "deep.png", (8, 8), 1, (0.0, 1.0))


def png_16_bit_colour(path, value):
    """Writes what Pillow cannot: a PNG of 16 bits a channel."""
    import struct
    import zlib

    def chunk(name, held):
        checksum = struct.pack(">I", zlib.crc32(name + held))
        return struct.pack(">I", len(held)) + name + held + checksum

    row = b"\0" + struct.pack(">H", value) * 3 * 8
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * 8))
        + chunk(b"IEND", b"")
    )


def test_16_bit_colour_is_read_by_its_upper_bits_and_darkness_is_said(tmp_path):
    for index in range(10):
        for label, name in enumerate(("ant", "bee")):
            png_16_bit_colour(tmp_path / "set" / name / f"{index}.png", 256 * (2 * index + label))
    splits = load(tmp_path / "set")
    assert "16 bits for each colour: 20; only the upper 8 bits are read" in text(splits)
    assert "nearly black: the brightest pixel of all pictures is 19 of 255" in text(splits)
    with pytest.raises(
        RecipeError, match="the upper 8 are read, so --value-range cannot be applied"
    ):
        load(tmp_path / "set", value_range=(0.0, 4095.0))


def npz(path, x, **other):
    np.savez(path, x=x, y=np.arange(len(x)) % 2, **other)
    return path


def test_npz_obeys_the_value_range_too(tmp_path):
    x = noise(0, (20, 8, 8), 4000, np.uint16)
    path = npz(tmp_path / "a.npz", x)
    splits = load(path)
    assert splits.info.reading == {"value_range": [0.0, 4095.0]}
    expected = np.round(x / 4095 * 255).astype(np.uint8)
    assert everything(splits)[0].astype(int).sum() == expected.astype(int).sum()
    assert "pixels of x: uint16, values 0 to" in text(splits)
    given = load(path, value_range=(1000.0, 2000.0))
    assert given.info.reading == {"value_range": [1000.0, 2000.0]}
    assert given.info.fingerprint != splits.info.fingerprint

    counts = npz(tmp_path / "b.npz", (x / 4).astype(np.float32))
    with pytest.raises(RecipeError, match=r"must lie in 0\.\.1.*--value-range"):
        load(counts)
    assert load(counts, value_range=(0.0, 1000.0)).train.x.max() > 240
    # What was read before is read as before: bytes in another type, and 0 to 1.
    data = npz(tmp_path / "c.npz", noise(0, (20, 8, 8)).astype(np.int64))
    assert load(data).info.reading == {}
    ones = npz(tmp_path / "d.npz", (noise(0, (20, 8, 8)) / 255).astype(np.float32))
    np.testing.assert_array_equal(load(ones).train.x, load(data).train.x)
    assert load(ones).info.reading == {"value_range": [0.0, 1.0]}


def test_the_bits_of_an_npz_are_those_of_its_training_images(tmp_path):
    train, y = noise(0, (20, 8, 8), 4000, np.uint16), np.arange(20) % 2
    test = noise(1, (4, 8, 8), 200, np.uint16)
    np.savez(tmp_path / "a.npz", x_train=train, y_train=y, x_test=test, y_test=y[:4])
    splits = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(splits.test.x[..., 0], np.round(test / 4095 * 255))


# Copies and groups


def write_copies(root, count=30, copies=5):
    for index in range(count):
        for copy in range(copies):
            save(root / "ab"[index % 2] / f"{index}_{copy}.png", noise(index))
    return root


def parts_of(splits):
    return [
        {image.tobytes() for image in part.x} for part in (splits.train, splits.val, splits.test)
    ]


def test_copies_stay_on_one_side_of_every_split(tmp_path):
    splits = load(write_copies(tmp_path / "set"))
    train, validation, test = parts_of(splits)
    assert not train & validation
    assert not (train | validation) & test
    assert len(train | validation | test) == 30
    assert splits.test_seen is None
    assert (
        "duplicates: 120 of 150 examples are copies of others (30 occur more than once); copies stay "
        "on one side of every split"
    ) in splits.info.remarks
    # The split is another one than before, so a run of before cannot go on with it.
    assert splits.info.fingerprint != load(write(tmp_path / "other")).info.fingerprint


def test_copies_with_different_labels_are_named(tmp_path):
    root = write(tmp_path / "set")
    save(root / "bee" / "same.png", noise(3))
    assert (
        "duplicates with different labels: 1, e.g. ant/3.png (ant) and bee/same.png (bee)"
    ) in load(root).info.remarks


def test_a_class_of_copies_of_two_pictures_is_an_error(tmp_path):
    root = write(tmp_path / "set")
    for index in range(6):
        save(root / "cat" / f"{index}.png", noise(900 + index % 2))
    with pytest.raises(RecipeError, match="6 training examples of class 'cat' fall into 2 groups"):
        load(root)


def test_examples_of_a_given_test_split_that_were_seen_are_known(tmp_path):
    root = tmp_path / "set"
    write(root / "train")
    for index, seed in enumerate((500, 3, 501, 4)):
        save(root / "test" / "ant" / f"{index}.png", noise(seed))
    splits = load(root)
    assert splits.test_seen.tolist() == [False, True, False, True]
    assert "2 of its 4 examples also occur in the training data" in text(splits)
    x, y = noise(0, (20, 8, 8)), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:3] + 1, y_test=y[:3])
    assert not load(tmp_path / "a.npz").test_seen.any()


def test_folders_of_equal_name_are_a_group(tmp_path):
    root = tmp_path / "set"
    for label, name in enumerate(("cat", "dog")):
        for site in range(12):
            for index in range(1 + site % 3):
                seed = 1000 * label + 10 * site + index
                save(root / name / f"site{site}" / f"{index}.png", flat(seed % 251, np.uint8))
        save(root / name / "alone.png", flat(252 + label, np.uint8))
    splits = load(root, group_folders=True)
    held = [set(part.groups.tolist()) for part in (splits.train, splits.val)]
    assert not held[0] & held[1]
    # Both classes of a site are on one side.
    sites = {}
    for label, name in enumerate(("cat", "dog")):
        for file in sorted(root.glob(f"{name}/site*/*.png")):
            value = images.read_image(file, (1, 1), 1).item()
            sites[value, label] = file.parent.name
    sides = [
        {
            sites[value, label]
            for value, label in zip(part.x[:, 0, 0, 0], part.y, strict=True)
            if (value, label) in sites
        }
        for part in (splits.train, splits.val, splits.test)
    ]
    assert not sides[0] & sides[1]
    assert not (sides[0] | sides[1]) & sides[2]
    assert set().union(*sides) == {f"site{site}" for site in range(12)}
    assert "groups: 12 of 2 to 6 training examples, and 2 examples by themselves" in text(splits)
    assert load(root).train.groups is None


def test_group_folders_need_folders_and_shared_groups_of_a_test_split_are_said(tmp_path):
    root = write(tmp_path / "set")
    with pytest.raises(UsageError, match="--group-folders: expected folders within the class"):
        load(root, group_folders=True)
    split = tmp_path / "split"
    for part, sites in (("train", range(5)), ("test", (4, 9))):
        for label, name in enumerate(("ant", "bee")):
            for site in sites:
                seed = 100 * label + 10 * site + (part == "test")
                save(split / part / name / f"site{site}" / "0.png", noise(seed))
    splits = load(split, group_folders=True)
    assert "2 of its 4 examples belong to groups that are also in" in text(splits)


@pytest.mark.parametrize(
    ("name", "reading", "message"),
    [
        ("folder", {"group_column": "site"}, "--group-column is for CSV files"),
        ("a.npz", {"label_column": "y"}, "--label-column is for CSV files"),
        ("a.npz", {"group_folders": True}, "--group-folders is for folders of images"),
        ("sample", {"value_range": (0.0, 1.0)}, "--value-range says how your own data is read"),
        ("folder", {"value_range": (5.0, 5.0)}, "--value-range takes the value of black"),
        ("folder", {"value_range": (0.0, float("inf"))}, "--value-range takes"),
    ],
)
def test_flags_that_would_change_nothing_are_refused(tmp_path, name, reading, message):
    if name == "folder":
        write(tmp_path / name)
    elif name == "a.npz":
        npz(tmp_path / name, noise(0, (20, 8, 8)))
    with pytest.raises(UsageError, match=message):
        load(name if name == "sample" else tmp_path / name, **reading)


def test_a_reading_goes_to_the_record_and_back():
    reading = Reading(value_range=(0.0, 9.0), group_folders=True)
    assert Reading.from_dict(reading.to_dict()) == reading
    assert Reading().to_dict() == {}


# Progress and interrupts


def test_progress_is_a_line_now_and_then(monkeypatch, capsys):
    assert list(progress(iter("abc"), 3, "reading")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress_module, "EVERY_SECONDS", -1)
    assert list(progress(iter("abc"), 3, "reading")) == ["a", "b", "c"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", ")[0] for line in lines] == ["reading: 1 of 3", "reading: 2 of 3"]
    assert all(line.endswith(" left") for line in lines)


def test_an_interrupt_does_not_wait_for_all_that_is_queued(tmp_path, monkeypatch):
    root, read, lock = write(tmp_path / "set", 50), [], threading.Lock()

    def slow(path, *args):
        with lock:
            read.append(path)
            if len(read) == 3:
                raise KeyboardInterrupt
        time.sleep(0.05)
        return images.read_with_facts(path, *args)

    monkeypatch.setattr(own_images, "read_with_facts", slow)
    with pytest.raises(KeyboardInterrupt):
        load(root)
    assert len(read) < 40
    assert cache.find("own-images") == []
    monkeypatch.undo()
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path / "cache"))
    load(root)
