"""Trackers: what they are given, that nothing is logged twice, and that they never cost a training."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from common.basics.errors import UsageError
from common.basics.files import write_json_atomic
from common.cli import main
from common.runs import trackers
from common.training import tracking
from common.training.tracked import FAILED, Subject, figures_of, rows_of
from common.tuning.store import Store
from common.tuning.tracking import SweepTracking
from common.tuning.tracking import rows_of as rows_of_trial
from common.tuning.trial import COMPLETED, PRUNED, RUNNING, Trial
from common.tuning.trial import FAILED as FAILED_TRIAL

ROWS = [{"epoch": 1, "loss": 0.5, "val_loss": 0.7}, {"epoch": 2, "loss": 0.4, "val_loss": 0.6}]
ROWS.append({"epoch": 3, "loss": 0.3, "val_loss": 0.65})
TRAIN = ["train", "mnist_cnn", "--preset", "sample", "--data", "sample", "--epochs", "3"]
# A callback that kills the process once, at the end of the second epoch, before that epoch is stored.
KILLS = """
import os, signal
import keras

class Kill(keras.callbacks.Callback):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def on_epoch_end(self, epoch, logs=None):
        with self.run.path("seen.txt").open("a") as file:
            print(epoch, sorted(logs), self.run.config.epochs, file=file)
        if epoch == 1 and not self.run.path("killed").exists():
            self.run.path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)

def make(run):
    return [Kill(run), keras.callbacks.TerminateOnNaN()]
"""


def subject(folder, **changes):
    made = Subject("k1", "one", "toy", folder, {"rate": 0.1, "sizes": (3, 5), "flag": True})
    return dataclasses.replace(made, **changes)


def tracking_of(folder, names, held, **changes):
    """Returns a new Tracking with what an earlier one kept, as a new process would."""
    stored = held.update
    return tracking.Tracking(names, lambda: subject(folder, **changes), held, stored, "Later.")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """An SQLite file with MLflow's tables, which take seconds to make."""
    mlflow = pytest.importorskip("mlflow", reason="needs the extra [mlflow]")
    pytest.importorskip("alembic", reason="needs the extra [mlflow]")
    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def store(empty_store, in_tmp, monkeypatch):
    """A client of an MLflow store of its own, which is where trackers log to."""
    import mlflow

    (in_tmp / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{in_tmp}/mlflow.db")
    return mlflow.MlflowClient(f"sqlite:///{in_tmp}/mlflow.db")


def runs_in(client):
    """Returns the runs of an MLflow store by name; each name is there once."""
    found = client.search_runs([each.experiment_id for each in client.search_experiments()])
    named = {run.info.run_name: run for run in found}
    assert len(named) == len(found)
    return named


def steps(client, run, metric):
    return [each.step for each in client.get_metric_history(run.info.run_id, metric)]


def scalars(folder):
    """Returns a list of (tag, step, value) for all scalars in the event files of a folder."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = []
    for file in sorted(folder.glob("events.out.*")):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars" or value.tensor.float_val:
                    found.append((value.tag, event.step, round(value.tensor.float_val[0], 6)))
    return found


def records(file):
    """Returns the records of a .wandb file: chunks of LevelDB's log format after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    data, place, part, found = file.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        part += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # FULL or LAST
            found.append(wandb_internal_pb2.Record.FromString(part))
            part = b""
    return found


# Names


def test_an_unknown_tracker_gets_a_near_match(in_tmp, capsys):
    for words in (TRAIN, ["tune", "mnist_cnn"]):
        assert main([*words, "--tracker", "tensorboard,mlfow"]) == 2
        error = capsys.readouterr().err
        assert "unknown tracker 'mlfow'; did you mean 'mlflow'? (there are: tensorboard," in error
    assert not Path("runs").exists()


def test_a_tracker_that_is_not_installed_is_told_before_anything(in_tmp, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "wandb" else found(name, *a)
    )
    assert main([*TRAIN, "--tracker", "wandb"]) == 2
    assert "make setup EXTRAS=wandb" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_names_are_lists_without_doubles():
    assert trackers.names_in(None) == ()
    assert trackers.names_in("MLflow, wandb,mlflow") == ("mlflow", "wandb")
    with pytest.raises(UsageError, match="there are"):
        trackers.names_in("nothing")


def test_help_imports_no_tracker():
    code = (
        "import sys; from common.cli import main; main(['train', 'mnist_cnn', '--help']); "
        "bad = {'mlflow', 'wandb', 'keras', 'tensorboard'} & set(sys.modules); sys.exit(str(bad) "
        "if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--tracker" in done.stdout


# What is logged


def test_figures_are_the_numbers_of_metrics_and_timing():
    metrics = {
        "recipe": "toy",
        "seed": 3,
        "epochs": 7,
        "data": {"version": 1},
        "headline": {"name": "accuracy", "value": 0.9, "interval": [0.8, 0.95], "count": 20},
        "validation": {"accuracy": 0.91, "ece": 0.02, "note": "x", "fine": True},
        "test": {"accuracy": 0.9, "confusion": [[1, 2], [3, 4]]},
        "baselines": [{"name": "always “3”", "accuracy": 0.1}],
    }
    assert figures_of(metrics, {"train_wall_seconds": 2, "precision": "float32"}) == {
        "epochs": 7.0,
        "headline/value": 0.9,
        "headline/interval/low": 0.8,
        "headline/interval/high": 0.95,
        "headline/count": 20.0,
        "validation/accuracy": 0.91,
        "validation/ece": 0.02,
        "test/accuracy": 0.9,
        "baseline/always 3/accuracy": 0.1,
        "timing/train_wall_seconds": 2.0,
    }


def test_rows_come_from_history(tmp_path):
    assert rows_of(tmp_path) == []
    (tmp_path / "history.csv").write_text("epoch,loss,late\n1,0.5,\n2,nan,0.25\n")
    first, second = rows_of(tmp_path)
    assert first == {"epoch": 1.0, "loss": 0.5}
    assert second["late"] == 0.25
    assert second["loss"] != second["loss"]


class Flaky:
    """A tracker that fails at its second call and works again later."""

    title = "Flaky"
    calls, rows, closed = 0, [], []

    def open(self, subject, held):
        held["id"] = "f1"

    def log(self, rows):
        Flaky.calls += 1
        if Flaky.calls == 2:
            raise OSError("postgresql://me:secret@host is away")
        Flaky.rows = rows

    def close(self, figures, files, status):
        Flaky.closed.append((figures, [file.name for file in files], status))

    def where(self):
        return "here"


def test_a_tracker_that_fails_is_told_once_and_tried_again_at_the_end(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(tracking, "make", lambda name: Flaky())
    monkeypatch.setattr(tracking, "check_installed", lambda names: None)
    held = {}
    one = tracking_of(tmp_path, ["flaky"], held)
    for count in (1, 2, 3):
        one.log(ROWS[:count])
    assert (Flaky.calls, len(Flaky.rows)) == (2, 1)
    (tmp_path / "report.html").touch()
    files = [tmp_path / "report.html", tmp_path / "absent"]
    assert one.close({"x": 1.0}, files) == ["Logged to Flaky: here"]
    assert Flaky.rows == ROWS
    assert Flaky.closed == [({"x": 1.0}, ["report.html"], "FINISHED")]
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "flaky could not be logged to" in error
    assert "secret" not in error
    assert held == {"flaky": {"id": "f1"}}


def test_mlflow_continues_its_run_without_gaps_or_doubles(store, tmp_path):
    held = {}
    first = tracking_of(tmp_path, ["mlflow"], held)
    first.log(ROWS[:1])
    run = runs_in(store)["one"]
    assert run.info.status == "RUNNING"
    # The second process finds an epoch that the first had stored and not logged, and one that it had.
    second = tracking_of(tmp_path, ["mlflow"], {})
    second.log(ROWS[:2])
    second.log(ROWS)
    file = tmp_path / "report.html"
    file.write_text("<p>")
    second.close({"test/accuracy": 0.9}, [file])
    # What is logged again is there once.
    tracking_of(tmp_path, ["mlflow"], {}).log(ROWS)
    tracking_of(tmp_path, ["mlflow"], {}).close({"test/accuracy": 0.9}, [file])
    again = runs_in(store)["one"]
    assert again.info.run_id == run.info.run_id == held["mlflow"]["id"]
    assert again.info.status == "FINISHED"
    for name in ("loss", "val_loss"):
        history = store.get_metric_history(run.info.run_id, name)
        assert [(each.step, each.value) for each in history] == [
            (row["epoch"], row[name]) for row in ROWS
        ]
    assert steps(store, again, "test/accuracy") == [0]
    assert again.data.params == {"rate": "0.1", "sizes": "(3, 5)", "flag": "True"}
    assert [each.path for each in store.list_artifacts(run.info.run_id)] == ["report.html"]
    store.delete_run(run.info.run_id)
    tracking_of(tmp_path, ["mlflow"], held).log(ROWS)
    assert steps(store, runs_in(store)["one"], "loss") == [1, 2, 3]


def test_tensorboard_is_written_again_from_the_rows(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    for count in (2, 3):
        one = tracking_of(tmp_path, ["tensorboard"], {})
        one.log(ROWS[: count - 1])
        one.log(ROWS[:count])
    one.close({"test/accuracy": 0.75})
    folder = tmp_path / "tensorboard"
    assert scalars(folder / "train") == [
        ("epoch_loss", 1, 0.5),
        ("epoch_loss", 2, 0.4),
        ("epoch_loss", 3, 0.3),
    ]
    assert [value for *_, value in scalars(folder / "validation")] == [0.7, 0.6, 0.65]
    assert ("test/accuracy", 3, 0.75) in scalars(folder)


# A training


def test_a_killed_training_goes_on_in_the_same_runs(
    store, recipes_command, in_tmp, capsys, monkeypatch
):
    pytest.importorskip("wandb", reason="needs the extra [wandb]")
    (in_tmp / "kills.py").write_text(KILLS)
    words = [*TRAIN, "--run-dir", "r", "--callbacks", "kills:make"]
    words += ["--tracker", "mlflow,wandb", "--tensorboard"]
    done = recipes_command(*words)
    assert done.returncode == -9, done.stderr
    held = json.loads((in_tmp / "r/tracking.json").read_text())
    assert steps(store, runs_in(store)["r"], "loss") == [1]
    (before,) = (in_tmp / "r/wandb").glob("offline-run-*")
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(words) == 0
    said = capsys.readouterr()
    assert "Resuming r after epoch 1 of 3" in said.out
    assert "warning" not in said.err

    (run,) = runs_in(store).values()
    assert run.info.run_id == held["mlflow"]["id"]
    assert run.info.status == "FINISHED"
    rows = rows_of(in_tmp / "r")
    for name in set(rows[0]) - {"epoch"}:
        history = store.get_metric_history(run.info.run_id, name)
        assert [(each.step, each.value) for each in history] == [
            (row["epoch"], row[name]) for row in rows
        ]
    config = json.loads((in_tmp / "r/config.json").read_text())
    metrics = json.loads((in_tmp / "r/metrics.json").read_text())
    assert set(config["config"]) < set(run.data.params)
    assert run.data.params["data.fingerprint"] == metrics["data"]["fingerprint"]
    assert run.data.metrics["test/accuracy"] == metrics["test"]["accuracy"]
    assert run.data.metrics["validation/ece"] == metrics["validation"]["ece"]
    files = {each.path for each in store.list_artifacts(run.info.run_id)}
    assert {"report.html", "metrics.json"} <= files

    # W&B keeps its id. The folder of the second process holds all, and stands for that of the first.
    (folder,) = (in_tmp / "r/wandb").glob("offline-run-*")
    assert folder != before
    assert folder.name.endswith(f"-{held['wandb']['id']}")
    assert f"wandb sync r/wandb/{folder.name}" in said.out
    found = records(folder / f"run-{held['wandb']['id']}.wandb")
    assert [each.history.step.num for each in found if each.HasField("history")] == [1, 2, 3]
    kept = [each.artifact for each in found if each.HasField("artifact")]
    kept += [each.request.log_artifact.artifact for each in found if each.HasField("request")]
    assert "report.html" in {entry.path for each in kept for entry in each.manifest.contents}

    loss = [
        (step, value)
        for tag, step, value in scalars(in_tmp / "r/tensorboard/train")
        if tag == "epoch_loss"
    ]
    assert loss == [(row["epoch"], round(row["loss"], 6)) for row in rows]

    # The callback was called in every epoch, with the learning rate among the logs.
    seen = (in_tmp / "r/seen.txt").read_text().splitlines()
    assert [line.split()[0] for line in seen] == ["0", "1", "1", "2"]
    assert all("'learning_rate'" in line and line.endswith("3") for line in seen)


def test_a_server_that_is_away_costs_nothing_and_track_logs_afterwards(
    store, in_tmp, capsys, monkeypatch
):
    # The network is blocked in tests.
    with monkeypatch.context() as there:
        there.setenv("MLFLOW_TRACKING_URI", "http://me:secret@localhost:9")
        words = [*TRAIN, "--epochs", "1", "--run-dir", "r", "--tracker", "mlflow"]
        assert main(words) == 0
    said = capsys.readouterr()
    assert said.err.count("warning: mlflow could not be logged to") == 1
    assert "Afterwards: recipes track r --tracker mlflow" in said.err
    assert "secret" not in said.err + said.out
    assert "Logged to" not in said.out
    assert runs_in(store) == {}
    for _ in range(2):
        assert main(["track", "r"]) == 0
        assert "Logged to MLflow" in capsys.readouterr().out
    run = runs_in(store)["r"]
    assert steps(store, run, "val_accuracy") == [1]
    assert steps(store, run, "test/accuracy") == [0]


# The user's callbacks


@pytest.mark.parametrize(
    ("text", "file", "error"),
    [
        ("mine", "", "needs MODULE:FACTORY"),
        ("absent_module:make", "", "there is no module 'absent_module', neither in"),
        ("mine:mkae", "def make(run): pass", "has no 'mkae'; did you mean 'make'?"),
        ("mine:make", "make = 3", "expected a function of the run, got int"),
        ("mine:make", "def make(run): return [3]", "or a list of them, got int"),
        ("mine:make", "def make(): pass", "its call with the run failed: TypeError"),
        ("mine:make", "import absent_module", "mine needs absent_module"),
        ("mine:make", "1 +", "mine cannot be imported: SyntaxError"),
    ],
)
def test_wrong_callbacks_are_told_before_the_data_is_read(
    text, file, error, in_tmp, capsys, monkeypatch
):
    (in_tmp / "mine.py").write_text(file)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    importlib.invalidate_caches()
    assert main([*TRAIN, "--callbacks", text]) == 2
    captured = capsys.readouterr()
    assert error in captured.err
    assert "Reading the data" not in captured.err + captured.out
    assert not Path("runs").exists()


# Searches


def trial(number, values, **changes):
    curves = [{"loss": [0.5, 0.25], "val_loss": [0.7, 0.6]}]
    made = Trial(number, {"rate": values}, COMPLETED, score=0.6, best_epoch=2, epochs=2)
    return dataclasses.replace(made, curves=curves, worker="host-1-0-1", **changes)


def sweep_of(folder, names, storage=None):
    """Returns what SweepTracking needs of a search."""

    @dataclasses.dataclass
    class Definition:
        key: str = "s1"
        method: str = "random"
        storage: str | None = None
        base: dict = dataclasses.field(default_factory=lambda: {"epochs": 2})
        space: tuple = ()
        trials: int = 3
        workers: int = 2
        fingerprint: str = "f"

    folder.mkdir(exist_ok=True)
    return types.SimpleNamespace(
        recipe="toy",
        directory=folder,
        definition=Definition(storage=storage),
        options=types.SimpleNamespace(trackers=names),
        store=Store(folder),
    )


def test_trials_are_nested_and_logged_once(store, in_tmp):
    sweep = sweep_of(in_tmp / "sw", ["mlflow"])
    one, other = (SweepTracking(sweep) for _ in range(2))
    failed = trial(2, 3.0, status=FAILED_TRIAL)
    one.log([trial(0, 1.0), trial(1, 2.0, status=RUNNING)], {"host-1-0-1"})
    # Another command in the same folder, and this one again; Hyperband goes on with the first trial.
    longer = trial(0, 1.0)
    longer.epochs, longer.curves[0] = 3, {"loss": [0.5, 0.25, 0.1], "val_loss": [0.7, 0.6, 0.9]}
    now = [longer, trial(1, 2.0, status=PRUNED), failed]
    for each in (other, one, other):
        each.log(now, ())
    for number in range(3):
        sweep.store.write(now[number])
    write_json_atomic(sweep.directory / "best.json", {"config": {"seed": 0}})
    result = {"search_score": 0.6, "trials": 3, "epochs": 7, "seconds": 1.5, "start": []}
    (line,) = one.close({**result, "retrained": [{"test": 0.5}, {"test": 0.75}]})
    assert line.startswith("Logged to MLflow")
    found = runs_in(store)
    assert set(found) == {"sw", "trial 0000", "trial 0001", "trial 0002"}
    for name, count in (("trial 0000", 3), ("trial 0001", 2), ("trial 0002", 2)):
        run = found[name]
        assert run.data.tags["mlflow.parentRunId"] == found["sw"].info.run_id
        assert steps(store, run, "val_loss") == list(range(1, count + 1))
        assert run.data.metrics["epochs"] == count
    assert found["trial 0001"].data.params == {"trial": "1", "rate": "2.0"}
    assert found["trial 0001"].data.metrics["stopped_early"] == 1.0
    assert [found[f"trial 000{n}"].info.status for n in range(3)] == [
        "FINISHED",
        "FINISHED",
        FAILED,
    ]
    assert found["sw"].data.params["start.epochs"] == "2"
    assert found["sw"].data.metrics["retrained/test_mean"] == 0.625
    assert found["sw"].info.status == "FINISHED"


def test_machines_on_one_database_log_their_own_trials(store, in_tmp):
    trials = [trial(0, 1.0), trial(1, 2.0)]
    trials[1].worker = "elsewhere-1-0-1"
    for folder, worker in (("a", "host-1-0-1"), ("b", "elsewhere-1-0-1")):
        each = SweepTracking(sweep_of(in_tmp / folder, ["mlflow"], storage="sqlite:///trials.db"))
        each.log(trials, {worker})
        logged = json.loads((in_tmp / folder / "tracking.json").read_text())["done"]
        assert list(logged) == ["0000" if folder == "a" else "0001"]
    found = runs_in(store)
    # Both machines know the search by its key.
    assert len(found) == 3
    parents = {found[f"trial 000{n}"].data.tags["mlflow.parentRunId"] for n in range(2)}
    assert parents == {found["a"].info.run_id}


def test_rows_of_several_folds_are_named_by_fold():
    one = trial(0, 1.0)
    one.curves = [{"epoch": [1, 2], "loss": [0.5, 0.4]}, {"loss": [0.6]}]
    assert rows_of_trial(one) == [
        {"epoch": 1, "fold-1/loss": 0.5, "fold-2/loss": 0.6},
        {"epoch": 2, "fold-1/loss": 0.4},
    ]
