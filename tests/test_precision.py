"""Training in bfloat16: where it is chosen, and that what is kept computes in float32."""

import keras
import numpy as np
import pytest

from common.training import precision
from common.training.loading import load_model
from recipes.cifar10_resnet.model import build_model
from recipes.cifar10_resnet.train import Config

TINY = Config(blocks_per_stage=1)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype("uint8")


def mixed():
    keras.utils.set_random_seed(0)
    with precision.precision("mixed_bfloat16"):
        return build_model(TINY)


def test_the_scope_ends():
    before = keras.config.dtype_policy().name
    with precision.precision("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == before == "float32"


def test_auto_is_bfloat16_only_where_it_is_fast(monkeypatch):
    native = keras.backend.backend() == "tensorflow"
    monkeypatch.setattr(precision, "cpu_flags", lambda: {"avx2", "avx512_bf16"})
    assert precision.resolve("auto") == ("mixed_bfloat16" if native else "float32")
    monkeypatch.setattr(precision, "cpu_flags", lambda: {"avx2"})
    assert precision.resolve("auto") == "float32"
    assert precision.resolve("mixed_bfloat16") == "mixed_bfloat16"


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="for JAX: KERAS_BACKEND=jax")
@pytest.mark.parametrize(
    ("capability", "fast"),
    [("7.5", False), ("8.0", True), ("12.1", True), ("gfx942", False), (None, False)],
)
def test_on_a_gpu_auto_is_bfloat16_from_ampere_on(capability, fast, monkeypatch):
    import jax

    class Device:
        platform, device_kind = "gpu", "a GPU"

    if capability:
        Device.compute_capability = capability
    monkeypatch.setattr(jax, "devices", lambda: [Device()])
    assert precision.resolve("auto") == ("mixed_bfloat16" if fast else "float32")


def test_weights_and_probabilities_are_float32():
    model = mixed()
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert model.layers[-1].compute_dtype == "float32"
    assert model.layers[2].compute_dtype == "bfloat16"
    total = keras.ops.convert_to_numpy(model(IMAGES)).sum(axis=1)
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_what_is_loaded_computes_in_float32(tmp_path):
    model = mixed()
    plain = build_model(TINY)
    plain.set_weights(model.get_weights())
    expected = plain.predict(IMAGES, verbose=0)
    model.save(tmp_path / "model.keras")
    for found in (precision.in_float32(model), load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(found.predict(IMAGES, verbose=0), expected, atol=1e-6)
    assert np.abs(model.predict(IMAGES, verbose=0) - expected).max() > 1e-5
    assert precision.in_float32(plain) is plain


def test_training_in_bfloat16_follows_float32():
    y = np.eye(10, dtype="float32")[[0, 1, 2, 3, 4, 5]]
    losses = []
    for name in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(0)
        with precision.precision(name):
            model = build_model(TINY)
        model.compile(keras.optimizers.SGD(0.02), "categorical_crossentropy")
        losses.append([float(model.train_on_batch(IMAGES, y)) for _ in range(6)])
    np.testing.assert_allclose(*losses, rtol=0.05)
    assert losses[1][-1] < losses[1][0]
