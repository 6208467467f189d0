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


def check(words=()):
    """Checks the name in KERAS_BACKEND, which Keras itself answers after seconds with a traceback.

    Args:
        words: Words of the command; with --help among them, nothing is checked.
    """
    name = _name()
    if name not in BACKENDS and not {"-h", "--help"} & set(words):
        raise UsageError(
            f"KERAS_BACKEND is '{name}'{near_match(name, BACKENDS)} (there are: {', '.join(BACKENDS)})"
        )


def _name():
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def announce():
    """Says that the backend is being started, which takes seconds, unless it has been."""
    if "keras" not in sys.modules:
        streams.say(f"Starting {BACKENDS[_name()]} ...")


def start_or_interrupt():
    """Starts the backend; an interrupt ends the process at once.

    Raised as an exception inside the import of a native module, it has crashed the interpreter.
    Nothing has been written yet that would have to be tidied up.
    """
    import signal

    announce()
    # Not where interrupts are ignored, or belong to somebody else.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        start()
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    try:
        start()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def start():
    """Imports Keras and its backend quietly and returns the backend's name.

    TensorFlow's native code reports on standard error, before any logging can be configured, that
    there is no GPU. What is written there while the backend starts is held back, and shown if the
    start fails.

    Raises:
        RecipeError: The backend that KERAS_BACKEND names is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow has these kernels for every x86 processor and takes them by itself only on those with
    # AVX512-VNNI or later. With AVX2 too they make CIFAR-10's networks a quarter to a third faster.
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
    """Lets the C library keep the memory of one training step for the next one.

    glibc gives large blocks back to the system as they are freed, and each step fetches its activations
    anew, page by page. TensorFlow 2.21 makes that the rule on Python 3.11: it lowers M_MMAP_THRESHOLD
    when Keras' fit() reads a PyDataset. On one virtual machine this was a third to a half of the CPU
    time of every recipe. So: no mapped blocks, no trimming, and one arena, as the others give a whole
    heap back whatever the threshold.
    It costs memory: 5 to 10 % more at the peak on TensorFlow, and on PyTorch up to 70 % where batches
    are of many lengths. On JAX these take twice the memory, so it keeps glibc's way. What the environment
    chooses (MALLOC_..., GLIBC_TUNABLES) stands.
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

    On JAX and PyTorch Keras asks whether TensorFlow is there when it seeds and when it saves, and asks
    by importing it: seconds, 400 MB, and its reports on standard error. Told that it is not, it trains
    and saves the same. What needs it (a TensorBoard log) still imports it.
    """
    from keras.src.utils import module_utils

    # None: not asked yet.
    if getattr(module_utils.tensorflow, "_available", False) is None:
        module_utils.tensorflow._available = False


def _keep_what_jax_compiles():
    """Lets a later start, or trial, find what JAX has compiled before, in the cache folder.

    JAX_COMPILATION_CACHE_DIR names another place; empty, nothing is kept, as where the cache folder
    cannot be written.
    """
    import jax

    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    # A home folder may be shared by processors that do not know each other's instructions.
    machine = hashlib.sha256(" ".join(sorted(cpu_flags())).encode()).hexdigest()[:12]
    folder = cache_folder() / "jax" / machine
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    # A process killed between the two files of an entry leaves one, and then JAX (0.10) fails to write
    # any other.
    for entry in folder.glob("*-cache"):
        if not entry.with_name(entry.name.removesuffix("cache") + "atime").exists():
            entry.unlink(missing_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default only what took a second is kept, which leaves out most of what starts a training.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # What was used least goes first: a search over architectures must not fill the disk.
    jax.config.update("jax_compilation_cache_max_size", 2**30)


@contextlib.contextmanager
def _no_collections():
    """No garbage is looked for meanwhile, nor later among what has been made meanwhile.

    An import makes hundreds of thousands of objects that stay. Python would look through them all again
    and again: a second of TensorFlow's six, and a quarter of one before the first batch.
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
        except Exception:  # Not an interrupt: there is nothing to explain.
            sys.stderr.flush()
            os.dup2(saved, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def accelerators():
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


def no_gradients():
    """Returns a context in which PyTorch keeps nothing for gradients; the others never do unasked."""
    import keras

    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def jit_compile():
    """Returns what to compile a model with: XLA off for TensorFlow on a CPU, Keras' choice elsewhere.

    Keras' "auto" turns XLA on everywhere; on two CPU cores TensorFlow then trains the recipes 1.2 to
    2 times slower.
    """
    import keras

    if keras.backend.backend() == "tensorflow" and not accelerators():
        return False
    return "auto"


def clear():
    """Frees all models of this process: Keras' clear_session, and the graphs TensorFlow would keep.

    Keras' optimizers sum gradients over replicas by a tf.custom_gradient, and TensorFlow (2.21, issue
    97697) keeps the function of each one, and with it the graph of each training step ever compiled:
    18 MB a trial of mnist_cnn, which every collection of garbage looks through.

    That collection takes some 60 ms, more than all else between two trials: trainings of less than
    GARBAGE_SECONDS share one.
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


def seed_everything(seed, deterministic=False):
    """Seeds Python, NumPy and the backend, before a model is built.

    Args:
        seed: A non-negative integer.
        deterministic: Ask the backend for bitwise repeatable kernels as well. (XLA on the CPU, which
            JAX uses, is repeatable as it is.)
    """
    import keras

    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif deterministic and keras.backend.backend() == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


def seed_epoch(seed, epoch):
    """Makes dropout in an epoch a function of (seed, epoch), so that a resumed run draws the same.

    Keras keeps the states of its random generators in variables, which a backup holds; but on
    PyTorch dropout draws from PyTorch's global generator, as does whatever else runs meanwhile.
    """
    import keras

    if keras.backend.backend() == "torch":
        import torch

        # Any pair gives another seed; the multiplier only keeps neighbouring seeds apart.
        torch.manual_seed(seed * 1_000_003 + epoch)
