"""Several devices of one machine with JAX: each batch is spread over them, the network is on all.

The batch size is that of all devices together, and a step computes what it would on one: batch
normalisation sees the whole batch, dropout draws as for one. Only rounding differs. A last batch that
cannot be divided is computed by every device. Keras' `fit` stays: its batches are arrays that lie on the
devices already.

`keras.distribution` is not used: it fails on uneven batches, and on TensorFlow it is accepted and does
nothing.
"""

from __future__ import annotations

import functools
from typing import Any

import keras


@functools.cache
def _mesh(count):
    import jax
    import numpy as np

    return jax.sharding.Mesh(np.array(jax.devices()[:count]), ("batch",))


def put(part: Any, count: int, axis: int = 0) -> Any:
    """Returns an array that is spread over devices along an axis, or is on all where it cannot be.

    Args:
        part: NumPy array.
        count: Devices.
        axis: The one that counts examples.
    """
    import jax

    spec = [None] * axis + (["batch"] if part.shape[axis] % count == 0 else [])
    sharding = jax.sharding.NamedSharding(_mesh(count), jax.sharding.PartitionSpec(*spec))
    return jax.device_put(part, sharding)


def replicate(model: keras.Model, count: int) -> None:
    """Puts all variables of a compiled model, its optimizer and its metrics on every device.

    Args:
        model: Its optimizer and metrics are built.
        count: Devices; with one nothing changes.
    """
    if count == 1:
        return
    import jax
    import numpy as np

    everywhere = jax.sharding.NamedSharding(_mesh(count), jax.sharding.PartitionSpec())
    for variable in (*model.variables, *model.optimizer.variables, *model.metrics_variables):
        variable.assign(jax.device_put(np.asarray(variable.value), everywhere))


class Replicate(keras.callbacks.Callback):
    """Puts all variables on every device before each epoch: the average of weights moves them away."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        replicate(self.model, self.count)


class _Spread(keras.utils.PyDataset):
    """Batches of others, spread over devices. The epoch is that of the others."""

    def __init__(self, batches, count):
        super().__init__()
        self.batches, self.devices = batches, count

    @property
    def num_batches(self):
        return self.batches.num_batches

    def __getitem__(self, index):
        return keras.tree.map_structure(lambda part: put(part, self.devices), self.batches[index])


def spread(batches: Any, count: int) -> Any:
    """Returns batches for Keras' `fit` that lie on several devices; the batches themselves for one.

    Args:
        batches: ArrayBatches, or another PyDataset.
        count: Devices.
    """
    return _Spread(batches, count) if count > 1 else batches
