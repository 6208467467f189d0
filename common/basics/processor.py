"""The processor: its name, its vector instructions, how many of its cores this process may use."""

import os
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Flags in that file, the widest instructions first.
VECTOR_INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX512-BF16",
    "avx512f": "AVX512",
    "avx2": "AVX2",
}


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
