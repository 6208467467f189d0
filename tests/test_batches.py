"""Batches: every example once, repeatable by (seed, epoch), short batches kept, buckets tight."""

import keras
import numpy as np
import pytest

from common.training import feeding
from common.training.batches import (
    ArrayBatches,
    BucketBatches,
    balanced_weights,
    inference_batches,
    predict,
)
from common.training.feeding import feed, per_call


def labels_of(batches):
    return np.concatenate([np.argmax(batches[i][1], 1) for i in range(batches.num_batches)])


def test_every_example_is_seen_once_and_no_batch_is_dropped():
    x, y = np.arange(23)[:, None], np.arange(23)
    batches = ArrayBatches(x, y, batch_size=5, num_classes=23, seed=0)
    assert batches.num_batches == 5
    assert [len(batches[i][0]) for i in range(5)] == [5, 5, 5, 5, 3]
    assert sorted(labels_of(batches)) == list(range(23))


def test_order_depends_on_seed_and_epoch_only():
    x, y = np.arange(40)[:, None], np.arange(40)
    first = ArrayBatches(x, y, batch_size=7, num_classes=40, seed=3)
    second = ArrayBatches(x, y, batch_size=7, num_classes=40, seed=3)
    epoch0 = labels_of(first)
    first.set_epoch(1)
    epoch1 = labels_of(first)
    assert not np.array_equal(epoch0, epoch1)
    second.set_epoch(1)
    assert np.array_equal(labels_of(second), epoch1)
    other = ArrayBatches(x, y, batch_size=7, num_classes=40, seed=4)
    assert not np.array_equal(labels_of(other), epoch0)


def test_augmentation_is_repeatable_per_batch_and_off_without_a_seed():
    x, y = np.zeros((10, 2), "uint8"), np.zeros(10, int)

    def augment(batch, random):
        return batch + random.integers(0, 255, batch.shape, dtype=np.uint8)

    batches = ArrayBatches(x, y, batch_size=4, num_classes=1, seed=0, augment=augment)
    assert np.array_equal(batches[1][0], batches[1][0])
    assert not np.array_equal(batches[0][0], batches[1][0])
    plain = ArrayBatches(x, y, batch_size=4, num_classes=1, augment=augment)
    assert not plain[0][0].any()


def test_one_hot_and_sigmoid_labels():
    y = np.array([2, 0, 1])
    batches = ArrayBatches(np.zeros((3, 1)), y, batch_size=3, num_classes=3)
    assert np.array_equal(batches[0][1], np.eye(3, dtype="float32")[y])
    batches = ArrayBatches(np.zeros((3, 1)), y, batch_size=3, num_classes=1)
    assert batches[0][1].shape == (3, 1)
    assert batches[0][1].dtype == np.float32


@pytest.fixture
def ids():
    random = np.random.default_rng(0)
    lengths = random.integers(1, 101, 137)
    rows = np.zeros((137, 100), "int32")
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = random.integers(1, 50, length)
    return rows


def test_buckets_see_every_text_once_and_cut_no_word(ids):
    batches = BucketBatches(
        ids, np.arange(137), batch_size=10, num_classes=137, seed=1, width=8, group=4
    )
    for epoch in range(3):
        batches.set_epoch(epoch)
        seen = labels_of(batches)
        assert sorted(seen) == list(range(137))
        tokens = sum(int((batches[i][0] != 0).sum()) for i in range(batches.num_batches))
        assert tokens == int((ids != 0).sum())
        assert [len(batches[i][0]) for i in range(batches.num_batches)] == [10] * 13 + [7]


def test_buckets_save_padding(ids):
    batches = BucketBatches(ids, np.arange(137), batch_size=10, num_classes=137, seed=1, width=1)
    computed = sum(batches[i][0].size for i in range(batches.num_batches))
    assert computed < 0.75 * ids.size
    widths = {batches[i][0].shape[1] for i in range(batches.num_batches)}
    assert len(widths) > 3


def test_predict_restores_the_order_of_the_data(ids):
    class Model:
        """Returns the number of words of each text as its probability."""

        def predict_on_batch(self, x):
            return (x != 0).sum(1, keepdims=True) / 100

    batches = inference_batches(ids, batch_size=9)
    assert isinstance(batches, BucketBatches)
    expected = ((ids != 0).sum(1) / 100).astype("float32")
    probabilities = predict(Model(), batches)
    assert probabilities.shape == (137, 2)
    np.testing.assert_allclose(probabilities[:, 1], expected, rtol=1e-6)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
@pytest.mark.parametrize(
    ("examples", "size"), [(1100, 100), (1034, 100), (64, 32), (20, 32), (9, 1)]
)
def test_fed_to_tensorflow_they_are_the_same(examples, size, monkeypatch):
    # Five batches of 100, fifteen of 32.
    monkeypatch.setattr(feeding, "BYTES_PER_CALL", 2000)
    x = np.random.default_rng(0).integers(0, 256, (examples, 2, 2, 1)).astype("uint8")
    y = np.arange(examples) % 3

    def mirror(images, random):
        return images[:, :, ::-1] if random.random() < 0.5 else images

    batches = ArrayBatches(x, y, batch_size=size, num_classes=3, seed=0, augment=mirror)
    dataset = feed(batches)
    assert dataset.cardinality() == batches.num_batches
    for epoch in range(2):
        batches.set_epoch(epoch)
        fed = list(dataset.as_numpy_iterator())
        assert len(fed) == batches.num_batches
        for index, parts in enumerate(fed):
            for one, other in zip(parts, batches[index], strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
@pytest.mark.parametrize("width", [4, 1000])
def test_buckets_fed_to_tensorflow_are_the_same(ids, width):
    batches = BucketBatches(
        ids, np.arange(137) % 2, batch_size=10, num_classes=1, seed=1, width=width
    )
    dataset = feed(batches)
    assert dataset.cardinality() == 14
    # Not the length of the first batch.
    assert dataset.element_spec[0].shape.as_list() == [None, None]
    for index, parts in enumerate(dataset.as_numpy_iterator()):
        for one, other in zip(parts, batches[index], strict=True):
            np.testing.assert_array_equal(one, other)
    assert index == 13


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
def test_large_batches_are_fed_one_by_one():
    large = ArrayBatches(np.ones((700, 300)), np.zeros(700), batch_size=300, num_classes=1)
    assert [len(x) for x, _ in feed(large).as_numpy_iterator()] == [300, 300, 100]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
def test_no_thread_tunes_what_is_fed():
    # It may sleep through the end of an epoch, which waits for it.
    batches = ArrayBatches(np.ones((9, 2)), np.zeros(9), batch_size=3, num_classes=1)
    assert feed(batches).options().autotune.enabled is False


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="for the others")
def test_the_other_backends_take_them_as_they_are():
    batches = ArrayBatches(np.ones((9, 2)), np.zeros(9), batch_size=3, num_classes=1)
    assert feed(batches) is batches
    assert per_call(batches) == 1


def test_balanced_weights_make_all_classes_count_the_same():
    labels = np.array([0, 0, 0, 0, 0, 0, 2, 2])
    weights = balanced_weights(labels, 4)
    # 8 examples of 2 classes: 4 each, so 4 / 6 and 4 / 2; classes without examples are never asked.
    np.testing.assert_allclose(weights[[0, 2]], [4 / 6, 4 / 2])
    assert np.mean(weights[labels]) == pytest.approx(1.0)


@pytest.mark.parametrize("make", [ArrayBatches, BucketBatches])
def test_with_class_weights_a_batch_is_a_triple_that_fit_takes(make):
    x = np.arange(1, 23).reshape(11, 2).astype("int32")
    y = np.array([0, 1, 1] * 3 + [0, 0])
    weights = np.array([2.0, 0.5], "float32")
    batches = make(x, y, batch_size=4, num_classes=2, seed=0, class_weights=weights)
    for index in range(batches.num_batches):
        inputs, targets, factors = batches[index]
        assert len(inputs) == len(targets) == len(factors)
        np.testing.assert_array_equal(factors, weights[targets.argmax(axis=1)])
    model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy", jit_compile=False)
    model.build((None, 2))
    weighted = model.fit(feed(batches), shuffle=False, verbose=0).history["loss"][0]
    losses = -np.log(model.predict(x, verbose=0)[np.arange(11), y])
    assert weighted == pytest.approx(float(np.mean(losses * weights[y])), rel=1e-4)
