"""The recurrent layers against a NumPy loop and Keras' own, on every backend; all sizes differ."""

import json
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from common.basics import backend
from common.explain.gradients import output_gradient, weight_gradients
from common.layers import fast_rnn
from common.training.loading import load_model

BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, 7
CASES = {
    "SimpleRNN": {},
    "relu": {"activation": "relu"},
    "GRU": {},
    "LSTM": {},
}
EACH = pytest.mark.parametrize("case", CASES)


def pair(case, **settings):
    """Returns our layer and Keras' with equal weights, biases that are not 0."""
    name = case if case[0].isupper() else "SimpleRNN"
    settings = {"bias_initializer": "random_normal", **CASES[case], **settings}
    keras.utils.set_random_seed(0)
    built = []
    for module in (fast_rnn, layers):
        layer = getattr(module, name)(UNITS, **settings)
        layer.build((BATCH, STEPS, FEATURES))
        built.append(layer)
    ours, theirs = built
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def sequences(seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(BATCH, STEPS, FEATURES)).astype("float32")


def states_of(layer):
    """Returns random states to start from."""
    count = 2 if isinstance(layer, layers.LSTM) else 1
    random = np.random.default_rng(1)
    return [random.normal(size=(BATCH, UNITS)).astype("float32") for _ in range(count)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(case, weights, x, states):
    """Returns the states after each step, `(batch, steps, units)`, and the last states."""
    kernel, recurrent, bias = (np.asarray(weight, "float64") for weight in weights)
    hidden, found = states[0], []
    cell = states[-1]
    for step in np.moveaxis(x, 1, 0).astype("float64"):
        if case in ("SimpleRNN", "relu"):
            total = step @ kernel + hidden @ recurrent + bias
            hidden = np.tanh(total) if case == "SimpleRNN" else np.maximum(total, 0)
        elif case == "GRU":
            # Cho et al. 2014 with the reset after the product; 1 of the update gate keeps the state.
            given = np.split(step @ kernel + bias[0], 3, axis=1)
            held = np.split(hidden @ recurrent + bias[1], 3, axis=1)
            update, reset = (sigmoid(given[gate] + held[gate]) for gate in (0, 1))
            candidate = np.tanh(given[2] + reset * held[2])
            hidden = update * hidden + (1 - update) * candidate
        else:
            gates = np.split(step @ kernel + hidden @ recurrent + bias, 4, axis=1)
            cell = sigmoid(gates[1]) * cell + sigmoid(gates[0]) * np.tanh(gates[2])
            hidden = sigmoid(gates[3]) * np.tanh(cell)
        found.append(hidden)
    return np.stack(found, axis=1), [hidden, cell] if case == "LSTM" else [hidden]


def numpy_of(tensors):
    return [keras.ops.convert_to_numpy(tensor) for tensor in keras.tree.flatten(tensors)]


@EACH
def test_values_and_states_are_those_of_a_loop(case):
    ours, _ = pair(case, return_sequences=True, return_state=True)
    x, states = sequences(), states_of(ours)
    with backend.no_gradients():
        outputs, *last = numpy_of(ours(x, initial_state=[keras.ops.array(s) for s in states]))
    expected, ends = by_hand(case, ours.get_weights(), x, states)
    np.testing.assert_allclose(outputs, expected, atol=2e-6)
    for one, other in zip(last, ends, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)
    zeros = [np.zeros_like(state) for state in states]
    plain, _ = pair(case)
    with backend.no_gradients():
        (found,) = numpy_of(plain(x))
    expected, _ = by_hand(case, plain.get_weights(), x, zeros)
    np.testing.assert_allclose(found, expected[:, -1], atol=2e-6)


def models(case, **settings):
    """Returns ours and theirs in a model: the sequence and states in, all that the layer returns out."""
    found = []
    for layer in pair(case, return_sequences=True, return_state=True, **settings):
        weights = layer.get_weights()
        inputs = keras.Input((STEPS, FEATURES))
        states = [keras.Input((UNITS,)) for _ in states_of(layer)]
        found.append(keras.Model([inputs, *states], layer(inputs, initial_state=states)))
        layer.set_weights(weights)
    return found


@EACH
def test_gradients_by_inputs_and_states_are_those_of_keras(case):
    x = [sequences(), *states_of(pair(case)[0])]
    random, found = np.random.default_rng(2), []
    for model in models(case):
        random = np.random.default_rng(2)
        shapes = [(BATCH, STEPS, UNITS), *[(BATCH, UNITS)] * (len(x) - 1)]
        weights = [random.normal(size=shape).astype("float32") for shape in shapes]
        found.append(output_gradient(model, x, weights)[1])
    for one, other in zip(*found, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-5)


@EACH
def test_backwards_is_as_keras_reads_backwards(case):
    ours, theirs = pair(case, return_sequences=True, return_state=True, go_backwards=True)
    x = keras.ops.array(sequences())
    assert ours.fused(x) == (keras.backend.backend() == "torch")
    with backend.no_gradients():
        for one, other in zip(numpy_of(ours(x)), numpy_of(theirs(x)), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-6)


@EACH
def test_both_directions_are_fast_and_in_a_file_those_of_keras(case, tmp_path):
    layer, _ = pair(case, return_sequences=True)
    inputs = keras.Input((STEPS, FEATURES))
    ours = keras.Model(inputs, fast_rnn.Bidirectional(layer)(inputs))
    both = ours.layers[-1]
    assert {type(both.forward_layer), type(both.backward_layer)} == {type(layer)}
    ours.save(tmp_path / "model.keras")
    theirs = load_model(tmp_path / "model.keras")
    assert type(theirs.layers[-1]) is layers.Bidirectional
    assert type(theirs.layers[-1].backward_layer) is getattr(layers, type(layer).__name__)
    x, y = sequences(), np.zeros((BATCH, STEPS, 2 * UNITS), "float32")
    y[:, 2, 3] = 1
    found = [weight_gradients(model, x, y, model.trainable_variables) for model in (ours, theirs)]
    assert len(found[0]) == 6
    for one, other in zip(*found, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-5)


@EACH
def test_gradients_by_weights_are_those_of_keras(case):
    y, found = np.eye(UNITS, dtype="float32")[[0, 3, 6]], []
    for layer in pair(case):
        weights = layer.get_weights()
        inputs = keras.Input((STEPS, FEATURES))
        model = keras.Model(inputs, layers.Softmax()(layer(inputs)))
        model.set_weights(weights)
        found.append(weight_gradients(model, sequences(), y, model.trainable_variables))
    assert len(found[0]) == 3
    for one, other in zip(*found, strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_a_file_names_keras_own_layer(name, tmp_path):
    inputs = keras.Input((STEPS, FEATURES))
    layer = getattr(fast_rnn, name)(UNITS)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    (held,) = [each for each in config["config"]["layers"] if each["class_name"] == name]
    assert held["module"] == "keras.layers"
    assert held["registered_name"] is None
    again = load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is getattr(layers, name)
    x = sequences()
    found, expected = (m.predict_on_batch(x) for m in (again, model))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # Keras' own class is written and read as before.
    config = keras.saving.serialize_keras_object(getattr(layers, name)(2))
    assert type(keras.saving.deserialize_keras_object(config)) is getattr(layers, name)


SLOW = {
    "dropout": {"dropout": 0.5},
    "recurrent dropout": {"recurrent_dropout": 0.5},
    "stateful": {"stateful": True},
    "unrolled": {"unroll": True},
    "no bias": {"use_bias": False},
    "activation": {"activation": "elu"},
}


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
@pytest.mark.parametrize("why", SLOW)
def test_what_the_kernels_do_not_know_is_left_to_keras(name, why):
    settings = {"bias_initializer": "random_normal", **SLOW[why]}
    ours, theirs = (getattr(module, name)(UNITS, **settings) for module in (fast_rnn, layers))
    x = keras.ops.array(sequences())
    theirs(x)
    ours(x)
    ours.set_weights(theirs.get_weights())
    for layer in (ours, theirs):
        if why == "stateful":
            layer.reset_state()
    assert not ours.fused(x)
    with backend.no_gradients():
        np.testing.assert_allclose(*numpy_of([ours(x), theirs(x)]), atol=1e-6)


def test_masks_and_other_gates_are_left_to_keras():
    x = keras.ops.array(sequences())
    mask = np.array([[True] * 3 + [False] * 2] * 3)
    for case in ("SimpleRNN", "GRU", "LSTM"):
        ours, theirs = pair(case)
        assert not ours.fused(x, mask)
        with backend.no_gradients():
            found, expected = numpy_of([layer(x, mask=mask) for layer in (ours, theirs)])
        np.testing.assert_allclose(found, expected, atol=1e-6)
    ours, _ = pair("GRU", reset_after=False)
    assert not ours.fused(x)
    ours, _ = pair("LSTM", recurrent_activation="hard_sigmoid")
    assert not ours.fused(x)


TORCH = pytest.mark.skipif(keras.backend.backend() != "torch", reason="with PyTorch only")


@TORCH
@EACH
def test_the_fast_way_is_taken(case, monkeypatch):
    import torch

    from common.layers import rnn_steps

    ours, _ = pair(case)
    called = []
    for module, name in ((rnn_steps, "simple_rnn"), (rnn_steps, "gru"), (torch._VF, "lstm")):
        true = getattr(module, name)

        def record(*arguments, name=name, true=true):
            called.append(name)
            return true(*arguments)

        monkeypatch.setattr(module, name, record)
    ours(keras.ops.array(sequences()))
    assert called == [{"SimpleRNN": "simple_rnn", "relu": "simple_rnn"}.get(case, case.lower())]


@TORCH
@EACH
def test_gradients_are_those_of_keras_over_several_chunks_of_steps(case, monkeypatch):
    from common.layers import rnn_steps

    # Five steps: two chunks and a rest.
    monkeypatch.setattr(rnn_steps, "CHUNK", 2)
    test_gradients_by_inputs_and_states_are_those_of_keras(case)
    test_gradients_by_weights_are_those_of_keras(case)


@TORCH
@pytest.mark.parametrize("case", ["SimpleRNN", "GRU"])
def test_gradients_of_gradients_are_refused(case):
    import torch

    ours, _ = pair(case)
    x = torch.from_numpy(sequences()).requires_grad_()
    (first,) = torch.autograd.grad((ours(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
