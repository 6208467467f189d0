"""`common.training.fit` around Keras' own fit."""

import types

import keras
import numpy as np
import pytest

from common.training import feeding, fit
from common.training.batches import ArrayBatches
from common.training.callbacks import NonFiniteLoss
from tests.test_callbacks import FakeRun


class FakeTrial(FakeRun):
    is_trial = True
    options = types.SimpleNamespace(tensorboard=False)
    config = types.SimpleNamespace(seed=0)


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
