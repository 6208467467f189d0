"""`recipes tune NAME`: prepares a sweep, runs its workers, trains the winner again, and reports."""

import dataclasses
import shutil
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from common.basics import streams
from common.basics.errors import RecipeError, StorageError, UsageError, storage_error
from common.basics.files import write_json_atomic
from common.basics.wording import printable
from common.runs import config as configuration
from common.runs import registry
from common.tuning import begun, fixed, measures
from common.tuning.choice import check_method
from common.tuning.definition import FILE, Definition, make_tuner, search_space_of
from common.tuning.folder import LOCK, alone_at_the_end, joined
from common.tuning.options import TuneOptions, parse
from common.tuning.retraining import retrain, start_config, winner_config, write_config
from common.tuning.searching import search
from common.tuning.shared_store import make_store
from common.tuning.trial import best_trial
from common.tuning.verdict import judge, summary_text


def command(name: str, words: Sequence[str]) -> int:
    """Runs `recipes tune NAME WORDS...`; returns the exit code."""
    what = f"Searches hyperparameters of {name}: recipes/{name}/tune.py."
    options, config, given = parse(name, words, TuneOptions, verb="tune", description=what)
    return Sweep(name, options, config, given).run()


class Sweep:
    """One search in one folder.

    Args:
        recipe: Name of the recipe.
        options: A TuneOptions.
        base: Config that the search starts from.
        given: Names of the Config fields that the user chose.
        budget: Whether `trials` is a budget of epochs, counted in full trainings. Trials that are
            stopped early leave epochs for more trials.
        show_space: Whether to print the search space first.
    """

    def __init__(self, recipe, options, base, given=(), budget=False, show_space=True):
        check_method(options.method)
        self.show_space = show_space
        self.recipe, self.options, self.base, self.given = recipe, options, base, given
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
            reading=options.reading.to_dict(),
            workers=options.workers,
            storage=options.storage,
            key=uuid.uuid4().hex[:12],
        )
        self.directory = Path(options.sweep_dir or self._default_directory())
        # The trials as they were last read.
        self.found = None
        self.tracking = None

    def _default_directory(self):
        name = f"{self.options.method}-{self.options.preset}-{self.options.data_name}"
        if self.options.folds > 1:
            name += f"-{self.options.folds}folds"
        return Path("runs") / self.recipe / "sweeps" / f"{name}-seed{self.options.search_seed}"

    def run(self) -> int:
        """Searches, trains the winner again, and reports.

        Returns:
            The exit code: 0, or 130 where it was interrupted.

        Raises:
            UsageError: The folder or the search space cannot be used, or holds another search.
            RecipeError: All trials failed, or a training with new seeds did.
            StorageError: A disk or a database cannot be used. No trial counts as failed because of it.
        """
        if printable(str(self.directory)) != str(self.directory):
            raise UsageError(
                f"KerasTuner takes only folders whose names are UTF-8, got {self.directory}; choose "
                "another --sweep-dir"
            )
        try:
            with joined(self.directory, self.options.fresh) as let_others_join:
                self._prepare()
                let_others_join()
                self._search()
                with alone_at_the_end(self.directory):
                    self._finish()
        except KeyboardInterrupt:
            self._end_tracking("KILLED")
            if self.found is None:
                raise
            done = sum(trial.finished for trial in self.found)
            print(
                f"\nInterrupted after {done} trials. Nothing is lost: the same command continues.",
                file=sys.stderr,
            )
            return 130
        except Exception as error:
            self._end_tracking("FAILED")
            storage = storage_error(error)
            if storage is None:
                raise
            text = str(storage).rstrip(".")
            raise StorageError(f"{text}; nothing is lost: the same command continues") from error
        return 0

    def _end_tracking(self, status):
        if self.tracking is not None:
            self.tracking.interrupt(status)

    def _clear(self):
        """Deletes an earlier search, first in the database, where others may work on it."""
        if self.definition.storage:
            study = self.definition.study(self.directory)
            make_store(self.directory, self.definition.storage, study).drop()
        # sweep.json goes last: with it the folder still counts as a sweep if --fresh is killed.
        for path in sorted(self.directory.iterdir(), key=lambda path: path.name == FILE):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()

    def _prepare(self):
        """Checks the data, the search space and the folder before anything is trained."""
        held = None
        # The folder is listed once: another process may begin the same search at this time.
        names = {path.name for path in self.directory.iterdir()}
        if FILE in names and not self.options.fresh:
            held = Definition.read(self.directory)
        elif FILE not in names and any(not name.startswith(".") for name in names):
            raise UsageError(
                f"{self.directory} is not empty and holds no sweep; choose another --sweep-dir"
            )
        self._check_flags()
        with streams.doing("Reading the data"):
            splits = self.module.load_data(self.base, self.definition.source)
        info = splits.info
        del splits
        self.definition = dataclasses.replace(self.definition, fingerprint=info.fingerprint)
        if held is not None:
            known = held.fingerprint or begun.fingerprint(self.directory)
            begun.check_data(known, info.fingerprint, self.options.data, self.directory)
        if self.options.fresh:
            self._clear()
        tuner = make_tuner(self.definition, self.directory)
        self.tuner, self.store, self.space = tuner, tuner.oracle.store, tuner.oracle.space
        self.definition = dataclasses.replace(
            self.definition,
            space=self.space.to_list(),
            # Older searches have none.
            key=(held.key if held and not self.options.fresh else "") or self.definition.key,
        )
        if held is not None:
            self.definition.check_same(held, self.directory)
        agreed = self.store.agree(dataclasses.asdict(self.definition))
        where = self.definition.storage
        agreed = Definition.of(agreed, f"the search in {where}")
        self.definition.check_same(agreed, where)
        self.definition = dataclasses.replace(
            self.definition, key=agreed.key or self.definition.key
        )
        begun.check_data(agreed.fingerprint, info.fingerprint, self.options.data, where)
        self.definition.write(self.directory)
        begun.record(self.directory, self.options.search_seed, info)
        if self.show_space:
            from common.data import remarks

            remarks.show(info)
            print(f"Search space of {self.recipe}:\n{self.space.describe()}")
            for name, value in self.definition.fixed.items():
                print(f"  held: {name} {value}")
        print(f"{self._plan()} on {info.label}, in {self.directory}")
        self.found = self.store.read()
        if any(trial.finished for trial in self.found):
            print(f"{self._done(self.found)} found, continuing.")

    def _check_flags(self):
        """Refuses flags of fields that every trial replaces: they would have no effect."""
        start = self.module.PRESETS[self.options.preset]
        if self.options.config:
            start = configuration.read_config_file(
                self.options.config, self.module.Config, self.recipe
            )
        from common.basics import backend

        backend.announce()
        backend.start()
        ignored = fixed.ignored_fields(self.search_space(), start, self.base)
        ignored = [name for name in ignored if name in self.given]
        if ignored:
            flags = ", ".join("--" + name.replace("_", "-") for name in ignored)
            raise UsageError(
                f"{flags}: recipes/{self.recipe}/tune.py searches it, so every trial replaces it; leave "
                "it out, and hold hyperparameters of the search by --fix NAME=VALUE"
            )

    def search_space(self) -> fixed.FixedSpace:
        """Returns the search space, with the hyperparameters that are held."""
        return search_space_of(self.recipe, self.definition.fixed)

    def _plan(self):
        method, trials, size = self.options.method, self.options.trials, self.space.size
        random = self.tuner.oracle.first_random
        if self.definition.budget:
            note = f"; the first {random} trials are random" if random >= trials else ""
            return f"{method}: {self._epochs} epochs ({trials} trainings{note})"
        if trials >= size:
            return f"{method}: all {size} configurations"
        note = f", spread over the {size:,} of the grid" if method == "grid" else ""
        if random >= trials:
            note = f" (its first {random} are random, so this is random search)"
        return f"{method}: {trials} trials{note}"

    @property
    def _epochs(self):
        """The budget in epochs, where there is one."""
        return self.options.trials * self.definition.trial_epochs

    def _done(self, trials):
        """Returns how much of the search is done, e.g. `12 of 30 trials`."""
        if self.definition.budget:
            return f"{self.tuner.oracle.spent(trials)} of {self._epochs} epochs"
        done = sum(trial.finished for trial in trials)
        return f"{done} of {min(self.options.trials, self.space.size)} trials"

    def _search(self):
        from common.tuning.tracking import SweepTracking

        self.tracking = SweepTracking(self)
        search(self, self.tracking.log)

    def _finish(self):
        """Writes best.json and start.json, trains both with new seeds, and writes the report."""
        trials = self.store.read()
        best = best_trial(trials, self.options.objective)
        if best is None:
            raise RecipeError(f"all {len(trials)} trials failed; see {self.directory}/trials.csv")
        winner, start = winner_config(self, best), start_config(self)
        write_config(
            self,
            "best.json",
            winner,
            trial=best.number,
            values=best.values,
            objective=self.options.objective,
            score=best.score,
        )
        write_config(self, "start.json", start)
        result = {
            "recipe": self.recipe,
            "method": self.options.method,
            "objective": self.options.objective,
            "headline": measures.named(self.module.TASK.headline),
            "trial": best.number,
            "values": best.values,
            "search_score": best.score,
            "trials": len(trials),
            "epochs": sum(trial.epochs for trial in trials),
            "seconds": sum(trial.seconds for trial in trials),
            "retrain_epochs": start.epochs,
            "winner_epochs": winner.epochs,
            **retrain(self, winner),
        }
        result["verdict"] = judge(result)
        write_json_atomic(self.directory / "summary.json", result)
        from common.tuning.report import write_report

        write_report(self.directory)
        compared = self.options.retrain_start
        print(summary_text(result, self.definition, self.directory, compared))
        for line in self.tracking.close(result):
            print(line)
