"""A full disk is no failure of a trial: the search stops, says so, and goes on from there."""

import errno
import os
from pathlib import Path

import pytest

from common.basics import files
from common.basics.errors import RecipeError, StorageError, storage_error
from common.tuning import searching
from common.tuning.oracle import MAX_STARTS
from common.tuning.processes import NO_STORAGE, Worker
from common.tuning.store import Store
from common.tuning.trial import COMPLETED, RUNNING
from tests import toy_sweep


def full(code=errno.ENOSPC):
    return OSError(code, os.strerror(code))


def wrapped(inner, outer):
    try:
        raise outer from inner
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (full(), True),
        (full(errno.EIO), True),
        (full(errno.EROFS), True),
        (full(errno.EDQUOT), True),
        (files.could_not_write("f", full(errno.EACCES)), True),
        (wrapped(full(), RecipeError("the data cannot be read")), True),
        # h5py's and TensorFlow's words; the number is in the text only.
        (
            RuntimeError("Unable to flush (errno = 28, error message = 'No space left on device')"),
            True,
        ),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (MemoryError("no room"), False),
        (RecipeError("the loss is nan"), False),
    ],
)
def test_what_rests_on_a_disk(error, found):
    storage = storage_error(error)
    assert (storage is not None) == found
    assert not found or isinstance(storage, StorageError)


def test_an_error_that_another_was_caught_before_does_not_hide(tmp_path):
    def fail(cut):
        try:
            raise full()
        except OSError as error:
            raise ValueError("something else") from (None if cut else error)

    for cut in (True, False):
        with pytest.raises(ValueError, match="something else") as caught:
            fail(cut)
        assert (storage_error(caught.value) is None) == cut


def recipe_error():
    raise files.could_not_write("best.keras", full())


def system_error():
    raise full(errno.EIO)


def library_error():
    raise RuntimeError("h5py: No space left on device")


@pytest.mark.parametrize("fail", [recipe_error, system_error, library_error])
def test_a_full_disk_fails_no_trial_and_the_same_search_goes_on(fail, tmp_path):
    def train(config, run):
        if run.directory.parent.name == "0002":
            fail()
        toy_sweep.train(config, run)

    # More often than a trial may be started in vain.
    for _ in range(MAX_STARTS + 2):
        tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=5, module={"train": train})
        with pytest.raises(StorageError):
            tuner.search()
        trials = Store(tmp_path / "s").read()
        assert [trial.status for trial in trials] == [COMPLETED, COMPLETED, RUNNING]
        assert (trials[2].failures, trials[2].starts, trials[2].message) == (0, 0, None)
        del tuner
    toy_sweep.make_tuner("random", tmp_path / "s", trials=5).search()
    toy_sweep.make_tuner("random", tmp_path / "whole", trials=5).search()
    assert toy_sweep.table(tmp_path / "s") == toy_sweep.table(tmp_path / "whole")


def test_an_end_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    original = Store.write

    def write(self, trial):
        if trial.number == 1 and trial.finished:
            raise files.could_not_write("trial.json", full())
        original(self, trial)

    monkeypatch.setattr(Store, "write", write)
    with pytest.raises(StorageError):
        toy_sweep.make_tuner("hyperband", tmp_path / "s", trials=3).search()
    monkeypatch.undo()
    toy_sweep.make_tuner("hyperband", tmp_path / "s", trials=3).search()
    toy_sweep.make_tuner("hyperband", tmp_path / "whole", trials=3).search()
    assert toy_sweep.table(tmp_path / "s") == toy_sweep.table(tmp_path / "whole")


def test_a_worker_tells_its_end_without_a_log(tmp_path, monkeypatch):
    worker = Worker(tmp_path, 0, 1)
    # There is no sweep in the folder.
    assert worker.process.wait(60) == 70
    assert "no sweep definition" in worker.log.read_text()
    worker.log.write_text("")
    assert worker.last_words().startswith("no sweep definition at ")
    worker.stop()


class NoStorage:
    """A worker that ends for a full disk."""

    name, index = "w", 0

    def __init__(self, directory, index, count, storage):
        class Process:
            @staticmethod
            def poll():
                return NO_STORAGE

        self.process = Process

    def last_words(self):
        return "could not write best.keras: No space left on device"


def test_the_search_ends_for_a_worker_without_storage(tmp_path, monkeypatch):
    import types
    from unittest import mock

    monkeypatch.setattr(searching, "Worker", NoStorage)
    monkeypatch.setattr(searching, "Status", mock.MagicMock())
    tuner = mock.MagicMock()
    tuner.tidy.side_effect = StorageError("the table cannot be written either")
    sweep = types.SimpleNamespace(
        directory=tmp_path,
        store=Store(tmp_path),
        options=types.SimpleNamespace(workers=1),
        definition=types.SimpleNamespace(storage=None),
        tuner=tuner,
    )
    with pytest.raises(StorageError, match="best.keras: No space"):
        searching.search(sweep)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "s").write_text("a file")
    with pytest.raises(StorageError, match="could not write"), Store(tmp_path / "s").lock():
        pass
    assert not Path(tmp_path / "s").is_dir()
