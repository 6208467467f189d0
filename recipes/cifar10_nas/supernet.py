"""A supernet: one network that holds the weights of all 1,024, trained once, which ranks them.

Single path (Guo et al. 2019): each step draws an architecture uniformly and trains its path. The path is
an input of the model, so that there is one compiled graph for all of them. Three things make it right:

- Normalisation is by the statistics of the batch, in training and in scoring: running averages would mix
  those of all paths.
- SGD without momentum or decay. Both move weights that a step has not chosen, and so does Adam.
- The gradient of what was not chosen is 0 on every backend (`train_by`, not None on one of them).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from common.basics.backend import jit_compile, no_gradients
from common.data.types import Splits
from common.layers.choose import choose
from common.layers.schedules import one_cycle
from common.training.batches import ArrayBatches
from common.training.callbacks import SetEpoch
from common.training.feeding import feed, per_call
from common.training.gradients import train_by, value_and_gradients

from .model import body, build_model, convolution, pooling
from .space import CHOICES, NETWORKS, OPERATIONS, network
from .train import Config, make_batches

SCORE_BATCH = 500


@keras.saving.register_keras_serializable(package="cifar10_nas")
class BatchStatistics(layers.Layer):
    """Batch normalisation by the batch's own mean and variance, always; it keeps no averages.

    Args:
        epsilon: Added to the variance; that of `BatchNormalization`.
        **options: Those of a layer.
    """

    def __init__(self, epsilon: float = 1e-3, **options: Any) -> None:
        super().__init__(**options)
        self.epsilon = epsilon

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Makes scale and offset, for the last axis."""
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta")

    def call(self, x: Any) -> Any:
        """Returns float32 `(batch, height, width, channels)`, normalised over the first three axes."""
        mean, variance = ops.moments(x, axes=(0, 1, 2))
        return ops.batch_normalization(
            x, mean, variance, axis=-1, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="cifar10_nas")
class Choice(layers.Layer):
    """All operations of a place, of which an integer chooses one.

    Args:
        width: Channels of what comes and of what goes.
        **options: Those of a layer.
    """

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.width = width
        self.convolutions = {
            word: convolution(width, int(word[-1]), word)
            for word in OPERATIONS
            if word.startswith("conv")
        }
        self.norms = {word: BatchStatistics(name=f"{word}_norm") for word in self.convolutions}
        self.pool = pooling("pool")

    def build(self, x_shape: tuple[int | None, ...], which_shape: tuple[int | None, ...]) -> None:
        """Makes the weights of all operations."""
        for layer in (*self.convolutions.values(), *self.norms.values(), self.pool):
            layer.build(x_shape)

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...], which_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the first argument: every operation keeps it."""
        return x_shape

    def call(self, x: Any, which: Any) -> Any:
        """Returns the chosen operation of x.

        Args:
            x: float32 `(batch, height, width, channels)`.
            which: int32 without axes: the place of the operation in OPERATIONS.
        """
        return choose(which, [self._operation(word) for word in OPERATIONS], x)

    def _operation(self, word):
        if word in self.convolutions:
            convolve, normalise = self.convolutions[word], self.norms[word]
            return lambda x: ops.relu(normalise(convolve(x)))
        return self.pool if word == "pool" else lambda x: x

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "width": self.width}


def build_supernet(config: Config, num_classes: int = 10) -> keras.Model:
    """Builds the supernet, uncompiled.

    Args:
        config: Its `width` is used, its `operations` are not.
        num_classes: Size of the softmax.

    Returns:
        Model from uint8 images `(n, 32, 32, 3)` and a path, int32 `(n, 5)` of places in OPERATIONS whose
        rows are all equal, to probabilities `(n, num_classes)`.
    """
    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    path = keras.Input((CHOICES,), dtype="int32", name="path")

    def operation(place, x):
        return Choice(config.width, name=f"place{place + 1}")(x, path[0, place])

    def normalise(name):
        return BatchStatistics(name=name)

    outputs = body(image, config.width, num_classes, normalise, operation)
    return keras.Model([image, path], outputs, name="supernet")


def path_of(operations: Sequence[str], count: int) -> np.ndarray:
    """Returns a path as the supernet takes it, int32 `(count, 5)`."""
    row = np.array([OPERATIONS.index(word) for word in operations], "int32")
    return np.tile(row, (count, 1))


def draw_path(seed: int, epoch: int, index: int) -> tuple[str, ...]:
    """Returns the operations that a step trains: uniform, a function of (seed, epoch, index)."""
    # The last number keeps these draws apart from those of augmentation.
    random = np.random.default_rng([seed, epoch, index, 1])
    return network(int(random.integers(NETWORKS)))


class PathBatches(ArrayBatches):
    """Batches `((images, path), targets)` with a path of its own for each batch, from its seed."""

    def __getitem__(self, index):
        x, targets = super().__getitem__(index)
        path = draw_path(self.seed or 0, self.epoch, index)
        return (x, path_of(path, len(x))), targets


def path_step(model: keras.Model) -> Any:
    """Returns the step of `train_by` that trains the path in the batch."""

    def step(weights, state, batch):
        inputs, targets = batch

        def loss(weights):
            outputs, after = model.stateless_call(weights, state, inputs, training=True)
            found = ops.mean(keras.losses.categorical_crossentropy(targets, outputs))
            return found, (outputs, after)

        (found, (outputs, after)), gradients = value_and_gradients(loss, weights)
        return found, (targets, outputs), after, gradients

    return step


def compile_supernet(model: keras.Model, learning_rate: Any) -> None:
    """Compiles a supernet so that `fit` on PathBatches trains the drawn paths and nothing else."""
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    train_by(model, path_step(model))


def train_supernet(
    model: keras.Model, config: Config, splits: Splits, learning_rate: float = 1.0
) -> None:
    """Compiles and trains a supernet.

    Args:
        model: Supernet.
        config: `seed`, `flip`, `batch_size` and `epochs` are those of its training.
        splits: Data as `load_data` returns them; only the training split is used.
        learning_rate: Peak of the rate of SGD, which has no momentum here.
    """
    alone, _ = make_batches(config, splits)
    batches = PathBatches(
        alone.x,
        alone.y,
        batch_size=config.batch_size,
        num_classes=alone.num_classes,
        seed=config.seed,
        augment=alone.augment,
    )
    steps = config.epochs * batches.num_batches
    compile_supernet(model, one_cycle(learning_rate, steps, warmup_fraction=0.1))
    data = feed(batches)
    model.steps_per_execution = per_call(batches)
    model.fit(
        data,
        epochs=config.epochs,
        callbacks=[SetEpoch(batches, config.seed)],
        shuffle=False,
        verbose=0,
    )


def score(
    model: keras.Model, x: np.ndarray, y: np.ndarray, networks: Sequence[int] = range(NETWORKS)
) -> np.ndarray:
    """Returns the accuracy of networks with the weights they inherit, float32 `(networks,)`.

    One call of one compiled graph for all: a batch is a network's path and as many images as any other.

    Args:
        model: Supernet, trained.
        x: Images `(n, 32, 32, 3)`. Whole batches of SCORE_BATCH of them are used, or all if there are
            fewer: the batch is what normalises, so all must be of one size.
        y: Their labels `(n,)`.
        networks: Indices in the space.
    """
    size = min(SCORE_BATCH, len(x))
    batches = _ScoreBatches(x, size, [network(index) for index in networks])
    with no_gradients():
        outputs = model.predict(batches, verbose=0)
    right = outputs.argmax(axis=1).reshape(len(networks), -1) == y[: len(x) // size * size]
    return right.mean(axis=1).astype("float32")


class _ScoreBatches(keras.utils.PyDataset):
    def __init__(self, x, size, networks):
        super().__init__()
        self.x, self.size, self.networks = x, size, networks
        self.each = len(x) // size

    @property
    def num_batches(self):
        return self.each * len(self.networks)

    def __getitem__(self, index):
        place, part = divmod(index, self.each)
        x = self.x[part * self.size : (part + 1) * self.size]
        return ((x, path_of(self.networks[place], len(x))),)


def inherit(model: keras.Model, config: Config, num_classes: int) -> keras.Model:
    """Returns the network of a Config with the weights of its path.

    Its running averages are those of a new network: call it with training=True, or recalibrate it with
    `common.training.averaging`, before its answers mean anything.

    Args:
        model: Supernet of the same width and classes.
        config: Its `operations` are the path.
        num_classes: Size of the softmax.
    """
    alone = build_model(config, num_classes)
    for layer in alone.layers:
        if layer.name in ("stem", "probabilities"):
            layer.set_weights(model.get_layer(layer.name).get_weights())
        elif layer.name == "stem_norm":
            _copy_norm(model.get_layer(layer.name), layer)
        elif layer.name.startswith("place") and layer.weights:
            name, word, *norm = layer.name.split("_")
            choice = model.get_layer(name)
            if norm:
                _copy_norm(choice.norms[word], layer)
            else:
                layer.set_weights(choice.convolutions[word].get_weights())
    return alone


def _copy_norm(source, target):
    target.gamma.assign(source.gamma)
    target.beta.assign(source.beta)
