"""Batches: every example once, repeatable by (seed, epoch), short batches kept, buckets tight."""

import keras
import numpy as np
import pytest

from common.basics.errors import UsageError
from common.training import feeding
from common.training.batches import ArrayBatches, BucketBatches, balanced_weights
from common.training.feeding import feed, per_call
from common.training.outputs import inference_batches, outputs_of, predict


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


@pytest.mark.parametrize("outputs", [1, 2])
def test_class_weights_may_be_named(outputs):
    x, y = np.ones((6, 3), "int32"), np.array([1, 0, 1, 1, 1, 0])
    options = {"batch_size": 4, "num_classes": outputs}
    # 6 examples of 2 classes: 3 each, so 3 / 2 and 3 / 4.
    named = ArrayBatches(x, y, class_weights="balanced", **options)
    np.testing.assert_allclose(named[0][2], [3 / 4, 3 / 2, 3 / 4, 3 / 4])
    assert len(ArrayBatches(x, y, class_weights="none", **options)[0]) == 2


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
    # Keras' loss cuts probabilities off near 0.
    small = keras.initializers.RandomNormal(stddev=0.01)
    layer = keras.layers.Dense(2, activation="softmax", kernel_initializer=small)
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy", jit_compile=False)
    model.build((None, 2))
    weighted = model.fit(feed(batches), shuffle=False, verbose=0).history["loss"][0]
    losses = -np.log(model.predict(x, verbose=0)[np.arange(11), y])
    assert weighted == pytest.approx(float(np.mean(losses * weights[y])), rel=1e-4)


def assert_equal_parts(first, second):
    keras.tree.assert_same_structure(first, second)
    for one, other in zip(keras.tree.flatten(first), keras.tree.flatten(second), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


@pytest.mark.parametrize("classes", [1, 3])
def test_a_batch_of_images_and_labels_is_what_it_always_was(classes):
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (23, 4, 3, 2)).astype("uint8")
    y = random.integers(0, classes + (classes == 1), 23)
    factors = np.array([0.25, 1.5, 2.0], "float32")

    def augment(images, random):
        return images + random.integers(0, 9, images.shape, dtype=np.uint8)

    for weights in (None, factors):
        batches = ArrayBatches(
            x,
            y,
            batch_size=5,
            num_classes=classes,
            seed=7,
            augment=augment,
            class_weights=weights,
        ).at_epoch(2)
        order = np.random.default_rng([7, 2]).permutation(23)
        for index in range(5):
            rows = order[5 * index : 5 * index + 5]
            images = augment(x[rows], np.random.default_rng([7, 2, index]))
            targets = np.eye(classes, dtype="float32")[y[rows]] if classes > 1 else y[rows, None]
            expected = [images, targets.astype("float32")]
            if weights is not None:
                expected.append(factors[y[rows]])
            assert_equal_parts(batches[index], tuple(expected))


def nested():
    """Returns inputs, targets and weights of 23 examples, each number telling its example."""
    number = np.arange(23)
    x = {"image": np.repeat(number[:, None], 4, 1).astype("uint8"), "size": number[:, None] / 2}
    y = (number[:, None] * np.ones((1, 3)), number)
    return x, y, (np.ones(23), number)


def test_inputs_targets_and_weights_are_nested_as_they_are_given():
    x, y, weights = nested()
    batches = ArrayBatches(x, y, weights=weights, batch_size=5, seed=0)
    assert (batches.count, batches.num_batches) == (23, 5)
    seen = []
    for index in range(5):
        inputs, targets, factors = batches[index]
        number = targets[1]
        np.testing.assert_array_equal(inputs["image"], np.repeat(number[:, None], 4, 1))
        np.testing.assert_array_equal(inputs["size"], number[:, None] / 2)
        np.testing.assert_array_equal(targets[0], number[:, None] * np.ones((1, 3)))
        np.testing.assert_array_equal(factors[1], number)
        assert (inputs["image"].dtype, inputs["size"].dtype) == (np.uint8, np.float64)
        seen += list(number)
    # Numbers for a loss are single precision, those that count or choose are integers still.
    assert [part.dtype for part in targets] == [np.float32, y[1].dtype]
    assert [part.dtype for part in factors] == [np.float32, np.float32]
    assert sorted(seen) == list(range(23))


def test_per_token_labels_are_one_hot_per_token():
    y = np.array([[2, 0], [1, 1], [0, 2]])
    batch = ArrayBatches(np.zeros((3, 2)), y, batch_size=3, num_classes=3)[0]
    np.testing.assert_array_equal(batch[1], np.eye(3, dtype="float32")[y])
    batch = ArrayBatches(np.zeros((3, 2)), y > 0, batch_size=3, num_classes=1)[0]
    np.testing.assert_array_equal(batch[1], (y > 0)[:, :, None])


def test_mixing_sees_the_targets_and_depends_on_seed_epoch_and_index_only():
    x, y = np.arange(23.0)[:, None], np.arange(23)

    def augment(x, random):
        return x + 100 * random.random()

    def mix(x, targets, random):
        share = random.random()
        return share * x, share * targets

    arguments = {"batch_size": 5, "num_classes": 23, "augment": augment, "mix": mix}
    batches = ArrayBatches(x, y, seed=3, **arguments)
    batches.set_epoch(1)
    for index in (4, 1):
        random = np.random.default_rng([3, 1, index])
        moved, share = 100 * random.random(), random.random()
        inputs, targets = batches[index]
        np.testing.assert_allclose(targets.sum(axis=1), share, rtol=1e-6)
        numbers = targets.argmax(axis=1)
        np.testing.assert_allclose(inputs[:, 0], share * (numbers + moved))
        assert_equal_parts(
            (inputs, targets), ArrayBatches(x, y, seed=3, **arguments).at_epoch(1)[index]
        )
    plain = ArrayBatches(x, y, **arguments)
    assert_equal_parts(plain[0], (x[:5], np.eye(23, dtype="float32")[:5]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": (np.ones((4, 2)), np.ones((3, 2)))}, r"equal length, got \[4, 3, 4\]"),
        ({"weights": np.ones(5)}, r"equal length, got \[4, 4, 5\]"),
        ({"y": [0, 1, 1, 0]}, "expected arrays, .* got ndarray, int, int"),
        ({"y": (np.zeros(4), np.zeros(4)), "num_classes": 2}, "leave it out for several"),
        ({"class_weights": np.ones(2)}, "give num_classes as well"),
        ({"class_weights": np.ones(2), "num_classes": 2, "weights": np.ones(4)}, "exclude each"),
        ({"weights": np.ones(4), "mix": lambda *batch: batch}, "mix or weights, not both"),
    ],
)
def test_what_does_not_go_together_is_told(arguments, words):
    given = {"x": np.ones((4, 2)), "y": np.zeros(4, int), "batch_size": 2, **arguments}
    with pytest.raises(UsageError, match=words):
        ArrayBatches(given.pop("x"), given.pop("y"), **given)


def test_buckets_cut_what_there_is_per_token(ids):
    arguments = {"batch_size": 10, "seed": 1, "width": 8, "group": 4}
    batches = BucketBatches(ids, ids + 1, weights=ids != 0, **arguments)
    widths = set()
    for index in range(batches.num_batches):
        inputs, targets, weights = batches[index]
        np.testing.assert_array_equal(targets, inputs + 1)
        np.testing.assert_array_equal(weights, inputs != 0)
        widths.add(inputs.shape[1])
    assert len(widths) > 3
    # One-hot labels that happen to be as many as tokens are no targets per token.
    labels = np.arange(137) % 100
    batches = BucketBatches(ids, labels, num_classes=100, **arguments)
    assert {batches[index][1].shape[1] for index in range(batches.num_batches)} == {100}
    both = BucketBatches(ids, (ids, labels, labels[:, None] * np.ones((1, 3))), **arguments)
    for index in range(both.num_batches):
        inputs, (tokens, label, wide) = both[index]
        np.testing.assert_array_equal(tokens, inputs)
        assert (label.shape[1:], wide.shape[1:]) == ((), (3,))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
def test_nested_batches_fed_to_tensorflow_are_the_same(ids):
    x, y, weights = nested()
    examples = ArrayBatches(x, y, weights=weights, batch_size=5, seed=0)
    assert per_call(examples) > 1
    tokens = BucketBatches(
        ids, (ids + 1, np.arange(137)), weights=(ids != 0, np.ones(137)), batch_size=10, seed=1
    )
    for batches in (examples, tokens):
        dataset = feed(batches)
        assert dataset.cardinality() == batches.num_batches
        for index, parts in enumerate(dataset.as_numpy_iterator()):
            assert_equal_parts(parts, batches[index])
    assert [spec.shape.as_list() for spec in keras.tree.flatten(dataset.element_spec)] == [
        [None, None],
        [None, None],
        [None],
        [None, None],
        [None],
    ]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="for TensorFlow")
def test_the_largest_part_says_how_many_are_fed_at_once():
    # 10,000 targets of 4 bytes, 5 examples.
    batches = ArrayBatches(np.ones((20, 1)), np.ones((20, 10_000)), batch_size=5)
    assert per_call(batches) == 2**20 // (5 * 10_000 * 4)


class PerToken:
    """Answers each token with its id and the next number, and each text with its number of words."""

    def predict_on_batch(self, x):
        return {"tokens": np.stack([x, x + 1], axis=2).astype("float32"), "words": (x != 0).sum(1)}


def test_outputs_come_in_the_order_of_the_data_and_are_filled_up_with_0(ids):
    ids[:, 90:] = 0  # No batch is as long as the data.
    outputs = outputs_of(PerToken(), inference_batches(ids, batch_size=9))
    np.testing.assert_array_equal(outputs["words"], (ids != 0).sum(1))
    assert outputs["words"].dtype == np.int64
    tokens = outputs["tokens"]
    assert tokens.shape == (137, 100, 2)
    np.testing.assert_array_equal(tokens[:, :, 0], ids)
    # Beyond the end of its batch a text has no answer.
    batches = inference_batches(ids, batch_size=9)
    for index in range(batches.num_batches):
        length = batches[index][0].shape[1]
        np.testing.assert_array_equal(tokens[batches.rows(index), length:], 0)
        np.testing.assert_array_equal(
            tokens[batches.rows(index), :length, 1], ids[batches.rows(index), :length] + 1
        )


def test_inference_takes_nested_inputs_and_tables():
    x, _, _ = nested()

    class Sum:
        def predict_on_batch(self, x):
            return x["image"].sum(axis=1) + x["size"][:, 0]

    batches = inference_batches(x, batch_size=5)
    np.testing.assert_array_equal(outputs_of(Sum(), batches), np.arange(23) * 4.5)
    # Columns of 0 at the end of a table are no padding.
    assert inference_batches(np.zeros((3, 40)), batch_size=3)[0][0].shape == (3, 40)
