"""Adam as one operation against Keras' own: weights and state; on every backend."""

import keras
import numpy as np
import pytest
from keras import layers

from common.basics.backend import jit_compile
from common.layers.fast_adam import FusedAdam


def trained(optimizer):
    """Returns the weights of a small network after some steps, and the optimizer's state."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 7)).astype("float32")
    y = (x[:, :1] * x[:, 1:2] > 0).astype("float32")
    inputs = keras.Input((7,))
    outputs = layers.Dense(1, activation="sigmoid")(layers.Dense(11, activation="tanh")(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, "binary_crossentropy", jit_compile=jit_compile())
    # The last batch is smaller.
    model.fit(x, y, batch_size=16, epochs=5, shuffle=False, verbose=0)
    return [keras.ops.convert_to_numpy(v) for v in [*model.weights, *optimizer.variables]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
        {"global_clipnorm": 0.1},
        {"weight_decay": 0.1},
        {"use_ema": True},
        {"gradient_accumulation_steps": 3},
        {"amsgrad": True},
    ],
    ids=lambda options: next(iter(options), "defaults"),
)
def test_weights_and_state_are_those_of_keras(options):
    def schedule():
        return keras.optimizers.schedules.CosineDecay(0.03, 25)

    expected = trained(keras.optimizers.Adam(schedule(), **options))
    found = trained(FusedAdam(schedule(), **options))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="JAX fuses Keras' own update by itself"
)
def test_it_takes_the_fused_operation(monkeypatch):
    def never(*arguments):
        raise AssertionError("Keras' own update")

    monkeypatch.setattr(keras.optimizers.Adam, "update_step", never)
    trained(FusedAdam(0.01))


def test_what_a_word_adds_at_several_places_is_added_up_before_it_is_squared():
    inputs = keras.Input((3,), dtype="int32")
    vectors = layers.Embedding(4, 2, embeddings_initializer="ones")(inputs)
    outputs = layers.Dense(1, kernel_initializer="ones")(layers.Flatten()(vectors))
    model = keras.Model(inputs, outputs)
    optimizer = FusedAdam(0.25)
    model.compile(optimizer, "mse", jit_compile=jit_compile())
    # Word 1 twice, word 3 once, words 0 and 2 never. All weights are 1, so the output is 6, one too
    # much: the gradient of its square is 2 each time that a word occurs.
    model.train_on_batch(np.array([[1, 3, 1]]), np.array([[5.0]], "float32"))
    gradient = np.array([[0, 0], [4, 4], [0, 0], [2, 2]])
    state = {v.path.split("/")[-1]: np.array(v) for v in optimizer.variables}
    momentum, velocity = (
        next(v for name, v in state.items() if name.endswith(f"embeddings_{kind}"))
        for kind in ("momentum", "velocity")
    )
    np.testing.assert_allclose(momentum, 0.1 * gradient, rtol=1e-4)
    np.testing.assert_allclose(velocity, 0.001 * gradient**2, rtol=1e-4)
    # The first step is as long as the learning rate wherever there is a gradient.
    table = keras.ops.convert_to_numpy(model.trainable_variables[0])
    np.testing.assert_allclose(table, [[1, 1], [0.75, 0.75], [1, 1], [0.75, 0.75]], rtol=1e-4)
