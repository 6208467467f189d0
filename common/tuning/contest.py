"""`recipes sweep NAME`: compares search methods on equal budgets of epochs, with several seeds."""

import dataclasses
import importlib.util
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from common.basics.files import (
    read_json,
    write_bytes_atomic,
    write_json_atomic,
    write_text_atomic,
)
from common.runs.bounds import NonNegativeInt, PositiveInt
from common.runs.headline import Headline
from common.tuning import measures
from common.tuning.choice import METHODS, Method, check_method
from common.tuning.options import SearchOptions, TuneOptions, parse
from common.tuning.score import direction, extreme
from common.tuning.score import shown as score_text
from common.tuning.store import Store
from common.tuning.sweep import Sweep

HEADS = ("method", "rank", "median", "range", "test", "trials", "minutes")


@dataclasses.dataclass(frozen=True)
class Options(SearchOptions):
    """What to compare. All other flags change the configuration that all searches start from."""

    methods: str = ",".join(METHODS)
    """Names of methods, separated by commas; tpe is left out where Optuna is not installed."""
    seeds: PositiveInt = 3
    """Number of searches of each method, with search seeds 0 to n - 1."""
    retrain: NonNegativeInt = 1
    """Number of new seeds to train the winner of each search with; 0: none."""


def command(name: str, words: Sequence[str]) -> int:
    """Runs `recipes sweep NAME WORDS...`; returns the exit code."""
    what = f"Compares search methods on {name}, on equal epochs."
    options, base, given = parse(name, words, Options, verb="sweep", description=what)
    methods = [method.strip() for method in options.methods.split(",") if method.strip()]
    if options.methods == Options.methods and importlib.util.find_spec("optuna") is None:
        methods.remove("tpe")
        print("Without tpe: Optuna is not installed (extra [optuna]).")
    for method in methods:
        check_method(method)
    folder = options.sweep_dir or (
        Path("runs") / name / "sweeps" / f"contest-{options.preset}-{options.data_name}"
    )
    shared = {
        field.name: getattr(options, field.name) for field in dataclasses.fields(SearchOptions)
    }
    planned = [(method, seed) for seed in range(options.seeds) for method in methods]
    for index, (method, seed) in enumerate(planned):
        print(f"\n== Search {index + 1} of {len(planned)}: {method}, seed {seed}", flush=True)
        directory = Path(folder) / f"{method}-seed{seed}"
        # The configuration that all searches start from is not trained: it is not compared here.
        one = TuneOptions(
            **{**shared, "sweep_dir": directory},
            method=cast("Method", method),
            search_seed=seed,
            retrain_start=False,
        )
        search = Sweep(name, one, base, given, budget=True, show_space=index == 0)
        code = search.run()
        if code:
            return code
    report = write_report(folder, [m for m in METHODS if m in methods], options.seeds)
    print(f"\n{table_text(read_json(Path(folder) / 'contest.json'))}")
    print(f"Report: {report.resolve()}")
    return 0


def write_report(folder: Path | str, methods: Sequence[str], seeds: int) -> Path:
    """Writes contest.json, contest.png and contest.html from finished searches.

    Args:
        folder: Folder of the comparison, with a sweep folder for each method and seed.
        methods: Names of the methods.
        seeds: Number of searches of each method.

    Returns:
        The path of contest.html.
    """
    import numpy as np

    from common.report.rendering import data_uri, render
    from common.tuning import figures
    from common.tuning.definition import Definition

    folder = Path(folder)
    definition = Definition.read(folder / f"{methods[0]}-seed0")
    maximise = direction(definition.objective) == "max"
    budget = definition.budget_epochs
    grid = np.linspace(budget / 50, budget, 50)
    lines: dict[str, tuple[np.ndarray, list[np.ndarray]]] = {}
    rows: list[dict[str, Any]] = []
    for method in methods:
        curves, finals, tests, trials, seconds = [], [], [], [], []
        for seed in range(seeds):
            directory = folder / f"{method}-seed{seed}"
            found = Store(directory).read()
            epochs, best = figures.best_so_far(found, definition.objective, maximise)
            places = np.searchsorted(epochs, grid, side="right") - 1
            curves.append(np.where(places >= 0, best[np.maximum(places, 0)], np.nan))
            summary = read_json(directory / "summary.json", "summary")
            figure = measures.headline_of(summary)
            finals.append(summary["search_score"])
            tests += [measures.test(row) for row in summary["retrained"]]
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
            # Methods with equal scores all get the mean of their ranks.
            ranks = [i + 1 for i, score in enumerate(order) if score == row["scores"][seed]]
            row.setdefault("ranks", []).append(statistics.fmean(ranks))
    for row in rows:
        row["rank"] = statistics.fmean(row["ranks"])
    result: dict[str, Any] = {
        "recipe": definition.recipe,
        "objective": definition.objective,
        "headline": measures.named(figure),
        "budget_epochs": budget,
        "seeds": seeds,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rows": sorted(rows, key=lambda row: row["rank"]),
    }
    write_json_atomic(folder / "contest.json", result)
    first = result["rows"][0]["rank"]
    leaders = [row["method"] for row in result["rows"] if row["rank"] == first]
    verb = "ranks" if len(leaders) == 1 else "tie for"
    picture = figures.race(
        lines,
        "epochs trained",
        f"best {definition.objective} so far",
        f"{', '.join(leaders)} {verb} first on {definition.recipe} after {budget} epochs "
        f"(median of {seeds} searches)",
        skip=0.2,
    )
    write_bytes_atomic(folder / "contest.png", picture)
    page = {
        "result": result,
        "definition": definition,
        "environment": read_json(folder / f"{methods[0]}-seed0" / "environment.json"),
        "picture": data_uri(picture),
        "figure": figure,
        "extreme": extreme(definition.objective),
        "rows": [shown(row, figure) for row in result["rows"]],
    }
    write_text_atomic(folder / "contest.html", render("contest.html", page))
    return folder / "contest.html"


def shown(row: dict[str, Any], figure: Headline) -> dict[str, str]:
    """Returns the cells of a row of the table as text, by the heads of their columns."""
    tests = row["tests"]
    return {
        "method": row["method"],
        "rank": f"{row['rank']:.2f}",
        "median": f"{score_text(row['median'])}",
        "range": " to ".join(score_text(end(row["scores"])) for end in (min, max)),
        "test": f"{measures.spread(figure, tests)} (n = {len(tests)})" if tests else "-",
        "trials": f"{row['trials']:.0f}",
        "minutes": f"{row['seconds'] / 60:.1f}",
    }


def table_text(result: dict[str, Any]) -> str:
    """Returns the table of contest.json as aligned text."""
    figure = measures.headline_of(result)
    rows = [dict(zip(HEADS, HEADS, strict=True)), *(shown(row, figure) for row in result["rows"])]
    widths = {head: max(len(row[head]) for row in rows) for head in HEADS}
    return "\n".join("  ".join(row[head].ljust(widths[head]) for head in HEADS) for row in rows)
