"""kill -9 at random moments: the resumed run ends at the weights of an uninterrupted one."""

import os
import random
import shlex
import signal
import subprocess
import sys
import time

import pytest

from common.basics.files import read_json
from common.basics.flags import flags
from common.runs import registry
from tests.conftest import NO_NETWORK, ROOT
from tests.faults import partial_files
from tests.helpers import assert_equal_weights, data_of, plainest, short

EPOCHS = 6
# What the default preset has and `article` has not: average of weights, a schedule over all
# steps, augmentation. In float32, which computes the same on every processor.
BEST = ["--preset", "best", "--no-report", "--precision", "float32"]
BEST += ["--stem-filters", "4", "--filters", "4", "8", "8"]


def article(name):
    words = ["--preset", plainest(name), "--no-report"]
    return [*words, "--patience", "None"] if name == "mnist_cnn" else words


def run_words(words, **environment):
    """Starts `recipes WORDS...`."""
    return subprocess.Popen(
        [sys.executable, "-m", "recipes", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}", **environment},
        preexec_fn=heed_signals,
    )


def heed_signals():
    """A test run in the background, or by nohup, ignores these, and its children would, too."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(name, data, directory, words, **environment):
    return run_words(
        [
            *("train", name, "--data", data, "--run-dir", directory, "--deterministic"),
            *flags(short(registry.load(name).PRESETS[plainest(name)], epochs=EPOCHS, batch_size=8)),
            *words,
        ],
        **environment,
    )


def finish(process):
    """Waits for a process that must succeed; returns what it printed."""
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


def killed_after_an_epoch(process, moments):
    """Kills a process after an epoch and a random moment more; returns whether it still ran."""
    for line in process.stdout:
        if line.startswith("epoch "):
            break
    # An epoch of this little data takes a fraction of a second: within it, between it and the next,
    # or while files are written.
    return killed_after(process, moments.uniform(0, 0.4))


def killed_after(process, seconds):
    """Kills a process after some seconds; returns whether it still ran."""
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    output = process.stdout.read()
    code = process.wait(timeout=300)
    assert code in (0, -signal.SIGKILL), output
    return code != 0


def check_files(directory):
    """Whatever file is there under its own name is whole."""
    for file in directory.glob("[!.]*.json"):
        read_json(file)


def check_same(whole, killed):
    for model in ("final.keras", "best.keras"):
        assert_equal_weights(whole / model, killed / model)
    metrics = [read_json(folder / "metrics.json") for folder in (whole, killed)]
    assert metrics[0] == metrics[1]
    assert metrics[0]["epochs"] == EPOCHS
    assert [path.name for path in killed.rglob("*") if "pending" in path.name] == []


def check(name, tiny_data, tmp_path, kills, words):
    data, moments = data_of(name, tiny_data), random_moments()
    finish(start(name, data, tmp_path / "whole", words))
    hits = 0
    for _ in range(kills):
        process = start(name, data, tmp_path / "killed", words)
        hit = killed_after_an_epoch(process, moments)
        hits += hit
        check_files(tmp_path / "killed")
        if not hit:
            break
    else:
        finish(start(name, data, tmp_path / "killed", words))
    assert hits >= 1
    check_same(tmp_path / "whole", tmp_path / "killed")


def random_moments():
    """Returns a generator whose seed pytest shows where the test fails; KILL_SEED sets it."""
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"KILL_SEED={seed}")
    return random.Random(seed)


def test_killed_run_resumes_to_the_same_weights(tiny_data, tmp_path):
    check("mnist_cnn", tiny_data, tmp_path, kills=2, words=article("mnist_cnn"))


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names())
def test_killed_run_resumes_for_every_recipe(name, tiny_data, tmp_path):
    check(name, tiny_data, tmp_path, kills=1, words=article(name))


@pytest.mark.slow
def test_average_of_weights_schedule_and_augmentation_survive_a_kill(tiny_data, tmp_path):
    check("cifar10_cnn", tiny_data, tmp_path, kills=1, words=BEST)


@pytest.mark.slow
def test_killed_at_any_moment_from_the_start_to_the_report(tiny_data, tmp_path):
    data, moments = tiny_data["image"], random_moments()
    words = [word for word in article("mnist_cnn") if word != "--no-report"]
    begun = time.perf_counter()
    finish(start("mnist_cnn", data, tmp_path / "whole", words))
    seconds = time.perf_counter() - begun
    # Half of them anywhere; half at the end, where one would seldom come by chance, because every
    # start spends most of its time on imports.
    ends = [moments.uniform(0, seconds) for _ in range(2)]
    ends += [moments.uniform(0.5 * seconds, seconds) for _ in range(3)]
    print("killed after", ends)
    killed = tmp_path / "killed"
    for end in ends:
        killed_after(start("mnist_cnn", data, killed, words), end)
        check_files(killed)
        if (killed / "metrics.json").exists():
            # The run is finished; the same command writes the report, if that is missing.
            if not (killed / "report.html").exists():
                finish(start("mnist_cnn", data, killed, words))
            check_same(tmp_path / "whole", killed)
            (killed / "metrics.json").unlink()
    finish(start("mnist_cnn", data, killed, words))
    check_same(tmp_path / "whole", killed)
    assert (killed / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_any_write_rename_or_sync_from_the_start_to_the_report(
    overwrite, tiny_data, tmp_path
):
    data, moments = tiny_data["image"], random_moments()
    words = [word for word in article("mnist_cnn") if word != "--no-report"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    output = finish(start("mnist_cnn", data, whole, words, FAULTS=f"-1 kill {whole}"))
    count = int(output.rsplit("operations: ", 1)[1])
    if overwrite:
        # A run of other weights, which must leave no trace.
        finish(start("mnist_cnn", data, killed, [*words, "--seed", 5]))
        words.append("--overwrite")
    # Early ones, of which there are few, and late ones: a model is written in many small pieces.
    places = [moments.randrange(10), moments.randrange(60), *moments.sample(range(count), 3)]
    print("killed at", places, "of", count)
    for place in sorted(places):
        process = start("mnist_cnn", data, killed, words, FAULTS=f"{place} kill {killed}")
        output = process.communicate(timeout=300)[0]
        assert process.returncode in (0, 2, -signal.SIGKILL), output
        check_files(killed)
    # Without --overwrite each one goes on where the last one ended, and may have come to the end.
    if overwrite or not (killed / "report.html").exists():
        finish(start("mnist_cnn", data, killed, words))
    check_same(whole, killed)
    assert (killed / "report.html").exists()
    assert partial_files(killed) == []


def test_ctrl_c_exits_130_and_says_how_to_go_on(tiny_data, tmp_path):
    # A folder whose name a shell would take apart.
    directory = tmp_path / "my run"
    process = start("mnist_cnn", tiny_data["image"], directory, article("mnist_cnn"))
    for line in process.stdout:
        if line.startswith("epoch 2"):
            break
    process.send_signal(signal.SIGINT)
    output = process.stdout.read()
    assert process.wait(timeout=300) == 130, output
    assert "Interrupted" in output
    assert "Traceback" not in output
    words = shlex.split(output.split("or: ")[1])
    assert words[0] == "recipes"
    assert {"--deterministic", "--no-report"} <= set(words)
    assert "Resuming" in finish(run_words(words[1:]))
    assert read_json(directory / "metrics.json")["epochs"] == EPOCHS


def test_ends_at_once_when_told_to_or_when_the_terminal_closes_and_resumes(tiny_data, tmp_path):
    for stop in (signal.SIGTERM, signal.SIGHUP):
        process = start("mnist_cnn", tiny_data["image"], tmp_path / "run", article("mnist_cnn"))
        for line in process.stdout:
            if line.startswith("epoch "):
                break
        process.send_signal(stop)
        output = process.stdout.read()
        # By the signal itself, as whoever sent it expects.
        assert process.wait(timeout=60) == -stop, output
        assert "Traceback" not in output
    process = start("mnist_cnn", tiny_data["image"], tmp_path / "run", article("mnist_cnn"))
    assert "Resuming" in finish(process)
    assert read_json(tmp_path / "run/metrics.json")["epochs"] == EPOCHS


def test_ctrl_c_while_the_backend_starts_ends_at_once(tmp_path):
    """A backend that swallows the interrupt, as native code may, and has written its log lines."""
    program = (
        "import os, time\n"
        "from common import cli\nfrom common.basics import backend, startup\n"
        "def start():\n"
        "    with startup.held_back_stderr():\n"
        "        os.write(2, b'log line')\n"
        "        print('starting', flush=True)\n"
        "        try:\n"
        "            time.sleep(60)\n"
        "        except BaseException as error:\n"
        "            raise ImportError('initialisation failed') from error\n"
        "backend.start = start\n"
        "raise SystemExit(cli.main(['train', 'mnist_cnn', '--data', 'sample', '--run-dir', 'run']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}"},
        preexec_fn=heed_signals,
    )
    assert process.stdout.readline() == "starting\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert set(errors.splitlines()) <= {"Reading the data ...", "Starting TensorFlow ..."}
    assert not (tmp_path / "run").exists()
