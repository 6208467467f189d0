"""`recipes tune NAME`: plans a sweep, starts workers, shows how they get on, retrains the winner."""

import contextlib
import dataclasses
import fcntl
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from common import config as configuration
from common import registry
from common.errors import RecipeError, UsageError
from common.files import read_json, write_json_atomic
from common.tuning import METHODS, check_method, fixed
from common.tuning.definition import FILE, Definition, make_tuner, search_space_of
from common.tuning.options import SearchOptions
from common.tuning.processes import Worker
from common.tuning.space import show
from common.tuning.status import Status
from common.tuning.store import FAILED, RUNNING, best_trial

POLL_SECONDS = 0.25
# Workers that died on their own are replaced this often; then the machine is the problem.
MAX_REPLACEMENTS = 20


@dataclasses.dataclass(frozen=True)
class Options(SearchOptions):
    """How to search. All other flags change fields of the configuration that the search starts from."""

    method: Literal[METHODS] = "bayesian"
    """How points are chosen; tpe needs the extra [optuna]."""
    search_seed: int = 0
    """Seed of the search. The training seed (--seed) is the same in all trials."""
    storage: str | None = None
    """Database that several machines share, e.g. postgresql://user:password@host/name (extra [optuna]):
    the same command on each joins the sweep. None: files in the sweep folder."""

    def __post_init__(self):
        super().__post_init__()
        configuration.require(self, minimum=0, search_seed=self.search_seed)


def command(name, words):
    """Runs `recipes tune NAME WORDS...`; returns the exit code."""
    options, config = configuration.parse_recipe(
        registry.load(name),
        words,
        Options,
        prog=f"recipes tune {name}",
        description=f"Searches hyperparameters of {name}: recipes/{name}/tune.py.",
    )
    return Sweep(name, options, config).run()


class Sweep:
    """One search in one folder.

    Args:
        recipe: Name of the recipe.
        options: Options.
        base: Config that the search starts from.
        budget: Whether `trials` counts full trainings of epochs, which pruning may spread over more
            trials.
        show_space: Whether to print the search space first.
    """

    def __init__(self, recipe, options, base, budget=False, show_space=True):
        check_method(options.method)
        self.show_space = show_space
        self.recipe, self.options, self.base = recipe, options, base
        self.module = registry.load(recipe)
        data_dir = options.data_dir.resolve() if options.data_dir else None
        own = options.data_name == "own"
        self.definition = Definition(
            recipe=recipe,
            method=options.method,
            base=configuration.to_dict(base),
            preset=options.preset,
            trials=options.trials,
            budget=budget or options.method == "hyperband",
            folds=options.folds,
            search_seed=options.search_seed,
            objective=options.objective,
            prune=options.prune,
            fixed=fixed.parse(options.fix),
            data=str(Path(options.data).resolve()) if own else options.data,
            data_dir=str(data_dir) if data_dir else None,
            workers=options.workers,
            storage=options.storage,
        )
        self.directory = Path(options.sweep_dir or self._default_directory())

    def _default_directory(self):
        name = f"{self.options.method}-{self.options.preset}-{self.options.data_name}"
        if self.options.folds > 1:
            name += f"-{self.options.folds}folds"
        return Path("runs") / self.recipe / "sweeps" / f"{name}-seed{self.options.search_seed}"

    def run(self):
        """Searches, reports and retrains the winner; returns the exit code."""
        with self._joined():
            self._prepare()
            try:
                self._search()
                self._finish()
            except KeyboardInterrupt:
                done = sum(trial.finished for trial in self.store.read())
                print(
                    f"\nInterrupted after {done} trials. Nothing is lost: the same command continues.",
                    file=sys.stderr,
                )
                return 130
        return 0

    @contextlib.contextmanager
    def _joined(self):
        """Notes that this process works on the folder; with --fresh, that no other one does."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".sweep").open("w") as file:
            try:
                kind = fcntl.LOCK_EX if self.options.fresh else fcntl.LOCK_SH
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"another process works on {self.directory}; stop it before --fresh"
                ) from error
            if self.options.fresh:
                for path in self.directory.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                (self.directory / ".sweep").touch()
            yield

    def _prepare(self):
        """Checks data, space and what the folder holds, before anything is trained."""
        held = None
        if (self.directory / FILE).exists():
            held = Definition.read(self.directory)
        elif any(not path.name.startswith(".") for path in self.directory.iterdir()):
            raise UsageError(
                f"{self.directory} is not empty and holds no sweep; choose another --sweep-dir"
            )
        self._check_flags()
        from common.data import Source

        splits = self.module.load_data(
            self.base, Source(self.definition.data, self.options.data_dir)
        )
        info = splits.info
        del splits
        tuner = make_tuner(self.definition, self.directory)
        self.space, self.store = tuner.oracle.space, tuner.oracle.store
        self.definition = dataclasses.replace(
            self.definition,
            space=self.space.to_list(),
        )
        if held is not None:
            self.definition.check_same(held, self.directory)
        agreed = self.store.agree(dataclasses.asdict(self.definition))
        self.definition.check_same(Definition(**agreed), self.options.storage)
        self.definition.write(self.directory)
        from common import environment

        if not (self.directory / "environment.json").exists():
            write_json_atomic(
                self.directory / "environment.json",
                environment.describe(self.options.search_seed, info.to_dict()),
            )
        if self.show_space:
            print(f"Search space of {self.recipe}:\n{self.space.describe()}")
            for name, value in self.definition.fixed.items():
                print(f"  held: {name} {value}")
        print(f"{self._plan()} on {info.label}, in {self.directory}")
        done = sum(trial.finished for trial in self.store.read())
        if done:
            print(f"{done} trials found, continuing.")

    def _check_flags(self):
        """Refuses flags that the search space overrides: they would change nothing."""
        start = self.module.PRESETS[self.options.preset]
        if self.options.config:
            start = configuration.read_config_file(
                self.options.config, self.module.Config, self.recipe
            )
        from common import backend

        backend.start()
        ignored = fixed.ignored_fields(self._search_space(), start, self.base)
        if ignored:
            flags = ", ".join("--" + name.replace("_", "-") for name in ignored)
            raise UsageError(
                f"{flags}: what recipes/{self.recipe}/tune.py searches for replaces it in every trial; "
                "leave it out, and hold hyperparameters of the search by --fix NAME=VALUE"
            )

    def _search_space(self):
        return search_space_of(self.recipe, self.definition.fixed)

    def _plan(self):
        method, trials, size = self.options.method, self.options.trials, self.space.size
        if self.definition.budget:
            return f"{method}: {trials * self.definition.trial_epochs} epochs ({trials} trainings)"
        if trials >= size:
            return f"{method}: all {size} configurations"
        share = f", spread over the {size:,} of the grid" if method == "grid" else ""
        return f"{method}: {trials} trials{share}"

    def _search(self):
        """Runs workers until they say that nothing is left."""
        status = Status(self)
        count = self.options.workers
        workers = [Worker(self.directory, index, count) for index in range(count)]
        replacements = 0
        try:
            while workers:
                time.sleep(POLL_SECONDS)
                status.show(self.store.read())
                for worker in list(workers):
                    code = worker.process.poll()
                    if code is None:
                        continue
                    workers.remove(worker)
                    if code > 0:
                        raise RecipeError(worker.last_words())
                    if code < 0:
                        self._died(worker, -code)
                        replacements += 1
                        if replacements > MAX_REPLACEMENTS:
                            raise RecipeError(f"{replacements} workers died; see {worker.log}")
                        workers.append(Worker(self.directory, worker.index, count))
            status.show(self.store.read())
        finally:
            status.close()
            for worker in workers:
                worker.stop()

    def _died(self, worker, signal):
        """Notes against a trial that its process was killed, which an error could not tell."""
        from common.tuning.oracle import MAX_FAILURES

        with self.store.lock():
            for trial in self.store.read():
                if trial.status == RUNNING and trial.worker == worker.name:
                    trial.failures += 1
                    trial.message = f"its process was killed by signal {signal} (9: out of memory?)"
                    if trial.failures >= MAX_FAILURES:
                        trial.status = FAILED
                    self.store.bury(trial)
                    print(f"trial {trial.number}: {trial.message}")

    def _finish(self):
        """Writes best.json, retrains the winner and writes the report."""
        trials = self.store.read()
        best = best_trial(trials, self.options.objective)
        if best is None:
            raise RecipeError(f"all {len(trials)} trials failed; see {self.directory}/trials.csv")
        write_json_atomic(
            self.directory / "best.json",
            {
                "recipe": self.recipe,
                "config": configuration.to_dict(self._config(best)),
                "trial": best.number,
                "values": best.values,
                "objective": self.options.objective,
                "score": best.score,
            },
        )
        result = {
            "recipe": self.recipe,
            "method": self.options.method,
            "objective": self.options.objective,
            "trial": best.number,
            "values": best.values,
            "search_score": best.score,
            "trials": len(trials),
            "epochs": sum(trial.epochs for trial in trials),
            "retrained": self._retrain(best),
        }
        write_json_atomic(self.directory / "summary.json", result)
        from common.tuning.report import write_report

        write_report(self.directory)
        print(summary_lines(result, self.directory))

    def _config(self, trial):
        import keras_tuner

        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = dict(trial.values)
        return self._search_space()(hyperparameters, self.base)

    def _retrain(self, best):
        """Trains the winner with new seeds; returns what came of it, a dict for each."""
        rows = []
        for index in range(self.options.retrain):
            seed = self.base.seed + 1 + index
            directory = self.directory / "retrain" / f"trial-{best.number}-seed{seed}"
            if not (directory / "metrics.json").exists():
                print(f"Retraining the winner, seed {seed} ({index + 1} of {self.options.retrain})")
                words = ["train", self.recipe, "--config", str(self.directory / "best.json")]
                words += ["--seed", str(seed), "--run-dir", str(directory)]
                words += ["--data", self.definition.data]
                if self.definition.data_dir:
                    words += ["--data-dir", self.definition.data_dir]
                code = _run(words)
                if code == 130:
                    raise KeyboardInterrupt
                if code:
                    raise RecipeError(f"the winner could not be trained again in {directory}")
            metrics = read_json(directory / "metrics.json", "metrics")
            rows.append(
                {
                    "seed": seed,
                    "val_accuracy": metrics["validation"]["accuracy"],
                    "val_loss": metrics["validation"]["loss"],
                    "test_accuracy": metrics["test"]["accuracy"],
                }
            )
        return rows


def _run(words):
    """Runs `recipes WORDS...` and prints its lines as this process's own; returns the exit code."""
    command = [sys.executable, "-m", "recipes", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(f"  {line}", end="", flush=True)
    return process.returncode


def summary_lines(result, directory):
    """Returns what a sweep prints at its end."""
    objective = result["objective"]
    values = ", ".join(f"{name} {show(value)}" for name, value in result["values"].items())
    lines = [
        f"Best of {result['trials']} trials: trial {result['trial']}, {objective} "
        f"{result['search_score']:.4f} (a maximum over trials, so it flatters): {values}"
    ]
    rows = result["retrained"]
    if rows:

        def spread(name):
            found = [row[name] for row in rows]
            deviation = f" ± {statistics.stdev(found):.4f}" if len(found) > 1 else ""
            return f"{statistics.fmean(found):.4f}{deviation}"

        lines.append(
            f"Retrained with {len(rows)} new seed{'s' * (len(rows) > 1)}: "
            f"{objective} {spread(objective)}, test accuracy {spread('test_accuracy')}."
        )
    lines.append(f"Train it: recipes train {result['recipe']} --config {directory / 'best.json'}")
    lines.append(f"Report: {(directory / 'sweep.html').resolve()}")
    return "\n".join(lines)
