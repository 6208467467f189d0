"""What is spent beside training: start-up, first batch, input pipeline, our `fit`, searches, memory.

    TFDS_DATA_DIR=... python tests/benchmarks/overheads.py [--repeats 5] [--output FOLDER]

Medians; each figure from processes of its own, the two sides of a ratio in turns. Nothing else should
run meanwhile.
"""

import argparse
import contextlib
import dataclasses
import functools
import itertools
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
NAMES = ("mnist_cnn", "cifar10_cnn", "cifar10_resnet", "imdb_bilstm")


def help_seconds():
    """Returns the seconds that `recipes train mnist_cnn --help` takes."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "recipes", "train", "mnist_cnn", "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - begun


def first_batch(name):
    """Returns the seconds from Keras' import to the first batch, with the arrays cached.

    Everything that a training does before it: reading, encoding, building and compiling the model.
    """
    from common.basics import backend

    backend.start()
    begun = time.perf_counter()
    prepared(name)["train"][0]
    return time.perf_counter() - begun


def prepared(name, preset="best"):
    """Returns the `model` and the `train` batches of a preset as its train() makes them."""
    from common.runs import registry
    from common.runs.options import Options
    from common.runs.run import Run
    from common.training import fit as training

    caught = {}

    class Caught(Exception):
        """The recipe has made what it trains with."""

    def fit(model, run, train, validation, **options):
        caught.update(model=model, train=train)
        raise Caught

    module = registry.load(name)
    original, training.fit = training.fit, fit
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Caught):
            options = Options(run_dir=Path(folder) / "r")
            run = Run(name, module.PRESETS[preset], options, preset)
            run.open()
            run.load(module.load_data)
            module.train(run.config, run)
    finally:
        training.fit = original
    return caught


def pipeline(name, seconds=3.0, pairs=20):
    """Returns the share of a training's CPU time that ends when TensorFlow holds the batches already.

    Both sides go through Keras' fit, in turns, each for so many seconds; the median over the pairs.
    CPU time, because neighbours disturb wall time by more than what is measured here.
    """
    from common.basics import backend

    backend.start()
    import tensorflow as tf

    from common.training.feeding import feed, per_call

    found = prepared(name)
    model, batches = found["model"], found["train"]
    real = feed(batches)
    size = model.steps_per_execution = per_call(batches)

    def spent(data, steps=None):
        return cpu(model.fit, data, steps_per_epoch=steps, shuffle=False, verbose=0)

    # Whole calls: Keras fills up the last one where there are more batches.
    count = max(steps_of(functools.partial(spent, real), seconds, batches) // size, 1) * size

    held = tf.data.Dataset.from_generator(
        lambda: (batches[index] for index in range(count)), output_signature=real.element_spec
    )
    held = held.apply(tf.data.experimental.assert_cardinality(count)).cache()
    held = held.with_options(real.options())
    spent(held)
    return statistics.median(1 - spent(held) / spent(real, count) for _ in range(pairs))


def fit_overhead(name="cifar10_cnn", seconds=3.0, pairs=20):
    """Returns the share of an epoch's time that `recipes train` spends beside bare model.fit.

    The sum of two, because whole epochs vary by more: the wall time of a whole epoch's callbacks, all
    that is saved included, over the rest of it; and the CPU time of our batches over that of arrays
    handed to fit, as in `pipeline`.
    """
    from common.basics import backend

    backend.start()
    import numpy as np

    from common.runs import registry
    from common.runs.options import Options
    from common.runs.run import Run
    from common.training.feeding import feed

    module = registry.load(name)
    config = dataclasses.replace(module.PRESETS["article"], epochs=2)
    with tempfile.TemporaryDirectory() as folder, callback_spans() as spans:
        run = Run(name, config, Options(run_dir=Path(folder) / "r", report=False), "custom")
        run.open()
        run.load(module.load_data)
        module.train(config, run)
    # The first epoch compiles.
    epoch = spans[[hook for hook, *_ in spans].index("on_epoch_end") + 1 :]
    epoch = epoch[: [hook for hook, *_ in epoch].index("on_epoch_end") + 1]
    inside = sum(end - begun for _, begun, end in epoch)
    whole = epoch[-1][2] - epoch[0][1]

    found = prepared(name, "article")
    model, batches = found["model"], found["train"]
    real, size = feed(batches), batches.batch_size
    x, y = np.asarray(batches.x), np.eye(batches.num_classes, dtype="float32")[batches.y]

    def ours(steps):
        return cpu(model.fit, real, steps_per_epoch=steps, shuffle=False, verbose=0)

    def bare(steps):
        return cpu(model.fit, x[: steps * size], y[: steps * size], batch_size=size, verbose=0)

    count = steps_of(ours, seconds, batches)
    bare(count)  # compiles
    fed = statistics.median(ours(count) / bare(count) - 1 for _ in range(pairs))
    return inside / (whole - inside) + fed


@contextlib.contextmanager
def callback_spans():
    """Lists (hook, begun, ended) of what Keras has callbacks do, in seconds, while it is entered."""
    import keras

    cls, spans = keras.callbacks.CallbackList, []
    hooks = ("on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_test_begin")
    originals = {hook: getattr(cls, hook) for hook in (*hooks, "on_test_end", "on_epoch_end")}

    def timed(hook, original):
        def call(*arguments, **options):
            begun = time.perf_counter()
            original(*arguments, **options)
            spans.append((hook, begun, time.perf_counter()))

        return call

    for hook, original in originals.items():
        setattr(cls, hook, timed(hook, original))
    try:
        yield spans
    finally:
        for hook, original in originals.items():
            setattr(cls, hook, original)


def cpu(function, *arguments, **options):
    """Returns the CPU seconds of a call, of all threads."""
    begun = time.process_time()
    function(*arguments, **options)
    return time.process_time() - begun


def steps_of(training, seconds, batches):
    """Returns how many steps `training(steps)` takes in so many seconds of wall time."""
    training(20)  # compiles
    begun = time.perf_counter()
    training(20)
    count = int(20 * seconds / (time.perf_counter() - begun))
    return min(max(count, 5), batches.num_batches)


def trial_overhead(method, trials=20):
    """Returns the median seconds between one trial's training and the next one's, in a worker.

    Closing the one (record, table, clean-up), choosing the other and making its run folder.
    """
    from common.basics import backend
    from common.runs import registry
    from common.runs.config import to_dict
    from common.tuning.definition import Definition, make_tuner

    backend.start()
    module, spans = registry.load("mnist_cnn"), []
    train = module.train

    def timed(config, run):
        begun = time.perf_counter()
        train(config, run)
        spans.append((begun, time.perf_counter()))

    module.train = timed
    base = to_dict(dataclasses.replace(module.PRESETS["sample"], epochs=1))
    with tempfile.TemporaryDirectory() as folder:
        definition = Definition("mnist_cnn", method, base, "sample", trials, data="sample")
        make_tuner(definition, Path(folder) / "sweep").search()
    # The first trials load the data and fill caches.
    return statistics.median(
        after[0] - before[1] for before, after in itertools.pairwise(spans[2:])
    )


def peak_memory(name="cifar10_cnn"):
    """Returns MB at the peak of a training's process, of its arrays, and of a process with Keras."""
    command = [sys.executable, "-m", "recipes", "train", name, "--preset", "article"]
    command += ["--epochs", "1", "--run-dir", "RUN", "--overwrite", "--no-report"]
    with tempfile.TemporaryDirectory() as folder:
        command[command.index("RUN")] = folder + "/run"
        run = _peak(command)
    empty = _peak([sys.executable, "-c", "import keras; keras.ops.zeros(1)"])
    arrays = 60_000 * 32 * 32 * 3 / 1e6
    return {"run": run, "arrays": arrays, "empty": empty, "ratio": run / (arrays + empty)}


def _peak(command):
    """Returns the largest resident memory of a command's process, MB."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return int(done.stdout) / 1000


PARTS = {
    "first_batch": first_batch,
    "pipeline": pipeline,
    "fit_overhead": fit_overhead,
    "trial_overhead": trial_overhead,
}


def in_process(part, *arguments):
    """Returns a part's figure, from a process of its own."""
    command = [sys.executable, __file__, "--part", part, *arguments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.strip().splitlines()[-1])


def table(results):
    """Returns the Markdown table."""
    memory = results["memory"]
    lines = ["| what | measured |", "|---|---|"]
    lines.append(f"| `recipes train mnist_cnn --help` | {results['help']:.2f} s |")
    for name, value in results["first_batch"].items():
        lines.append(f"| first batch after Keras is imported, {name} | {value:.2f} s |")
    for name, value in results["pipeline"].items():
        lines.append(f"| input pipeline of `best`, share of the CPU time, {name} | {value:.1%} |")
    lines.append(
        f"| an epoch over bare `model.fit`, cifar10_cnn | {results['fit_overhead']:+.1%} |"
    )
    for method, value in results["trial_overhead"].items():
        lines.append(f"| between two trainings of a search, {method} | {1000 * value:.0f} ms |")
    lines.append(
        f"| peak memory of a CIFAR-10 run | {memory['run']:.0f} MB, {memory['ratio']:.2f} of its arrays "
        f"({memory['arrays']:.0f} MB) and an empty Keras process ({memory['empty']:.0f} MB) |"
    )
    return "\n".join([*lines, "", f"Medians of {results['repeats']}. {results['machine']}."])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(PARTS[arguments.part[0]](*arguments.part[1:]))
        return
    from common.tuning.choice import METHODS
    from tests.benchmarks.throughput import machine

    def median(part, *more):
        found = [in_process(part, *more) for _ in range(arguments.repeats)]
        print(part, *more, [round(value, 3) for value in found], flush=True)
        return statistics.median(found)

    results = {
        "repeats": arguments.repeats,
        "machine": machine(),
        "help": statistics.median(help_seconds() for _ in range(arguments.repeats)),
        "first_batch": {name: median("first_batch", name) for name in NAMES},
        "fit_overhead": median("fit_overhead"),
        # These are medians already: over pairs, and over the trials of a search.
        "pipeline": {name: in_process("pipeline", name) for name in NAMES},
        "trial_overhead": {method: in_process("trial_overhead", method) for method in METHODS},
        "memory": peak_memory(),
    }
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "overheads.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
