"""Starts the processes of a training on several hosts, on one machine, and reads what they leave."""

import csv
import io
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS = 400
TIMES = ("seconds", "cpu_seconds", "examples_per_second")


class Group:
    """Processes that were started together.

    Args:
        words: Words after `python`.
        count: How many.
        cwd: Folder that they run in.
        cache: Folder for what JAX compiles.
        each: Function from the number of a process to more environment variables.
    """

    def __init__(self, words, count=2, *, cwd, cache, each=lambda number: {}):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.processes = [
            start(
                words,
                cwd=cwd,
                cache=cache,
                JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{port}",
                JAX_NUM_PROCESSES=str(count),
                JAX_PROCESS_ID=str(number),
                **each(number),
            )
            for number in range(count)
        ]

    def wait(self):
        """Returns exit code, standard output and standard error of each process."""
        found = []
        try:
            for process in self.processes:
                out, err = process.communicate(timeout=SECONDS)
                found.append((process.returncode, out, err))
        finally:
            for process in self.processes:
                process.kill()
        return found

    def seconds_until_all_end(self, first):
        """Returns by how much the last process ended later than process `first`."""
        self.processes[first].wait(SECONDS)
        begun = time.monotonic()
        for process in self.processes:
            process.wait(SECONDS)
        return time.monotonic() - begun


def start(words, *, cwd, cache, **environment):
    """Starts `python WORDS...` with JAX on the CPU. These processes may use the network: each other's."""
    variables = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    variables |= {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "KERAS_RECIPE_BOX_CACHE": str(cache),
        # What a process leaves behind is seen.
        "TMPDIR": str(cwd),
    }
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=variables | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, Ctrl-C is ignored, and children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def alone(words, *, cwd, cache, devices=1):
    """Runs `python WORDS...` as one process with virtual devices; returns code, output and errors."""
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    process = start(words, cwd=cwd, cache=cache, **flags)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def history(run):
    """Returns the rows of history.csv as texts, without times."""
    with open(run / "history.csv") as file:
        return [
            {name: value for name, value in row.items() if name not in TIMES}
            for row in csv.DictReader(file)
        ]


def weights(file):
    """Returns the bytes of all arrays in a .keras file, by name."""
    import h5py

    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with zipfile.ZipFile(file) as archive:
        data = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(data) as held:
        held.visititems(add)
    return found
