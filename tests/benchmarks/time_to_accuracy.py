"""Seconds until `best` is as good as the article's script ends, and accuracy against CPU time.

    TFDS_DATA_DIR=... python tests/benchmarks/time_to_accuracy.py --output FOLDER [--names mnist_cnn]

For each recipe, in turn and each in a process of its own: the article's script as written, the example
on keras.io where there is one, and the presets `article` and `best`. After each epoch the test accuracy
is taken, outside the clock. (It chooses nothing here: it is the target that is given.) Imports and the
reading of data are not counted, compilation is. Nothing else should run meanwhile.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
NAMES = ("mnist_cnn", "cifar10_cnn", "imdb_bilstm")
PRESETS = ("article", "best")


def run_script(name, which, seed):
    """Trains what people would run instead; returns rows of wall, cpu and accuracy."""
    import keras
    import numpy as np

    from common.data import Source
    from common.runs import registry
    from tests.benchmarks.probe import TestAccuracy
    from tests.benchmarks.scripts import SCRIPTS

    module = registry.load(name)
    splits = module.load_data(module.PRESETS["article"], Source("full"))
    test = splits.test
    if isinstance(splits.train.x, np.ndarray):
        x = np.concatenate([splits.train.x, splits.val.x])
    else:
        x = [*splits.train.x, *splits.val.x]
    y = np.concatenate([splits.train.y, splits.val.y])
    # The splits come class by class or in whatever order; validation_split takes the end.
    order = np.random.default_rng(0).permutation(len(y))
    x = x[order] if isinstance(x, np.ndarray) else [x[index] for index in order]
    keras.utils.set_random_seed(seed)
    model, x, y, inputs, fit = SCRIPTS[name][which](x, y[order], test.x, test.y)
    probe = TestAccuracy(inputs, test.y)
    callbacks = [probe, *fit.pop("callbacks", [])]
    model.fit(x, y, callbacks=callbacks, verbose=2, **fit)
    return probe.rows


def run_preset(name, preset, seed):
    """Trains a preset; returns the same."""
    from common.runs import registry
    from common.runs.options import Options
    from common.runs.run import Run
    from tests.benchmarks.probe import TestAccuracy, watching

    module = registry.load(name)
    config = dataclasses.replace(module.PRESETS[preset], seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(name, config, Options(run_dir=Path(folder) / "run", report=False), preset)
        run.open()
        splits = run.load(module.load_data)
        inputs = splits.test.x
        if hasattr(module, "encode"):
            from common.data.text import TextEncoder

            encoder = TextEncoder.fit(splits.train.x, config.vocabulary_size, config.max_tokens)
            inputs = encoder.encode(splits.test.x)
        probe = TestAccuracy(inputs, splits.test.y)
        with watching(probe):
            module.train(config, run)
    return probe.rows


def measure(name, which, seed):
    """Returns the rows of one training, in this process."""
    if which not in PRESETS:
        return run_script(name, which, seed)
    from common.basics import backend

    backend.start()
    return run_preset(name, which, seed)


def table(results):
    """Returns the Markdown table."""
    lines = [
        "| recipe | article's script: ends at | after | `best` is there after | times as fast | "
        "`best` ends at | after |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, measured in results.items():
        end, best = measured["runs"]["documents"][-1], measured["runs"]["best"]
        there = next((row for row in best if row["accuracy"] >= end["accuracy"]), None)
        cells = ["never", "-"]
        if there:
            cells = [f"{there['wall']:.0f} s", f"{end['wall'] / there['wall']:.1f}"]
        lines.append(
            f"| {name} | {end['accuracy']:.2%} | {end['wall']:.0f} s | {' | '.join(cells)} | "
            f"{best[-1]['accuracy']:.2%} | {best[-1]['wall']:.0f} s |"
        )
    machines = {}
    for name, measured in results.items():
        machines.setdefault(measured["machine"], []).append(name)
    lines.append("")
    lines += [f"{', '.join(names)}: {machine}." for machine, names in machines.items()]
    return "\n".join(lines)


def draw(name, runs, path):
    """Writes the picture: test accuracy against CPU seconds."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    figure = Figure(figsize=(7.0, 4.0), dpi=130, layout="constrained")
    axes = figure.subplots()
    for (which, rows), style in zip(runs.items(), ("--", ":", "-.", "-"), strict=False):
        errors = [100 * (1 - row["accuracy"]) for row in rows]
        axes.plot([row["cpu"] for row in rows], errors, style, marker="o", ms=3, label=which)
    ahead = min(runs, key=lambda which: 1 - runs[which][-1]["accuracy"])
    axes.set_title(f"{name}: {ahead} ends with the fewest errors", loc="left", fontsize=11)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("CPU seconds of training")
    axes.set_ylabel("test error, %")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        rows = measure(*arguments.one, arguments.seed)
        arguments.output.write_text(json.dumps(rows))
        return
    from tests.benchmarks.scripts import SCRIPTS
    from tests.benchmarks.throughput import machine

    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / "time_to_accuracy.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in arguments.names.split(","):
        runs = {}
        for which in (*SCRIPTS[name], *PRESETS):
            print(f"{name}, {which}", flush=True)
            with tempfile.NamedTemporaryFile(suffix=".json") as place:
                command = [sys.executable, __file__, "--one", name, which]
                command += ["--seed", str(arguments.seed), "--output", place.name]
                environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
                subprocess.run(command, check=True, env=environment)
                runs[which] = json.loads(Path(place.name).read_text())
        results[name] = {"machine": machine(), "runs": runs}
        file.write_text(json.dumps(results, indent=1) + "\n")
        draw(name, runs, arguments.output / f"time_to_accuracy_{name}.png")
    print(table(results))


if __name__ == "__main__":
    main()
