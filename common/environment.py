"""What a run ran on: versions, machine, commit. Written beside every result."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ("keras", "tensorflow", "jax", "torch", "numpy", "scikit-learn", "tensorflow-datasets")
CPUINFO = Path("/proc/cpuinfo")
# Flags named there, the widest first.
VECTOR_INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX512-BF16",
    "avx512f": "AVX512",
    "avx2": "AVX2",
}


def versions():
    """Returns the installed versions of the packages a result depends on, without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu_name():
    """Returns the processor's model name and its widest vector instructions, as `AMD EPYC (AVX2)`.

    Virtual machines hide the generation: two that are both named "AMD EPYC" differ twofold in speed.
    """
    found = _cpuinfo()
    name = found.get("model name") or platform.processor() or platform.machine()
    flags = cpu_flags()
    widest = next((text for flag, text in VECTOR_INSTRUCTIONS.items() if flag in flags), None)
    return f"{name} ({widest})" if widest else name


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


def commit():
    """Returns the commit the code is at, with `+` when tracked files differ from it, or None."""
    folder = Path(__file__).parent.parent

    def git(*args):
        return subprocess.run(
            ["git", "-C", str(folder), *args], capture_output=True, text=True, timeout=10
        )

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        # Results are written while a series runs; they do not change the code that made them.
        changed = git("status", "--porcelain", "-uno", "--", "*.py", "constraints.txt")
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode != 0:
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def command():
    """Returns the command line of this process as one would type it in a clone."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        program = Path(program.parent.name)
    elif program.name == "train.py":
        return shlex.join(["python", f"recipes/{program.parent.name}/train.py", *sys.argv[1:]])
    return shlex.join([program.name, *sys.argv[1:]])


def describe(seed, data):
    """Returns what `environment.json` holds.

    Args:
        seed: The training seed.
        data: `DataInfo.to_dict()` of the data trained on.
    """
    import keras

    from common.backend import accelerators

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpu_count": cpu_count(),
        "accelerators": accelerators(),
        "backend": keras.backend.backend(),
        "versions": versions(),
        "commit": commit(),
        "seed": seed,
        "command": command(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": data,
    }
