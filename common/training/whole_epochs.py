"""Training on a GPU with JAX: each epoch is one compiled program.

A GPU finishes a step of a small network before Python has started the next one, and then waits. Here
the batches of a whole epoch lie on the GPU, and the steps over them are one `jax.lax.scan`. Meanwhile the
batches of the next epoch are prepared. Batches and steps are those of `model.fit`, in the same order:
only rounding differs.
"""

import concurrent.futures
import functools
from collections.abc import Sequence

import keras
import numpy as np

from common.basics.backend import accelerators
from common.basics.processor import cpu_count
from common.training.batches import ArrayBatches
from common.training.devices import put

LARGEST_EPOCH = 2**30
"""Bytes. Two epochs lie on the GPU at a time. Larger epochs are trained batch by batch."""


def suit(batches: ArrayBatches) -> bool:
    """Returns whether `fit` can train on these batches, with the present backend and device."""
    # A scan needs equal shapes, which BucketBatches have not.
    if keras.backend.backend() != "jax" or type(batches) is not ArrayBatches or not accelerators():
        return False
    # The size of a batch is measured after mixing, which makes uint8 images four times as large.
    batch = sum(part.nbytes for part in keras.tree.flatten(batches[0]))
    return batch * batches.num_batches <= LARGEST_EPOCH


def fit(
    model: keras.Model,
    batches: ArrayBatches,
    *,
    validation_data: ArrayBatches,
    epochs: int,
    initial_epoch: int,
    callbacks: Sequence[keras.callbacks.Callback],
    devices: int = 1,
) -> None:
    """Trains as `model.fit` with these arguments does.

    The callbacks for the steps of an epoch, with the logs of each step, are called when it is over.

    Args:
        model: Compiled, with a built optimizer, on JAX.
        batches: Training batches, with a seed.
        validation_data: Validation batches, without a seed.
        epochs: Epochs in total.
        initial_epoch: Epochs that are done already.
        callbacks: Called as by `model.fit`.
        devices: GPUs, over which each batch is spread; the model's variables are on all of them.
    """
    steps = batches.num_batches
    hooks = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs, steps=steps)
    # This builds the metrics, whose variables a step updates too.
    model.test_on_batch(*validation_data[0])
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    run_epoch = _compiled(model)
    model.stop_training = False
    hooks.on_train_begin()
    with concurrent.futures.ThreadPoolExecutor(1) as preparing:
        following = preparing.submit(_on_devices, batches, initial_epoch, devices)
        for epoch in range(initial_epoch, epochs):
            data = following.result()
            if epoch + 1 < epochs:
                following = preparing.submit(_on_devices, batches, epoch + 1, devices)
            hooks.on_epoch_begin(epoch)
            model.reset_metrics()
            state = [[variable.value for variable in group] for group in variables]
            state, curves = run_epoch(state, *data)
            for group, values in zip(variables, state, strict=True):
                for variable, value in zip(group, values, strict=True):
                    variable.assign(value)
            curves = {name: np.asarray(values) for name, values in curves.items()}
            for step in range(steps):
                hooks.on_train_batch_begin(step)
                logs = {name: float(values[step]) for name, values in curves.items()}
                hooks.on_train_batch_end(step, logs)
            validated = model.evaluate(
                validation_data, callbacks=hooks, return_dict=True, verbose=0
            )
            logs |= {f"val_{name}": value for name, value in validated.items()}
            hooks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
    hooks.on_train_end(logs)


def _compiled(model):
    """Returns the function of (state, full batches, last batch) that trains an epoch."""
    import jax

    def step(state, batch):
        logs, state = model.train_step(tuple(state), batch)
        return list(state), logs

    # The state is overwritten in place.
    @functools.partial(jax.jit, donate_argnums=0)
    def run_epoch(state, full, last):
        logs = []
        if full is not None:
            state, logs_full = jax.lax.scan(step, state, full)
            logs.append(logs_full)
        if last is not None:
            state, logs_last = step(state, last)
            logs.append(jax.tree.map(lambda value: value[None], logs_last))
        return state, jax.tree.map(lambda *values: jax.numpy.concatenate(values), *logs)

    return run_epoch


def _on_devices(batches, epoch, count):
    """Returns an epoch's batches of full size, stacked, and the smaller last one; either may be None."""
    import jax

    batches = batches.at_epoch(epoch)  # A copy: the original is at the epoch that is being trained.
    with concurrent.futures.ThreadPoolExecutor(min(8, cpu_count())) as pool:
        made = list(pool.map(batches.__getitem__, range(batches.num_batches)))
    last = made.pop() if batches.count % batches.batch_size else None
    full = keras.tree.map_structure(lambda *parts: np.stack(parts), *made) if made else None
    if count == 1:
        return jax.device_put((full, last))
    # The first axis of `full` counts steps.
    return tuple(
        keras.tree.map_structure(functools.partial(put, count=count, axis=axis), parts)
        for parts, axis in ((full, 1), (last, 0))
    )
