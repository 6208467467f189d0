"""One process of tests/test_hosts_training.py: does what its argument names and prints a JSON object."""

import json
import sys
import tempfile
import time
import types
from pathlib import Path

from common.basics import agreement, backend, hosts
from common.basics.errors import UsageError

hosts.take_part("jax")
backend.start()

import jax
import keras
import numpy as np

from common.training import averaging, devices, private, whole_epochs
from tests.test_whole_epochs import batches, keras_fit, trained

ALL = jax.device_count()


def trap():
    """Returns what a step sees of batches of 8, 8 and 5."""
    spread, seen, weighed = devices.spread(batches(examples=21), ALL), [], 0
    for index in range(spread.num_batches):
        x, y = spread[index]
        count = jax.jit(lambda x: jax.numpy.ones_like(x)[:, 0, 0, 0].sum())(x)
        weighed += int(count)
        own = [shard.data.shape[0] for shard in x.addressable_shards]
        whole = batches(examples=21)[index][0]
        right = all(
            np.array_equal(shard.data, whole[shard.index]) for shard in x.addressable_shards
        )
        start = x.addressable_shards[0].index[0].start or 0
        seen.append([x.shape[0], y.shape[0], own, start, right])
    return {"seen": seen, "examples": weighed}


def decisions():
    """Returns what the leader's decisions are here."""
    own = hosts.leads()

    def refused():
        raise UsageError("the leader says no")

    try:
        agreement.agreed(refused)
        said = None
    except UsageError as error:
        said = str(error)
    big = np.random.default_rng(0).bytes(20_001)
    agreement.same("the data", "equal")
    try:
        agreement.same("the data", "a" if own else "b")
        differ = None
    except Exception as error:
        differ = str(error)
    logs = {"val_loss": 1.0 if own else 2.0, "seconds": float("nan") if own else 1.0}
    agree = devices.Agree()
    model = keras.Sequential([keras.layers.Input((1,))])
    agree.set_model(model)
    model.stop_training = own
    agree.on_epoch_end(0, logs)
    run = types.SimpleNamespace(path=Path(tempfile.mkdtemp(dir=".")).joinpath)
    run.path("backup").mkdir()
    secret = private.secret_of(run)
    return {
        "secret": secret,
        "kept": run.path(private.SECRET).exists(),
        "value": agreement.agreed(lambda: f"decided by {own}"),
        "refused": said,
        "sent": hosts.send(big if own else b"") == big,
        "differ": differ,
        "logs": logs,
        "stops": model.stop_training,
        "count": hosts.count(),
        "leads": own,
    }


def fit(how):
    def run(model, train, *, validation_data, **arguments):
        averaging.warm_up(model.optimizer)
        model.test_on_batch(*validation_data[0])
        arguments["callbacks"].append(devices.Replicate(ALL))
        validation_data = devices.spread(validation_data, ALL)
        if how == "ahead":
            # As on a GPU: Keras puts a batch there while the one before it is computed.
            jax.default_backend = lambda: "gpu"
        if how == "whole":
            whole_epochs.fit(
                model, train, validation_data=validation_data, devices=ALL, **arguments
            )
        else:
            keras_fit(
                model, devices.spread(train, ALL), validation_data=validation_data, **arguments
            )
        devices.gather(model, ALL)

    return run


def network(how):
    """Returns all numbers of a training with everything that has state: see `compiled_model`."""
    model, record = trained(fit(how), batches(examples=21), epochs=2)
    values = [np.asarray(v.value) for v in (*model.variables, *model.optimizer.variables)]
    local = {device.process_index for v in model.variables for device in v.value.devices()}
    return {
        "steps": [[index, {k: float(v) for k, v in logs.items()}] for index, logs in record.steps],
        "epochs": [
            [index, {k: float(v) for k, v in logs.items()}] for index, logs in record.epochs
        ],
        "values": [value.tobytes().hex() for value in values],
        "alone_after": local == {jax.process_index()},
    }


def leader_first():
    """Replicates weights that differ between the processes: they become the leader's."""
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    kernel = np.full((2, 3), -0.0 if hosts.leads() else 5.0, "float32")
    model.layers[0].kernel.assign(kernel)
    devices.replicate(model, ALL)
    return {"kernel": np.asarray(model.layers[0].kernel.value).tobytes().hex()}


def waits():
    """Waits for the others inside a computation; one of them is killed by the test."""
    print("waiting", flush=True)
    if not hosts.leads():
        time.sleep(600)
    hosts.send(b"")
    return {}


if __name__ == "__main__":
    found = {
        "trap": trap,
        "decisions": decisions,
        "network": lambda: network("keras"),
        "ahead": lambda: network("ahead"),
        "whole": lambda: network("whole"),
        "leader": leader_first,
        "waits": waits,
    }[sys.argv[1]]()
    print(json.dumps(found), flush=True)
    hosts.end()
    hosts.leave(0)
