"""Commands in a process of their own: what they print and return, and that they end with their parent."""

import os
import signal
import subprocess
import sys

import pytest

from common.basics import child
from common.basics.files import read_json
from tests.conftest import NO_NETWORK, ROOT
from tests.helpers import wait_for

WORDS = ["train", "mnist_cnn", "--preset", "sample", "--data", "sample", "--epochs", "500"]


def test_lines_and_exit_code_are_the_commands(capfd):
    assert child.run(["train", "--help"], indent="  ") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines
    assert all(line.startswith("  ") for line in lines)
    assert child.run(["tarin"]) == 2
    assert "train" in capfd.readouterr().err


def test_an_interrupted_command_interrupts(monkeypatch):
    interrupted = [sys.executable, "-c", "raise SystemExit(130)"]
    start = subprocess.Popen
    monkeypatch.setattr(child.subprocess, "Popen", lambda words, **how: start(interrupted, **how))
    with pytest.raises(KeyboardInterrupt):
        child.run(["list"])


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_training_ends_with_the_process_that_started_it(stop, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    run = tmp_path / "run"
    words = [*WORDS, "--run-dir", str(run)]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"from common.basics import child; child.run({words})"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}"},
        # A background process ignores SIGINT, and so would this one's children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )

    def trained():
        return (run / "history.csv").exists()

    def free():
        with (run / ".lock").open("w") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True

    wait_for(trained)
    assert not free()
    command = read_json(run / "environment.json", "environment")["command"]
    assert command.startswith("recipes train mnist_cnn")
    parent.send_signal(stop)
    parent.wait(30)
    wait_for(free, 30)
