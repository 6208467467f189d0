"""Every place at which a disk can fail, or a process be killed, while an epoch is stored; and backups and
best models that are not what they should be. The other tests of RunKeeper are in test_callbacks.py.
"""

import json
import zipfile

import numpy as np
import pytest

from common.basics.errors import RecipeError
from common.runs.options import Options
from common.runs.run import Run
from common.training.keeper import RunKeeper
from tests.faults import KINDS, Faults, sweep
from tests.helpers import tiny_config

NAME = "mnist_cnn"


class Variable:
    def __init__(self, value):
        self.value = np.float32(value)
        self.shape = ()

    def assign(self, value):
        self.value = np.float32(value)


class Optimizer:
    use_ema = False

    def __init__(self):
        self.variables = [Variable(0)]

    def build(self, variables):
        pass


class Model:
    """As much of a model as is stored, and fast to store."""

    def __init__(self):
        self.variables = self.trainable_variables = [Variable(0)]
        self.optimizer = Optimizer()
        self.stop_training = False

    def train(self):
        for variable in (*self.variables, *self.optimizer.variables):
            variable.assign(2 * variable.value + 1)

    def save(self, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("weights", json.dumps(float(self.variables[0].value)))


SCORES = [0.5, 0.3, 0.4, 0.2]


def train(folder, epochs):
    """Trains on, from the backup, to the end."""
    run = Run(NAME, tiny_config(NAME), Options(data="sample", run_dir=folder / "run")).open()
    keeper = RunKeeper(run)
    model = Model()
    keeper.restore(model)
    for epoch in range(keeper.epochs_done, epochs):
        model.train()
        keeper.on_epoch_end(epoch, {"loss": 1.0, "val_loss": SCORES[epoch]})
    return keeper


def weight_of(file):
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return json.loads(archive.read("weights"))


def check_trained(folder, epochs):
    keeper = train(folder, epochs)
    assert [row["val_loss"] for row in keeper.history] == SCORES[:epochs]
    assert keeper.model.variables[0].value == 2**epochs - 1
    assert weight_of(folder / "run/best.keras") == 2**keeper.best_epoch - 1
    names = {str(file.relative_to(folder / "run")) for file in (folder / "run").rglob("*.*")}
    assert names == {".lock", "config.json", "best.keras", "backup/state.npz", "history.csv"}


@pytest.mark.parametrize("kind", KINDS)
# The second epoch is better than the first, and replaces its model: what can go wrong most.
@pytest.mark.parametrize(
    "epochs",
    [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)],
)
def test_an_epoch_is_stored_or_repeated(kind, epochs, tmp_path):
    def check(folder, error):
        if (folder / "run/best.keras").exists():
            assert weight_of(folder / "run/best.keras") in (1, 3)
        check_trained(folder, epochs)
        check_trained(folder, 4)

    sweep(
        tmp_path,
        kind,
        lambda folder: epochs > 1 and train(folder, epochs - 1) and None,
        lambda folder, _: train(folder, epochs),
        check,
    )


def test_each_rename_of_an_epoch_is_on_the_disk_before_the_next(tmp_path):
    train(tmp_path, 1)
    with Faults(tmp_path) as faults:
        train(tmp_path, 2)
    run = tmp_path / "run"
    seen = [
        (name, str(path.relative_to(run)))
        for name, path in faults.done
        if name == "replace" or (name == "fsync" and path.is_dir())
    ]
    start = seen.index(("replace", "best.pending-2.keras"))
    assert seen[start:] == [
        ("replace", "best.pending-2.keras"),
        ("fsync", "."),
        ("replace", "backup/state.npz"),
        ("fsync", "backup"),
        ("replace", "best.keras"),
        ("fsync", "."),
        ("replace", "history.csv"),
        ("fsync", "."),
    ]


def damage(path, how, other=None):
    if how == "absent":
        path.unlink()
    elif how == "cut short":
        path.write_bytes(path.read_bytes()[:-30])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "of another epoch":
        path.write_bytes(other)


@pytest.mark.parametrize("how", ["absent", "cut short", "empty", "of another epoch"])
def test_a_best_model_that_is_not_the_backups(how, tmp_path, capsys):
    train(tmp_path, 1)
    best = tmp_path / "run/best.keras"
    other = best.read_bytes()
    # Epoch 2 is the best one and the last one: its weights are the backup's.
    train(tmp_path, 2)
    whole = best.read_bytes()
    damage(best, how, other)
    train(tmp_path, 2)
    assert "best.keras is not whole: written again from the backup" in capsys.readouterr().out
    check_trained(tmp_path, 2)
    assert "written again" not in capsys.readouterr().out
    # Epoch 3 is no better: nobody has the weights of epoch 2.
    whole = best.read_bytes()
    train(tmp_path, 3)
    damage(best, how, other)
    words = "is absent" if how == "absent" else "is damaged, or not of epoch 2"
    with pytest.raises(RecipeError, match=f"best.keras {words}.*put it back.*delete .*state.npz"):
        train(tmp_path, 4)
    best.write_bytes(whole)
    check_trained(tmp_path, 4)
    # As the message says.
    damage(best, how, other)
    (tmp_path / "run/backup/state.npz").unlink()
    check_trained(tmp_path, 4)


def test_average_of_weights_is_not_made_up(tmp_path, monkeypatch):
    train(tmp_path, 1)
    monkeypatch.setattr(Optimizer, "use_ema", True)
    (tmp_path / "run/best.keras").unlink()
    with pytest.raises(RecipeError, match="best.keras is absent"):
        train(tmp_path, 2)


def test_a_run_of_before_the_backup_held_a_checksum_goes_on(tmp_path):
    train(tmp_path, 3)
    backup = tmp_path / "run/backup/state.npz"
    with np.load(backup) as held:
        arrays = dict(held)
    state = json.loads(str(arrays["state"]))
    assert state.pop("best")
    np.savez(backup, **arrays | {"state": json.dumps(state)})
    check_trained(tmp_path, 3)
    (tmp_path / "run/best.keras").write_bytes(b"")
    with pytest.raises(RecipeError, match="is damaged"):
        train(tmp_path, 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "[" * 60_000}, "nested too deeply"),
        ({"state": '{"count": ' + "1" * 5_000 + "}"}, "too many digits"),
        ({"state": "[]"}, "list indices"),
        ({"state": '{"count": 1}'}, "history"),
        ({"state": '{"count": 2, "history": [{"val_loss": "x"}]}'}, "could not convert"),
        ({"state": '{"count": 2, "history": []}'}, "not of one epoch"),
        ({"state": '{"count": 1000000000, "history": [{"val_loss": 1}]}'}, "not of one epoch"),
        ({"v1": None}, "not of one epoch"),
        ({"v1": np.array([{}], object)}, "pickled"),
    ],
)
def test_a_backup_that_is_damaged_in_its_parts_is_one_sentence(change, words, tmp_path):
    train(tmp_path, 1)
    backup = tmp_path / "run/backup/state.npz"
    with np.load(backup) as held:
        arrays = dict(held) | change
    np.savez(backup, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(RecipeError, match=f"state.npz is damaged .*{words}.*--overwrite") as error:
        train(tmp_path, 2)
    assert "\n" not in str(error.value)
