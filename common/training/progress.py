"""The output of a training: a bar with the time left, and a line per epoch."""

import sys
import time
from typing import Any, TextIO

import keras

from common.basics.wording import duration


class Progress(keras.callbacks.Callback):
    """A bar over the whole training with the time left, and a line per epoch.

    If the output is not a terminal, only the lines are written. The first call of a session includes
    compilation, so it does not count for the time left.

    Args:
        epochs: Epochs of the whole training.
        steps: Batches per epoch.
        stream: Where to write (default: standard output).
    """

    def __init__(self, epochs: int, steps: int, stream: TextIO | None = None) -> None:
        super().__init__()
        self.epochs, self.steps = epochs, steps
        self.stream = stream or sys.stdout
        self.bar: Any = None
        self.training, self.validation = _Calls(), _Calls()
        # The end of this session's first epoch, and the number of epochs since then.
        self.first_end: float | None = None
        self.later = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch, self.begun = epoch, time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.training.begin()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None  # Keras passes them at the end of a batch.
        # As in StopOnNonFinite, the step may lie beyond the epoch.
        steps = min(batch + 1, self.steps)
        self.training.end(steps)
        done = self.epoch * self.steps + steps
        if self.bar is None:
            # The bar starts only now, so that its clock leaves out the compilation.
            self._open_bar(done)
        if not self.bar.disable:
            self.bar.set_description(f"epoch {self.epoch + 1}/{self.epochs}", refresh=False)
            self.bar.set_postfix_str(f"loss {float(logs['loss']):.4f}", refresh=False)
        self.bar.update(done - self.bar.n)

    def _open_bar(self, done):
        import tqdm

        self.bar = tqdm.tqdm(
            total=self.epochs * self.steps,
            initial=done,
            file=self.stream,
            disable=not self.stream.isatty(),
            unit="batch",
            dynamic_ncols=True,
            leave=False,
        )

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.validation.begin()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.validation.end(batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None  # Keras passes them at the end of an epoch.
        seconds = self._seconds_per_epoch()
        left = self.epochs - epoch - 1
        # Only figures of both splits are shown; the others (learning rate, ...) are in history.csv.
        names = [name for name in logs if f"val_{name}" in logs]
        names.sort(key=lambda name: name != "loss")
        names += [f"val_{name}" for name in names]
        figures = "".join(f"  {name} {logs[name]:.4f}" for name in names)
        line = (
            f"epoch {epoch + 1}/{self.epochs}{figures}  {logs['seconds']:.0f} s"
            f"{f'  {duration(seconds * left)} left' if left and seconds is not None else ''}"
        )
        self.bar.write(line, file=self.stream)
        self.stream.flush()

    def _seconds_per_epoch(self):
        """Returns the duration of an epoch without compilation; None if it is not known yet."""
        now = time.perf_counter()
        if self.first_end is None:
            self.first_end = now
            calls, compilation = self.training, self.training.compilation()
            # If most of the epoch lies before its calls, it was one compiled program, and the calls were
            # made after it (common/training/whole_epochs.py). Then they tell nothing of its duration.
            if compilation is None or calls.begun - self.begun > calls.latest[0] - calls.begun:
                return None
            return now - self.begun - compilation - (self.validation.compilation() or 0.0)
        self.later += 1
        return (now - self.first_end) / self.later

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Removes the bar; also called when the training is interrupted."""
        if self.bar is not None:
            self.bar.close()


class _Calls:
    """Times of calls for batches: begin and end of the first one, end of the latest one."""

    def __init__(self):
        self.begun = self.first = self.latest = None

    def begin(self):
        if self.begun is None:
            self.begun = time.perf_counter()

    def end(self, batches):
        self.latest = time.perf_counter(), batches
        self.first = self.first or self.latest

    def compilation(self):
        """Returns by how many seconds the first call exceeded later ones; None without later ones."""
        if self.first is None or self.first == self.latest:
            return None
        seconds, batches = (
            late - early for late, early in zip(self.latest, self.first, strict=True)
        )
        return max(self.first[0] - self.begun - seconds * self.first[1] / batches, 0.0)
