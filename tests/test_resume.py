"""kill -9 at random moments: the resumed run ends at the weights of an uninterrupted one."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from common import registry
from common.files import read_json
from tests.conftest import NO_NETWORK, ROOT
from tests.helpers import assert_equal_weights, kind_of

EPOCHS = 6


def command(name, data, directory):
    words = [sys.executable, "-m", "recipes", "train", name, "--preset", "article"]
    words += ["--data", str(data), "--run-dir", str(directory), "--deterministic", "--no-report"]
    words += ["--epochs", str(EPOCHS), "--batch-size", "8", "--validation-fraction", "0.25"]
    if name == "mnist_cnn":
        words += ["--patience", "None"]
    return words


def start(name, data, directory):
    return subprocess.Popen(
        command(name, data, directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}"},
        # A test run in the background of a script ignores SIGINT, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def kill_until_done(name, data, directory, kills):
    """Starts the run again and again, killing it after an epoch and a random moment more.

    Returns the number of kills that hit a running process.
    """
    random.seed(7)
    hits = 0
    for attempt in range(kills + 1):
        process = start(name, data, directory)
        if attempt < kills:
            for line in process.stdout:
                if line.startswith("epoch "):
                    break
            # An epoch of this little data takes a fraction of a second: within it, between it and
            # the next, or while files are written.
            time.sleep(random.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
        output = process.stdout.read()
        code = process.wait(timeout=300)
        if code == -signal.SIGKILL:
            hits += 1
            # Whatever file is there under its own name is whole.
            for file in directory.glob("*.json"):
                read_json(file)
            continue
        assert code == 0, output
        break
    return hits


def check(name, tiny_data, tmp_path, kills):
    data = tiny_data[kind_of(name)]
    whole = start(name, data, tmp_path / "whole")
    output, _ = whole.communicate(timeout=600)
    assert whole.returncode == 0, output
    hits = kill_until_done(name, data, tmp_path / "killed", kills)
    assert hits >= 1
    assert_equal_weights(tmp_path / "whole/final.keras", tmp_path / "killed/final.keras")
    assert_equal_weights(tmp_path / "whole/best.keras", tmp_path / "killed/best.keras")
    metrics = [read_json(tmp_path / folder / "metrics.json") for folder in ("whole", "killed")]
    assert metrics[0] == metrics[1]
    assert metrics[0]["epochs"] == EPOCHS
    left = [path.name for path in (tmp_path / "killed").iterdir() if "pending" in path.name]
    assert left == []


def test_killed_run_resumes_to_the_same_weights(tiny_data, tmp_path):
    check("mnist_cnn", tiny_data, tmp_path, kills=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names())
def test_killed_run_resumes_for_every_recipe(name, tiny_data, tmp_path):
    check(name, tiny_data, tmp_path, kills=2)


def test_ctrl_c_exits_130_and_says_how_to_go_on(tiny_data, tmp_path):
    directory = tmp_path / "run"
    process = start("mnist_cnn", tiny_data["image"], directory)
    for line in process.stdout:
        if line.startswith("epoch 2"):
            break
    process.send_signal(signal.SIGINT)
    output = process.stdout.read()
    assert process.wait(timeout=300) == 130, output
    assert "Interrupted" in output
    assert str(directory) in output
    assert "Traceback" not in output
    again = start("mnist_cnn", tiny_data["image"], directory)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert "Resuming" in output
    assert read_json(directory / "metrics.json")["epochs"] == EPOCHS
