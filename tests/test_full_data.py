"""Real data sets: absent, cached as arrays, and themselves where they are at hand."""

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

from common.basics.errors import RecipeError
from common.cli.data import declared
from common.cli.data import main as prepare_data
from common.data import (
    Source,
    cache,
    full,
    load_images,
    load_texts,
    tfds_worker,
)
from tests.conftest import ROOT
from tests.data_sets import (
    MNIST,
    REVIEWS,
    SHAPES,
    load_mnist,
    load_reviews,
    random_images,
)


@pytest.fixture
def offline(monkeypatch):
    """A machine without a network."""

    def refuse(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)


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
