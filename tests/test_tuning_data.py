"""A search goes on only on the data that it was begun with."""

import json

import numpy as np
import pytest

from common.basics.files import read_json, write_json_atomic
from common.cli import main
from common.tuning import begun
from common.tuning.begun import OtherDataError
from common.tuning.store import Store
from common.tuning.sweep import Sweep
from common.tuning.trial import COMPLETED
from tests import toy_sweep

WORDS = ["tune", "mnist_cnn", "--preset", "sample", "--method", "random", "--epochs", "1"]


@pytest.fixture
def no_search(monkeypatch):
    """Lets a sweep plan, and neither search nor retrain."""
    for name in ("_search", "_finish"):
        monkeypatch.setattr(Sweep, name, lambda self: None)


def images(path, copies=0):
    """Writes 60 pictures of two classes, the last few of which repeat the first ones."""
    random = np.random.default_rng(0)
    x = random.integers(0, 255, (60, 8, 8), dtype=np.uint8)
    if copies:
        x[-copies:] = x[:copies]
    np.savez(path, x=x, y=np.arange(60) % 2)
    return path


def texts(path, groups):
    """Writes 60 texts of two classes and what they belong to."""
    lines = [f"text {n},{'ab'[n % 2]},{group}" for n, group in enumerate(groups)]
    path.write_text("\n".join(["text,label,writer", *lines]) + "\n")
    return path


def fingerprints(directory):
    return (
        read_json(directory / "sweep.json")["fingerprint"],
        read_json(directory / "environment.json")["data"]["fingerprint"],
    )


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(("first", "then"), [(0, 4), (4, 0), (4, 6)])
def test_changed_pictures_are_refused(first, then, older, in_tmp, no_search, capsys):
    path = images(in_tmp / "x.npz", first)
    words = [*WORDS, "--data", str(path), "--sweep-dir", "s"]
    assert main(words) == 0
    held = fingerprints(in_tmp / "s")
    assert held[0] == held[1]
    if older:
        # As searches of before wrote it: environment.json alone knows.
        definition = read_json(in_tmp / "s" / "sweep.json")
        del definition["fingerprint"]
        write_json_atomic(in_tmp / "s" / "sweep.json", definition)
    assert main(words) == 0
    assert fingerprints(in_tmp / "s") == held
    images(path, then)
    before = (in_tmp / "s" / "sweep.json").read_text()
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert f"s holds a search on data with fingerprint {held[0]}" in error
    assert f"--data {path} reads now has " in error
    assert "Bring back the data as it was, or choose another --sweep-dir, or --fresh" in error
    assert (in_tmp / "s" / "sweep.json").read_text() == before
    assert main([*words, "--fresh"]) == 0
    new = fingerprints(in_tmp / "s")
    assert new[0] == new[1] != held[0]
    assert new[0] in error


def test_examples_that_belong_together_otherwise_are_refused(in_tmp, no_search, capsys):
    path = texts(in_tmp / "x.csv", np.arange(60) // 3)
    words = ["tune", "imdb_bilstm", "--method", "random", "--data", str(path), "--sweep-dir", "s"]
    words += ["--group-column", "writer"]
    assert main(words) == 0
    assert main(words) == 0
    # The same texts, of other writers.
    texts(path, np.arange(60) // 4)
    assert main(words) == 2
    assert "which of its examples belong together" in capsys.readouterr().err


def test_machines_that_share_a_search_have_the_same_data(in_tmp, no_search, capsys):
    pytest.importorskip("optuna", reason="a shared sweep needs the extra [optuna]")
    path = images(in_tmp / "x.npz", 4)
    words = [*WORDS, "--data", str(path), "--storage", f"sqlite:///{in_tmp}/s.db", "--sweep-dir"]
    assert main([*words, "one/s"]) == 0
    assert main([*words, "two/s"]) == 0
    images(path)
    capsys.readouterr()
    # A folder of its own: only the database knows what the others read.
    assert main([*words, "three/s"]) == 2
    error = capsys.readouterr().err
    assert (
        f"s.db holds a search on data with fingerprint {fingerprints(in_tmp / 'one/s')[0]}" in error
    )
    assert not (in_tmp / "three/s/sweep.json").exists()


def test_a_worker_that_reads_other_data_stops_and_fails_no_trial(tmp_path):
    tuner = toy_sweep.make_tuner("random", tmp_path / "s", trials=3, fingerprint="e" * 64)
    for _ in range(12):
        with pytest.raises(OtherDataError, match="fingerprint e{64}.*--data sample.*has f{64}"):
            tuner.search()
    (trial,) = Store(tmp_path / "s").read()
    assert (trial.starts, trial.failures, trial.finished) == (0, 0, False)
    toy_sweep.make_tuner("random", tmp_path / "s", trials=3, fingerprint="f" * 64).search()
    trials = Store(tmp_path / "s").read()
    assert [(trial.status, trial.starts) for trial in trials] == [(COMPLETED, 1)] * 3


def test_what_is_not_known_is_not_compared(tmp_path):
    begun.check_data(None, "a", "full", "s")
    begun.check_data("a", "a", "full", "s")
    assert begun.fingerprint(tmp_path) is None
    (tmp_path / "environment.json").write_text(json.dumps({"seed": 1}))
    assert begun.fingerprint(tmp_path) is None
