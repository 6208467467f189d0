"""Training with differential privacy: DP-SGD (Abadi et al. 2016).

A step takes a random batch, shortens the gradient of each of its examples to a fixed length, adds noise
to their sum, and goes on as usual. No single example can then move the weights by more than the noise
hides.

What is guaranteed rests on draws that nobody knows: which examples are in a batch, and the noise. So
they come from a secret that is kept no longer than the training, not from the seed of the run.
"""

from __future__ import annotations

import contextlib
import math
import secrets
from typing import Any

import keras
import numpy as np
from keras import ops

from common.basics import agreement
from common.basics.errors import RecipeError
from common.basics.files import could_not_write, write_text_atomic
from common.runs.run import Run
from common.training.batches import ArrayBatches
from common.training.example_gradients import ExampleGradients
from common.training.gradients import Step

SECRET = "backup/secret"
"""File of the run folder that holds the secret until the training is over."""


def secret_of(run: Run) -> int:
    """Returns the secret of a training: a number of 128 bits, drawn where the folder has none yet.

    A training that was interrupted repeats its last epoch with the same batches and noise. So nothing
    about the data gets out twice, and the weights are those of a training without interruption. On
    several hosts the leader draws and keeps it, and tells it to the others.

    Args:
        run: The run, opened.

    Raises:
        RecipeError: The file cannot be written or read.
    """
    return int(agreement.agreed(lambda: f"{_secret(run.path(SECRET)):032x}"), 16)


def _secret(path):
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(path.read_text(encoding="ascii"), 16)
    secret = secrets.randbits(128)
    write_text_atomic(path, f"{secret:032x}")
    path.chmod(0o600)
    return secret


def forget(run: Run) -> None:
    """Deletes the secret of a run whose training is over.

    Raises:
        RecipeError: The file cannot be deleted.
    """
    path = run.path(SECRET)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise could_not_write(path, error) from error


class PoissonBatches(ArrayBatches):
    """Batches `(inputs, targets, noise)`: each example is in a batch with the same small probability.

    Whether it is does not depend on the others, so batches differ in size. They are filled up with rows
    of zeros, targets too: where the loss is a sum over classes, such a row has no loss and no gradient.

    Args:
        *arrays: As for ArrayBatches. Float16 inputs become float32.
        batch_size: Mean number of examples in a batch.
        num_classes: As for ArrayBatches.
        seed: Seed of batches and noise, a whole number of any size. None: examples in order, no noise.
        noise: Standard deviation of the noise.
        parameters: Numbers of noise for a step.
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int,
        num_classes: int,
        seed: int | None,
        noise: float,
        parameters: int,
    ) -> None:
        self.noise, self.parameters = noise, parameters
        super().__init__(*arrays, batch_size=batch_size, num_classes=num_classes, seed=seed)

    @property
    def rate(self) -> float:
        """Probability of each example to be in a batch."""
        return min(self.batch_size / self.count, 1.0)

    @property
    def room(self) -> int:
        """Rows of a batch: eight standard deviations more than it has on average."""
        return min(math.ceil(self.batch_size + 8 * math.sqrt(self.batch_size)), self.count)

    def _order(self, epoch):
        return None

    def _random(self, index, use):
        return np.random.default_rng([self.seed, self.epoch, index, use])

    def rows(self, index: int) -> slice | np.ndarray:
        if self.seed is None:
            return super().rows(index)
        return np.flatnonzero(self._random(index, 2).random(self.count) < self.rate)

    def __getitem__(self, index):
        rows = self.rows(index)
        examples, labels = np.asarray(self.x[rows]), np.asarray(self.y[rows])
        count = len(labels)
        if count > self.room:
            # To leave examples out would break what is guaranteed.
            raise RecipeError(
                f"a batch has {count} examples, more than the {self.room} there is room for: this "
                "happens once in 10^14 steps; if it happens again, the draws are broken"
            )
        dtype = "float32" if examples.dtype == "float16" else examples.dtype
        x = np.zeros((self.room, *examples.shape[1:]), dtype)
        targets = np.zeros((self.room, self.num_classes), "float32")
        x[:count] = examples
        targets[np.arange(count), labels] = 1
        noise = np.zeros(self.parameters, "float32")
        if self.noise and self.seed is not None:
            random = self._random(index, 1)
            noise = self.noise * random.standard_normal(self.parameters, dtype="float32")
        return x, targets, noise.astype("float32")


def private_step(
    model: keras.Model, start: keras.KerasTensor, *, batch_size: int, clip: float | None
) -> Step:
    """Returns a step for `train_by` that trains a classifier by DP-SGD on PoissonBatches.

    The gradient is the sum of the shortened ones and of the noise times `clip`, divided by the mean size
    of a batch: the size that a batch really has would tell how many examples it has.

    Args:
        model: As for ExampleGradients; it ends in a softmax of its own.
        start: The tensor of the model that the inputs of the batches are values of.
        batch_size: Mean number of examples in a batch.
        clip: Longest gradient of an example; None: any. Then noise is not scaled.
    """
    gradients = ExampleGradients(model, start, model.layers[-1].input)
    shapes = [tuple(variable.shape) for variable in model.trainable_variables]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    scale = 1.0 if clip is None else clip

    def step(weights, state, batch):
        x, y, noise = batch
        found = gradients.clipped(
            weights, state, x, lambda logits: -ops.sum(y * ops.log_softmax(logits), axis=-1), clip
        )
        parts = zip(found.total, shapes, ends, strict=True)
        total = [
            (part + scale * ops.reshape(noise[end - math.prod(shape) : end], shape)) / batch_size
            for part, shape, end in parts
        ]
        # Rows of zeros count nothing, neither in the loss nor in the metrics.
        seen = y, ops.softmax(found.outputs), ops.sum(y, axis=-1)
        return ops.sum(found.losses) / batch_size, seen, state, total

    return step
