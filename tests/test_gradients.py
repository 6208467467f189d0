"""Gradients of functions of tensors, of single examples, and training by a step of one's own."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from common.basics.backend import jit_compile, no_gradients
from common.basics.errors import RecipeError
from common.training.drawn import DrawnBatches
from common.training.example_gradients import ExampleGradients
from common.training.gradients import train_by, validate_by, value_and_gradients, values


def numpy(parts):
    return keras.tree.map_structure(ops.convert_to_numpy, parts)


def tensors(*arrays):
    return [ops.convert_to_tensor(np.asarray(array, "float32")) for array in arrays]


def test_gradients_by_hand_nested_as_the_tensors_are():
    a, b, unused = tensors([1.0, 2.0], [3.0, -1.0], [7.0])

    def function(parts):
        return ops.sum(parts["a"] ** 2 * parts["b"]), {"double": parts["b"] * 2}

    (value, more), found = value_and_gradients(function, {"a": a, "b": b, "c": [unused]})
    assert numpy(value) == 1 * 3 + 4 * -1
    np.testing.assert_array_equal(numpy(more["double"]), [6, -2])
    np.testing.assert_array_equal(numpy(found["a"]), [6, -4])  # 2 a b
    np.testing.assert_array_equal(numpy(found["b"]), [1, 4])  # a^2
    np.testing.assert_array_equal(numpy(found["c"][0]), [0])


def test_a_value_of_no_tensor_has_gradient_0():
    _, (found,) = value_and_gradients(lambda _: (ops.convert_to_tensor(2.0), ()), tensors([1.0, 5]))
    np.testing.assert_array_equal(numpy(found), [0, 0])


@pytest.mark.parametrize("outer", [True, False])
def test_a_gradient_of_a_gradient_by_hand(outer):
    (x,) = tensors([2.0, -3.0])

    def inner(parts):
        return ops.sum(parts[0] ** 3), ()

    def function(parts):
        _, (gradient,) = value_and_gradients(inner, parts)
        return ops.sum(gradient * ops.convert_to_tensor([1.0, 10.0])), ()

    def differentiated():
        return numpy(value_and_gradients(function, [x])[1][0])

    if outer:
        found = differentiated()
    else:
        with no_gradients():
            found = differentiated()
    np.testing.assert_allclose(found, [6 * 2 * 1, 6 * -3 * 10])  # 6 x w


def test_a_step_of_an_inner_training_is_differentiated():
    """The gradient of (w - r w x)^2 x in w, where the inner loss is w^2 x / 2: 2 w (1 - r x)^2 x."""
    (w,) = tensors(1.5)
    x, rate = 0.5, 0.4

    def function(parts):
        _, (gradient,) = value_and_gradients(lambda p: (p[0] ** 2 * x / 2, ()), parts)
        return (parts[0] - rate * gradient) ** 2 * x, ()

    _, (found,) = value_and_gradients(function, [w])
    assert float(numpy(found)) == pytest.approx(2 * 1.5 * (1 - 0.2) ** 2 * 0.5)


def chain(padding, strides):
    """Returns a model of unequal sizes in all axes, with given weights."""
    inputs = keras.Input((9, 7, 2), dtype="uint8")
    x = ops.cast(inputs, "float32") / 255.0
    x = layers.Activation("tanh")(layers.Conv2D(4, (3, 2), strides, padding=padding)(x))
    x = layers.Activation("tanh")(layers.Conv2D(5, 2, padding=padding, use_bias=False)(x))
    x = layers.Activation("tanh")(layers.Dense(6)(layers.Flatten()(x)))
    model = keras.Model(inputs, layers.Activation("softmax")(layers.Dense(3)(x)))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model


def likelihood(y):
    return lambda outputs: -ops.sum(ops.multiply(ops.log(outputs), y), axis=-1)


@pytest.mark.parametrize(("padding", "strides"), [("same", (2, 3)), ("valid", (1, 2))])
def test_clipped_gradients_are_those_of_one_example_at_a_time(padding, strides):
    model, random = chain(padding, strides), np.random.default_rng(0)
    x = random.integers(0, 256, (11, 9, 7, 2), dtype=np.uint8)
    y = np.eye(3, dtype="float32")[random.integers(0, 3, 11)]
    weights, state = values(model.trainable_variables), values(model.non_trainable_variables)
    norms, singles = [], []
    for one in range(len(x)):

        def loss(weights, one=one):
            outputs, _ = model.stateless_call(weights, state, x[one : one + 1])
            return ops.sum(likelihood(y[one : one + 1])(outputs)), ()

        gradients = numpy(value_and_gradients(loss, weights)[1])
        singles.append(gradients)
        norms.append(np.sqrt(sum(np.sum(part**2) for part in gradients)))
    # Some are shortened, some are not.
    clip = float(np.median(norms))
    found = ExampleGradients(model).clipped(weights, state, x, likelihood(y), clip)
    np.testing.assert_allclose(numpy(found.norms), norms, rtol=1e-4)
    for index, total in enumerate(numpy(found.total)):
        expected = sum(
            part[index] * min(1, clip / norm) for part, norm in zip(singles, norms, strict=True)
        )
        np.testing.assert_allclose(total, expected, rtol=1e-3, atol=1e-5)
    plain = ExampleGradients(model).clipped(weights, state, x, likelihood(y), None)
    np.testing.assert_allclose(
        numpy(plain.total[0]), sum(part[0] for part in singles), rtol=1e-3, atol=1e-5
    )


def test_an_example_without_loss_adds_nothing():
    model, random = chain("same", (1, 1)), np.random.default_rng(0)
    x = random.integers(0, 256, (4, 9, 7, 2), dtype=np.uint8)
    y = np.eye(3, dtype="float32")[[0, 1, 2, 0]]
    y[2:] = 0
    weights = values(model.trainable_variables)
    gradients = ExampleGradients(model)
    both, first = (
        numpy(gradients.clipped(weights, [], x[:n], likelihood(y[:n]), 0.1).total) for n in (4, 2)
    )
    for one, other in zip(both, first, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_layers_that_cannot_be_clipped_are_refused():
    inputs = keras.Input((9, 7, 2))
    for layer in (
        layers.BatchNormalization(),
        layers.Conv2D(4, 2, groups=2),
        layers.Dense(3, activation="relu"),
    ):
        with pytest.raises(RecipeError, match=layer.name):
            ExampleGradients(keras.Model(inputs, layer(inputs)))
    branches = keras.Model(inputs, inputs + layers.Dense(2)(inputs))
    with pytest.raises(RecipeError, match="a chain of layers"):
        ExampleGradients(branches)


# Training by a step


def small():
    inputs = keras.Input((5,))
    x = layers.BatchNormalization(momentum=0.5)(layers.Dense(4, activation="tanh")(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    random = np.random.default_rng(3)
    model.set_weights([abs(random.normal(0.5, 0.2, w.shape)) for w in model.get_weights()])
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        "categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    return model


def batches(draws):
    random = np.random.default_rng(5)
    x, y = random.normal(size=(37, 5)).astype("float32"), random.integers(0, 3, 37)
    return DrawnBatches(x, y, batch_size=8, num_classes=3, seed=1, draws=draws)


def test_a_step_that_does_what_keras_does_trains_as_keras_does():
    """Weights, batch statistics, metrics and the mean of the loss, over batches of unequal size."""
    theirs, ours = small(), small()

    def step(weights, state, batch):
        x, y, _ = batch

        def loss(weights):
            outputs, after = ours.stateless_call(weights, state, x, training=True)
            return ops.mean(keras.losses.categorical_crossentropy(y, outputs)), (outputs, after)

        (value, (outputs, after)), gradients = value_and_gradients(loss, weights)
        return value, (y, outputs), after, gradients

    train_by(ours, step)
    data = batches(lambda x, random, index: np.ones(len(x), "float32"))
    found = [
        model.fit(data, epochs=2, shuffle=False, verbose=0).history for model in (ours, theirs)
    ]
    np.testing.assert_allclose(found[0]["accuracy"], found[1]["accuracy"], rtol=1e-6)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_draws_depend_on_seed_epoch_and_index_alone():
    def draws(x, random, index):
        return random.normal(size=(len(x), 2)).astype("float32") + 100 * index

    one, other = batches(draws), batches(draws)
    first = [one[index][2] for index in range(one.num_batches)]
    other.set_epoch(1)
    other.set_epoch(0)
    for index in reversed(range(5)):
        np.testing.assert_array_equal(other[index][2], first[index])
    assert [len(part) for part in first] == [8, 8, 8, 8, 5]
    other.set_epoch(1)
    assert not np.allclose(other[0][2] - 500, first[0], atol=1e-3)
    assert round(float(other[0][2].mean()) / 100) == 5


def test_validation_by_a_function_of_ones_own():
    """It is given weights and a batch, and what it returns is what Keras logs."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(inputs))
    model.set_weights([np.array([[1.0], [2.0], [-1.0]])])
    model.compile(metrics=["mae"], jit_compile=jit_compile())

    def score(weights, state, batch):
        x, y = batch[:2]
        # Twice what the network says.
        found = 2.0 * ops.matmul(x, weights[0])
        return ops.mean((found - y) ** 2), (y, found)

    validate_by(model, score)
    x = np.array([[1, 0, 0], [0, 1, 1], [2, 0, 1], [0, 0, 3]], "float32")
    y = np.array([[1], [1], [0], [-5]], "float32")
    logs = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    errors = np.array([2 - 1, 2 - 1, 2 - 0, -6 + 5])
    assert logs["loss"] == pytest.approx((errors**2).mean())
    assert logs["mae"] == pytest.approx(np.abs(errors).mean())
