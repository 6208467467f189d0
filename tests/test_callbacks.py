"""RunKeeper's transaction, step by step, and the other callbacks."""

import csv
import json

import keras
import numpy as np
import pytest

from common.basics import backend
from common.basics.errors import RecipeError
from common.training.keeper import RunKeeper


class FakeRun:
    """What callbacks need of a Run."""

    is_trial = False

    def __init__(self, directory):
        self.directory = directory

    def path(self, name):
        return self.directory / name

    def stops(self, history):
        return False


def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(4)(inputs))
    built = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    built.compile(keras.optimizers.Adam(0.01), "categorical_crossentropy", metrics=["accuracy"])
    return built


def keeper_with(tmp_path, scores, patience=None, monitor="val_loss"):
    """Returns a RunKeeper whose epochs had the given scores."""
    keeper = RunKeeper(FakeRun(tmp_path), patience=patience, monitor=monitor)
    keeper.restore(model())
    for epoch, score in enumerate(scores):
        keeper.model.set_weights([weight + 1 for weight in keeper.model.get_weights()])
        keeper.on_epoch_end(epoch, {"loss": 1.0, monitor: score})
    return keeper


def test_best_epoch_is_the_earliest_of_the_lowest(tmp_path):
    keeper = keeper_with(tmp_path, [0.5, 0.3, 0.4, 0.3])
    assert keeper.best_epoch == 2
    best = keras.models.load_model(tmp_path / "best.keras", compile=False)
    now = keeper.model.get_weights()
    for weight, last in zip(best.get_weights(), now, strict=True):
        np.testing.assert_allclose(weight, last - 2, atol=1e-5)


@pytest.mark.parametrize(
    ("monitor", "best"), [("val_accuracy", 2), ("val_auc", 2), ("val_mae", 3), ("val_loss", 3)]
)
def test_the_monitor_says_whether_the_best_is_the_highest(monitor, best, tmp_path):
    assert keeper_with(tmp_path, [0.5, 0.9, 0.4], monitor=monitor).best_epoch == best


@pytest.mark.parametrize(
    ("scores", "exhausted"),
    [([3, 2, 1], False), ([1, 2], False), ([1, 2, 3], True), ([2, 3, 1, 5], False)],
)
def test_patience_counts_epochs_since_the_best(tmp_path, scores, exhausted):
    keeper = keeper_with(tmp_path, scores, patience=2)
    assert keeper.exhausted is exhausted
    assert bool(keeper.model.stop_training) is exhausted
    # A new process derives the same from the backup.
    again = RunKeeper(FakeRun(tmp_path), patience=2)
    again.restore(model())
    assert again.exhausted is exhausted
    assert again.best_epoch == keeper.best_epoch


def test_backup_restores_weights_optimizer_and_random_states(tmp_path):
    first = model()
    keeper = RunKeeper(FakeRun(tmp_path))
    keeper.restore(first)
    x, y = np.ones((8, 3), "float32"), np.eye(2, dtype="float32")[[0, 1] * 4]
    for epoch in range(3):
        first.train_on_batch(x, y)
        keeper.on_epoch_end(epoch, {"loss": 1.0, "val_loss": 1.0})
    second = model()
    other = RunKeeper(FakeRun(tmp_path))
    other.restore(second)
    assert int(second.optimizer.iterations) == 3
    # Dropout draws the same masks from here on, so the losses stay equal.
    losses = []
    for built in (first, second):
        backend.seed_epoch(0, 3)
        losses.append([built.train_on_batch(x, y)[0] for _ in range(3)])
    assert losses[0] == losses[1]
    for one, two in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def first_weight(file):
    return keras.models.load_model(file, compile=False).get_weights()[0][0, 0]


def test_kill_before_the_backup_repeats_the_epoch_and_keeps_the_best_model(tmp_path, monkeypatch):
    keeper = keeper_with(tmp_path, [0.5])
    best = first_weight(tmp_path / "best.keras")
    keeper.model.set_weights([weight + 1 for weight in keeper.model.get_weights()])
    monkeypatch.setattr(keeper, "_write_backup", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        keeper.on_epoch_end(1, {"loss": 1.0, "val_loss": 0.1})
    assert first_weight(tmp_path / "best.pending-2.keras") != best
    again = RunKeeper(FakeRun(tmp_path))
    again.restore(model())
    assert again.epochs_done == 1
    assert not list(tmp_path.glob("*pending*"))
    assert first_weight(tmp_path / "best.keras") == best


def test_kill_after_the_backup_is_completed(tmp_path, monkeypatch):
    keeper = keeper_with(tmp_path, [0.5])
    monkeypatch.setattr(keeper, "_promote", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        keeper.on_epoch_end(1, {"loss": 1.0, "val_loss": 0.1})
    monkeypatch.undo()
    pending = (tmp_path / "best.pending-2.keras").read_bytes()
    again = RunKeeper(FakeRun(tmp_path))
    again.restore(model())
    assert (again.epochs_done, again.best_epoch) == (2, 2)
    assert (tmp_path / "best.keras").read_bytes() == pending
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert [row["val_loss"] for row in rows] == ["0.5", "0.1"]


def test_damaged_backup_is_named(tmp_path):
    keeper_with(tmp_path, [0.5])
    (tmp_path / "backup/state.npz").write_bytes(b"PK nonsense")
    with pytest.raises(RecipeError, match="is damaged"):
        RunKeeper(FakeRun(tmp_path)).restore(model())


def test_history_is_json_before_it_is_csv(tmp_path):
    keeper = keeper_with(tmp_path, [0.5, 0.25])
    with np.load(tmp_path / "backup/state.npz") as backup:
        assert json.loads(str(backup["state"]))["history"] == keeper.history
