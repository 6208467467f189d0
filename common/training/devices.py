"""Several devices with JAX, on one host or more: each batch is spread over them, the network is on all.

The batch size is that of all devices together, and a step computes what it would on one: batch
normalisation sees the whole batch, dropout draws as for one. Only rounding differs. A last batch that
cannot be divided is computed by every device. Keras' `fit` stays: its batches are arrays that lie on the
devices already.

On several hosts, each process makes the whole batch, which is a function of seed, epoch and index, and
puts its part on its own devices: the batch that a step sees does not depend on the number of processes.

`keras.distribution` is not used: it fails on uneven batches, and on TensorFlow it is accepted and does
nothing. On several hosts, with its own sharding of data off, it joins the whole batches of all processes:
each example then counts as often as there are processes, without a warning.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import keras
import numpy as np

from common.basics import hosts


def number(asked: int) -> int:
    """Returns the number of devices of a training, those of all hosts together.

    Args:
        asked: `--devices`. On several hosts, 1 stands for all: fewer than one a host cannot be.
    """
    if hosts.count() == 1 or asked > 1:
        return asked
    import jax

    return jax.device_count()


@functools.cache
def _mesh(count):
    """Returns the mesh of so many devices: of each process the first ones, equally many."""
    import jax

    by_process: dict[int, list] = {}
    for device in jax.devices():
        by_process.setdefault(device.process_index, []).append(device)
    each = count // hosts.count()
    chosen = [device for own in by_process.values() for device in own[:each]]
    return jax.sharding.Mesh(np.array(chosen), ("batch",))


def put(part: Any, count: int, axis: int = 0) -> Any:
    """Returns an array that is spread over devices along an axis, or is on all where it cannot be.

    Args:
        part: NumPy array, the same in all processes.
        count: Devices, of all hosts together.
        axis: The one that counts examples.
    """
    import jax

    spec = [None] * axis + (["batch"] if part.shape[axis] % count == 0 else [])
    sharding = jax.sharding.NamedSharding(_mesh(count), jax.sharding.PartitionSpec(*spec))
    return _placed(part, sharding)


def _placed(part, sharding):
    import jax

    if hosts.count() == 1:
        return jax.device_put(part, sharding)
    _let_keras_pass_arrays()
    # Asks for the parts of this process's own devices only.
    return jax.make_array_from_callback(part.shape, sharding, lambda index: part[index])


@functools.cache
def _let_keras_pass_arrays():
    """Keeps Keras from putting arrays on a device that are on those of several hosts already.

    JAX (0.10) refuses that, though nothing is to be done. Keras does it in `test_on_batch`, and on a GPU
    in `fit`, to have a batch there before it is needed.
    """
    import jax
    from keras.src.backend.jax import trainer

    def pass_on(data, layouts=None):
        return keras.tree.map_structure(
            lambda part: part if isinstance(part, jax.Array) else jax.device_put(part), data
        )

    trainer._distribute_data = pass_on


def replicate(model: keras.Model, count: int) -> None:
    """Puts all variables of a compiled model, its optimizer and its metrics on every device.

    On several hosts they become those of the leader. Devices that compute the same may differ in the
    last digit, and so may what was drawn at the start.

    Args:
        model: Its optimizer and metrics are built.
        count: Devices; with one nothing changes.
    """
    if count == 1:
        return
    import jax

    everywhere = jax.sharding.NamedSharding(_mesh(count), jax.sharding.PartitionSpec())
    variables = _variables(model)
    values = _of_leader([np.asarray(variable.value) for variable in variables])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(_placed(value, everywhere))


def gather(model: keras.Model, count: int) -> None:
    """Puts all variables on one device of this process: what follows, each process does by itself.

    Args:
        model: As for `replicate`.
        count: As for `replicate`.
    """
    if count == 1:
        return
    import jax

    device = jax.local_devices()[0]
    for variable in _variables(model):
        variable.assign(jax.device_put(np.asarray(variable.value), device))


def _variables(model):
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]


def _of_leader(values):
    """Returns the leader's arrays, in every process, bit for bit."""
    if hosts.count() == 1:
        return values
    data, start, found = hosts.send(b"".join(value.tobytes() for value in values)), 0, []
    for value in values:
        part = np.frombuffer(data, value.dtype, value.size, start)
        found.append(part.reshape(value.shape))
        start += value.nbytes
    return found


class Replicate(keras.callbacks.Callback):
    """Puts all variables on every device before each epoch: the average of weights moves them away."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        replicate(self.model, self.count)


class Agree(keras.callbacks.Callback):
    """Gives all processes the leader's figures of an epoch, and its decision to stop.

    Time and the last digits of figures differ between hosts. What follows from them must not: a process
    that stopped alone would leave the others waiting. So this is twice among the callbacks: before those
    that read an epoch's figures, and after those that may stop the training. On one host it does nothing.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if hosts.count() == 1 or logs is None:
            return
        own = {name: float(value) for name, value in logs.items()}
        told = json.dumps([own, bool(self.model.stop_training)])
        figures, self.model.stop_training = json.loads(hosts.send(told.encode()))
        logs.update(figures)


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
