"""Trainings on several hosts: two processes on this machine, a virtual device each, against one with two.

They start processes with JAX themselves, whatever backend the tests run with.
"""

import json
import os
import signal
import time

import numpy as np
import pytest

from tests.host_processes import ROOT, Group, alone, history, weights

pytest.importorskip("jax")

WORKER = ROOT / "tests" / "host_worker.py"
# Ends a process in the second epoch of three.
CALLBACKS = """
import os, signal, time
import keras

class End(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.epoch == 1 and batch == 2 and "END" in os.environ:
            if os.environ["END"] == "error":
                raise OSError("an error of this process")
            os.kill(os.getpid(), int(os.environ["END"]))
            time.sleep(2)  # What a handler raises comes here.

def make(run):
    return End()
"""


@pytest.fixture
def together(tmp_path, cache_folder):
    """Returns a function that runs `host_worker.py CASE` in two processes; returns what both print."""

    def run(case):
        found = []
        for code, out, err in Group([WORKER, case], cwd=tmp_path, cache=cache_folder).wait():
            assert code == 0, err
            found.append(json.loads(out.splitlines()[-1]))
        return found

    return run


# What processes share


def test_each_process_puts_its_part_and_no_example_counts_twice(together):
    for number, found in enumerate(together("trap")):
        # Joined from both, batches would have 16 and 10 examples: that raises no error anywhere.
        assert [row[:2] for row in found["seen"]] == [[8, 8], [8, 8], [5, 5]]
        assert [row[2] for row in found["seen"]] == [[4], [4], [5]]
        assert [row[3] for row in found["seen"]] == [4 * number, 4 * number, 0]
        assert all(row[4] for row in found["seen"])
        assert found["examples"] == 21


def test_the_leader_decides_and_the_others_are_told(together):
    first, second = together("decisions")
    assert (first["leads"], second["leads"]) == (True, False)
    for found in (first, second):
        assert found["value"] == "decided by True"
        assert found["refused"] == "the leader says no"
        assert found["sent"]
        assert found["count"] == 2
        assert "the data of process 1 differs from that of process 0: a" in found["differ"]
        assert found["logs"]["val_loss"] == 1.0
        assert np.isnan(found["logs"]["seconds"])
        assert found["stops"] is True
    assert "here: b" in second["differ"]
    assert first["secret"] == second["secret"] > 0
    assert (first["kept"], second["kept"]) == (True, False)


def test_weights_become_those_of_the_leader_to_the_bit(together):
    zeros = np.full((2, 3), -0.0, "float32").tobytes().hex()
    assert [found["kernel"] for found in together("leader")] == [zeros, zeros]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["network", "ahead", "whole"])
def test_two_processes_are_one_with_two_devices_to_the_bit(how, together, tmp_path, cache_folder):
    code, out, err = alone([WORKER, how], cwd=tmp_path, cache=cache_folder, devices=2)
    assert code == 0, err
    one = json.loads(out.splitlines()[-1])
    for found in together(how):
        assert found == one
        assert found["alone_after"]


# Trainings


def words(data, folder, *more):
    """Returns a training with batch normalisation, dropout, averaged weights, uneven last batches."""
    options = (
        "--preset best --epochs 3 --batch-size 16 --filters 8 8 --stem-filters 8 --dense-units 16"
    )
    options += " --dropout-rate 0.5 --ema-momentum 0.9 --optimizer sgd --learning-rate 0.05"
    options += " --validation-fraction 0.11 --precision float32"
    run = ["-m", "recipes", "train", "fashion_mnist_cnn", "--data", data, "--run-dir", folder]
    return [*run, *options.split(), *more]


@pytest.fixture(scope="session")
def whole(tiny_data, cache_folder, tmp_path_factory):
    """Returns the run folder of a training that was not interrupted: one process with two devices."""
    folder = tmp_path_factory.mktemp("whole")
    command = words(tiny_data["image"], folder / "run", "--no-report", "--devices", 2)
    code, _, err = alone(command, cwd=folder, cache=cache_folder, devices=2)
    assert code == 0, err
    return folder / "run"


@pytest.fixture
def group(tiny_data, cache_folder, tmp_path):
    """Returns a function that starts a training in two processes, in the folder tmp_path / "run"."""
    (tmp_path / "ending.py").write_text(CALLBACKS)

    def begin(*more, each=lambda number: {}):
        command = words(tiny_data["image"], "run", *more)
        return Group(command, cwd=tmp_path, cache=cache_folder, each=each)

    return begin


def assert_same(run, other):
    assert len(history(run)) == 3
    assert history(run) == history(other)
    for name in ("best.keras", "final.keras"):
        assert len(weights(run / name)) > 20
        assert weights(run / name) == weights(other / name), name
    for name in ("backup/state.npz", "predictions.npz"):
        with np.load(run / name) as one, np.load(other / name) as two:
            for key in set(one.files) - {"state"}:
                assert one[key].tobytes() == two[key].tobytes(), (name, key)


@pytest.mark.slow
def test_a_training_is_that_of_one_process_and_only_the_leader_speaks(group, whole, tmp_path):
    (code, out, err), (other_code, other_out, other_err) = group().wait()
    assert (code, other_code) == (0, 0), err + other_err
    assert "epoch 3/3" in out
    assert "Test accuracy" in out
    assert (tmp_path / "run" / "report.html").is_file()
    assert "Starting JAX on 2 hosts" in err
    assert (other_out, other_err) == ("", "")
    assert_same(tmp_path / "run", whole)
    # A follower's folder is gone, and nothing of it is left here.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ending.py", "run"]
    # Repeated, it is refused in both, before any training.
    for code, out, err in group().wait():
        assert (code, out) == (2, "")
        assert "holds a finished run" in err


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_all_and_the_command_goes_on(victim, group, whole, tmp_path):
    kill = {"END": str(int(signal.SIGKILL))}
    begun = group(
        *("--no-report", "--callbacks", "ending:make"),
        each=lambda number: kill if number == victim else {},
    )
    assert begun.seconds_until_all_end(victim) < 10
    found = begun.wait()
    assert found[victim][0] == -signal.SIGKILL
    code, _, err = found[1 - victim]
    assert code == 1
    assert f"error: process {victim}" in err
    assert "was killed" in err
    assert "the same command on all hosts goes on" in err
    assert len(history(tmp_path / "run")) == 1
    for code, _, err in group("--no-report").wait():
        assert code == 0, err
    assert_same(tmp_path / "run", whole)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_in_one_process(group, whole, tmp_path, cache_folder, tiny_data):
    # Ctrl-C in a terminal reaches all: the leader decides.
    begun = group(
        *("--no-report", "--callbacks", "ending:make"),
        each=lambda number: {"END": str(int(signal.SIGINT))},
    )
    assert begun.seconds_until_all_end(0) < 10
    (code, _, err), (other_code, _, other_err) = begun.wait()
    assert (code, other_code) == (130, 130)
    assert "Interrupted. Finished epochs are kept" in err
    assert other_err == ""
    command = words(tiny_data["image"], "run", "--no-report", "--devices", 2)
    code, out, err = alone(command, cwd=tmp_path, cache=cache_folder, devices=2)
    assert code == 0, err
    assert "Resuming run after epoch 1 of 3" in out
    assert_same(tmp_path / "run", whole)


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_in_two(group, whole, tmp_path, cache_folder, tiny_data):
    more = ("--no-report", "--callbacks", "ending:make", "--devices", 2)
    os.environ["END"] = str(int(signal.SIGKILL))
    try:
        command = words(tiny_data["image"], "run", *more)
        assert alone(command, cwd=tmp_path, cache=cache_folder, devices=2)[0] == -signal.SIGKILL
    finally:
        del os.environ["END"]
    for code, _, err in group("--no-report").wait():
        assert code == 0, err
    assert_same(tmp_path / "run", whole)
    # Only the report is missing: the leader writes it.
    (tmp_path / "run" / "report.html").unlink(missing_ok=True)
    (code, out, err), (other_code, other_out, _) = group().wait()
    assert (code, other_code, other_out) == (0, 0, ""), err
    assert "its report is missing" in out
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.slow
def test_an_error_in_one_process_ends_the_other(group):
    begun = group(
        *("--no-report", "--callbacks", "ending:make"),
        each=lambda number: {"END": "error"} if number == 1 else {},
    )
    assert begun.seconds_until_all_end(1) < 30
    (code, _, err), (other_code, _, other_err) = begun.wait()
    assert (code, other_code) == (1, 1)
    assert "an error of this process" in other_err
    assert "its output" in err
    assert "the same command on all hosts goes on" in err


@pytest.mark.parametrize("differs", ["seed", "data"])
def test_processes_that_differ_are_no_training(differs, tmp_path, tiny_data, cache_folder):
    # The same command, and yet not: the second process has another file in the same place.
    folders = [tmp_path / "0", tmp_path / "1"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        with np.load(tiny_data["image"]) as held:
            arrays = dict(held)
        if differs == "data":
            arrays["x_train"] = arrays["x_train"] + np.uint8(number)
        np.savez(folder / "images.npz", **arrays)
        wrapper = (
            "import os, sys; os.chdir(os.environ['JAX_PROCESS_ID']); from common.cli import main; "
        )
        wrapper += "seed = os.environ['JAX_PROCESS_ID'] if sys.argv[1] == 'seed' else '0'; "
        wrapper += "sys.exit(main([*sys.argv[2:], '--seed', seed]))"
    command = ["-c", wrapper, differs, *words("images.npz", "run")[2:]]
    for code, out, err in Group(command, cwd=tmp_path, cache=cache_folder).wait():
        assert code == 1
        assert "epoch" not in out
        what = "the command" if differs == "seed" else "the data"
        assert f"error: {what} of process 1 differs from that of process 0: " in err
    assert not (tmp_path / "0" / "run" / "history.csv").exists()


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_training(tmp_path, cache_folder):
    begun = Group([WORKER, "waits"], cwd=tmp_path, cache=cache_folder)
    for process in begun.processes:
        assert process.stdout.readline() == "waiting\n"
    # It goes on existing, so its connections do.
    begun.processes[1].send_signal(signal.SIGSTOP)
    started = time.monotonic()
    try:
        assert begun.processes[0].wait(60) != 0
        assert time.monotonic() - started < 45
    finally:
        for process in begun.processes:
            process.kill()
    assert "task died" in begun.wait()[0][2]
