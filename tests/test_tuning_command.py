"""`recipes tune` as a person runs it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import types
from unittest import mock

import pytest

from common.basics.errors import RecipeError
from common.cli import main
from common.tuning import searching
from common.tuning.processes import REFUSED
from common.tuning.store import Store
from common.tuning.sweep import Sweep
from common.tuning.trial import COMPLETED, FAILED, RUNNING, Trial
from tests.conftest import NO_NETWORK, ROOT
from tests.helpers import wait_for

FAST = ["--preset", "sample", "--data", "sample", "--epochs", "2", "--retrain", "0"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, cache_folder):
    """A finished sweep of three trials, and what it printed."""
    folder = tmp_path_factory.mktemp("sweep")
    # Whoever imports tensorboard leaves a mark.
    fake = folder / "fake" / "tensorboard"
    fake.mkdir(parents=True)
    mark = "import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n"
    (fake / "__init__.py").write_text(mark)
    words = ["tune", "mnist_cnn", "--method", "random", "--trials", "3", *FAST]
    words += ["--retrain", "1", "--retrain-epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "recipes", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (NO_NETWORK, ROOT, fake.parent))),
            "KERAS_RECIPE_BOX_CACHE": str(cache_folder),
        },
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
    return folder / "runs/mnist_cnn/sweeps/random-sample-sample-seed0", done.stdout


def test_it_says_what_it_does_and_what_came_of_it(sweep):
    directory, text = sweep
    assert "24,300 configurations in all" in text
    assert "random: 3 trials on SAMPLE DATA" in text
    for part in ("[1/3] trial 0  val_accuracy 0.", "[3/3] trial 2", "left", "flatters"):
        assert part in text
    assert "Trained with 1 new seed, 1 epoch:\n  the winner: val_accuracy 0." in text
    assert "\n  what it started from: val_accuracy 0." in text
    summary = json.loads((directory / "summary.json").read_text())
    trials = Store(directory).read()
    assert summary["search_score"] == max(trial.score for trial in trials)
    for role in ("retrained", "start"):
        assert [row["seed"] for row in summary[role]] == [1]


def test_a_search_imports_no_tensorboard(sweep):
    # KerasTuner's own search needs it, which TensorFlow no longer brings along.
    directory, _ = sweep
    fake = next(parent / "fake" for parent in directory.parents if (parent / "fake").exists())
    assert not (fake / "tensorboard" / "imported").exists()
    words = [sys.executable, "-c", "import tensorboard"]
    subprocess.run(words, env={**os.environ, "PYTHONPATH": str(fake)}, check=True)
    assert (fake / "tensorboard" / "imported").exists()


def test_winner_and_start_are_trained_as_asked(sweep):
    directory, text = sweep
    summary = json.loads((directory / "summary.json").read_text())
    best = json.loads((directory / "best.json").read_text())["config"]
    base = json.loads((directory / "sweep.json").read_text())["base"]
    assert best["epochs"] == 1
    trained = {}
    for file in directory.glob("retrain/*/metrics.json"):
        config = json.loads((file.parent / "config.json").read_text())["config"]
        role = "retrained" if config == {**best, "seed": 1} else "start"
        assert role == "retrained" or config == {**base, "seed": 1, "epochs": 1}
        trained[role] = json.loads(file.read_text())["test"]["accuracy"]
    assert trained == {role: summary[role][0]["test"] for role in ("retrained", "start")}
    gain = trained["retrained"] - trained["start"]
    assert "difference, seed by seed: val_accuracy" in text
    assert f"test accuracy {gain:.4f}\n" in text


def test_best_json_trains(sweep, in_tmp, capsys):
    directory, _ = sweep
    best = json.loads((directory / "best.json").read_text())
    assert best["config"]["learning_rate"] == best["values"]["learning_rate"]
    words = ["train", "mnist_cnn", "--config", str(directory / "best.json"), "--data", "sample"]
    assert main([*words, "--epochs", "1"]) == 0
    assert "Test accuracy" in capsys.readouterr().out


def test_what_it_ends_with_holds_to_its_data(sweep, in_tmp, capsys):
    directory, text = sweep
    data = json.loads((directory / "environment.json").read_text())["data"]
    base = json.loads((directory / "sweep.json").read_text())["base"]
    for file in ("best.json", "start.json"):
        held = json.loads((directory / file).read_text())
        assert (held["data"], held["data_dir"], held["reading"]) == ("sample", None, {})
        assert (held["label"], held["fingerprint"]) == (data["label"], data["fingerprint"])
        assert main(["train", "mnist_cnn", "--config", str(directory / file)]) == 2
        error = capsys.readouterr().err
        assert "made on the data 'sample' (SAMPLE DATA" in error
        assert "give --data sample" in error
        # The command that is printed and shown names the data.
        command = (
            f"recipes train mnist_cnn --config {directory.relative_to(directory.parents[3])}/{file}"
        )
        assert f": {command} --data sample\n" in text
        assert f"{command} --data sample" in (directory / "sweep.html").read_text()
    assert held["config"] == {**base, "epochs": 1}


def test_one_seed_is_no_verdict(sweep):
    directory, text = sweep
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["verdict"]["case"] == "not tested"
    assert summary["verdict"]["n"] == 1
    assert "is not known: one seed tells nothing of chance" in text
    assert "--retrain 5" in text


def test_the_report_shows_the_search(sweep):
    directory, _ = sweep
    page = (directory / "sweep.html").read_text()
    assert "mnist_cnn, random search" in page
    assert "Sample data" in page
    assert page.count("data:image/png") == 4  # no importances from three trials
    assert "fewer than 12 trials" in page
    for trial in Store(directory).read():
        assert f"{trial.score:.4f}" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "evolution"], "method: random -> evolution"),
        (["--epochs", "3"], "epochs: 2 -> 3"),
        (["--folds", "2"], "folds: 1 -> 2"),
        (["--search-seed", "1"], "search_seed: 0 -> 1"),
    ],
)
def test_another_search_in_the_same_folder_is_refused(sweep, words, message, capsys):
    directory, _ = sweep
    base = ["tune", "mnist_cnn", "--method", "random", "--trials", "3", *FAST]
    code = main([*base, "--sweep-dir", str(directory), *words])
    assert code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "--fresh" in error


def test_a_changed_space_is_named(sweep, capsys, monkeypatch):
    from recipes.mnist_cnn import tune

    original = tune.search_space

    def narrower(hp, base):
        hp.Choice("batch_size", [32, 64])
        return original(hp, base)

    monkeypatch.setattr(tune, "search_space", narrower)
    directory, _ = sweep
    words = ["tune", "mnist_cnn", "--method", "random", "--trials", "3", *FAST]
    assert main([*words, "--sweep-dir", str(directory)]) == 2
    assert "search space, batch_size:" in capsys.readouterr().err


def test_a_finished_sweep_runs_nothing_again(sweep, capsys):
    directory, _ = sweep
    before = [trial.seconds for trial in Store(directory).read()]
    words = ["tune", "mnist_cnn", "--method", "random", "--trials", "3", *FAST]
    words += ["--retrain", "1", "--retrain-epochs", "1"]
    runs = {file: file.stat().st_mtime_ns for file in directory.glob("retrain/*/metrics.json")}
    assert main([*words, "--sweep-dir", str(directory)]) == 0
    assert "3 of 3 trials found, continuing." in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for file in runs} == runs
    assert [trial.seconds for trial in Store(directory).read()] == before


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_a_folder_of_something_else_is_refused(fresh, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    words = ["tune", "mnist_cnn", *FAST, "--sweep-dir", str(tmp_path), *fresh]
    assert main(words) == 2
    assert "holds no sweep" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").exists()


@pytest.fixture
def no_search(monkeypatch):
    """Lets a sweep plan, and neither search nor retrain."""
    for name in ("_search", "_finish"):
        monkeypatch.setattr(Sweep, name, lambda self: None)


PLAN = ["tune", "mnist_cnn", *FAST, "--sweep-dir", "s"]


def test_what_is_found_is_told_in_what_the_budget_counts(in_tmp, capsys, no_search):
    values = {"width": 1.0, "batch_size": 64}
    ends = [(COMPLETED, 2), (FAILED, 0), (RUNNING, 0)]
    for method, text in (("random", "2 of 30 trials"), ("hyperband", "3 of 60 epochs")):
        words = [*PLAN, "--method", method, "--fresh"]
        assert main(words) == 0
        assert "found" not in capsys.readouterr().out
        for number, (status, epochs) in enumerate(ends):
            Store("s").write(Trial(number, values, status, epochs=epochs))
        assert main(words[:-1]) == 0
        assert f"\n{text} found, continuing.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["evolution", "--trials", "20"], "20 trials (its first 20 are random, so this is random"),
        (["evolution", "--trials", "21"], "evolution: 21 trials on"),
        (["bayesian", "--trials", "10"], "10 trials (its first 10 are random, so this is random"),
        (["bayesian", "--trials", "11"], "bayesian: 11 trials on"),
        (["random", "--trials", "5"], "random: 5 trials on"),
    ],
)
def test_a_method_that_never_gets_to_its_own_says_so(words, text, in_tmp, capsys, no_search):
    assert main([*PLAN, "--method", *words]) == 0
    assert text in capsys.readouterr().out


def test_what_is_fitted_to_own_data_is_no_flag_that_is_overridden(
    in_tmp, capsys, no_search, tiny_data
):
    # Of few texts imdb_bilstm fits the learning rate, which its space searches.
    words = ["tune", "imdb_bilstm", "--data", str(tiny_data["text"]), "--sweep-dir", "s"]
    assert main(words) == 0
    assert main([*words, "--fresh", "--learning-rate", "0.1"]) == 2
    assert "--learning-rate: recipes/imdb_bilstm/tune.py searches it" in capsys.readouterr().err


def test_fresh_deletes_nothing_for_a_command_that_is_refused(in_tmp, capsys, no_search):
    assert main([*PLAN, "--method", "random"]) == 0
    Store("s").write(Trial(0, {}, COMPLETED))
    assert main([*PLAN, "--method", "random", "--fresh", "--weight-decay", "0.5"]) == 2
    assert len(Store("s").read()) == 1
    lock = (in_tmp / "s" / ".sweep").stat().st_ino
    assert main([*PLAN, "--method", "evolution", "--fresh"]) == 0
    assert not Store("s").read()
    # Still the file that keeps a second --fresh out.
    assert (in_tmp / "s" / ".sweep").stat().st_ino == lock


def test_fresh_drops_the_study_in_the_database_first(in_tmp, capsys, no_search, monkeypatch):
    pytest.importorskip("optuna", reason="a shared sweep needs the extra [optuna]")
    from common.tuning.shared_store import SharedStore

    url = f"sqlite:///{in_tmp}/sweep.db"
    words = [*PLAN, "--storage", url, "--method"]
    assert main([*words, "random"]) == 0
    # Another recipe's search in a folder of the same name is another study.
    store = SharedStore("s", url, "mnist_cnn-s")
    assert store.agree({})["recipe"] == "mnist_cnn"
    trial = Trial(0, {}, RUNNING, worker="elsewhere-1")
    store.claim(trial)
    capsys.readouterr()
    assert main([*words, "evolution", "--fresh"]) == 2
    error = capsys.readouterr().err
    assert "another process works on mnist_cnn-s" in error
    assert "trial 0 (worker elsewhere-1)" in error
    assert (in_tmp / "s" / "sweep.json").exists()
    trial.status = FAILED
    store.write(trial)
    store.release(trial)
    assert main([*words, "evolution", "--fresh"]) == 0
    assert not SharedStore("s", url, "mnist_cnn-s").read()


def test_a_password_is_nowhere_in_a_search_nor_in_one_of_before(
    in_tmp, capsys, no_search, monkeypatch
):
    pytest.importorskip("optuna", reason="a shared sweep needs the extra [optuna]")
    from common.tuning.shared_store import SharedStore

    # SQLite passes over what it does not know.
    url = f"sqlite:///file:{in_tmp}/sweep.db?uri=true&password=geheim7"
    shown = url.replace("geheim7", "***")
    words = [*PLAN, "--storage", url, "--method"]
    monkeypatch.setattr(sys, "argv", ["recipes", *words, "random"])

    def texts():
        files = [path for path in in_tmp.rglob("*") if path.is_file()]
        return {path.name: path.read_bytes() for path in files}

    assert main([*words, "random"]) == 0
    assert not [name for name, text in texts().items() if b"geheim7" in text]
    definition = SharedStore("s", url, "mnist_cnn-s").agree({})
    assert definition["storage"] == shown
    # As searches of before wrote them.
    SharedStore("s", url, "mnist_cnn-s").database.write(
        "definition", {**definition, "storage": url}
    )
    for name, key, value in (
        ("sweep.json", "storage", url),
        ("environment.json", "command", f"recipes tune --storage '{url}'"),
    ):
        held = json.loads((in_tmp / "s" / name).read_text())
        (in_tmp / "s" / name).write_text(json.dumps({**held, key: value}))
    assert sum(b"geheim7" in text for text in texts().values()) == 3
    assert main([*words, "evolution"]) == 2
    assert main([*words, "random"]) == 0
    held = texts()
    assert b"geheim7" not in held["sweep.json"] + held["environment.json"]
    assert SharedStore("s", url, "mnist_cnn-s").database.read("definition")["storage"] == shown
    printed = capsys.readouterr()
    assert "geheim7" not in printed.out + printed.err


def test_a_worker_killed_twice_in_a_trial_fails_it(tmp_path, capsys):
    store = Store(tmp_path)
    store.write(Trial(0, {}, COMPLETED, epochs=2, score=0.5, worker="one", parts=[[0, 2, 0.5]]))
    store.write(Trial(1, {}, RUNNING, worker="one"))
    store.write(Trial(2, {}, RUNNING, worker="two"))
    worker = types.SimpleNamespace(name="one", log="log")
    searching.died(store, worker, -9)
    assert [(t.status, t.failures) for t in store.read()[1:]] == [(RUNNING, 1), (RUNNING, 0)]
    searching.died(store, worker, -9)
    trials = store.read()
    assert [trial.status for trial in trials] == [COMPLETED, FAILED, RUNNING]
    assert trials[1].message == "its process was killed by signal 9 (9: out of memory?)"
    assert trials[1].parts == [[1, 0, None]]


class EndsAtOnce:
    """A worker that takes a trial and ends; `ends` are the exit codes and whether it held one."""

    ends, log, started = [], "worker.log", 0

    def __init__(self, directory, index, count, storage):
        self.index, self.name = index, f"worker-{EndsAtOnce.started}"
        code, holds = self.ends[EndsAtOnce.started]
        EndsAtOnce.started += 1
        if holds:
            Store(directory).write(Trial(0, {}, RUNNING, worker=self.name))
        self.process = types.SimpleNamespace(poll=lambda: code)

    def last_words(self):
        return "its last words"


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        # A library called exit() in a trial: that trial's failure, and another worker goes on.
        ([(3, True), (0, False)], "its process ended by itself with exit code 3; see worker.log"),
        ([(0, True), (0, False)], "its process ended by itself with exit code 0; see worker.log"),
        ([(-9, True), (0, False)], "its process was killed by signal 9 (9: out of memory?)"),
        ([(-9, False), (0, False)], None),
        # What the next worker would meet, too, ends the sweep.
        ([(1, False)], RecipeError),
        ([(REFUSED, True)], RecipeError),
    ],
)
def test_how_a_worker_ended_decides_whether_the_sweep_goes_on(ends, message, tmp_path, monkeypatch):
    monkeypatch.setattr(EndsAtOnce, "ends", ends)
    monkeypatch.setattr(EndsAtOnce, "started", 0)
    monkeypatch.setattr(searching, "Worker", EndsAtOnce)
    monkeypatch.setattr(searching, "Status", lambda sweep: mock.MagicMock())
    sweep = types.SimpleNamespace(
        directory=tmp_path,
        store=Store(tmp_path),
        options=types.SimpleNamespace(workers=1),
        definition=types.SimpleNamespace(storage=None),
        tuner=mock.MagicMock(),
    )
    with pytest.raises(RecipeError) if message is RecipeError else contextlib.nullcontext():
        searching.search(sweep)
    assert EndsAtOnce.started == len(ends)
    if ends[0][1]:
        (trial,) = sweep.store.read()
        told = (0, None) if message is RecipeError else (1, message)
        assert (trial.failures, trial.message) == told


def test_absent_data_is_answered_before_anything_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    words = ["tune", "mnist_cnn", "--data-dir", str(tmp_path / "none")]
    assert main([*words, "--sweep-dir", str(tmp_path / "s")]) == 1
    assert "--data sample" in capsys.readouterr().err


def test_a_folder_that_kerastuner_cannot_name_is_refused(in_tmp, capsys):
    assert main(["tune", "mnist_cnn", "--data", "sample", "--sweep-dir", "s\udcff"]) == 2
    assert "folders whose names are UTF-8" in capsys.readouterr().err
    assert list(in_tmp.iterdir()) == []


def test_tpe_without_optuna_names_the_extra(monkeypatch, capsys, in_tmp):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "optuna" else found(name, *a)
    )
    assert main(["tune", "mnist_cnn", "--method", "tpe", *FAST]) == 1
    assert "[optuna]" in capsys.readouterr().err


def start(folder, cache_folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "recipes", "tune", "mnist_cnn", *FAST, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": f"{NO_NETWORK}{os.pathsep}{ROOT}",
            "KERAS_RECIPE_BOX_CACHE": str(cache_folder),
        },
        preexec_fn=heed_signals,
    )


def heed_signals():
    """A background process ignores SIGINT, one of nohup SIGHUP, and so would this one's children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def workers_of(directory):
    """Returns the processes that work on a sweep folder."""
    found = subprocess.run(
        ["pgrep", "-f", f"common.tuning.worker {directory}"], capture_output=True
    )
    return [int(word) for word in found.stdout.split()]


@pytest.fixture(scope="module")
def whole_sweep(tmp_path_factory, cache_folder):
    """Returns the trials of the sweep below, which nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    words = ["--method", "evolution", "--trials", "4", "--sweep-dir", str(folder / "s")]
    start(folder, cache_folder, *words).communicate(timeout=300)
    return Store(folder / "s").read()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_sweep_leaves_no_process_and_continues(stop, tmp_path, cache_folder, whole_sweep):
    directory = tmp_path / "s"
    words = ["--method", "evolution", "--trials", "4", "--sweep-dir", str(directory)]
    process = start(tmp_path, cache_folder, *words)
    wait_for(lambda: len(Store(directory).read()) >= 2)
    process.send_signal(stop)
    _, error = process.communicate(timeout=60)
    assert process.returncode == (130 if stop == signal.SIGINT else -stop)
    if stop == signal.SIGINT:
        assert "Nothing is lost" in error
    wait_for(lambda: not workers_of(directory), 20)
    process = start(tmp_path, cache_folder, *words)
    text, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert "trials found, continuing" in text
    trials = Store(directory).read()
    assert [trial.status for trial in trials] == [COMPLETED] * 4
    # An epoch is a function of (seed, epoch).
    assert [(t.values, t.score) for t in trials] == [(t.values, t.score) for t in whole_sweep]


@pytest.mark.slow
def test_two_searches_in_one_folder_both_end_well(tmp_path, cache_folder):
    directory = tmp_path / "s"
    words = ["--method", "random", "--trials", "3", "--retrain", "1", "--sweep-dir", str(directory)]
    both = [start(tmp_path, cache_folder, *words) for _ in range(2)]
    for process in both:
        text, error = process.communicate(timeout=500)
        assert process.returncode == 0, error
        assert "Trained with 1 new seed" in text
    trials = Store(directory).read()
    assert [(trial.number, trial.status, trial.starts) for trial in trials] == [
        (number, COMPLETED, 1) for number in range(3)
    ]
    assert len(list(directory.glob("retrain/*/metrics.json"))) == 2


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_trial_taken_over(tmp_path, cache_folder):
    directory = tmp_path / "s"
    words = ["--method", "random", "--trials", "6", "--workers", "2", "--no-prune"]
    process = start(tmp_path, cache_folder, *words, "--sweep-dir", str(directory))
    wait_for(lambda: len(Store(directory).read()) >= 2)
    victim = workers_of(directory)[0]
    os.kill(victim, signal.SIGKILL)
    text, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    trials = Store(directory).read()
    assert [trial.status for trial in trials] == [COMPLETED] * 6
    assert "killed by signal 9" in text
    assert len({json.dumps(trial.values, sort_keys=True) for trial in trials}) == 6
