"""Examples per second while training, on every backend and in plain PyTorch.

    python tests/benchmarks/throughput.py [--seconds 15] [--repeats 3] [--output FOLDER]

Networks and batch sizes of the presets `article`, float32, on one cached batch: the model is measured,
not the data. Keras trains by `fit` in a process that starts as a recipe's does (`backend.start`,
`feeding.feed`), PyTorch by the usual loop. Each cell is a process of its own, and the cells take turns.
The whole table is repeated; given are medians. Beside them: GFLOP/s (6 x multiply-adds x examples/s) as a
share of a large float32 matrix product on the same machine in the same run. Nothing else should run
meanwhile.
FOLDER takes a table and a picture, named after the processor's vector instructions
(throughput_avx2.json, .png), as these decide who is ahead; `make bench` puts all of them into the README.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
NAMES = ("mnist_cnn", "cifar10_cnn", "cifar10_resnet", "imdb_bilstm")
# A second way to write the last one in PyTorch.
PACKED = "imdb_bilstm, packed"
# Learning rate: learnt by heart, the one batch would leave gradients so small that they are denormal
# numbers, with which processors take many times as long.
TINY = 1e-6
# What is measured: name -> (KERAS_BACKEND or None, jit_compile).
CELLS = {
    "TensorFlow": ("tensorflow", False),
    "TensorFlow, XLA": ("tensorflow", True),
    "JAX": ("jax", "auto"),
    "PyTorch": ("torch", "auto"),
    "plain PyTorch": (None, None),
}


def batch(name):
    """Returns a batch of the recipe's `article` preset: x and one-hot labels."""
    import numpy as np

    random = np.random.default_rng(0)
    if name in ("imdb_bilstm", PACKED):
        size = 32
        x = random.integers(2, 10_000, (size, 250)).astype("int32")
        # As in the real set: the median review fills three quarters of the row.
        for row, length in zip(x, random.integers(60, 320, size), strict=True):
            row[min(length, 250) :] = 0
        return x, random.integers(0, 2, (size, 1)).astype("float32")
    size = 32 if name == "cifar10_cnn" else 128
    shape = (28, 28, 1) if name == "mnist_cnn" else (32, 32, 3)
    x = random.integers(0, 256, (size, *shape)).astype("uint8")
    return x, np.eye(10, dtype="float32")[random.integers(0, 10, size)]


def keras_trainer(name, x, y, jit):
    """Returns a function that trains a number of steps of the recipe's own model."""
    from common.basics import backend
    from common.runs import registry

    backend.start()
    import keras

    from common.layers.fast_adam import FusedAdam
    from common.training.feeding import feed, per_call

    config = registry.load(name).PRESETS["article"]
    keras.utils.set_random_seed(0)
    model = registry.load_model_module(name).build_model(config, max(y.shape[1], 2))
    optimizer = keras.optimizers.Adam(TINY)
    if name == "cifar10_resnet":
        optimizer = keras.optimizers.SGD(TINY, momentum=0.9, weight_decay=1e-3)
    elif name == "imdb_bilstm":
        optimizer = FusedAdam(TINY)
    loss = "categorical_crossentropy" if y.shape[1] > 1 else "binary_crossentropy"
    model.compile(optimizer, loss, jit_compile=jit)
    if jit is True and not model.jit_compile:
        raise SystemExit("XLA cannot compile it")

    class Repeated(keras.utils.PyDataset):
        """The batch, a number of times."""

        def __init__(self, steps):
            super().__init__()
            self.steps = steps

        num_batches = property(lambda self: self.steps)

        def __getitem__(self, index):
            return x, y

    model.steps_per_execution = per_call(Repeated(1))
    return lambda steps: model.fit(feed(Repeated(steps)), shuffle=False, verbose=0)


def multiply_adds(name):
    """Returns the multiply-adds of a forward pass of one example."""
    import keras
    import numpy as np

    from common.runs import registry

    if name in ("imdb_bilstm", PACKED):
        # Two directions, four gates, input and recurrent products, 250 steps; the head is nothing.
        return 2 * 4 * (64 + 64) * 64 * 250
    config = registry.load(name).PRESETS["article"]
    model = registry.load_model_module(name).build_model(config, 10)
    total = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            places = np.prod(layer.output.shape[1:-1]) if len(layer.output.shape) == 4 else 1
            total += int(places) * int(np.prod(layer.kernel.shape))
    return total


def matrix_product(seconds=3.0, size=2048):
    """Returns the GFLOP/s of a large float32 matrix product in NumPy."""
    import numpy as np

    a = np.random.default_rng(0).random((size, size), dtype="float32")
    a @ a
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        a @ a
        count += 1
    return 2e-9 * size**3 * count / (time.perf_counter() - begun)


def measure(cell, name, seconds):
    """Measures one cell in this process; returns a dict."""
    backend, jit = CELLS[cell]
    x, y = batch(name)
    if backend is None:
        from tests.benchmarks.peers import trainer

        step = trainer(name, x, y, TINY)

        def train(steps):
            for _ in range(steps):
                step()
    else:
        train = keras_trainer(name, x, y, jit)
    train(3)  # compiles
    begun = time.perf_counter()
    train(5)
    count = max(round(5 * seconds / (time.perf_counter() - begun)), 5)
    cpu, begun = _cpu(), time.perf_counter()
    train(count)
    wall = time.perf_counter() - begun
    return {
        "examples_per_second": count * len(x) / wall,
        "cpu_seconds_per_1000": 1000 * (_cpu() - cpu) / (count * len(x)),
    }


def _cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_cell(cell, name, seconds):
    """Measures a cell in a process of its own; returns its dict, or None where it cannot run."""
    backend = CELLS[cell][0]
    done = subprocess.run(
        [sys.executable, __file__, "--cell", cell, "--name", name, "--seconds", str(seconds)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend or "torch", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        print(f"{cell}, {name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def table(results):
    """Returns the Markdown table of medians."""
    lines = [
        "| network | " + " | ".join(CELLS) + " |",
        "|---|" + "---|" * len(CELLS),
    ]
    for name, cells in results["cells"].items():
        row = []
        for cell in CELLS:
            found = [each["examples_per_second"] for each in cells.get(cell, [])]
            if not found:
                row.append("-")
                continue
            rate = statistics.median(found)
            cpu = statistics.median(each["cpu_seconds_per_1000"] for each in cells[cell])
            gflops = 6e-9 * results["multiply_adds"][name] * rate
            share = gflops / results["matrix_gflops"]
            row.append(f"**{rate:,.0f}**; {cpu:.2f} s; {gflops:.0f} ({share:.2f})")
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    lines.append("")
    lines.append(
        f"Examples/s; CPU seconds for 1,000; GFLOP/s and, in brackets, their share of a large float32 "
        f"matrix product ({results['matrix_gflops']:.0f} GFLOP/s). Networks and batch sizes of the "
        f"presets `article`, float32, one cached batch; median of {_turns(results)} turns of "
        f"{results['seconds']:g} s. {results['machine']}."
    )
    if PACKED in results["cells"]:
        lines[-1] += (
            " The backward direction of plain PyTorch's LSTM reads padding, Keras' and the recipe's do "
            "not; with packed rows PyTorch computes what they do."
        )
    return "\n".join(lines)


def _turns(results):
    """Returns how many turns the cells had, e.g. `3` or `3 to 8`."""
    turns = {len(found) for cells in results["cells"].values() for found in cells.values() if found}
    return " to ".join(map(str, sorted({min(turns), max(turns)})))


def draw(results, path):
    """Writes the picture: examples/s as multiples of plain PyTorch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.6), dpi=130, layout="constrained")
    axes = figure.subplots()
    names, ahead = [name for name in results["cells"] if name != PACKED], 0
    shades = dict(zip(CELLS, ("#12467f", "#6f93b8", "#d98200", "#8a97a6", "#333333"), strict=True))
    for index, name in enumerate(names):
        rates = {
            cell: statistics.median(each["examples_per_second"] for each in found)
            for cell, found in results["cells"][name].items()
            if found
        }
        ahead += rates["TensorFlow"] >= rates["plain PyTorch"]
        for place, (cell, rate) in enumerate(rates.items()):
            ratio = rate / rates["plain PyTorch"]
            at = index + (place - 2) * 0.16
            axes.bar(at, ratio, 0.15, color=shades[cell], label=cell if index == 0 else None)
            axes.text(at, ratio, f"{ratio:.2f}", ha="center", va="bottom", fontsize=6.5)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("training speed, plain PyTorch = 1")
    axes.set_title(
        f"Keras on TensorFlow is ahead of plain PyTorch on {ahead} of {len(names)} networks",
        loc="left",
        fontsize=11,
    )
    axes.legend(frameon=False, fontsize=8, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def machine():
    """Returns the machine and the versions in words."""
    from common.basics import processor
    from common.runs import environment

    versions = environment.versions()
    named = ", ".join(
        f"{name} {versions[name]}"
        for name in ("keras", "tensorflow", "jax", "torch")
        if name in versions
    )
    return f"{processor.cpu_count()} cores of {processor.cpu_name()}, {named}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cells", default=",".join(CELLS).replace("TensorFlow, XLA", "XLA"))
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--output", type=Path)
    parser.add_argument(
        "--add", action="store_true", help="keep the turns that the file in FOLDER holds already"
    )
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        print(json.dumps(measure(arguments.cell, arguments.name, arguments.seconds)))
        return
    wanted = [c for c in CELLS if c.replace("TensorFlow, ", "") in arguments.cells.split(",")]
    names = arguments.names.split(",")
    if "imdb_bilstm" in names and "plain PyTorch" in wanted:
        names.append(PACKED)
    from common.basics import processor

    kind = processor.vector_instructions() or platform.machine()
    file = (arguments.output or Path()) / f"throughput_{kind.lower()}.json"
    results = {"seconds": arguments.seconds, "products": [], "cells": {}}
    if arguments.add:
        if not file.exists():
            parser.error(f"--add: there is no {file} to add to")
        results = json.loads(file.read_text())
        if results["seconds"] != arguments.seconds:
            parser.error(f"--add: the turns of {file} took {results['seconds']:g} s each")
    products = results["products"]
    products.append(matrix_product())
    for turn in range(arguments.repeats):
        for name in names:
            for cell in ["plain PyTorch"] if name == PACKED else wanted:
                found = run_cell(cell, name, arguments.seconds)
                rows = results["cells"].setdefault(name, {}).setdefault(cell, [])
                if found:
                    rows.append(found)
                    rate = found["examples_per_second"]
                    print(f"turn {turn + 1}: {name}, {cell}: {rate:,.0f} examples/s", flush=True)
        products.append(matrix_product())
    results["matrix_gflops"] = statistics.median(products)
    results["multiply_adds"] = {name: multiply_adds(name) for name in results["cells"]}
    results["machine"] = machine()
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(results, indent=1) + "\n")
        draw(results, file.with_suffix(".png"))
    print(table(results))


if __name__ == "__main__":
    main()
