"""Callbacks of every training: the order of examples, the speed, a stop if the loss is not finite."""

import math
import resource
import time
from typing import Any

import keras

from common.basics import backend
from common.basics.errors import DIVERGED, RecipeError
from common.runs.run import Run
from common.training.batches import ArrayBatches


class NonFiniteLoss(RecipeError):
    """The loss became NaN or infinite."""

    exit_code = DIVERGED


class Meter(keras.callbacks.Callback):
    """Adds learning rate, wall and CPU seconds and examples per second to each epoch's logs.

    Comes before RunKeeper, which stores the logs. Seconds include validation, because a user waits for
    it; the throughput does not.

    Args:
        examples: Training examples per epoch.
    """

    def __init__(self, examples: int) -> None:
        super().__init__()
        self.examples = examples

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.wall = time.perf_counter()
        self.cpu = cpu_seconds()
        self.training: float | None = None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.training = time.perf_counter() - self.wall

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None  # Keras passes them at the end of an epoch.
        wall = time.perf_counter() - self.wall
        optimizer = self.model.optimizer
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        logs["seconds"] = round(wall, 3)
        logs["cpu_seconds"] = round(cpu_seconds() - self.cpu, 3)
        logs["examples_per_second"] = round(self.examples / (self.training or wall), 1)


def cpu_seconds() -> float:
    """Returns the user plus system seconds that all threads of this process have used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops the run at the first loss that is NaN or infinite; the last good model is kept.

    Args:
        run: Its folder is named in the message.
        steps: Batches per epoch.

    Raises:
        NonFiniteLoss: Names the epoch, the step and the usual causes.
    """

    def __init__(self, run: Run, steps: int) -> None:
        super().__init__()
        self.run, self.steps = run, steps
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # The logged loss is a running mean over the epoch, so it stays non-finite. With several steps per
        # call, `batch` is the last of them, which may lie beyond the end of the epoch.
        self._check(logs, "loss", f"by step {min(batch + 1, self.steps)}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Comes before RunKeeper, so that a diverged model is not saved as the best one.
        self._check(logs, "val_loss", "on the validation split")

    def _check(self, logs, name, where):
        value = float((logs or {}).get(name, 0.0))
        if not math.isfinite(value):
            kept = (
                "the best model so far is kept in best.keras" if self.epoch else "no model was kept"
            )
            raise NonFiniteLoss(
                f"the loss is {value} {where} of epoch {self.epoch + 1}. Likely causes: a learning "
                "rate that is too high, inputs that are not scaled or not finite, or no gradient "
                f"clipping in a recurrent network. Run folder: {self.run.directory} ({kept})"
            )


class SetEpoch(keras.callbacks.Callback):
    """Makes order, augmentation and dropout of an epoch depend on (seed, epoch) only.

    Args:
        batches: The training batches.
        seed: The training seed.
    """

    def __init__(self, batches: ArrayBatches, seed: int) -> None:
        super().__init__()
        self.batches = batches
        self.seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.batches.set_epoch(epoch)
        backend.seed_epoch(self.seed, epoch)
