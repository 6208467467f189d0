"""The Keras backend: started without its chatter, asked for its devices, compiled as suits it."""

import contextlib
import functools
import math
import os
import sys
import time
from collections.abc import Collection
from contextlib import AbstractContextManager

from common.basics import hosts, startup, streams
from common.basics.errors import RecipeError, UsageError, near_match

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


def on_hosts() -> bool:
    """Returns whether this process shares a training with those on other hosts; `start` then joins them.

    Raises:
        UsageError: It does, and the backend is not JAX.
    """
    return hosts.take_part(_name())


def check_devices(count: int) -> None:
    """Checks that a training can have so many devices; how many there are, once the backend is started.

    Args:
        count: Devices asked for, of all hosts together.

    Raises:
        UsageError: More than one, and the backend is not JAX, or JAX has fewer, or the hosts cannot have
            equally many.
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

        if count % hosts.count():
            raise UsageError(
                f"--devices {count} counts those of all {hosts.count()} hosts, which must have equally "
                "many; without it all are used"
            )
        if jax.device_count() < count:
            raise UsageError(
                f"--devices {count}, but JAX has {jax.device_count()} ({jax.default_backend()}). To try "
                f"it without GPUs: XLA_FLAGS=--xla_force_host_platform_device_count={count}"
            )


def _name():
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def announce() -> None:
    """Says that the backend is being started, which takes seconds; nothing if it has been started.

    On several hosts the leader says it, and how many it waits for.
    """
    place = hosts.asked()
    if "keras" in sys.modules or (place and place.index):
        return
    several = f" on {place.count} hosts" if place else ""
    streams.say(f"Starting {BACKENDS[_name()]}{several} ...")


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

    def end(number, frame):
        os._exit(130)

    signal.signal(signal.SIGINT, end)
    try:
        start()
    finally:
        # On several hosts all but the leader ignore interrupts from here on.
        if signal.getsignal(signal.SIGINT) is end:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@functools.cache
def start() -> str:
    """Imports Keras and its backend quietly and returns the backend's name.

    TensorFlow's native code writes to standard error that there is no GPU, before any logging can be
    configured. So what is written there during the start is held back, and shown only if the start
    fails.

    Raises:
        RecipeError: The backend that KERAS_BACKEND names is not installed, or the processes of a training
            on several hosts do not meet.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow has these kernels for every x86 processor, but by default uses them only on those with
    # AVX512-VNNI or later. On processors with AVX2 they also make the CIFAR-10 networks a quarter to a
    # third faster.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    startup.keep_freed_memory()
    hosts.start()
    with startup.held_back_stderr(), startup.no_collections():
        try:
            import keras

            if keras.backend.backend() != "tensorflow":
                startup.leave_tensorflow_alone()
            if keras.backend.backend() == "jax":
                startup.keep_what_jax_compiles()
            accelerators()
        except ImportError as error:
            name = os.environ.get("KERAS_BACKEND", "tensorflow")
            raise RecipeError(
                f"Keras cannot use the backend {name} ({error}). Install it "
                f"(`pip install -e .[{name}]` in the clone) or set KERAS_BACKEND to one of "
                "tensorflow, jax, torch"
            ) from error
    return keras.backend.backend()


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
