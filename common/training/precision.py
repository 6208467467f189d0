"""Mixed precision: products in bfloat16, weights and sums in float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.basics.processor import cpu_flags

if TYPE_CHECKING:
    import keras

# Flags of processors that multiply bfloat16 in hardware.
BFLOAT16_PRODUCTS = {"avx512_bf16", "amx_bf16"}


def resolve(name: str) -> str:
    """Returns the Keras dtype policy that a name stands for on this machine.

    Args:
        name: "float32", "mixed_bfloat16", or "auto": mixed_bfloat16 on machines where it was measured to
            be faster, else float32. It is faster with TensorFlow on a processor that multiplies bfloat16
            in hardware (ResNet-20 trains 1.5 times as fast; other processors are slower with it), and
            with JAX on an NVIDIA GPU from Ampere on (1.4 times).
    """
    if name != "auto":
        return name
    import keras

    from common.basics.backend import accelerators

    backend = keras.backend.backend()
    if accelerators():
        native = backend == "jax" and _gpu_generation() >= 8
    else:
        native = backend == "tensorflow" and bool(BFLOAT16_PRODUCTS & cpu_flags())
    return "mixed_bfloat16" if native else "float32"


def _gpu_generation():
    """Returns the compute capability of the oldest NVIDIA GPU that JAX sees, 0 for other devices."""
    import jax

    # For an AMD GPU it is a name, e.g. gfx942.
    found = [str(getattr(device, "compute_capability", "")) for device in jax.devices()]
    return min(float(each) if each[:1].isdigit() else 0.0 for each in found)


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Layers created in this context compute in the precision that `resolve` returns for a name."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(resolve(name))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(model: keras.Model) -> keras.Model:
    """Returns a copy of the model that computes in float32; the model itself if it does so already.

    Trained models are evaluated, explained and exported in float32, so that their answers depend neither
    on the processor nor on an export format.
    """
    import keras

    if all(layer.compute_dtype == "float32" for layer in model.layers if layer.weights):
        return model

    def clone(operation):
        config = operation.get_config()
        if isinstance(operation, keras.layers.Layer):
            config = {**config, "dtype": "float32"}
        return operation.__class__.from_config(config)

    result = keras.models.clone_model(model, clone_function=clone)
    result.set_weights(model.get_weights())
    return result
