"""The Keras backend: started without its chatter, asked for its devices, compiled as suits it."""

import contextlib
import ctypes
import functools
import gc
import hashlib
import math
import os
import sys
import tempfile
import time
from collections.abc import Collection
from contextlib import AbstractContextManager

from common.basics import streams
from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.files import cache_folder
from common.basics.processor import cpu_flags

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
MALLOC_OPTIONS = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1}
GARBAGE_SECONDS = 10.0
_collected = -math.inf
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def check(words: Collection[str] = ()) -> None:
    """Checks the name in KERAS_BACKEND. Keras itself takes seconds to fail, with a traceback.

    Args:
        words: Words of the command; with --help among them, nothing is checked.

    Raises:
        UsageError: There is no backend of that name.
    """
    name = _name()
    if name not in BACKENDS and not {"-h", "--help"} & set(words):
        raise UsageError(
            f"KERAS_BACKEND is '{name}'{near_match(name, BACKENDS)} (there are: {', '.join(BACKENDS)})"
        )


def check_devices(count: int) -> None:
    """Checks that a training can have so many devices; how many there are, once the backend is started.

    Args:
        count: Devices asked for.

    Raises:
        UsageError: More than one, and the backend is not JAX, or JAX has fewer.
    """
    if count == 1:
        return
    if _name() != "jax":
        raise UsageError(
            f"--devices {count} needs JAX, and the backend is {_name()}: put KERAS_BACKEND=jax before "
            "the command; or give each training a GPU of its own: CUDA_VISIBLE_DEVICES=0 recipes ..."
        )
    if "jax" in sys.modules:
        import jax

        if jax.device_count() < count:
            raise UsageError(
                f"--devices {count}, but JAX has {jax.device_count()} ({jax.default_backend()}). To try "
                f"it without GPUs: XLA_FLAGS=--xla_force_host_platform_device_count={count}"
            )


def _name():
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def announce() -> None:
    """Says that the backend is being started, which takes seconds; nothing if it has been started."""
    if "keras" not in sys.modules:
        streams.say(f"Starting {BACKENDS[_name()]} ...")


def start_or_interrupt() -> None:
    """Starts the backend; an interrupt ends the process at once.

    A KeyboardInterrupt inside the import of a native module can crash the interpreter. Nothing has been
    written yet, so there is nothing to tidy up.
    """
    import signal

    announce()
    # Where interrupts are ignored, or another handler is set, that stays.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        start()
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    try:
        start()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def start() -> str:
    """Imports Keras and its backend quietly and returns the backend's name.

    TensorFlow's native code writes to standard error that there is no GPU, before any logging can be
    configured. So what is written there during the start is held back, and shown only if the start
    fails.

    Raises:
        RecipeError: The backend that KERAS_BACKEND names is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow has these kernels for every x86 processor, but by default uses them only on those with
    # AVX512-VNNI or later. On processors with AVX2 they also make the CIFAR-10 networks a quarter to a
    # third faster.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    _keep_freed_memory()
    with _held_back_stderr(), _no_collections():
        try:
            import keras

            if keras.backend.backend() != "tensorflow":
                _leave_tensorflow_alone()
            if keras.backend.backend() == "jax":
                _keep_what_jax_compiles()
            accelerators()
        except ImportError as error:
            name = os.environ.get("KERAS_BACKEND", "tensorflow")
            raise RecipeError(
                f"Keras cannot use the backend {name} ({error}). Install it "
                f"(`pip install -e .[{name}]` in the clone) or set KERAS_BACKEND to one of "
                "tensorflow, jax, torch"
            ) from error
    return keras.backend.backend()


def _keep_freed_memory():
    """Makes the C library keep the memory of one training step for the next one.

    glibc returns large blocks to the system when they are freed. Each step then gets the memory of its
    activations again, page by page. With TensorFlow 2.21 on Python 3.11 this happens to most blocks: it
    lowers M_MMAP_THRESHOLD when Keras' fit() reads a PyDataset. On one virtual machine it took a third
    to a half of the CPU time of every recipe.

    The options turn off mapped blocks and trimming. They allow only one arena, because all others
    return whole heaps whatever the threshold.

    This costs memory: at the peak 5 to 10 % more with TensorFlow, and up to 70 % more with PyTorch where
    batches have many lengths. With JAX it would double the memory of such batches, so nothing is changed
    there. Settings in the environment (MALLOC_..., GLIBC_TUNABLES) have priority.
    """
    chosen = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if chosen or sys.platform != "linux" or os.environ.get("KERAS_BACKEND") == "jax":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # Not every C library has it.
    if mallopt is not None:
        for option, value in MALLOC_OPTIONS.items():
            mallopt(option, value)


def _leave_tensorflow_alone():
    """Keeps Keras from importing TensorFlow just because it is installed.

    With JAX and PyTorch, Keras checks whether TensorFlow is installed when it seeds and when it saves. It
    checks by importing it, which takes seconds and 400 MB and writes to standard error. Here Keras is
    told that it is not installed; training and saving stay the same. What needs TensorFlow (a
    TensorBoard log) can still import it.
    """
    from keras.src.utils import module_utils

    # None: not asked yet.
    if getattr(module_utils.tensorflow, "_available", False) is None:
        module_utils.tensorflow._available = False


def _keep_what_jax_compiles():
    """Keeps what JAX compiles in the cache folder, for later starts and trials.

    JAX_COMPILATION_CACHE_DIR names another folder. If it is empty, or the cache folder cannot be written,
    nothing is kept.
    """
    import jax

    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    # Machines that share a home folder may have processors with different instructions.
    machine = hashlib.sha256(" ".join(sorted(cpu_flags())).encode()).hexdigest()[:12]
    folder = cache_folder() / "jax" / machine
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    # An entry has two files. A process killed between them leaves one, and then JAX (0.10) cannot write
    # any other entry.
    for entry in folder.glob("*-cache"):
        if not entry.with_name(entry.name.removesuffix("cache") + "atime").exists():
            entry.unlink(missing_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default only what took a second to compile is kept. Most parts of a training take less.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # The least recently used entries go first: a search over architectures must not fill the disk.
    jax.config.update("jax_compilation_cache_max_size", 2**30)


@contextlib.contextmanager
def _no_collections():
    """Turns garbage collection off during the block, and for ever for the objects made in it.

    An import makes hundreds of thousands of objects that stay. Python would look through all of them
    again and again. That takes one of the six seconds of TensorFlow's import, and a quarter of a second
    before the first batch.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _held_back_stderr():
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # No standard error at all.
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:  # Not for an interrupt: it needs no explanation.
            sys.stderr.flush()
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def accelerators() -> list[str]:
    """Returns the names of the GPUs or TPUs that the current backend sees."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        return [
            tensorflow.config.experimental.get_device_details(device).get(
                "device_name", device.name
            )
            for device in tensorflow.config.list_physical_devices("GPU")
        ]
    if backend == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    import torch

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def no_gradients() -> AbstractContextManager[None]:
    """Returns a context in which PyTorch stores nothing for gradients. Other backends need none."""
    import keras

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def jit_compile() -> bool | str:
    """Returns the `jit_compile` of a model: False for TensorFlow on a CPU, else Keras' "auto".

    "auto" turns XLA on everywhere. On two CPU cores TensorFlow then trains the recipes 1.2 to 2 times
    slower.
    """
    import keras

    if keras.backend.backend() == "tensorflow" and not accelerators():
        return False
    return "auto"


def clear() -> None:
    """Frees all models of this process: Keras' clear_session, and the graphs TensorFlow would keep.

    Keras' optimizers sum gradients over replicas by a tf.custom_gradient. TensorFlow (2.21, issue 97697)
    keeps the function of each one, and with it the graph of each training step ever compiled. For
    mnist_cnn that is 18 MB a trial, and every garbage collection looks through it.

    A garbage collection takes about 60 ms, more than everything else between two trials. So it is done
    at most once in GARBAGE_SECONDS.
    """
    global _collected
    import keras

    if keras.backend.backend() == "tensorflow":
        from tensorflow.python.framework import ops

        gradients = getattr(ops.gradient_registry, "_registry", {})
        for name in [name for name in gradients if name.startswith("CustomGradient-")]:
            del gradients[name]
    collect = time.perf_counter() - _collected > GARBAGE_SECONDS
    keras.utils.clear_session(free_memory=collect)
    if collect:
        _collected = time.perf_counter()


def seed_everything(seed: int, deterministic: bool = False) -> None:
    """Seeds Python, NumPy and the backend. Call it before a model is built.

    Args:
        seed: 0 or more.
        deterministic: Ask the backend for bitwise repeatable kernels as well. (XLA on the CPU, which
            JAX uses, always is.)
    """
    import keras

    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif deterministic and keras.backend.backend() == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


def seed_epoch(seed: int, epoch: int) -> None:
    """Makes dropout in an epoch depend on (seed, epoch) alone, so that a resumed run draws the same.

    Keras keeps the states of its random generators in variables, and a backup holds these. But with
    PyTorch, dropout draws from PyTorch's global generator, which other code may use as well.
    """
    import keras

    if keras.backend.backend() == "torch":
        import torch

        # Different pairs shall give different seeds; the multiplier keeps neighbouring seeds apart.
        torch.manual_seed(seed * 1_000_003 + epoch)
