"""What surrounds the start of Keras and its backend: memory, caches, silence, no needless collections."""

import contextlib
import ctypes
import gc
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator

from common.basics.files import cache_folder
from common.basics.processor import cpu_flags

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
MALLOC_OPTIONS = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1}


def keep_freed_memory() -> None:
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


def leave_tensorflow_alone() -> None:
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


def keep_what_jax_compiles() -> None:
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
def no_collections() -> Iterator[None]:
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
def held_back_stderr() -> Iterator[None]:
    """Holds back what is written to standard error during the block; shows it if the block fails."""
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


@contextlib.contextmanager
def silent_stdout() -> Iterator[None]:
    """Drops what native code writes to standard output during the block: Gloo greets its peers there."""
    sys.stdout.flush()
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
