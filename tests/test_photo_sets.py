"""Data sets of photographs that are published without a test split: resized and cut as they are read."""

import dataclasses
import io
import os
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.basics.errors import UsageError
from common.cli.data import declared
from common.data import ImageSet, Source, cache, full, load_images, tfds_worker

FLOWERS = ImageSet(
    "flowers",
    "Flowers",
    image_size=(6, 9),
    channels=3,
    sample="digits 5 to 9",
    test_fraction=0.2,
    published_as="jpeg",
    published_count=40,
)


def encoded(seed, size=(12, 18)):
    """Returns the bytes of a JPEG photograph of noise, `size` its height and width."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return file.getvalue()


class Toy:
    """Stands in for TFDS and for its builder: photographs as bytes, and their labels."""

    decode = types.SimpleNamespace(SkipDecoding=lambda: None)

    def __init__(self, photos, labels, count=None):
        self.rows = [{"image": a, "label": b} for a, b in zip(photos, labels, strict=True)]
        split = types.SimpleNamespace(num_examples=count or len(photos))
        self.info = types.SimpleNamespace(splits={"train": split})

    def as_dataset(self, split, decoders):
        assert split == "train"
        return self.rows

    @staticmethod
    def as_numpy(rows):
        return iter(rows)


def decoded(tmp_path, toy, size=(6, 9)):
    """Returns (images, labels) of train and of test, and what meta.json is to hold."""
    meta = tfds_worker._photos(toy, toy, tmp_path, size=list(size), test_fraction=0.2)
    read = {part: np.load(tmp_path / f"{part}.npy") for part in PARTS}
    return (read["train_x"], read["train_y"]), (read["test_x"], read["test_y"]), meta


PARTS = ("train_x", "train_y", "test_x", "test_y")


def test_photos_are_resized_and_a_fifth_of_each_class_is_cut_off(tmp_path):
    photos = [encoded(seed, (10 + seed, 20)) for seed in range(40)]
    (x, y), (test_x, test_y), meta = decoded(tmp_path, Toy(photos, [0] * 25 + [1] * 15))
    assert x.shape == (32, 6, 9, 3)
    assert np.bincount(test_y).tolist() == [5, 3]
    assert len(y) + len(test_y) == 40
    picture = Image.open(io.BytesIO(photos[0])).resize((9, 6), Image.Resampling.BILINEAR)
    first = np.asarray(picture)
    assert any((each == first).all() for each in np.concatenate([x, test_x]))
    assert meta == {"one_size": None}


def test_the_cut_is_the_same_for_every_size_and_for_ever(tmp_path):
    toy = Toy([encoded(seed) for seed in range(20)], [0, 1] * 10)
    whole, _, meta = decoded(tmp_path, toy, (12, 18))
    assert meta == {"one_size": [12, 18]}
    _, (test_x, test_y), _ = decoded(tmp_path, toy, (12, 18))
    pixels = [np.asarray(Image.open(io.BytesIO(row["image"]))) for row in toy.rows]
    rows = [next(i for i, each in enumerate(pixels) if (each == x).all()) for x in test_x]
    assert rows == [4, 7, 11, 16]
    small = decoded(tmp_path, toy, (3, 3))[1]
    np.testing.assert_array_equal(small[1], test_y)
    assert len(whole[0]) == 16


def test_copies_of_a_photo_stay_on_one_side(tmp_path):
    photos = [encoded(seed // 2) for seed in range(40)]
    (x, _), (test_x, _), _ = decoded(tmp_path, Toy(photos, [seed // 20 for seed in range(40)]))
    seen = {each.tobytes() for each in x}
    assert len(test_x) == 8
    assert not any(each.tobytes() in seen for each in test_x)


def test_a_photo_that_is_missing_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"train holds 2 examples, dataset_info.json says 3"):
        decoded(tmp_path, Toy([encoded(0), encoded(1)], [0, 0], count=3))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A TFDS folder with a stand-in for the flowers, and a list of what was decoded."""
    calls = []

    def worker(name, task, folder, out, kind, form):
        calls.append(form)
        height, width = full.json.loads(form)["size"]
        for split, count in (("train", 30), ("test", 7)):
            x = np.zeros((count, height, width, 3), np.uint8)
            cache.write_split(out, split, x, np.arange(count) % 3)
        meta = {"kind": "image", "class_names": ["a", "b", "c"], "form": full.json.loads(form)}
        meta |= {"encoding": "jpeg", "encoding_detail": "quality 80", "one_size": [12, 18]}
        (Path(out) / "decoded.json").write_text(full.json.dumps(meta))

    monkeypatch.setattr(full, "_run_worker", worker)
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    folder = tmp_path / "tfds" / "flowers" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "flowers-train.tfrecord-00000-of-00001").write_bytes(b"records")
    return calls


def load(data_set=FLOWERS):
    return load_images(data_set, Source("full"), validation_fraction=0.2)


def test_each_size_is_decoded_once_and_a_part_and_a_copy_say_so(files, tmp_path):
    larger = dataclasses.replace(FLOWERS, image_size=(8, 8))
    assert load().train.x.shape == (24, 6, 9, 3)
    assert load(larger).test.x.shape == (7, 8, 8, 3)
    load(), load(larger)
    assert len(files) == 2
    info = load().info
    assert info.version == "3.0.1"
    assert info.label == "Flowers, part (37 of 40), JPEG twice"
    assert "37 of 40 images" in info.note
    assert "resized to 18 x 12 pixels" in info.note
    # The cache is enough, and the entry of another size is not taken for it.
    os.rename(tmp_path / "tfds", tmp_path / "away")
    os.environ.pop("TFDS_DATA_DIR")
    assert load().train.x.shape == (24, 6, 9, 3)


def test_the_published_files_have_a_plain_label(files):
    def label(meta, **changes):
        entry = types.SimpleNamespace(meta=meta, count=lambda split: 20)
        return full._copy(dataclasses.replace(FLOWERS, **changes), entry)

    photos = {"encoding": "jpeg", "encoding_detail": "quality 90", "one_size": None}
    assert label(photos) == ("Flowers", "")
    assert label(photos, published_count=0) == ("Flowers", "")
    assert label(photos, published_as="png")[0] == "Flowers, JPEG copy"
    assert label({"encoding": "png"}, published_count=41)[0] == "Flowers, part (40 of 41)"


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_share_that_leaves_nothing_is_refused(fraction):
    with pytest.raises(UsageError, match="test_fraction must be 0"):
        dataclasses.replace(FLOWERS, test_fraction=fraction)


@pytest.mark.real_data
def test_the_real_flowers():
    if full._find_files(declared()["tf_flowers"], Path(os.environ["TFDS_DATA_DIR"])) is None:
        pytest.skip("real data: TFDS_DATA_DIR holds no tf_flowers")
    splits = load(declared()["tf_flowers"])
    assert sorted(splits.info.class_names) == [
        "daisy",
        "dandelion",
        "roses",
        "sunflowers",
        "tulips",
    ]
    total = len(splits.train) + len(splits.val) + len(splits.test)
    assert len(splits.test) == round(total / 5)
    assert ("part" in splits.info.label) == (total != 3670)
