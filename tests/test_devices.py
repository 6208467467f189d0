"""Several devices with JAX: the training of one device, whatever the sizes of batches; two virtual ones.

KERAS_BACKEND=jax XLA_FLAGS=--xla_force_host_platform_device_count=2 pytest tests/test_devices.py
"""

import json

import keras
import numpy as np
import pytest

from common.basics import backend
from common.basics.errors import UsageError
from common.cli import main
from common.training import averaging, devices, whole_epochs
from common.training.keeper import RunKeeper
from tests.test_whole_epochs import batches, compiled_model, keras_fit, trained


def two():
    """Returns whether there are two devices to train on."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.device_count() >= 2


on_two = pytest.mark.skipif(not two(), reason="for JAX with two devices: see the first lines")


def state(model):
    """Returns all numbers of a trained model: weights, statistics, momentum, averages."""
    return [np.asarray(v.value) for v in (*model.variables, *model.optimizer.variables)]


def on(count):
    """Returns a function like `keras_fit`, on several devices."""

    def fit(model, train, *, validation_data, **arguments):
        averaging.warm_up(model.optimizer)
        model.test_on_batch(*validation_data[0])
        arguments["callbacks"].append(devices.Replicate(count))
        keras_fit(
            model,
            devices.spread(train, count),
            validation_data=devices.spread(validation_data, count),
            **arguments,
        )

    return fit


@on_two
def test_two_devices_train_as_one_with_uneven_last_batches():
    # Batches of 8, 8 and 5 for training, of 8 and 1 for validation.
    one, record = trained(on(1), batches(examples=21), epochs=2)
    both, record_two = trained(on(2), batches(examples=21), epochs=2)
    for (_, logs), (_, found) in zip(record.steps, record_two.steps, strict=True):
        assert found == pytest.approx(logs, abs=1e-5)
    for (_, logs), (_, found) in zip(record.epochs, record_two.epochs, strict=True):
        assert found == pytest.approx(logs, abs=1e-4)
    for value, found in zip(state(one), state(both), strict=True):
        np.testing.assert_allclose(found, value, atol=1e-4)


@on_two
def test_all_variables_are_on_both():
    model = compiled_model()
    model.test_on_batch(*batches(examples=21)[0])
    devices.replicate(model, 2)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    assert {len(v.value.sharding.device_set) for v in variables} == {2}
    assert all(v.value.sharding.is_fully_replicated for v in variables)


@on_two
def test_an_even_batch_is_spread_and_an_uneven_one_is_on_both():
    x, y = devices.spread(batches(examples=21), 2)[0]
    assert [shard.data.shape[0] for shard in x.addressable_shards] == [4, 4]
    assert [shard.data.shape[0] for shard in y.addressable_shards] == [4, 4]
    last, _ = devices.spread(batches(examples=21), 2)[2]
    assert [shard.data.shape[0] for shard in last.addressable_shards] == [5, 5]
    np.testing.assert_array_equal(np.asarray(x), batches(examples=21)[0][0])


@on_two
def test_whole_epochs_are_spread_too():
    def whole(count):
        def fit(model, train, **arguments):
            averaging.warm_up(model.optimizer)
            model.test_on_batch(*arguments["validation_data"][0])
            arguments["callbacks"].append(devices.Replicate(count))
            whole_epochs.fit(model, train, devices=count, **arguments)

        return fit

    full, last = whole_epochs._on_devices(batches(examples=21), 0, 2)
    assert [shard.data.shape[:2] for shard in full[0].addressable_shards] == [(2, 4), (2, 4)]
    assert [shard.data.shape[0] for shard in last[0].addressable_shards] == [5, 5]
    one, record = trained(whole(1), batches(examples=21), epochs=2)
    both, record_two = trained(whole(2), batches(examples=21), epochs=2)
    for (_, logs), (_, found) in zip(record.steps, record_two.steps, strict=True):
        assert found == pytest.approx(logs, abs=1e-5)
    for value, found in zip(state(one), state(both), strict=True):
        np.testing.assert_allclose(found, value, atol=1e-4)


@on_two
def test_a_run_goes_on_with_another_number_of_devices(tiny_data, tmp_path, monkeypatch):
    words = ["train", "mnist_cnn", "--data", str(tiny_data["image"]), "--no-report"]
    words += ["--batch-size", "16", "--epochs", "2", "--rotation", "0", "--learning-rate", "1e-3"]

    def interrupt(keeper):
        raise KeyboardInterrupt

    losses = {}
    for first, then in ((1, 1), (2, 1)):
        folder = tmp_path / f"{first}-{then}"
        run = [*words, "--run-dir", str(folder), "--devices"]
        with monkeypatch.context() as patch:
            # After the backup of the first epoch.
            patch.setattr(RunKeeper, "_promote", interrupt)
            assert main([*run, str(first)]) == 130
        assert main([*run, str(then)]) == 0
        losses[first, then] = json.loads((folder / "metrics.json").read_text())["test"]["loss"]
    assert losses[2, 1] == pytest.approx(losses[1, 1], abs=2e-3)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="of the other backends")
def test_another_backend_refuses_in_one_line():
    with pytest.raises(UsageError, match="--devices 2 needs JAX.*CUDA_VISIBLE_DEVICES"):
        backend.check_devices(2)
    backend.check_devices(1)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="for JAX: KERAS_BACKEND=jax")
def test_more_devices_than_there_are_are_refused():
    with pytest.raises(UsageError, match="--devices 99, but JAX has .*device_count=99"):
        backend.check_devices(99)
