"""Search methods on tables of trained configurations: a search of 100 trials costs milliseconds.

    python tests/benchmarks/search_replay.py TABLES --trials 100 --seeds 20

TABLES is a folder with tables.json and NAME.npz (`index`: rows x hyperparameters, the position of each
value in the space; `value`: rows x seeds, NaN where missing). A method sees one seed's value, drawn
at random; it is judged by the mean over seeds of the configuration it thinks best: normalised regret,
0 the best row, 1 the worst. Beside our methods run KerasTuner's own (kt_random, kt_bayesian), which
are given seeds 100,003 apart, because their neighbouring seeds repeat each other's points.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

OURS = ("grid", "random", "bayesian", "evolution", "tpe")
STOCK = ("kt_random", "kt_bayesian")


class Table:
    """A space of which every point has been trained."""

    def __init__(self, folder, name):
        meta = json.loads((Path(folder) / "tables.json").read_text())[name]
        data = np.load(Path(folder) / f"{name}.npz")
        self.name, self.space = name, meta["space"]
        self.best, self.worst = meta["best_mean"], meta["worst_mean"]
        names = list(self.space)
        self.rows = {
            tuple(row): values
            for row, values in zip(data["index"].tolist(), data["value"], strict=True)
        }
        self.places = {name: {v: i for i, v in enumerate(self.space[name])} for name in names}

    def hyperparameters(self):
        import keras_tuner

        hp = keras_tuner.HyperParameters()
        for name, values in self.space.items():
            hp.Choice(name, values)
        return hp

    def values(self, point):
        found = self.rows[tuple(self.places[name][point[name]] for name in self.space)]
        return found[~np.isnan(found)]

    def regret(self, point):
        return (self.best - self.values(point).mean()) / (self.best - self.worst)


class MemoryStore:
    """A store that forgets: the search is the benchmark here, not the disk."""

    def __init__(self):
        self.trials = []

    def read(self):
        return list(self.trials)


def ours(table, method, seed, trials):
    """Runs one of our methods; returns the regret of the incumbent after each trial."""
    import keras_tuner

    from common.tuning import make_oracle
    from common.tuning.store import COMPLETED, Trial

    oracle = make_oracle(
        method,
        objective=keras_tuner.Objective("value", "max"),
        seed=seed,
        max_trials=trials,
        hyperparameters=table.hyperparameters(),
    )
    oracle.store = MemoryStore()
    noise = np.random.default_rng([seed, 7])
    for number in range(trials):
        point = oracle.propose(number, oracle.store.read())
        observed = float(noise.choice(table.values(point)))
        oracle.store.trials.append(Trial(number, point, COMPLETED, score=observed, epochs=1))
    return incumbents(table, [(trial.values, trial.score) for trial in oracle.store.trials])


def stock(table, method, seed, trials):
    """Runs KerasTuner's own oracle; returns the same."""
    import keras_tuner
    from keras_tuner.oracles import BayesianOptimizationOracle, RandomSearchOracle

    cls = RandomSearchOracle if method == "kt_random" else BayesianOptimizationOracle
    with tempfile.TemporaryDirectory() as folder:
        oracle = cls(
            objective=keras_tuner.Objective("value", "max"),
            max_trials=trials,
            seed=1 + seed * 100_003,
            hyperparameters=table.hyperparameters(),
        )
        oracle._set_project_dir(folder, "search")
        oracle.verbose = 0
        noise = np.random.default_rng([seed, 7])
        seen = []
        for _ in range(trials):
            trial = oracle.create_trial("benchmark")
            if trial.status != "RUNNING":
                break
            point = dict(trial.hyperparameters.values)
            observed = float(noise.choice(table.values(point)))
            oracle.update_trial(trial.trial_id, {"value": observed})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            seen.append((point, observed))
    return incumbents(table, seen)


def incumbents(table, seen):
    best, regrets = None, []
    for point, observed in seen:
        if best is None or observed > best:
            best, regret = observed, table.regret(point)
        regrets.append(regret)
    return regrets


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", default=",".join(OURS + STOCK))
    parser.add_argument("--names", default="", help="tables, by comma (default: all)")
    parser.add_argument("--output", type=Path, help="write all regrets as JSON")
    arguments = parser.parse_args()
    names = list(json.loads((arguments.tables / "tables.json").read_text()))
    results = {}
    for name in arguments.names.split(",") if arguments.names else names:
        table = Table(arguments.tables, name)
        results[name] = {}
        print(f"\n{name}, median normalised regret x 1000 (share of random's), CPU ms a trial")
        for method in arguments.methods.split(","):
            run = stock if method in STOCK else ours
            start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            wall = time.perf_counter()
            curves = [run(table, method, seed, arguments.trials) for seed in range(arguments.seeds)]
            cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime - start
            results[name][method] = curves
            cells = []
            for at in (25, 50, 100):
                if at <= arguments.trials:
                    median = statistics.median(curve[min(at, len(curve)) - 1] for curve in curves)
                    base = results[name].get("random")
                    share = ""
                    if base:
                        of_random = statistics.median(curve[at - 1] for curve in base)
                        share = f" ({median / max(of_random, 1e-12):.2f})"
                    cells.append(f"{at}: {1000 * median:7.2f}{share}")
            per_trial = 1000 * cpu / (arguments.seeds * arguments.trials)
            print(
                f"{method:<12} {'   '.join(cells)}   {per_trial:8.1f} ms   "
                f"[{time.perf_counter() - wall:.0f} s]",
                flush=True,
            )
    if arguments.output:
        arguments.output.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
