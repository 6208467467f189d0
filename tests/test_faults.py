"""Every place at which a disk can fail, or a process be killed, while a run folder is emptied, or a cache
entry, a result or an export written: what is there afterwards is whole, the next call comes to the same
end, and nothing partial stays. Epochs of a training are in test_keeper.py, single files in test_files.py.
"""

import subprocess
import sys

import numpy as np
import pytest

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json, write_json_atomic
from common.data import cache
from common.export import conversion
from common.runs.config import to_dict
from common.runs.finished import open_finished
from common.runs.options import Options
from common.runs.run import Run
from common.studies import results
from tests.conftest import ROOT
from tests.faults import KILL, KINDS, Faults, sweep
from tests.helpers import tiny_config

NAME = "mnist_cnn"


# A run folder that is emptied


def begin_run(folder):
    run = Run(NAME, tiny_config(NAME), Options(data="sample", run_dir=folder / "run")).open()
    run.path("backup").mkdir()
    for name in ("backup/state.npz", "best.keras", "metrics.json", "report.html", "a.txt"):
        run.path(name).write_text("old")
    run.path("link").symlink_to(folder)
    return None


def open_run(folder, overwrite=False, seed=1):
    options = Options(data="sample", run_dir=folder / "run", overwrite=overwrite)
    return Run(NAME, tiny_config(NAME, seed=seed), options).open()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [True, False])
def test_a_run_folder_is_emptied_whatever_happens(kind, again, tmp_path):
    def check(folder, error):
        path = folder / "run"
        for file in path.glob("[!.]*.json"):
            assert file.read_text() == "old" or read_json(file)
        given_up = (path / ".given-up").exists() or not (path / "backup").exists()
        if given_up:
            with pytest.raises(RecipeError, match=r"was being emptied|not a run|no trained model"):
                open_finished(path)
        # The same command, or one without --overwrite where the old run is no more.
        open_run(folder, overwrite=again or not given_up)
        names = sorted(file.name for file in path.iterdir())
        assert names == [".lock", "config.json"]
        assert read_json(path / "config.json")["config"]["seed"] == 1

    sweep(tmp_path, kind, begin_run, lambda folder, _: open_run(folder, overwrite=True), check)


def test_what_a_link_in_the_run_folder_leads_to_is_spared(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("do not delete")
    begin_run(tmp_path)
    (tmp_path / "run/elsewhere").symlink_to(other)
    open_run(tmp_path, overwrite=True)
    assert (other / "thesis.txt").exists()
    assert not (tmp_path / "run/elsewhere").is_symlink()


def test_overwrite_starts_again_over_a_damaged_configuration(tmp_path):
    begin_run(tmp_path)
    (tmp_path / "run/config.json").write_text("{")
    with pytest.raises(RecipeError, match="not a readable JSON run configuration"):
        open_run(tmp_path)
    (tmp_path / "run/.lock").unlink()
    with pytest.raises(RecipeError, match="not a readable JSON run configuration"):
        open_run(tmp_path, overwrite=True)
    (tmp_path / "run/.lock").touch()
    open_run(tmp_path, overwrite=True)
    assert not (tmp_path / "run/best.keras").exists()


def test_a_link_to_nothing_is_no_run_folder(tmp_path):
    (tmp_path / "run").symlink_to("nowhere")
    with pytest.raises(UsageError, match="link to nowhere, which is not there"):
        open_run(tmp_path)
    with pytest.raises(UsageError, match="link to nowhere, which is not there"):
        open_finished(tmp_path / "run")


# A cache entry


def get(folder, _=None):
    def build(new):
        for split in ("train", "test"):
            cache.write_split(new, split, np.full((3, 2, 2, 1), 7, np.uint8), np.arange(3))
        return {"kind": "image"}

    return cache.get("set", "1", "f" * 64, build)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damaged", [False, True])
def test_a_cache_entry_is_whole_or_absent(kind, damaged, tmp_path, monkeypatch):
    def begin(folder):
        monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(folder / "cache"))
        if damaged:
            get(folder)
            (folder / f"cache/set/1-{'f' * 16}/meta.json").write_text("[" * 60_000)

    def check(folder, error):
        assert len(cache.find("set")) in (0, 1)
        entry = get(folder)
        assert entry.split("test").x.tolist() == np.full((3, 2, 2, 1), 7).tolist()
        assert entry.folder.is_relative_to(folder)
        assert [path.name for path in (folder / "cache/set").iterdir()] == [entry.folder.name]

    sweep(tmp_path, kind, begin, get, check)


def test_a_cache_entry_is_synced_before_and_after_its_rename(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path / "cache"))
    with Faults(tmp_path) as faults:
        entry = get(tmp_path)
    (at,) = [index for index, (name, _) in enumerate(faults.done) if name == "replace"]
    assert faults.done[at + 1] == ("fsync", entry.folder.parent)
    synced = [path.name for name, path in faults.done[:at] if name == "fsync"]
    assert {"train_x.npy", "test_y.npy", "meta.json", "cache", "set"} >= set(synced[:1])
    assert {"train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy", "meta.json"} < set(synced)
    assert synced[-1].startswith(".partial-")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("meta.json", "[" * 60_000),
        ("meta.json", '{"format": 1' + "1" * 5_000 + "}"),
        ("meta.json", "[]"),
        ("meta.json", '{"format": 1}'),
        ("train_x.npy", "(783951790604288, 2, 2, 1)"),
        ("train_x.npy", f"({2**70}, 2, 2, 1)"),
    ],
)
def test_a_damaged_cache_entry_is_made_again(file, content, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_RECIPE_BOX_CACHE", str(tmp_path))
    path = get(tmp_path).folder / file
    if file.endswith(".npy"):
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {content}, }}".ljust(117)
        path.write_bytes(b"\x93NUMPY\x01\x00" + bytes([118, 0]) + text.encode() + b"\nabc")
    else:
        path.write_text(content)
    assert cache.find("set") == []
    assert get(tmp_path).count("train") == 3


# results.json


def finished_run(folder, seed):
    """Writes what `record` reads of a finished run."""
    from common.runs import registry

    directory = folder / f"seed{seed}"
    directory.mkdir(parents=True)
    config = to_dict(registry.load(NAME).PRESETS["best"]) | {"seed": seed}
    test = {"accuracy": 0.9, "count": 10, "loss": 0.1, "ece": 0.1, "ece_calibrated": 0.1}
    write_json_atomic(
        directory / "metrics.json",
        {
            **{"preset": "best", "seed": seed, "data": {"source": "full"}, "baselines": []},
            **{"validation": {"accuracy": 0.9}, "test": test},
            **{"parameters": 1, "epochs": 1, "best_epoch": 1},
        },
    )
    write_json_atomic(
        directory / "environment.json",
        {
            **dict.fromkeys(("backend", "cpu", "platform", "python", "commit", "started"), "x"),
            **{"cpu_count": 1, "accelerators": [], "versions": {}},
        },
    )
    times = ("train_wall_seconds", "train_cpu_seconds", "examples_per_second")
    write_json_atomic(directory / "timing.json", dict.fromkeys(times, 1.0))
    write_json_atomic(directory / "config.json", {"config": config})
    (directory / "history.csv").write_text(
        "epoch,loss,accuracy,val_loss,val_accuracy\n1,0.1,0.9,0.1,0.9\n"
    )
    return directory


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_recorded_or_not(kind, tmp_path, monkeypatch):
    runs = [finished_run(tmp_path / "runs", seed) for seed in range(2)]

    def begin(folder):
        monkeypatch.setattr(results, "file", lambda name: folder / "results.json")
        results.record(NAME, runs[0])

    def record(folder, _=None):
        results.record(NAME, runs[1])

    def check(folder, error):
        assert [run["seed"] for run in results.read(NAME)] in ([0], [0, 1])
        record(folder)
        assert [run["seed"] for run in results.read(NAME)] == [0, 1]

    sweep(tmp_path, kind, begin, record, check)


RECORD = """
import sys
from pathlib import Path
from common.studies import results
folder, seed = Path(sys.argv[1]), sys.argv[2]
results.file = lambda name: folder / "results.json"
print("ready", flush=True)
sys.stdin.readline()
results.record("mnist_cnn", folder / f"seed{seed}")
"""


def test_processes_that_record_at_once_lose_no_result(tmp_path):
    processes = []
    for seed in range(6):
        finished_run(tmp_path, seed)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", RECORD, str(tmp_path), str(seed)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.wait(120) == 0
    runs = read_json(tmp_path / "results.json")["runs"]
    assert [run["seed"] for run in runs] == list(range(6))


def test_results_that_are_none_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "file", lambda name: tmp_path / "results.json")
    for content in ("{}", '{"runs": 3}'):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(RecipeError, match="results.json is damaged: it lacks 'runs'"):
            results.read(NAME)


# An export


def publish(folder, content="new"):
    """Does what `export` does around the conversion."""
    output = folder / "out/savedmodel"
    with conversion._workspace(output) as workspace:
        artifact = workspace / "savedmodel"
        (artifact / "variables").mkdir(parents=True)
        for name in ("saved_model.pb", "variables/data"):
            (artifact / name).write_text(content)
        assert conversion._sync(artifact) == 6
        conversion._publish(artifact, output, workspace)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", [False, True])
def test_an_export_is_whole_or_absent(kind, old, tmp_path):
    def check(folder, error):
        output = folder / "out/savedmodel"
        if output.exists():
            found = [(output / name).read_text() for name in ("saved_model.pb", "variables/data")]
            assert found in (["old"] * 2, ["new"] * 2)
        elif kind != KILL:
            assert not old
        publish(folder)
        assert (output / "variables/data").read_text() == "new"

    sweep(
        tmp_path,
        kind,
        lambda folder: publish(folder, "old") if old else None,
        lambda folder, _: publish(folder),
        check,
    )


def test_an_export_is_synced_before_and_after_its_rename(tmp_path):
    with Faults(tmp_path) as faults:
        publish(tmp_path)
    (at,) = [index for index, (name, _) in enumerate(faults.done) if name == "replace"]
    synced = {path.name for name, path in faults.done[:at] if name == "fsync"}
    assert {"savedmodel", "variables", "saved_model.pb", "data"} < synced
    assert faults.done[at + 1] == ("fsync", tmp_path / "out")
