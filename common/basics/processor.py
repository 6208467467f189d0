"""The processor: its name, what it can multiply fast, how many of its cores this process may use."""

import os
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Flags named there, the widest first.
VECTOR_INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX512-BF16",
    "avx512f": "AVX512",
    "avx2": "AVX2",
}


def cpu_name():
    """Returns the processor's model name and its widest vector instructions, as `AMD EPYC (AVX2)`.

    Virtual machines hide the generation: two that are both named "AMD EPYC" differ twofold in speed.
    """
    name = _cpuinfo().get("model name") or platform.processor() or platform.machine()
    widest = vector_instructions()
    return f"{name} ({widest})" if widest else name


def vector_instructions():
    """Returns the widest vector instructions, as `AVX2`; None where the system does not tell."""
    flags = cpu_flags()
    return next((text for flag, text in VECTOR_INSTRUCTIONS.items() if flag in flags), None)


def cpu_flags():
    """Returns the set of instruction sets the processor names; empty where the system does not tell."""
    return set(_cpuinfo().get("flags", "").split())


def _cpuinfo():
    """Returns what Linux says of the first processor, empty elsewhere."""
    try:
        first = CPUINFO.read_text().split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def cpu_count():
    """Returns the number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
