"""The moving average of weights: by hand, with its own statistics, and exchanged without rounding."""

import keras
import numpy as np
import pytest

from common.training import averaging
from common.training.batches import ArrayBatches
from common.training.keeper import RunKeeper
from tests.test_callbacks import FakeRun


def arrays(values):
    return [keras.ops.convert_to_numpy(value.value) for value in values]


def built(optimizer, normalised=False):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4)(inputs)
    if normalised:
        x = keras.layers.BatchNormalization(momentum=0.9, name="normalised")(x)
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    averaging.warm_up(optimizer)
    return model


def sgd(momentum):
    return keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=momentum)


def examples(count=22, size=8, **arguments):
    random = np.random.default_rng(0)
    x = random.normal(3.0, 2.0, (count, 3)).astype("float32")
    return ArrayBatches(x, np.arange(count) % 2, batch_size=size, num_classes=2, **arguments)


def test_the_average_warms_up_to_the_momentum_of_the_optimizer(tmp_path):
    model = built(sgd(0.15))
    batches, expected = examples(), None
    for step in range(5):
        model.train_on_batch(*batches[step % 2])
        momentum = min(step / (step + 9), 0.15)  # 0, 0.1, then 0.15
        now = model.get_weights()
        expected = [
            momentum * old + (1 - momentum) * new
            for old, new in zip(expected or now, now, strict=True)
        ]
    with averaging.averaged_weights(model):
        for weight, average in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_allclose(weight, average, rtol=1e-5)


def test_little_of_the_first_weights_is_left_after_28_steps():
    """With a plain 0.95 it would be a quarter."""
    model = built(sgd(0.95))
    model.optimizer.build(model.trainable_variables)
    variables = model.trainable_variables
    for step in range(28):
        for variable in variables:
            variable.assign(np.full(variable.shape, 0.0 if step else 1.0, "float32"))
        model.optimizer._update_model_variables_moving_average(variables)
        model.optimizer.iterations.assign_add(1)
    with averaging.averaged_weights(model):
        assert max(float(np.max(weight)) for weight in model.get_weights()) < 1e-4


def test_average_is_validated_and_saved_and_training_goes_on_unrounded(tmp_path):
    model = built(sgd(0.5), normalised=True)
    keeper = RunKeeper(FakeRun(tmp_path))
    keeper.restore(model)
    batches = examples(seed=0)
    for step in range(3):
        model.train_on_batch(*batches[step])
    before = model.get_weights()
    watcher = averaging.EvaluateAverage(batches)
    watcher.set_model(model)
    watcher.on_epoch_begin(0)
    watcher.on_test_begin()
    validated = model.get_weights()
    watcher.on_test_end()
    keeper.on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    saved = keras.models.load_model(tmp_path / "best.keras", compile=False).get_weights()
    for weight, average in zip(saved, validated, strict=True):
        np.testing.assert_array_equal(weight, average)
    assert any(np.any(one != other) for one, other in zip(validated, before, strict=True))


@pytest.mark.parametrize("count", [22, 16, 5])  # A smaller last batch, none, nothing else.
def test_statistics_are_those_of_the_weights_at_hand(count):
    model = built(sgd(0.5), normalised=True)
    batches = examples(count)
    layer = model.get_layer("normalised")
    kernel, bias = arrays(model.layers[1].weights)
    means, variances, counts = [], [], []
    for start in range(0, count, 8):
        x = batches.x[start : start + 8] @ kernel + bias
        means.append(x.mean(axis=0))
        variances.append(x.var(axis=0))
        counts.append(len(x))
    averaging.fit_statistics(model, batches, epoch=0)
    mean, variance = arrays([layer.moving_mean, layer.moving_variance])
    np.testing.assert_allclose(mean, np.average(means, axis=0, weights=counts), rtol=1e-4)
    np.testing.assert_allclose(variance, np.average(variances, axis=0, weights=counts), rtol=1e-4)
    assert layer.momentum == 0.9


def test_a_program_compiled_once_sees_new_weights_and_leaves_chance_and_momentum_alone():
    model = built(sgd(0.5), normalised=True)
    batches, layer = examples(22), model.get_layer("normalised")
    seeds = [v for v in model.non_trainable_variables if "seed" in v.path]
    states = arrays(seeds)
    assert states
    of_batch = averaging.statistics_of_batch(model)
    for kernel in (np.eye(3, 4), 2 * np.eye(3, 4)):
        model.layers[1].set_weights([kernel, np.arange(4.0)])
        averaging.fit_statistics(model, batches, 0, of_batch)
        expected = batches.x.mean(axis=0) @ kernel + np.arange(4.0)
        np.testing.assert_allclose(arrays([layer.moving_mean])[0], expected, rtol=1e-4)
    np.testing.assert_array_equal(arrays(seeds), states)
    assert layer.momentum == 0.9


def test_statistics_of_a_network_with_two_inputs():
    inputs = {"one": keras.Input((3,), name="one"), "two": keras.Input((2,), name="two")}
    layer = keras.layers.BatchNormalization()
    model = keras.Model(inputs, layer(keras.layers.Concatenate()(list(inputs.values()))))
    random = np.random.default_rng(0)
    x = {"one": random.random((11, 3)), "two": random.random((11, 2)) + 5}
    averaging.fit_statistics(model, ArrayBatches(x, np.zeros(11), batch_size=8), epoch=0)
    both = np.concatenate(list(x.values()), axis=1)
    # Eight examples count as eight, three as three.
    np.testing.assert_allclose(arrays([layer.moving_mean])[0], both.mean(axis=0), rtol=1e-5)


def test_statistics_of_frozen_layers_stay():
    model = built(sgd(0.5), normalised=True)
    layer = model.get_layer("normalised")
    layer.trainable = False
    averaging.fit_statistics(model, examples(), epoch=0)
    assert np.all(layer.moving_mean.numpy() == 0)


def test_the_end_of_a_training_is_the_average_that_was_validated():
    model = built(sgd(0.5), normalised=True)
    batches = examples(seed=0)
    for step in range(3):
        model.train_on_batch(*batches[step])
    watcher = averaging.EvaluateAverage(batches)
    watcher.set_model(model)
    watcher.on_epoch_begin(2)
    watcher.on_test_begin()
    validated = model.get_weights()
    watcher.on_test_end()
    averaging.end(model, batches, 2)
    for weight, average in zip(model.get_weights(), validated, strict=True):
        np.testing.assert_allclose(weight, average, rtol=1e-6)
