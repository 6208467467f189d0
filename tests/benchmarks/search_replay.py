"""Search methods on tables of trained configurations: a search of 100 trials costs milliseconds.

    python tests/benchmarks/search_replay.py [TABLES] --trials 100 --seeds 20 --output FOLDER

TABLES is a folder with tables.json and NAME.npz (default: tables/ beside this file; grid_table.py made
it). `index` holds rows x hyperparameters, the position of each value in the space; `value` rows x
seeds, NaN where missing; and where there is one, `curve` rows x seeds x epochs and `test` rows x seeds.

A method sees one training seed's values, drawn at random; it is judged by the mean over seeds of the
configuration it thinks best: normalised regret, 0 the best row, 1 the worst. The budget is counted in
epochs: where the table has curves, the median rule prunes as in a sweep, and Hyperband's short trials
cost what they train. Beside our methods run KerasTuner's own (kt_...), given seeds 100,003 apart,
because their neighbouring seeds repeat each other's points.

With --mean a method sees the mean curve over the training seeds instead: what is left is how it
searches, without the luck of single trainings. A training still counts once.

Printed: the median over searches after a quarter, half and all of the budget; its ratio to random's
with a 95 % interval (bootstrap over searches, in pairs of equal seeds); the mean rank; the test accuracy
of what was chosen; CPU time a trial; and the regret of the best score among *all* points. FOLDER
takes regrets as JSON, after each search, and a picture of each table; what it has of methods that are not
named stays, and the same command goes on where it was interrupted: a method that has all of its searches
there is run again.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
OURS = ("random", "grid", "bayesian", "hyperband", "evolution", "tpe")
STOCK = ("kt_random", "kt_bayesian", "kt_hyperband")


class Table:
    """A space of which every point has been trained.

    Args:
        folder: Where tables.json and NAME.npz are.
        name: The table's name.
        mean: Show methods the mean over training seeds.
    """

    def __init__(self, folder, name, mean=False):
        meta = json.loads((Path(folder) / "tables.json").read_text())[name]
        data = np.load(Path(folder) / f"{name}.npz")
        self.name, self.space = name, meta["space"]
        self.best, self.worst = meta["best_mean"], meta["worst_mean"]
        self.value = data["value"]
        self.curve = data["curve"].astype("float64") if "curve" in data else None
        self.test = data.get("test")
        self.epochs = meta.get("epochs", 1)
        self.lowest = float(np.nanmin(self.value))
        if mean:
            self.name += "_mean"
            if self.curve is not None:
                trained = ~np.isnan(self.value)[..., None]
                self.curve = np.mean(self._whole(self.curve), axis=1, keepdims=True, where=trained)
            self.value = np.nanmean(self.value, axis=1, keepdims=True)
        self.rows = {tuple(row): i for i, row in enumerate(data["index"].tolist())}
        self.places = {
            name: {value: index for index, value in enumerate(values)}
            for name, values in self.space.items()
        }

    def hyperparameters(self):
        import keras_tuner

        hp = keras_tuner.HyperParameters()
        for name, values in self.space.items():
            hp.Choice(name, values)
        return hp

    def row(self, point):
        return self.rows[tuple(self.places[name][point[name]] for name in self.space)]

    def train(self, point, random):
        """Returns the curve of one training, with a seed drawn at random."""
        row = self.row(point)
        seeds = np.flatnonzero(~np.isnan(self.value[row]))
        seed = int(random.choice(seeds))
        if self.curve is None:
            return [float(self.value[row, seed])]
        return self._whole(self.curve[row, seed]).tolist()

    def _whole(self, curves):
        """A training that diverged is worth a guess from there on."""
        return np.nan_to_num(curves, nan=self.lowest)

    def regret(self, point):
        return (self.best - np.nanmean(self.value[self.row(point)])) / (self.best - self.worst)

    def exhaustive(self, draws=200):
        """Returns the median regret of the best of *all* points, each scored by one seed.

        A yardstick, not a bound: the more points, the luckier the best score, and a search that looks
        among good points only can end nearer to the best.
        """
        random = np.random.default_rng(0)
        means = np.nanmean(self.value, axis=1)
        regrets = []
        for _ in range(draws):
            keys = np.where(np.isnan(self.value), np.inf, random.random(self.value.shape))
            seen = self.value[np.arange(len(means)), keys.argmin(axis=1)]
            regrets.append((self.best - means[np.argmax(seen)]) / (self.best - self.worst))
        return float(np.median(regrets))

    def test_accuracy(self, point):
        return None if self.test is None else float(np.nanmean(self.test[self.row(point)]))


class MemoryStore:
    """A store that forgets: the search is the benchmark here, not the disk."""

    def __init__(self):
        self.trials = []

    def read(self):
        return list(self.trials)


def ours(table, method, seed, trials):
    """Runs one of our methods; returns (epochs so far, score, point) of each step."""
    import keras_tuner

    from common.tuning.choice import make_oracle
    from common.tuning.score import below_median
    from common.tuning.trial import COMPLETED, PRUNED

    budget = trials * table.epochs
    oracle = make_oracle(
        method,
        objective=keras_tuner.Objective("value", "max"),
        seed=seed,
        max_epochs=budget,
        trial_epochs=table.epochs,
        hyperparameters=table.hyperparameters(),
    )
    store = oracle.store = MemoryStore()
    noise = np.random.default_rng([seed, 7])
    full, spent, seen = {}, 0, []
    while spent < budget:
        trial = oracle.choose(store.read())
        if trial is None:
            break
        if trial.number not in full:
            full[trial.number] = table.train(trial.values, noise)
            store.trials.append(trial)
        curve, done = full[trial.number], trial.epochs
        others = [
            each.curves[0]["value"]
            for each in store.trials
            if each.status == COMPLETED and each.curves
        ]
        limit = trial.epoch_limit or table.epochs
        for epoch in range(done + 1, limit + 1):
            values = curve[:epoch]
            if below_median(values, others, "max", table.epochs):
                break
        trial.epochs, trial.curves, trial.score = epoch, [{"value": values}], max(values)
        trial.status = COMPLETED if epoch == table.epochs else PRUNED
        spent += epoch - done
        seen.append((spent, trial.score, trial.values))
    return seen


def stock(table, method, seed, trials):
    """Runs KerasTuner's own oracle; returns the same."""
    import keras_tuner
    from keras_tuner import oracles

    options = {
        "objective": keras_tuner.Objective("value", "max"),
        "seed": 1 + seed * 100_003,
        "hyperparameters": table.hyperparameters(),
    }
    if method == "kt_hyperband":
        cls = oracles.HyperbandOracle
        options |= {"max_epochs": table.epochs, "factor": 3, "hyperband_iterations": 1000}
    else:
        cls = {
            "kt_random": oracles.RandomSearchOracle,
            "kt_bayesian": oracles.BayesianOptimizationOracle,
        }[method]
        options |= {"max_trials": trials}
    budget, spent, seen, full = trials * table.epochs, 0, [], {}
    noise = np.random.default_rng([seed, 7])
    with tempfile.TemporaryDirectory() as folder:
        oracle = cls(**options)
        oracle._set_project_dir(folder, "search")
        oracle.verbose = 0
        while spent < budget:
            trial = oracle.create_trial("benchmark")
            if trial.status != "RUNNING":
                break
            values = trial.hyperparameters.values
            point = {name: values[name] for name in table.space}
            key = tuple(point.values())
            first = values.get("tuner/initial_epoch", 0)
            last = values.get("tuner/epochs", table.epochs)
            if first == 0:
                full[key] = table.train(point, noise)
            observed = max(full[key][:last])
            oracle.update_trial(trial.trial_id, {"value": observed})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            spent += last - first
            seen.append((spent, observed, point))
    return seen


def incumbents(table, seen, grid):
    """Returns the regret of what is thought best after each number of epochs, and its test accuracy."""
    regrets, best, test = np.ones(len(grid)), None, None
    for spent, score, point in seen:
        if best is None or score > best:
            best = score
            regrets[np.searchsorted(grid, spent) :] = table.regret(point)
            test = table.test_accuracy(point)
    return regrets.tolist(), test


def ratio_interval(values, base, count=2000):
    """Returns the ratio of medians and its 95 % interval, resampling pairs."""
    values, base = np.array(values), np.array(base[: len(values)])
    picks = np.random.default_rng(0).integers(0, len(values), (count, len(values)))
    below = np.maximum(np.median(base[picks], axis=1), 1e-12)
    ratios = np.median(values[picks], axis=1) / below
    whole = np.median(values) / max(np.median(base), 1e-12)
    return whole, *np.percentile(ratios, [2.5, 97.5])


def mean_ranks(finals):
    """Returns each method's mean rank over the searches that all have; equal regrets share theirs."""
    from scipy.stats import rankdata

    count = min(len(values) for values in finals.values())
    ranks = rankdata([values[:count] for values in finals.values()], axis=0)
    return dict(zip(finals, ranks.mean(axis=1), strict=True)), count


def replay(table, methods, trials, seeds, stock_seeds, earlier=None):
    """Runs all searches on a table; yields its part of the result, growing, after each search.

    Args:
        earlier: A result of the same budget. Its other methods are kept, and a method that has fewer
            searches than it is to have goes on after them.
    """
    grid = np.linspace(1, trials * table.epochs, 100)
    result = {
        "table": table.name,
        "points": len(table.rows),
        "exhaustive": round(table.exhaustive(), 5),
        "unit": "trainings" if table.curve is None else "epochs",
        "epochs": np.round(grid, 2).tolist(),
        "methods": {},
    }
    if earlier and earlier["epochs"] == result["epochs"]:
        result["methods"] = earlier["methods"]
    ours(table, "random", 0, 1)  # Imports, before anything is timed.
    for method in methods:
        run, count = (stock, stock_seeds) if method in STOCK else (ours, seeds)
        if method.endswith("hyperband") and table.epochs < 3:
            continue
        one = result["methods"].get(method)
        if one is None or len(one["regrets"]) >= count:
            one = {"regrets": [], "tests": [], "trials": 0.0, "cpu_ms": 0.0}
        for seed in range(len(one["regrets"]), count):
            begun = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            seen = run(table, method, seed, trials)
            cpu = resource.getrusage(resource.RUSAGE_SELF).ru_utime - begun
            one = with_search(one, seen, cpu, *incumbents(table, seen, grid))
            known = {**result["methods"], method: one}
            known = {name: known[name] for name in OURS + STOCK if name in known}
            result = {**result, "methods": known}
            yield result
        print(f"{table.name}: {method} done", file=sys.stderr, flush=True)


def with_search(one, seen, cpu, regrets, test):
    """Returns what is known of a method, with one more search, of `cpu` seconds, counted in."""
    searches = len(one["regrets"])
    before, trials = searches * one["trials"], len(seen)
    return {
        "regrets": [*one["regrets"], [round(value, 5) for value in regrets]],
        "tests": [*one["tests"], test],
        "trials": (before + trials) / (searches + 1),
        "cpu_ms": (before * one["cpu_ms"] + 1000 * cpu) / (before + trials),
    }


def text(result):
    """Returns the Markdown table of a result."""
    results = result["methods"]
    finals = {name: [r[-1] for r in one["regrets"]] for name, one in results.items()}
    # Ratio and rank pair searches of equal seeds; a method with fewer of them is not compared so.
    most = max(map(len, finals.values()))
    paired = {name: values for name, values in finals.items() if len(values) == most}
    ranks, count = mean_ranks(paired)
    title = (
        f"`{result['table']}`: {result['points']:,} points, {result['epochs'][-1]:.0f} "
        f"{result['unit']} a search"
    )
    lines = [
        f"{title}, scores averaged over training seeds."
        if result["table"].endswith("_mean")
        else f"{title}. Training every point once and taking the best score ends at a median of "
        f"{1000 * result['exhaustive']:.1f}.",
        "",
        "| method | searches | regret x 1000, median: 1/4 | 1/2 | all of the budget | of random's "
        f"(95 %) | mean rank ({count}) | test, % | trials | CPU ms a trial |",
        "|---" * 10 + "|",
    ]
    for name, one in results.items():
        regrets = np.array(one["regrets"])
        cells = [f"{1000 * np.median(regrets[:, at]):.1f}" for at in (24, 49, 99)]
        ratio = "-"
        if name in paired and "random" in paired:
            values = ratio_interval(paired[name], paired["random"])
            ratio = "{:.2f} ({:.2f} to {:.2f})".format(*values)
        tests = [test for test in one["tests"] if test is not None]
        test = f"{100 * statistics.fmean(tests):.2f}" if tests else "-"
        rank = f"{ranks[name]:.2f}" if name in ranks else "-"
        cells += [ratio, rank, test, f"{one['trials']:.0f}", f"{one['cpu_ms']:.1f}"]
        lines.append(f"| {name} | {len(regrets)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(result, path):
    """Writes the picture: median regret against epochs, or trainings where a table has no curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), dpi=130, layout="constrained")
    axes = figure.subplots()
    styles = ("-", "--", "-.", ":")
    finals = {}
    for index, (name, one) in enumerate(result["methods"].items()):
        median = 1000 * np.median(one["regrets"], axis=0)
        finals[name] = median[-1]
        axes.plot(
            result["epochs"],
            np.maximum(median, 0.1),
            styles[index % 4],
            label=name,
            color="#8a97a6" if name.startswith("kt_") else None,
            linewidth=1.6,
        )
    first = [name for name in finals if finals[name] == min(finals.values())]
    verb = "ends" if len(first) == 1 else "end"
    title = f"{', '.join(first)} {verb} nearest to the best of {result['table']}"
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_yscale("log")
    axes.set_xlabel(result["unit"])
    axes.set_ylabel("median normalised regret x 1000")
    axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path)


def main():
    here = Path(__file__).parent / "tables"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="?", default=here)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--stock-seeds", type=int, default=20)
    parser.add_argument("--methods", default=",".join(OURS + STOCK))
    parser.add_argument("--names", default="", help="tables, by comma (default: all)")
    parser.add_argument("--mean", action="store_true", help="show methods the mean over seeds")
    parser.add_argument("--output", type=Path, help="folder for results and pictures")
    arguments = parser.parse_args()
    from common.basics.files import write_text_atomic

    names = list(json.loads((arguments.tables / "tables.json").read_text()))
    for name in arguments.names.split(",") if arguments.names else names:
        table, path = Table(arguments.tables, name, arguments.mean), None
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            path = arguments.output / f"replay_{table.name}.json"
        growing = replay(
            table,
            arguments.methods.split(","),
            arguments.trials,
            arguments.seeds,
            arguments.stock_seeds,
            earlier=json.loads(path.read_text()) if path and path.exists() else None,
        )
        result = None
        for result in growing:
            if path:
                write_text_atomic(path, json.dumps(result) + "\n")
        if result is None:
            print(f"{table.name} has no curves, which {arguments.methods} needs", file=sys.stderr)
            continue
        if path:
            draw(result, path.with_suffix(".png"))
        print(f"\n{text(result)}", flush=True)


if __name__ == "__main__":
    main()
