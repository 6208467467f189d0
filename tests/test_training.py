"""`common.training.fit` around Keras' own fit."""

import types

import keras
import numpy as np
import pytest

from common import training
from common.batches import ArrayBatches
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

    keeper = training.fit(model, FakeTrial(tmp_path), batches(0), batches(None), epochs=2)
    assert len(traced) == 1
    # Nothing of what made the metrics is left in them.
    scores = model.evaluate(batches(None), verbose=0, return_dict=True)
    assert keeper.history[-1]["val_accuracy"] == pytest.approx(scores["accuracy"])
