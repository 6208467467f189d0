"""The processor: its name, its vector instructions, how many of its cores this process may use."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threadpoolctl

CPUINFO = Path("/proc/cpuinfo")
# Flags in that file, the widest instructions first.
VECTOR_INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX512-BF16",
    "avx512f": "AVX512",
    "avx2": "AVX2",
}


def one_thread() -> threadpoolctl.threadpool_limits:
    """Returns a context in which NumPy, SciPy and scikit-learn compute on one thread.

    For models that stand beside a network: on problems of their size more threads mostly wait for each
    other, and they wait at full speed. Logistic regression on 10,000 images of 784 pixels takes 0.33 s
    with one thread, 0.55 s with two, and 4.3 s with two while other processes keep both cores busy
    (random pixels, two cores, one run each).

    Enter it after the import of a library: one that is loaded later keeps its threads.
    """
    import threadpoolctl

    return threadpoolctl.threadpool_limits(1)


def cpu_name() -> str:
    """Returns the processor's model name and its widest vector instructions, as `AMD EPYC (AVX2)`.

    The instructions tell processors apart that virtual machines give the same name: two of the name
    "AMD EPYC" may differ twofold in speed.
    """
    name = _cpuinfo().get("model name") or platform.processor() or platform.machine()
    widest = vector_instructions()
    return f"{name} ({widest})" if widest else name


def vector_instructions() -> str | None:
    """Returns the widest vector instructions, as `AVX2`; None where the system does not tell."""
    flags = cpu_flags()
    return next((text for flag, text in VECTOR_INSTRUCTIONS.items() if flag in flags), None)


def cpu_flags() -> set[str]:
    """Returns the instruction sets of the processor; empty where the system does not tell."""
    return set(_cpuinfo().get("flags", "").split())


def _cpuinfo():
    """Returns what Linux says about the first processor; empty on other systems."""
    try:
        first = CPUINFO.read_text().split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def cpu_count() -> int:
    """Returns the number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
