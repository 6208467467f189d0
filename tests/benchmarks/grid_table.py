"""Trains every configuration of a small space three times: the table that search_replay.py searches.

    TFDS_DATA_DIR=... python tests/benchmarks/grid_table.py FOLDER [--workers 2]

The recipe is cifar10_cnn, its plain network made small, on 2,000 training images of CIFAR-10 (1,000 more
for validation, 2,000 of the test split for testing), 5 epochs. FOLDER collects a line per training; the
same command goes on where it ended, and writes tables/cifar10_small.npz beside this file when all
2,592 trainings are there:

    index     int8   (rows, hyperparameters)  position of each value in the space
    curve     float16 (rows, seeds, epochs)   validation accuracy after each epoch; NaN once diverged
    value     float32 (rows, seeds)           the best of these epochs, what a search sees
    test      float32 (rows, seeds)           test accuracy of the last epoch
    seconds   float32 (rows, seeds)           of the training
"""

import argparse
import gc
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
NAME = "cifar10_small"
SEEDS = 3
EPOCHS = 5
SPACE = {
    "learning_rate": [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1],
    "optimizer": ["adam", "sgd"],
    "batch_size": [32, 128],
    "dropout_rate": [0.0, 0.25, 0.5],
    "filters": ["4-8", "8-16"],
    "flip": [False, True],
    "weight_decay": [0.0, 1e-2, 1e-1],
}
ROWS = list(itertools.product(*(range(len(values)) for values in SPACE.values())))


def config_of(row, seed):
    """Returns the Config of a row of the table."""
    from recipes.cifar10_cnn.train import Config

    point = {name: SPACE[name][index] for name, index in zip(SPACE, row, strict=True)}
    filters = tuple(int(each) for each in point.pop("filters").split("-"))
    return Config(
        **point,
        seed=seed,
        filters=filters,
        validation_fraction=1 / 3,
        dense_units=32,
        schedule="one_cycle",
        epochs=EPOCHS,
        monitor="val_accuracy",
    )


def work(folder, worker, workers):
    """Trains this worker's share of what is missing, a line in its file for each."""
    from common.basics import backend

    backend.start()
    from common.basics.errors import RecipeError
    from common.data import Source
    from common.tuning.trial_run import TrialRun, read_history
    from recipes.cifar10_cnn import train as recipe
    from tests.benchmarks.probe import TestAccuracy, watching

    splits = recipe.load_data(config_of(ROWS[0], 0), Source(str(folder / "data.npz")))
    done = set(finished(folder))
    todo = [(row, seed) for seed in range(SEEDS) for row in range(len(ROWS))]
    todo = [each for each in todo[worker::workers] if each not in done]
    with (folder / f"rows-{worker}.jsonl").open("a") as file:
        for number, (row, seed) in enumerate(todo):
            begun = time.perf_counter()
            probe = TestAccuracy(splits.test.x, splits.test.y, every_epoch=False)
            with tempfile.TemporaryDirectory() as place, watching(probe):
                config = config_of(ROWS[row], seed)
                run = TrialRun("cifar10_cnn", config, Path(place) / "run", splits, lambda _: False)
                try:
                    recipe.train(config, run)
                except RecipeError as error:
                    print(f"row {row}, seed {seed}: {error}", flush=True)
                curve = read_history(run).get("val_accuracy", [])
            backend.clear()
            if number == 0:
                gc.freeze()  # As a search does.
            seconds = time.perf_counter() - begun
            line = {
                "row": row,
                "seed": seed,
                "curve": curve,
                "test": [row["accuracy"] for row in probe.rows],
            }
            print(json.dumps({**line, "seconds": round(seconds, 3)}), file=file, flush=True)
            if number % 50 == 0:
                left = (len(todo) - number - 1) * seconds / 60
                print(
                    f"worker {worker}: {number + 1} of {len(todo)}, {left:.0f} min left", flush=True
                )


def finished(folder):
    """Returns a dict from (row, seed) to the line of it; a line cut off by a kill does not count."""
    found = {}
    for path in sorted(folder.glob("rows-*.jsonl")):
        for text in path.read_text().splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            found[line["row"], line["seed"]] = line
    return found


def pack(folder):
    """Writes the table and its description, and prints what there is to find."""
    found = finished(folder)
    curve = np.full((len(ROWS), SEEDS, EPOCHS), np.nan, "float32")
    test, seconds = (np.full((len(ROWS), SEEDS), np.nan, "float32") for _ in range(2))
    for (row, seed), line in found.items():
        curve[row, seed, : len(line["curve"])] = line["curve"]
        seconds[row, seed] = line["seconds"]
        if line["test"]:
            test[row, seed] = line["test"][0]
    # One that diverged is worth a guess among ten classes, not an early epoch's accuracy.
    value = np.where(np.isnan(curve[:, :, -1]), 0.1, np.nanmax(np.nan_to_num(curve), axis=2))
    means = value.mean(axis=1)
    tables = Path(__file__).parent / "tables"
    tables.mkdir(exist_ok=True)
    np.savez_compressed(
        tables / f"{NAME}.npz",
        index=np.array(ROWS, "int8"),
        curve=curve.astype("float16"),
        value=value.astype("float32"),
        test=test,
        seconds=seconds,
    )
    meta = {
        "space": SPACE,
        "epochs": EPOCHS,
        "best_mean": float(means.max()),
        "worst_mean": float(means.min()),
    }
    (tables / "tables.json").write_text(json.dumps({NAME: meta}, indent=1) + "\n")
    print(f"best mean {means.max():.4f}, median {np.median(means):.4f}, worst {means.min():.4f}")
    print(f"standard deviation over seeds {value.std(axis=1, ddof=1).mean():.4f} on average")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.worker is not None:
        work(arguments.folder, arguments.worker, arguments.workers)
        return
    from tests.benchmarks.live import write_part

    write_part("cifar10_cnn", arguments.folder / "data.npz")
    command = [sys.executable, __file__, str(arguments.folder), "--workers", str(arguments.workers)]
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen([*command, "--worker", str(index)], env={**os.environ, **threads})
        for index in range(arguments.workers)
    ]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        raise SystemExit(f"a worker failed; run it again: {codes}")
    pack(arguments.folder)


if __name__ == "__main__":
    main()
