"""Epochs compiled whole (JAX) against Keras' own fit: the same training."""

import keras
import numpy as np
import pytest

from common.training import averaging, callbacks, whole_epochs
from common.training.batches import ArrayBatches, BucketBatches
from tests.test_callbacks import FakeRun

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="for JAX: KERAS_BACKEND=jax"
)
EXAMPLES, SIZE = 22, 8


def batches(seed=0, examples=EXAMPLES):
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (examples, 6, 6, 1)).astype("uint8")
    y = random.integers(0, 3, examples)

    def augment(images, random):
        return images[:, ::-1] if random.random() < 0.5 else images

    return ArrayBatches(x, y, batch_size=SIZE, num_classes=3, seed=seed, augment=augment)


def compiled_model():
    """With everything that has state: batch normalisation, dropout, momentum, an average of weights."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1), dtype="uint8")
    x = keras.ops.cast(inputs, "float32") / 255.0
    x = keras.layers.BatchNormalization(momentum=0.9)(keras.layers.Conv2D(4, 3)(x))
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    rate = keras.optimizers.schedules.CosineDecay(0.1, 12)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, use_ema=True, ema_momentum=0.8)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


class Record(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.steps, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append((batch, dict(logs)))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((epoch, dict(logs)))


def trained(fit, train, epochs=3, model=None, initial_epoch=0):
    model = model or compiled_model()
    record = Record()
    fit(
        model,
        train,
        validation_data=batches(seed=None, examples=10),
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[callbacks.SetEpoch(train, 0), averaging.EvaluateAverage(train), record],
    )
    return model, record


def keras_fit(model, train, **arguments):
    model.fit(train, shuffle=False, verbose=0, **arguments)


def assert_logs_equal(first, second):
    assert [index for index, _ in first] == [index for index, _ in second]
    for (_, one), (_, other) in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert float(one[name]) == pytest.approx(float(other[name]), abs=1e-5), name


@pytest.mark.parametrize("examples", [22, 16, 5])  # A smaller last batch, none, nothing else.
def test_trains_as_keras_does(examples):
    ours, record = trained(whole_epochs.fit, batches(examples=examples))
    theirs, expected = trained(keras_fit, batches(examples=examples))
    # Keras' fit ends with the average of the weights; `common.training.fit` does it after either.
    ours.optimizer.finalize_variable_values(ours.trainable_variables)
    assert_logs_equal(record.steps, expected.steps)
    assert_logs_equal(record.epochs, expected.epochs)
    for one, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5, err_msg=one.path)
    for one, other in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5, err_msg=one.path)


def test_goes_on_as_if_it_had_not_stopped():
    whole, _ = trained(whole_epochs.fit, batches())
    parted, _ = trained(whole_epochs.fit, batches(), epochs=1)
    parted, record = trained(whole_epochs.fit, batches(), model=parted, initial_epoch=1)
    assert [epoch for epoch, _ in record.epochs] == [1, 2]
    for one, other in zip(whole.variables, parted.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_stops_where_a_callback_says_so():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    record = Record()
    whole_epochs.fit(
        compiled_model(),
        batches(),
        validation_data=batches(seed=None),
        epochs=5,
        initial_epoch=0,
        callbacks=[record, Stop()],
    )
    assert len(record.epochs) == 2


def test_a_loss_that_is_no_number_is_reported_at_its_step(tmp_path):
    class Broken(ArrayBatches):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x, y * np.float32(np.nan if index == 1 else 1)

    whole = batches()
    train = Broken(whole.x, whole.y, batch_size=SIZE, num_classes=3, seed=0)
    with pytest.raises(callbacks.NonFiniteLoss, match="by step 2 of epoch 1"):
        whole_epochs.fit(
            compiled_model(),
            train,
            validation_data=batches(seed=None),
            epochs=2,
            initial_epoch=0,
            callbacks=[callbacks.StopOnNonFinite(FakeRun(tmp_path), train.num_batches)],
        )


def nested(seed=0):
    """Two inputs, and weights of which each example has its own."""
    plain = batches(seed)
    shares = np.random.default_rng(2).random(EXAMPLES)
    x = {"image": plain.x, "shift": plain.y[:, None] / 3}
    return ArrayBatches(x, plain.y, batch_size=SIZE, num_classes=3, seed=seed, weights=shares)


def test_nested_batches_train_as_with_keras():
    def build():
        image, shift = keras.Input((6, 6, 1), name="image"), keras.Input((1,), name="shift")
        x = keras.layers.Concatenate()([keras.layers.Flatten()(image / 255.0), shift])
        model = keras.Model(
            {"image": image, "shift": shift}, keras.layers.Dense(3, activation="softmax")(x)
        )
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer, "categorical_crossentropy", weighted_metrics=["accuracy"])
        return model

    found = []
    for fit in (whole_epochs.fit, keras_fit):
        keras.utils.set_random_seed(0)
        model, train, record = build(), nested(), Record()
        fit(
            model,
            train,
            validation_data=nested(None),
            epochs=2,
            initial_epoch=0,
            callbacks=[callbacks.SetEpoch(train, 0), record],
        )
        found.append((model.get_weights(), record))
    (ours, record), (theirs, expected) = found
    assert_logs_equal(record.steps, expected.steps)
    assert_logs_equal(record.epochs, expected.epochs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_it_suits(monkeypatch):
    monkeypatch.setattr(whole_epochs, "accelerators", lambda: ["a GPU"])
    assert whole_epochs.suit(batches())
    ids = np.ones((4, 6), "int32")
    assert not whole_epochs.suit(BucketBatches(ids, np.zeros(4), batch_size=2, num_classes=1))
    assert whole_epochs.suit(nested())
    # Three batches of 8 images of 36 bytes, with three targets of 4 bytes each.
    monkeypatch.setattr(whole_epochs, "LARGEST_EPOCH", 3 * 8 * (36 + 12))
    assert whole_epochs.suit(batches())
    mixed = batches()
    mixed.mix = lambda x, targets, random: (x.astype("float32"), targets)
    assert not whole_epochs.suit(mixed)
    monkeypatch.setattr(whole_epochs, "LARGEST_EPOCH", 3 * 8 * (36 + 12) - 1)
    assert not whole_epochs.suit(batches())
    monkeypatch.setattr(whole_epochs, "LARGEST_EPOCH", 2**30)
    monkeypatch.setattr(whole_epochs, "accelerators", list)
    assert not whole_epochs.suit(batches())
