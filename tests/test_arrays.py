"""Archives of arrays that are damaged, or claim more than they hold: one sentence each."""

import io
import random
import resource
import zipfile

import numpy as np
import pytest

from common.basics import arrays
from common.basics.errors import RecipeError
from common.data import own_npz
from common.tasks.classification import Classification

HELD = {"x": np.arange(600, dtype=np.uint8).reshape(2, 300), "y": np.arange(2)}


def claiming(path, shape, dtype="|u1", data=b"abc", compression=zipfile.ZIP_STORED, name="x"):
    """Writes an archive with one array whose header says what is not so."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117)
    content = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.encode() + b"\n" + data
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{name}.npy", content)
    return path


@pytest.fixture
def little_memory():
    """What allocates gigabytes fails."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(save, tmp_path):
    save(tmp_path / "a.npz", **HELD, empty=np.zeros((0, 4)), text=np.array(["é", "b"]))
    assert arrays.names(tmp_path / "a.npz") == ["x", "y", "empty", "text"]
    found = arrays.read(tmp_path / "a.npz", ["text", "x", "empty"])
    assert list(found) == ["text", "x", "empty"]
    np.testing.assert_array_equal(found["x"], HELD["x"])
    assert found["x"].dtype == np.uint8
    assert found["empty"].shape == (0, 4)
    assert found["text"].tolist() == ["é", "b"]
    with pytest.raises(ValueError, match="it lacks 'z'"):
        arrays.read(tmp_path / "a.npz", ["x", "z"])


def test_a_black_picture_may_be_compressed_a_thousandfold(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((100, 1000, 1000), np.uint8))
    assert arrays.read(tmp_path / "a.npz", ["x"])["x"].shape == (100, 1000, 1000)


@pytest.mark.parametrize(
    "shape", [f"({713 * 2**40},)", f"({2**70},)", "(4,)", "(3, -1)", f"({2**31}, 3)"]
)
def test_a_header_that_claims_more_than_there_is(shape, tmp_path, little_memory):
    path = claiming(tmp_path / "a.npz", shape)
    with pytest.raises(ValueError, match=r"'x' claims .* bytes, and 3 are there"):
        arrays.read(path, ["x"])
    with pytest.raises(RecipeError, match=r"a\.npz cannot be read as .npz: 'x' claims"):
        own_npz.read(path)
    claiming(path, shape, name="val_probabilities")
    held, problem = Classification("image").read(path)
    assert held is None
    assert "predictions.npz cannot be used" in problem


def test_a_directory_that_claims_more_than_there_is(tmp_path):
    path = claiming(tmp_path / "a.npz", "(3,)", compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24  # The size of the first part, by the directory.
    content[place : place + 4] = (3 << 30).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"'x' claims 3,221,225,472 bytes, and the file has"):
        arrays.read(path, ["x"])


def test_pickled_objects_are_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    with pytest.raises(ValueError, match="pickled Python objects"):
        arrays.read(tmp_path / "a.npz", ["x"])


def test_bytes_changed_at_random_are_one_kind_of_error(tmp_path):
    path, chance = tmp_path / "a.npz", random.Random(0)
    for save in (np.savez, np.savez_compressed):
        whole = io.BytesIO()
        save(whole, **HELD)
        for _ in range(400):
            content = bytearray(whole.getvalue())
            for _ in range(chance.choice([1, 1, 3])):
                content[chance.randrange(len(content))] = chance.randrange(256)
            path.write_bytes(content[: chance.choice([len(content), chance.randrange(600)])])
            try:
                arrays.read(path, arrays.names(path))
            except ValueError as error:
                assert str(error)  # noqa: PT017


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        arrays.read(tmp_path / "absent.npz", ["x"])
    with pytest.raises(IsADirectoryError):
        arrays.names(tmp_path)
