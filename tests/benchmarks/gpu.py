"""On a GPU with JAX: seconds an epoch, compiled whole or batch by batch, in float32 and bfloat16.

    KERAS_BACKEND=jax python tests/benchmarks/gpu.py --output FOLDER

Each cell trains a preset on the real data for some epochs in a process of its own, as `recipes train`
does. Given are the median epoch without the first one, validation and files included, and the first,
which compiles. Needs an array cache or TFDS_DATA_DIR.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
CELLS = (("cifar10_cnn", "best"), ("cifar10_resnet", "article"))
WAYS = {
    "batch by batch": (False, "float32"),
    "whole epochs": (True, "float32"),
    "whole epochs, bfloat16": (True, "mixed_bfloat16"),
}


def measure(name, preset, way, epochs):
    """Trains in this process; returns seconds and what ran on what."""
    from common.basics import backend
    from common.runs import registry
    from common.runs.options import Options
    from common.runs.run import Run
    from common.training import whole_epochs

    backend.start()
    whole, precision = WAYS[way]
    if not whole:
        whole_epochs.suit = lambda batches: False
    module = registry.load(name)
    config = dataclasses.replace(module.PRESETS[preset], epochs=epochs, precision=precision)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(name, config, Options(run_dir=Path(folder) / "run", report=False), preset)
        run.open()
        run.load(module.load_data)
        module.train(config, run)
        rows = run.path("history.csv").read_text().splitlines()
        column = rows[0].split(",").index("seconds")
        seconds = [float(row.split(",")[column]) for row in rows[1:]]
    return {
        "epoch": statistics.median(seconds[1:]),
        "first": seconds[0],
        "all": time.perf_counter() - begun,
        "accelerators": backend.accelerators(),
    }


def table(results):
    """Returns the Markdown table."""
    lines = [
        "| recipe | preset | " + " | ".join(WAYS) + " |",
        "|---|---|" + "---|" * len(WAYS),
    ]
    for name, preset in dict.fromkeys((row["name"], row["preset"]) for row in results["cells"]):
        found = {
            row["way"]: f"{row['epoch']:.2f} ({row['first']:.0f})"
            for row in results["cells"]
            if (row["name"], row["preset"]) == (name, preset)
        }
        cells = [found.get(way, "-") for way in WAYS]
        lines.append(f"| {name} | `{preset}` | {' | '.join(cells)} |")
    lines.append("")
    lines.append(
        "Seconds an epoch, median, and of the first one, which compiles, in brackets. "
        f"{results['machine']}."
    )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one, arguments.epochs)))
        return
    from tests.benchmarks.throughput import machine

    cells, devices = [], []
    for name, preset in CELLS:
        for way in WAYS:
            command = [sys.executable, __file__, "--one", name, preset, way]
            command += ["--epochs", str(arguments.epochs)]
            done = subprocess.run(command, env=os.environ, capture_output=True, text=True)
            if done.returncode:
                print(f"{name} {preset}, {way}: {done.stderr[-500:]}", file=sys.stderr)
                continue
            found = json.loads(done.stdout.strip().splitlines()[-1])
            devices = found.pop("accelerators")
            cells.append({"name": name, "preset": preset, "way": way, **found})
            print(cells[-1], flush=True)
    results = {"machine": f"{', '.join(devices)}; {machine()}", "cells": cells}
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "gpu.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
