"""`common.training.fit` around Keras' own fit."""

import types

import keras
import numpy as np
import pytest

from common.runs.options import Options
from common.training import feeding, fit
from common.training.batches import ArrayBatches, BucketBatches
from common.training.callbacks import NonFiniteLoss
from common.training.outputs import outputs_of
from tests.helpers import assert_equal_weights
from tests.test_callbacks import FakeRun


class FakeTraining(FakeRun):
    options = Options()
    config = types.SimpleNamespace(seed=0)


class FakeTrial(FakeTraining):
    is_trial = True


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
@pytest.mark.parametrize("classes", [1, 3])
def test_the_training_step_is_traced_once(classes, tmp_path, monkeypatch):
    inputs = keras.Input((5,))
    outputs = keras.layers.Dense(classes, activation="sigmoid" if classes == 1 else "softmax")
    model = keras.Model(inputs, outputs(inputs))
    loss = "binary_crossentropy" if classes == 1 else "categorical_crossentropy"
    model.compile("sgd", loss, metrics=["accuracy"], jit_compile=False)
    traced, step = [], model.train_step
    monkeypatch.setattr(model, "train_step", lambda data: traced.append(1) or step(data))
    x = np.random.default_rng(0).random((20, 5)).astype("float32")
    y = (x[:, 0] > 0.5).astype("int32")

    def batches(seed):
        return ArrayBatches(x, y, batch_size=8, num_classes=classes, seed=seed)

    keeper = fit.fit(model, FakeTrial(tmp_path), batches(0), batches(None), epochs=2)
    assert len(traced) == 1
    # Nothing of what made the metrics is left in them.
    scores = model.evaluate(batches(None), verbose=0, return_dict=True)
    assert keeper.history[-1]["val_accuracy"] == pytest.approx(scores["accuracy"])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
def test_several_steps_a_call_train_the_same(tmp_path, monkeypatch):
    x = np.random.default_rng(0).random((45, 5)).astype("float32")
    y = (x[:, 0] > 0.5).astype("int32")
    found = []
    for per_call in (1, 4):
        # Six batches, the last of five: the second call of an epoch is half empty.
        monkeypatch.setattr(feeding, "BATCHES_PER_CALL", per_call)
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
        train = ArrayBatches(x, y, batch_size=8, num_classes=3, seed=0)
        validation = ArrayBatches(x, y, batch_size=8, num_classes=3)
        folder = tmp_path / str(per_call)
        folder.mkdir()
        history = fit.fit(model, FakeTrial(folder), train, validation, epochs=2).history
        assert model.steps_per_execution == per_call
        assert model.optimizer.iterations == 12
        columns = ("loss", "accuracy", "val_loss", "val_accuracy")
        found.append((model.get_weights(), [[row[name] for name in columns] for row in history]))
    (weights, history), (others, other_history) = found
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_allclose(history, other_history, rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
def test_a_loss_that_is_no_number_stops_several_steps_a_call(tmp_path):
    x = np.ones((48, 5), "float32")
    x[20:] = np.nan
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    train, validation = (
        ArrayBatches(x, np.zeros(48, "int32"), batch_size=8, num_classes=3, seed=seed)
        for seed in (0, None)
    )
    with pytest.raises(NonFiniteLoss, match="by step 6 of epoch 1"):
        fit.fit(model, FakeTrial(tmp_path), train, validation, epochs=2)


def two_inputs(seed, count):
    """Returns batches of two inputs and a target of two numbers."""
    random = np.random.default_rng(count)
    x = {"near": random.random((count, 4)), "far": random.random((count, 3))}
    y = np.stack([x["near"].sum(axis=1), x["far"][:, 0] - 2], axis=1)

    def mix(x, targets, random):
        share = random.random()
        return {name: share * part for name, part in x.items()}, share * targets

    return ArrayBatches(x, y, batch_size=8, seed=seed, mix=mix)


def two_input_model():
    near, far = keras.Input((4,), name="near"), keras.Input((3,), name="far")
    x = keras.layers.Dense(8, activation="tanh")(keras.layers.Concatenate()([near, far]))
    outputs = keras.layers.Dense(2)(keras.layers.Dropout(0.2)(x))
    model = keras.Model({"near": near, "far": far}, outputs)
    model.compile(keras.optimizers.Adam(0.05), "mse", metrics=["mae"])
    return model


def masked(seed, count):
    """Returns batches of token ids of unequal length, a class per token, and a mask for padding."""
    random = np.random.default_rng(count)
    ids = random.integers(1, 9, (count, 12)).astype("int32")
    ids[np.arange(12) >= random.integers(2, 13, count)[:, None]] = 0
    # A padded position has a class too, which nobody must learn.
    y = np.where(ids == 0, 2, ids % 2)
    return BucketBatches(ids, y, weights=ids != 0, batch_size=8, seed=seed, width=4)


def per_token_model():
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Dropout(0.2)(keras.layers.Embedding(9, 6)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight")
    model.compile(keras.optimizers.Adam(0.05), loss, weighted_metrics=["accuracy"])
    return model


def two_outputs(seed, count):
    batches = two_inputs(seed, count)
    y = (batches.y, batches.x["far"].argmax(axis=1))
    return ArrayBatches(tuple(batches.x.values()), y, batch_size=8, seed=seed)


def two_output_model():
    inputs = keras.Input((4,)), keras.Input((3,))
    x = keras.layers.Dense(8, activation="tanh")(keras.layers.Concatenate()(inputs))
    # Named: their losses are columns of the history.
    where = keras.layers.Dense(2, name="where")(x)
    outputs = where, keras.layers.Dense(3, activation="softmax", name="which")(x)
    model = keras.Model(inputs, outputs)
    losses = ("mse", "sparse_categorical_crossentropy")
    model.compile(keras.optimizers.Adam(0.05), losses, metrics=([], ["accuracy"]))
    return model


class Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations >= 5:  # In the second epoch of four steps.
            raise KeyboardInterrupt


TASKS = {
    "two inputs": (two_input_model, two_inputs),
    "per token": (per_token_model, masked),
    "two outputs": (two_output_model, two_outputs),
}


@pytest.mark.parametrize("task", TASKS)
def test_any_task_is_resumed_to_equal_weights(task, tmp_path, capsys):
    build, batches = TASKS[task]

    def train(name, callbacks=()):
        run = FakeTraining(tmp_path / name)
        run.directory.mkdir(exist_ok=True)
        keras.utils.set_random_seed(0)
        model = build()
        return fit.fit(model, run, batches(0, 29), batches(None, 13), epochs=2, callbacks=callbacks)

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("parted", [Interrupt()])
    capsys.readouterr()
    parted = train("parted")
    assert "after epoch 1 of 2" in capsys.readouterr().out
    assert_equal_weights(tmp_path / "whole/final.keras", tmp_path / "parted/final.keras")
    assert_equal_weights(tmp_path / "whole/best.keras", tmp_path / "parted/best.keras")
    for one, other in zip(whole.history, parted.history, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            if "second" not in name:
                assert one[name] == other[name], name
    assert parted.history[-1]["val_loss"] != parted.history[0]["val_loss"]


def test_masked_positions_count_in_no_figure(tmp_path):
    model, batches = per_token_model(), masked(None, 13)
    # All at once: the mean over batches is not the one over tokens.
    batches.batch_size = 13
    batches.set_epoch(0)
    history = fit.fit(model, FakeTrial(tmp_path), masked(0, 29), batches, epochs=1).history[-1]
    answers = outputs_of(model, batches)
    words = batches.x[:, : answers.shape[1]] != 0
    classes = batches.y[:, : answers.shape[1]]
    given = np.take_along_axis(answers, classes[:, :, None], axis=2)[:, :, 0]
    assert history["val_loss"] == pytest.approx(-np.log(given[words]).mean(), rel=1e-4)
    right = answers.argmax(axis=2) == classes
    assert history["val_accuracy"] == pytest.approx(right[words].mean(), rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
@pytest.mark.parametrize("task", ["two inputs", "two outputs"])
def test_the_step_of_any_task_is_traced_once(task, tmp_path, monkeypatch):
    build, batches = TASKS[task]
    model = build()
    traced, step = [], model.train_step
    monkeypatch.setattr(model, "train_step", lambda data: traced.append(1) or step(data))
    fit.fit(model, FakeTrial(tmp_path), batches(0, 29), batches(None, 13), epochs=2)
    assert len(traced) == 1


def test_metrics_are_made_of_a_batch_and_forget_it():
    for build, batches in TASKS.values():
        model = build()
        fit.build_metrics(model, batches(0, 29))
        made = len(model.metrics_variables)
        assert all(not np.any(keras.ops.convert_to_numpy(v)) for v in model.metrics_variables)
        model.test_on_batch(*batches(0, 29)[0])
        assert len(model.metrics_variables) == made
