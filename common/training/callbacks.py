"""What every training calls back: its order, its speed, and an end where the loss is no number."""

import math
import resource
import time

import keras

from common.basics import backend
from common.basics.errors import RecipeError


class NonFiniteLoss(RecipeError):
    """The loss became NaN or infinite."""


class Meter(keras.callbacks.Callback):
    """Adds learning rate, wall and CPU seconds and examples per second to each epoch's logs.

    Comes before RunKeeper, which stores the logs. Seconds include validation, as a user waits for it;
    the throughput does not.

    Args:
        examples: Training examples per epoch.
    """

    def __init__(self, examples):
        super().__init__()
        self.examples = examples

    def on_epoch_begin(self, epoch, logs=None):
        self.wall = time.perf_counter()
        self.cpu = cpu_seconds()
        self.training = None

    def on_test_begin(self, logs=None):
        self.training = time.perf_counter() - self.wall

    def on_epoch_end(self, epoch, logs=None):
        wall = time.perf_counter() - self.wall
        optimizer = self.model.optimizer
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        logs["seconds"] = round(wall, 3)
        logs["cpu_seconds"] = round(cpu_seconds() - self.cpu, 3)
        logs["examples_per_second"] = round(self.examples / (self.training or wall), 1)


def cpu_seconds():
    """Returns user plus system seconds that this process has used, over all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops the run at the first loss that is NaN or infinite; the last good model is kept.

    Args:
        run: The Run, named in the message.
        steps: Batches per epoch.

    Raises:
        NonFiniteLoss: With the epoch, the step and what usually causes it.
    """

    def __init__(self, run, steps):
        super().__init__()
        self.run, self.steps = run, steps
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # The logged loss is a running mean over the epoch: once not finite it stays so. With several
        # steps a call this is the last of them, which may lie beyond the epoch.
        self._check(logs, "loss", f"by step {min(batch + 1, self.steps)}")

    def on_epoch_end(self, epoch, logs=None):
        # Comes before RunKeeper: a model that has diverged is not written as the best one.
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
    """Makes an epoch a function of (seed, epoch): order and augmentation of the batches, dropout.

    Args:
        batches: The training batches.
        seed: The training seed.
    """

    def __init__(self, batches, seed):
        super().__init__()
        self.batches = batches
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.set_epoch(epoch)
        backend.seed_epoch(self.seed, epoch)
