"""`recipes sweep NAME`: every method on one budget of epochs, with several seeds, and one page."""

import base64
import dataclasses
import importlib.util
import statistics
import time
from pathlib import Path
from typing import Literal

import numpy as np

from common import config as configuration
from common import registry
from common.errors import UsageError
from common.files import read_json, write_json_atomic, write_text_atomic
from common.tuning import METHODS, check_method
from common.tuning import sweep as sweeps
from common.tuning.score import direction
from common.tuning.store import Store


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compare. All other flags change fields of the configuration that all start from."""

    methods: str = ",".join(METHODS)
    """Names by comma; tpe is left out where Optuna is not installed."""
    trials: int = 30
    """Budget of each search: the epochs of so many full trainings. What pruning saves is spent on more
    trials."""
    seeds: int = 3
    """Searches of each method, with search seeds 0 to n - 1."""
    folds: int = 1
    """Folds of a cross-validation that scores each trial; 1: the recipe's own validation split."""
    workers: int = 1
    """Trials at a time on this machine; they share its cores."""
    objective: Literal["val_accuracy", "val_loss"] = "val_accuracy"
    """What makes a trial the better one."""
    prune: bool = True
    """Stop a trial that is worse than the median of the others at the same epoch."""
    retrain: int = 1
    """New seeds to train the winner of each search with; 0: none."""
    fresh: bool = False
    """Start all searches over."""
    preset: str = "best"
    """Named configuration that the searches start from."""
    config: Path | None = None
    """JSON file to start from instead."""
    data: str = "full"
    """'full', 'sample', or a path to your own data."""
    data_dir: Path | None = None
    """Folder of TensorFlow Datasets (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)."""
    sweep_dir: Path | None = None
    """Folder of the searches; the same folder continues (default: in runs/<recipe>/sweeps/)."""
    debug: bool = False
    """Show tracebacks of errors."""

    def __post_init__(self):
        configuration.require(self, minimum=1, trials=self.trials, seeds=self.seeds)


def command(words):
    """Runs `recipes sweep NAME ...`; returns the exit code."""
    if not words or words[0].startswith("-"):
        if words and words[0] not in ("-h", "--help"):
            raise UsageError("recipes sweep needs the name of a recipe first (`recipes list`)")
        print("usage: recipes sweep NAME [flags]    (recipes sweep NAME --help shows all flags)")
        return 0
    name, words = registry.check(words[0]), words[1:]
    options, base = configuration.parse_recipe(
        registry.load(name),
        words,
        Options,
        prog=f"recipes sweep {name}",
        description=f"Compares search methods on {name}, on equal epochs.",
    )
    methods = [method.strip() for method in options.methods.split(",") if method.strip()]
    if options.methods == Options.methods and importlib.util.find_spec("optuna") is None:
        methods.remove("tpe")
        print("Without tpe: Optuna is not installed (extra [optuna]).")
    for method in methods:
        check_method(method)
    data = options.data if options.data in ("full", "sample") else "own"
    folder = options.sweep_dir or (
        Path("runs") / name / "sweeps" / f"contest-{options.preset}-{data}"
    )
    shared = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(sweeps.Options)
        if hasattr(options, field.name) and field.name != "sweep_dir"
    }
    planned = [(method, seed) for seed in range(options.seeds) for method in methods]
    for index, (method, seed) in enumerate(planned):
        print(f"\n== Search {index + 1} of {len(planned)}: {method}, seed {seed}", flush=True)
        one = sweeps.Options(
            **shared,
            method=method,
            search_seed=seed,
            sweep_dir=Path(folder) / f"{method}-seed{seed}",
        )
        code = sweeps.Sweep(name, one, base, budget=True).run()
        if code:
            return code
    report = write_report(folder, [m for m in METHODS if m in methods], options.seeds)
    print(f"\n{table_text(read_json(Path(folder) / 'contest.json'))}")
    print(f"Report: {report.resolve()}")
    return 0


def write_report(folder, methods, seeds):
    """Writes contest.json and contest.html from finished searches; returns the page's path."""
    from common.tuning import figures
    from common.tuning.definition import Definition
    from common.tuning.report import render

    folder = Path(folder)
    definition = Definition.read(folder / f"{methods[0]}-seed0")
    maximise = direction(definition.objective) == "max"
    budget = definition.trials * definition.trial_epochs
    grid = np.linspace(budget / 50, budget, 50)
    lines, rows = {}, []
    for method in methods:
        curves, finals, tests, trials, seconds = [], [], [], [], []
        for seed in range(seeds):
            directory = folder / f"{method}-seed{seed}"
            found = Store(directory).read()
            epochs, best = figures.best_so_far(found, definition.objective, maximise)
            places = np.searchsorted(epochs, grid, side="right") - 1
            curves.append(np.where(places >= 0, best[np.maximum(places, 0)], np.nan))
            summary = read_json(directory / "summary.json", "summary")
            finals.append(summary["search_score"])
            tests += [row["test_accuracy"] for row in summary["retrained"]]
            trials.append(len(found))
            seconds.append(sum(trial.seconds for trial in found))
        lines[method] = (grid, curves)
        rows.append(
            {
                "method": method,
                "scores": finals,
                "median": statistics.median(finals),
                "tests": tests,
                "trials": statistics.fmean(trials),
                "seconds": statistics.fmean(seconds),
            }
        )
    for seed in range(seeds):
        order = sorted((row["scores"][seed] for row in rows), reverse=maximise)
        for row in rows:
            # Equal scores share the mean of their ranks.
            places = [i + 1 for i, score in enumerate(order) if score == row["scores"][seed]]
            row.setdefault("ranks", []).append(statistics.fmean(places))
    for row in rows:
        row["rank"] = statistics.fmean(row["ranks"])
    result = {
        "recipe": definition.recipe,
        "objective": definition.objective,
        "budget_epochs": budget,
        "seeds": seeds,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rows": sorted(rows, key=lambda row: row["rank"]),
    }
    write_json_atomic(folder / "contest.json", result)
    ranks = [row["rank"] for row in result["rows"]]
    leaders = [row["method"] for row in result["rows"] if row["rank"] == ranks[0]]
    verb = "ranks" if len(leaders) == 1 else "tie for"
    picture = figures.race(
        lines,
        "epochs trained",
        f"best {definition.objective} so far",
        f"{', '.join(leaders)} {verb} first on {definition.recipe} after {budget} epochs "
        f"(median of {seeds} searches)",
    )
    page = {
        "result": result,
        "definition": definition,
        "environment": read_json(folder / f"{methods[0]}-seed0" / "environment.json"),
        "picture": "data:image/png;base64," + base64.b64encode(picture).decode(),
        "rows": [_shown(row) for row in result["rows"]],
    }
    write_text_atomic(folder / "contest.html", render("contest.html", page))
    return folder / "contest.html"


def _shown(row):
    """Returns a row of the table as text."""
    tests = row["tests"]
    spread = f" ± {statistics.stdev(tests):.4f}" if len(tests) > 1 else ""
    return {
        "method": row["method"],
        "rank": f"{row['rank']:.2f}",
        "median": f"{row['median']:.4f}",
        "range": f"{min(row['scores']):.4f} to {max(row['scores']):.4f}",
        "test": f"{statistics.fmean(tests):.4f}{spread} (n = {len(tests)})" if tests else "-",
        "trials": f"{row['trials']:.0f}",
        "minutes": f"{row['seconds'] / 60:.1f}",
    }


def table_text(result):
    """Returns the table as aligned text."""
    heads = ("method", "rank", "median", "range", "test", "trials", "minutes")
    rows = [dict(zip(heads, heads, strict=True)), *(_shown(row) for row in result["rows"])]
    widths = {head: max(len(row[head]) for row in rows) for head in heads}
    return "\n".join("  ".join(row[head].ljust(widths[head]) for head in heads) for row in rows)
