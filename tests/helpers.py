"""Functions that several tests use."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
import time
import types
import typing
from pathlib import Path

import numpy as np
import pytest

from common.data import Source
from common.runs import registry
from common.runs.bounds import field_types
from common.runs.options import Options
from common.runs.run import Run

once = pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow",
    reason="says nothing of the backend, or what other tests say of it: runs with TensorFlow only",
)
"""Marks tests of the contract that the other backends need not repeat: JAX compiles for minutes."""


SLOWEST = (
    "cifar10_adversarial",
    "cifar10_nas",
    "cifar10_resnet",
    "fashion_mnist_cnn",
    "omniglot_fewshot",
    "spoken_digit_rnn",
    "translation_seq2seq",
)
"""Recipes that take longest to train; what tests ask of them others of their kind show as well."""


def leave_slowest_to_slow_tests(name):
    """Skips a test of one of the SLOWEST recipes, unless the slow tests run."""
    if name in SLOWEST and not os.environ.get("RUN_SLOW"):
        pytest.skip("slow: run with make test-all")


def plainest(name):
    """Returns the name of the preset to try a recipe with.

    The article's where it is the Config without any change, else the sample's, else the first one.
    """
    module = registry.load(name)
    if module.PRESETS.get("article") == module.Config():
        return "article"
    return "sample" if "sample" in module.PRESETS else next(iter(module.PRESETS))


def tiny_config(name, **changes):
    """Returns a Config of a recipe that trains in seconds: its plainest preset, cut short."""
    base = registry.load(name).PRESETS[plainest(name)]
    return dataclasses.replace(base, **{**short(base, epochs=2, batch_size=16), **changes})


def short(config, **more):
    """Returns what makes a training short, a dict: of these fields those that the Config has."""
    # Tiny data are so easy that a head fitted freely is certain, and what is certain has no gradient.
    wanted = {
        "validation_fraction": 0.25,
        "epoch_examples": 160,
        "head_strength": 1e-6,
        "blocks_per_stage": 1,
        "length": 50,
        **more,
    }
    return {name: value for name, value in wanted.items() if hasattr(config, name)}


def kind_of(name):
    """Returns the kind of data a recipe reads: "image", "text", or one of its own.

    A table with a number to predict is of the kind "numbers".
    """
    info = registry.load(name).load_data(tiny_config(name), Source("sample")).info
    return "numbers" if info.kind == "table" and not info.class_names else info.kind


def data_of(name, tiny_data):
    """Returns `--data` for a recipe: tiny data of its kind, or its own sample."""
    return tiny_data.get(kind_of(name), "sample")


def train_tiny(name, data, directory, **changes):
    """Trains a recipe in this process on a tiny data set; returns (run, metrics)."""
    module = registry.load(name)
    options = Options(data=str(data), run_dir=directory, deterministic=True, report=False)
    run = Run(name, tiny_config(name, **changes), options).open()
    return run, module.train(run.config, run)


def other_value(cls, field):
    """Yields values of a field's type that differ from its default."""
    hint, value = field_types(cls)[field.name], field.default
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        yield from (choice for choice in typing.get_args(hint) if choice != value)
    elif origin is types.UnionType:
        yield None if value is not None else 3
        yield 2 if value != 2 else 4
    elif origin is tuple:
        yield (*value, value[-1])
        yield value[::-1] if isinstance(value[0], str) else tuple(item + 1 for item in value)
    elif hint is bool:
        yield not value
    elif hint is int:
        yield from (value + 1, value - 1)
    elif hint is float:
        yield from (value * 0.5, value + 0.25, 0.5)
    else:
        yield f"{value}x"


def weights(path):
    """Returns the weights of a saved model."""
    from common.training.loading import load_model

    return load_model(path).get_weights()


def assert_equal_weights(first, second):
    """Checks that two saved models hold bitwise equal weights."""
    for one, other in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(one, other)


def wait_for(condition, seconds=120):
    """Returns once `condition()` holds; fails the test where that takes longer."""
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, "waited too long"
        time.sleep(0.1)


def needs_backend(backend):
    """Skips a test where a Keras backend is not installed."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"the backend {backend} is not installed: make test EXTRAS={backend}")


ON_ALL_BACKENDS = (
    "contract",
    "callbacks",
    "batches",
    "averaging",
    "training",
    "explain",
    "fast_adam",
    "fast_lstm",
    "fast_rnn",
    "lag_rnn",
    "muon",
    "batch_norm",
    "precision",
    "whole_epochs",
    "devices",
    "decoding",
    "gradients",
    "attacks",
    "spatial_sampler",
    "scattering",
    "private",
    "omniglot_fewshot",
    "cifar10_nas",
)
"""Files of tests that hold on every backend."""


def check_contract_on(backend, folder):
    """Runs the tests that hold on every backend on another one, in a process of its own.

    Args:
        backend: Its name. If it is the one of this process, the test is skipped.
        folder: For what JAX compiles: the contract trains the same networks again and again.
    """
    needs_backend(backend)
    if backend == os.environ.get("KERAS_BACKEND", "tensorflow"):
        pytest.skip("these tests run on it anyway")
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        # Two virtual devices, for the tests of several; everything else is computed on the first. Most
        # of what is compiled here runs once: without the costly optimisations that takes a quarter less.
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=1",
    }
    files = [f"tests/test_{name}.py" for name in ON_ALL_BACKENDS]
    # A recipe that needs TensorFlow on the way would need it on a machine that has another backend.
    without = [] if backend == "tensorflow" else ["-p", "tests.without_tensorflow"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *without, *files],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend, **cache},
    )
    # The end has the names of what failed, the start of "short test summary" is near it.
    assert done.returncode == 0, done.stdout[-6000:]
    assert "passed" in done.stdout
