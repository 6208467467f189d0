"""Backends: without TensorFlow, runs that another one reads, what a start does. Contract: test_jax.py."""

import ctypes
import os
import subprocess
import sys

import pytest

from common.basics.flags import flags
from tests.conftest import ROOT
from tests.helpers import needs_backend as needs
from tests.helpers import train_tiny

OTHERS = [
    name
    for name in ("tensorflow", "jax", "torch")
    if name != os.environ.get("KERAS_BACKEND", "tensorflow")
]


# tests/test_jax.py and test_torch.py train all recipes without it.
WITHOUT_TENSORFLOW = """
import sys
import tests.without_tensorflow
from common.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("name", ["mnist_cnn", "imdb_bilstm"])
def test_trains_evaluates_and_tunes_without_tensorflow(name, backend, tiny_data, tmp_path):
    needs(backend)
    from tests.helpers import data_of, plainest, short, tiny_config

    data = data_of(name, tiny_data)
    environment = {**os.environ, "KERAS_BACKEND": backend}

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TENSORFLOW, *map(str, words)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**environment, "PYTHONPATH": f"{environment['PYTHONPATH']}{os.pathsep}{ROOT}"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shortened = flags(short(tiny_config(name), epochs=1, batch_size=16))
    shortened += ["--data", data, "--preset", plainest(name)]
    run("train", name, *shortened, "--run-dir", "run", "--no-report")
    assert "examples" in run("evaluate", "run")
    tuned = run("tune", name, *shortened, "--method", "random", "--trials", 1, "--retrain", 0)
    assert "1 of 1" in tuned


TRAIN = """
import sys
from common.cli import main
code = main(sys.argv[1:])
assert "tensorflow" not in sys.modules, "TensorFlow was imported"
raise SystemExit(code)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_leaves_tensorflow_alone_where_it_is_installed(backend, tiny_data, tmp_path):
    needs(backend)
    cache = tmp_path / "cache"
    words = ["--preset", "article", "--epochs", "1", "--batch-size", "16", "--run-dir", "run"]
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, "train", "mnist_cnn", "--data", tiny_data["image"], *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}",
            "KERAS_RECIPE_BOX_CACHE": str(cache),
        },
    )
    assert done.returncode == 0, done.stderr
    # Nothing but what is being done.
    assert [line for line in done.stderr.splitlines() if not line.endswith(" ...")] == []
    if backend == "jax":
        assert list((cache / "jax").rglob("*-cache")), "nothing compiled was kept"


@pytest.mark.slow
@pytest.mark.parametrize("backend", OTHERS)
def test_a_run_of_one_backend_is_read_by_another(backend, tiny_data, tmp_path):
    needs(backend)
    run, metrics = train_tiny("mnist_cnn", tiny_data["image"], tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-m", "recipes", "evaluate", run.directory],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert f"accuracy {100 * metrics['test']['accuracy']:.2f} %" in done.stdout


COMPILE_TWO = """
from common.basics import backend
backend.start()
import jax
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
print(jax.jit(lambda x: x @ x.T + 1)(jax.numpy.ones((200, 300))).sum())
print(jax.jit(lambda x: x.T @ x + 2)(jax.numpy.ones((200, 300))).sum())
"""


def test_half_an_entry_does_not_stop_jax_from_keeping_what_it_compiles(tmp_path):
    needs("jax")
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "KERAS_RECIPE_BOX_CACHE": str(tmp_path),
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)

    def start():
        done = subprocess.run(
            [sys.executable, "-c", COMPILE_TWO],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr, sorted((tmp_path / "jax").rglob("*-cache"))

    _, kept = start()
    assert len(kept) >= 2
    # As a kill leaves it: an entry, and not yet the file that says when it was used last.
    kept[0].with_name("jit_other-cache").write_bytes(kept[0].read_bytes())
    kept[1].unlink()
    errors, again = start()
    assert "Error writing" not in errors
    assert again == kept


COLLECTIONS = """
import gc
from common.basics import backend
backend.start()
print(gc.isenabled(), gc.get_freeze_count())
"""


def test_garbage_is_not_looked_for_among_what_was_imported():
    done = subprocess.run(
        [sys.executable, "-c", COLLECTIONS], cwd=ROOT, capture_output=True, text=True
    )
    enabled, frozen = done.stdout.split()
    assert enabled == "True"
    assert int(frozen) > 50_000


MEMORY_KEPT = """
import resource
from common.basics import backend
backend.start()
import keras, numpy as np

class Batches(keras.utils.PyDataset):
    num_batches = 10

    def __getitem__(self, index):
        return np.ones((64, 32, 32, 3), "float32"), np.ones((64, 1), "float32")

layers = [keras.layers.Conv2D(16, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)]
model = keras.Sequential([keras.Input((32, 32, 3)), *layers])
model.compile("sgd", "mse", jit_compile=False)
model.fit(Batches(), verbose=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
model.fit(Batches(), verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc"
)
def test_memory_of_one_training_step_is_kept_for_the_next():
    environment = {key: value for key, value in os.environ.items() if "MALLOC" not in key}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_KEPT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**environment, "KERAS_BACKEND": "tensorflow"},
    )
    assert done.returncode == 0, done.stderr
    # Pages of 4 KB fetched from the system in ten steps. The largest activation alone has 900 of them;
    # on Python 3.11, where TensorFlow has malloc give all back, it would be 38,000.
    assert int(done.stdout) < 5_000
