"""A search in trackers: one run for the search and, nested under it, one for each trial and training.

A trial is logged by the command that started its worker, when its result is recorded, and tracking.json
in the sweep folder says which trials are logged. So none is logged twice by several workers, by several
commands in one folder, or by several machines on one database.
"""

import dataclasses
import fcntl
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from common.basics.files import read_json, write_json_atomic
from common.runs.finished import open_finished
from common.training import tracking
from common.training.tracked import FAILED, FINISHED, Subject, environment
from common.tuning import measures
from common.tuning.store import open_lock
from common.tuning.trial import FAILED as FAILED_TRIAL
from common.tuning.trial import PRUNED, Trial
from common.tuning.types import Search

LOCK = ".tracking"
RESULTS = ("sweep.html", "summary.json", "best.json", "trials.csv")


class SweepTracking:
    """The trackers of a search.

    Args:
        sweep: Prepared.
    """

    def __init__(self, sweep: Search) -> None:
        self.sweep, self.names = sweep, list(sweep.options.trackers)
        self.file = sweep.directory / tracking.FILE
        self.key = sweep.definition.key
        self.failed: set[str] = set()
        self._sweep: tracking.Tracking | None = None

    def log(self, trials: Sequence[Trial], workers: Collection[str]) -> None:
        """Logs the trials that have a result and are not logged yet. The search's run comes first.

        Args:
            trials: As they were last read.
            workers: Names of the workers that this command has started.
        """
        names = [name for name in self.names if name not in self.failed]
        if names:
            with self._alone(wait=False) as held:
                if held is not None:
                    self._log(names, held, trials, workers)

    def _log(self, names, held, trials, workers, say=None):
        if self._sweep is None:
            # The others know the search's run by its key.
            self._sweep = self._tracking(names, self._subject, held, "search", say)
            self._note(self._sweep, lambda tracker: tracker.log([]))
        held["workers"] = sorted({*held.get("workers", ()), *workers})
        for trial in trials:
            # In files all trials are of this folder; in a database they are of several machines.
            own = self.sweep.definition.storage is None or trial.worker in held["workers"]
            if not (own and trial.finished):
                continue
            done = held.setdefault("done", {}).setdefault(trial.name, {})
            stamp = [trial.status, trial.epochs]
            # A trial that Hyperband continues has more epochs, and goes on in the same run.
            left = [name for name in names if done.get(name) != stamp and name not in self.failed]
            if left:
                one = self._tracking(
                    left, lambda trial=trial: self._of_trial(trial), held, trial.name, say
                )
                self._note(one, lambda tracker, trial=trial: _log_trial(tracker, trial))
                done.update({name: stamp for name in left if name not in one.failed})
                self._write(held)
        self._write(held)

    def _note(self, one, action):
        action(one)
        self.failed |= one.failed

    def _tracking(self, names, subject, held, part, say):
        mine = held.setdefault(part, {})
        again = "Afterwards: repeat the same command"
        return tracking.Tracking(names, subject, mine, lambda now: None, again, say)

    def _write(self, held):
        if not self.file.exists() or read_json(self.file, "tracking") != held:
            write_json_atomic(self.file, held)

    @contextmanager
    def _alone(self, wait: bool) -> Iterator[dict[str, Any] | None]:
        """Yields the content of tracking.json, or None where another command logs now."""
        with open_lock(self.sweep.directory / LOCK) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield None
                return
            yield read_json(self.file, "tracking") if self.file.exists() else {}

    def _subject(self):
        definition = dataclasses.asdict(self.sweep.definition)
        # These may change, or say nothing to a person.
        for name in ("base", "space", "storage", "key", "trials", "workers", "fingerprint"):
            definition.pop(name)
        start = {f"start.{name}": value for name, value in self.sweep.definition.base.items()}
        found = environment(self.sweep.directory / "environment.json")
        return Subject(
            key=self.key,
            name=self.sweep.directory.name,
            group=self.sweep.recipe,
            folder=self.sweep.directory,
            parameters={**definition, **start, **found},
            kind="sweep",
        )

    def _of_trial(self, trial):
        return Subject(
            key=f"{self.key}-{trial.name}",
            name=f"trial {trial.name}",
            group=self.sweep.recipe,
            folder=self.sweep.directory,
            parameters={"trial": trial.number, **trial.values},
            branch=f"trial-{trial.name}",
            parent=self.key,
            kind="trial",
        )

    def close(self, result: dict[str, Any]) -> list[str]:
        """Logs what is left, the trainings with new seeds and the result; a tracker that failed is tried
        once more.

        Args:
            result: Content of summary.json.

        Returns:
            Lines that say where it was logged.
        """
        if not self.names:
            return []
        # What failed is told already.
        say = (lambda text: None) if self.failed else None
        again, self.failed = bool(self.failed), set()
        with self._alone(wait=True) as held:
            assert held is not None  # It has waited.
            if again:
                self._sweep = None
            self._log(self.names, held, self.sweep.store.read(), (), say)
            for run, name in self._trainings():
                tracking.complete(run, self.names, parent=self.key, name=name)
            assert self._sweep is not None  # `_log` made it.
            files = [self.sweep.directory / name for name in RESULTS]
            lines = self._sweep.close(_figures(result), files)
            self._sweep = None
            self._write(held)
        return lines

    def _trainings(self):
        """Yields the trainings with new seeds as finished runs, and their names."""
        best = read_json(self.sweep.directory / "best.json", "configuration")["config"]
        for file in sorted(self.sweep.directory.glob("retrain/*/metrics.json")):
            run, _ = open_finished(file.parent)
            config = read_json(run.path("config.json"), "run configuration")["config"]
            role = "winner" if {**config, "seed": best["seed"]} == best else "start"
            yield run, f"{role}, seed {config['seed']}"

    def interrupt(self, status: str = FAILED) -> None:
        """Ends the search's run; the same command goes on with it.

        Args:
            status: FAILED or KILLED.
        """
        if self._sweep is not None:
            self._sweep.close(status=status)
            self._sweep = None


def _log_trial(one, trial):
    rows = rows_of(trial)
    figures = {
        "score": trial.score,
        "best_epoch": trial.best_epoch,
        "epochs": trial.epochs,
        "seconds": trial.seconds,
        "stopped_early": float(trial.status == PRUNED),
    }
    one.log(rows)
    status = FAILED if trial.status == FAILED_TRIAL else FINISHED
    one.close({name: value for name, value in figures.items() if value is not None}, (), status)


def rows_of(trial: Trial) -> list[dict[str, float]]:
    """Returns the rows of a trial by epoch; with several folds names begin with theirs: `fold-1/loss`."""
    rows: dict[int, dict[str, float]] = {}
    for number, curves in enumerate(trial.curves, start=1):
        head = f"fold-{number}/" if len(trial.curves) > 1 else ""
        for name, values in curves.items():
            for epoch, value in enumerate(values if name != "epoch" else (), start=1):
                rows.setdefault(epoch, {"epoch": epoch})[f"{head}{name}"] = value
    return [rows[epoch] for epoch in sorted(rows)]


def _figures(result):
    found = {name: result[name] for name in ("search_score", "trials", "epochs", "seconds")}
    for role in ("retrained", "start"):
        tests = [measures.test(row) for row in result[role]]
        if tests:
            found[f"{role}/test_mean"] = sum(tests) / len(tests)
    return {name: float(value) for name, value in found.items() if value is not None}
