"""`recipes tune NAME`: plans a sweep, starts workers, shows how they get on, retrains the winner."""

import contextlib
import dataclasses
import fcntl
import os
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
from common.tuning import METHODS, check_method
from common.tuning.definition import FILE, Definition, make_tuner
from common.tuning.score import direction
from common.tuning.space import show
from common.tuning.store import FAILED, PRUNED, RUNNING

POLL_SECONDS = 0.25
# Workers that died on their own are replaced this often; then the machine is the problem.
MAX_REPLACEMENTS = 20


@dataclasses.dataclass(frozen=True)
class Options:
    """How to search. All other flags change fields of the configuration that the search starts from."""

    method: Literal[METHODS] = "bayesian"
    """How points are chosen; tpe needs the extra [optuna]."""
    trials: int = 30
    """Trials in all; with hyperband, as many full trainings of epochs. A larger number extends a
    sweep that is finished."""
    folds: int = 1
    """Folds of a cross-validation that scores each trial; 1: the recipe's own validation split."""
    workers: int = 1
    """Trials at a time on this machine; they share its cores."""
    search_seed: int = 0
    """Seed of the search. The training seed (--seed) is the same in all trials."""
    objective: Literal["val_accuracy", "val_loss"] = "val_accuracy"
    """What makes a trial the better one. val_loss only where no tuned field changes the loss itself."""
    prune: bool = True
    """Stop a trial that is worse than the median of the others at the same epoch."""
    retrain: int = 3
    """New seeds to train the winner with at the end; 0: none."""
    storage: str | None = None
    """Database that several machines share, e.g. postgresql://user:password@host/name (extra [optuna]):
    the same command on each joins the sweep. None: files in the sweep folder."""
    fresh: bool = False
    """Delete what the sweep folder holds and start over."""
    preset: str = "best"
    """Named configuration that the search starts from."""
    config: Path | None = None
    """JSON file to start from instead."""
    data: str = "full"
    """'full', 'sample', or a path to your own data."""
    data_dir: Path | None = None
    """Folder of TensorFlow Datasets (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)."""
    sweep_dir: Path | None = None
    """Folder of the sweep; the same folder continues (default: in runs/<recipe>/sweeps/)."""
    debug: bool = False
    """Show tracebacks of errors."""

    def __post_init__(self):
        configuration.require(
            self, minimum=1, trials=self.trials, folds=self.folds, workers=self.workers
        )
        configuration.require(self, minimum=0, search_seed=self.search_seed, retrain=self.retrain)


def command(words):
    """Runs `recipes tune NAME ...`; returns the exit code."""
    if not words or words[0].startswith("-"):
        if words and words[0] not in ("-h", "--help"):
            raise UsageError("recipes tune needs the name of a recipe first (`recipes list`)")
        print("usage: recipes tune NAME [flags]    (recipes tune NAME --help shows all flags)")
        return 0
    name, words = registry.check(words[0]), words[1:]
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
    """

    def __init__(self, recipe, options, base, budget=False):
        check_method(options.method)
        self.recipe, self.options, self.base = recipe, options, base
        self.module = registry.load(recipe)
        data_dir = options.data_dir.resolve() if options.data_dir else None
        data = options.data
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
            data=data if data in ("full", "sample") else str(Path(data).resolve()),
            data_dir=str(data_dir) if data_dir else None,
            workers=options.workers,
            storage=options.storage,
        )
        self.directory = Path(options.sweep_dir or self._default_directory())

    def _default_directory(self):
        data = self.options.data if self.options.data in ("full", "sample") else "own"
        name = f"{self.options.method}-{self.options.preset}-{data}"
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
            space=[
                {"class": type(entry).__name__, "config": _plain(entry.get_config())}
                for entry in self.space.entries
            ],
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
        print(f"Search space of {self.recipe}:\n{self.space.describe()}")
        print(f"{self._plan()} on {info.label}, in {self.directory}")
        done = sum(trial.finished for trial in self.store.read())
        if done:
            print(f"{done} trials found, continuing.")

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
            "retrained": self._retrain(),
        }
        write_json_atomic(self.directory / "summary.json", result)
        from common.tuning.report import write_report

        write_report(self.directory)
        print(summary_lines(result, self.directory))

    def _config(self, trial):
        import keras_tuner

        from common.tuning.definition import search_space_of

        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = dict(trial.values)
        return search_space_of(self.recipe)(hyperparameters, self.base)

    def _retrain(self):
        """Trains the winner with new seeds; returns what came of it, a dict for each."""
        rows = []
        for index in range(self.options.retrain):
            seed = self.base.seed + 1 + index
            directory = self.directory / "retrain" / f"trial-{_number(self.directory)}-seed{seed}"
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


def _number(directory):
    return read_json(directory / "best.json", "result")["trial"]


def _plain(value):
    """Returns a value as JSON gives it back."""
    import json

    return json.loads(json.dumps(value))


class Worker:
    """A worker process; its output goes to a log in the sweep folder.

    Args:
        directory: The sweep folder.
        index: Its place, 0-based.
        count: How many share the machine.
    """

    def __init__(self, directory, index, count):
        import socket

        from common.environment import cpu_count

        self.index = index
        self.log = directory / "logs" / f"worker-{index}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.name = f"{socket.gethostname()}-{os.getpid()}-{index}-{time.time_ns() % 10**9}"
        environment = dict(os.environ)
        if count > 1:
            threads = str(max(cpu_count() // count, 1))
            for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
                environment.setdefault(name, threads)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "common.tuning.worker", str(directory), self.name],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                # A Ctrl-C is the sweep's to handle: it ends its workers by closing their pipes.
                start_new_session=True,
            )

    def stop(self):
        """Ends it at once; finished epochs of its trial are on disk."""
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def last_words(self):
        """Returns the last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        text = lines[-1].removeprefix("error: ") if lines else "a worker failed"
        return f"{text} (log: {self.log})"


class Status:
    """A line per finished trial and, on a terminal, one that is rewritten.

    Args:
        sweep: Sweep.
    """

    def __init__(self, sweep):
        self.sweep = sweep
        self.begun = time.perf_counter()
        self.seen = {t.number: t.epochs for t in sweep.store.read() if t.finished}
        self.epochs = sum(trial.epochs for trial in sweep.store.read())
        self.terminal = sys.stdout.isatty()

    def show(self, trials):
        """Prints what is new."""
        for trial in trials:
            if trial.finished and self.seen.get(trial.number) != trial.epochs:
                self.seen[trial.number] = trial.epochs
                self._print(self._line(trial, trials))
        if self.terminal:
            running = [trial for trial in trials if trial.status == RUNNING]
            names = ", ".join(f"{t.number} (epoch {self._epoch(t)})" for t in running)
            text = f"running {names or 'starting'}, {self._left(trials)}"
            print(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)

    def _print(self, text):
        print(f"\r\033[K{text}" if self.terminal else text, flush=True)

    def _line(self, trial, trials):
        objective = self.sweep.options.objective
        done = sum(each.finished for each in trials)
        total = min(self.sweep.options.trials, self.sweep.space.size)
        head = f"[{done}{'' if self.sweep.definition.budget else f'/{total}'}] trial {trial.number}"
        if trial.status == FAILED:
            from common.tuning.oracle import reason

            return f"{head}  failed: {reason(trial)}"
        best = best_trial(trials, objective)
        text = f"{head}  {objective} {trial.score:.4f} (epoch {trial.best_epoch} of {trial.epochs})"
        if trial.status == PRUNED:
            text += ", stopped early"
        return (
            f"{text}  {trial.seconds:.0f} s  best {best.score:.4f} (trial {best.number})  "
            f"{self._left(trials)}"
        )

    def _epoch(self, trial):
        done = 0
        for path in self.sweep.store.folder(trial).glob("fold-*/history.csv"):
            with contextlib.suppress(OSError):
                done += max(path.read_text().count("\n") - 1, 0)
        return done + 1

    def _left(self, trials):
        """Returns the time left, by the epochs trained so far in this session."""
        definition = self.sweep.definition
        done = sum(trial.epochs for trial in trials if trial.finished)
        finished = [trial for trial in trials if trial.finished]
        new = done - self.epochs
        elapsed = time.perf_counter() - self.begun
        if new <= 0:
            return "time left not known yet"
        if definition.budget:
            left = definition.trials * definition.trial_epochs - done
        else:
            count = min(definition.trials, self.sweep.space.size) - len(finished)
            left = count * done / max(len(finished), 1)
        from common.callbacks import duration

        return f"{duration(max(left, 0) * elapsed / new)} left"

    def close(self):
        """Ends the rewritten line."""
        if self.terminal:
            print("\r\033[K", end="", flush=True)


def best_trial(trials, objective):
    """Returns the best trial that did not fail, or None; fully trained ones first."""
    sign = -1.0 if direction(objective) == "max" else 1.0
    # A trial that Hyperband continues has a score already.
    scored = [trial for trial in trials if trial.score is not None and trial.status != FAILED]
    full = [trial for trial in scored if trial.status != PRUNED]
    return min(full or scored, key=lambda trial: sign * trial.score, default=None)


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
