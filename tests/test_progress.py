"""The lines and the bar of a training, and the time left that they tell."""

import io

import keras
import pytest

from common.training import progress
from common.training.progress import Progress

LOGS = {"loss": 0.5, "accuracy": 0.75, "val_loss": 0.6, "val_accuracy": 0.7, "seconds": 2.0}


class Clock:
    """Stands for `time`: moves by the seconds it is told."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def lines_of(clock, calls, tests=(), epochs=3, first_epoch=0, afterwards=False):
    """Returns the lines of a training whose calls took so many seconds, a list for each epoch.

    Each call trains 2 batches. Afterwards: the calls are told of when the epoch is over.
    """
    stream = io.StringIO()
    shown = Progress(epochs, 2 * len(calls[0]), stream)
    for index, (training, testing) in enumerate(
        zip(calls, tests or [[]] * len(calls), strict=True)
    ):
        shown.on_epoch_begin(first_epoch + index)
        if afterwards:
            clock.pass_(sum(training))
            training = [0.0] * len(training)
        for call, seconds in enumerate(training):
            shown.on_train_batch_begin(2 * call)
            clock.pass_(seconds)
            shown.on_train_batch_end(2 * call + 1, LOGS)
        for call, seconds in enumerate(testing):
            shown.on_test_batch_begin(call)
            clock.pass_(seconds)
            shown.on_test_batch_end(call)
        shown.on_epoch_end(first_epoch + index, LOGS)
    return stream.getvalue().strip().splitlines()


def test_a_line_per_epoch_with_the_time_left(clock):
    lines = lines_of(clock, [[20.0, 20.0]] * 3)
    assert len(lines) == 3
    assert lines[0].startswith(
        "epoch 1/3  loss 0.5000  accuracy 0.7500  val_loss 0.6000  val_accuracy 0.7000  2 s  "
    )
    assert [line.split("  ")[-1] for line in lines] == ["1 min 20 s left", "40 s left", "2 s"]


def test_the_time_left_leaves_compilation_out(clock):
    # 100 and 50 seconds of the first calls went into compilation: an epoch takes 4 x 5 + 2 x 10.
    lines = lines_of(
        clock,
        [[105.0, 5.0, 5.0, 5.0], [5.0] * 4, [5.0] * 4],
        [[60.0, 10.0], [10.0] * 2, [10.0] * 2],
        epochs=10,
        first_epoch=6,
    )
    lefts = [line.split("  ")[-1] for line in lines]
    assert lefts == ["2 min 00 s left", "1 min 20 s left", "40 s left"]


@pytest.mark.parametrize("afterwards", [False, True])
def test_an_epoch_in_one_call_cannot_tell_until_the_next(clock, afterwards):
    calls = [[100.0, 20.0], [20.0, 20.0], [20.0, 20.0]] if afterwards else [[120.0], [40.0], [40.0]]
    lines = lines_of(clock, calls, afterwards=afterwards)
    assert [line.split("  ")[-1] for line in lines] == ["2 s", "40 s left", "2 s"]


def test_steps_are_heard_of_as_keras_tells_them(clock):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse", metrics=["accuracy"], jit_compile=False)
    shown = Progress(1, 4, io.StringIO())
    seconds = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(LOGS))
    x = keras.ops.ones((8, 2))
    model.fit(
        x,
        x[:, :1],
        2,
        epochs=1,
        verbose=0,
        callbacks=[seconds, shown],
        validation_data=(x, x[:, :1]),
    )
    assert shown.training.latest[1] == 4
    assert shown.validation.first is not None


@pytest.mark.parametrize(
    ("logs", "figures"),
    [
        # Keras' order; what has no twin on validation is not told.
        (
            {"mae": 2.0, "loss": 5.0, "val_mae": 2.5, "val_loss": 6.25, "learning_rate": 0.1},
            "loss 5.0000  mae 2.0000  val_loss 6.2500  val_mae 2.5000",
        ),
        ({"loss": 0.25, "val_loss": 0.5, "step": 1.0}, "loss 0.2500  val_loss 0.5000"),
    ],
)
def test_a_line_tells_the_figures_that_there_are(logs, figures):
    stream = io.StringIO()
    shown = Progress(1, 1, stream)
    shown.on_epoch_begin(0)
    shown.on_train_batch_begin(0)
    shown.on_train_batch_end(0, logs)
    shown.on_epoch_end(0, {**logs, "seconds": 3.0})
    assert stream.getvalue() == f"epoch 1/1  {figures}  3 s\n"


def test_the_bar_counts_batches_however_many_a_call_trains():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Progress(2, 7, Terminal())
    counts = []
    for epoch in range(2):
        shown.on_epoch_begin(epoch)
        for last in (2, 5, 8):  # Three a call, of which the last finds only one.
            shown.on_train_batch_begin(last - 2)
            shown.on_train_batch_end(last, LOGS)
            counts.append(shown.bar.n)
        shown.on_epoch_end(epoch, LOGS)
    assert counts == [3, 6, 7, 10, 13, 14]
