"""What a sweep prints while it searches: a line per finished trial, and the time left."""

import contextlib
import shutil
import sys
import time
from collections.abc import Sequence

from common.basics.wording import duration
from common.tuning.failures import reason
from common.tuning.score import shown
from common.tuning.trial import FAILED, PRUNED, RUNNING, Trial, best_trial

# Seconds between two checks whether the processes that hold trials answer.
LOOK_SECONDS = 5


class Status:
    """Prints a line for each finished trial and, on a terminal, a last line that is rewritten.

    Args:
        sweep: The search.
    """

    def __init__(self, sweep):
        self.sweep = sweep
        self.begun = time.perf_counter()
        trials = sweep.store.read()
        self.seen = {trial.number: trial.epochs for trial in trials if trial.finished}
        self.epochs = sum(trial.epochs for trial in trials)
        self.terminal = sys.stdout.isatty()
        self._silent, self._next_look = set(), 0.0

    def show(self, trials: Sequence[Trial]) -> None:
        """Prints what is new since the last call."""
        for trial in trials:
            if trial.finished and self.seen.get(trial.number) != trial.epochs:
                self.seen[trial.number] = trial.epochs
                self._print(self._line(trial, trials))
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            self._tell_silent(set(self.sweep.store.silent()))
        if self.terminal:
            running = [trial for trial in trials if trial.status == RUNNING]
            names = ", ".join(f"{t.number} (epoch {self._epoch(t)})" for t in running)
            text = f"running {names or 'starting'}, {self._left(trials)}"
            print(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)

    def _tell_silent(self, silent):
        """Reports once for each trial that its process does not answer. The search waits for it."""
        for number in sorted(silent - self._silent):
            self._print(
                f"trial {number}: the process that holds its folder does not answer; waiting for it. If "
                "it was stopped, continue it (kill -CONT) or end it (kill -9)"
            )
        self._silent = silent

    def _print(self, text):
        print(f"\r\033[K{text}" if self.terminal else text, flush=True)

    def _line(self, trial, trials):
        objective = self.sweep.options.objective
        done = sum(each.finished for each in trials)
        total = min(self.sweep.options.trials, self.sweep.space.size)
        head = f"[{done}{'' if self.sweep.definition.budget else f'/{total}'}] trial {trial.number}"
        if trial.status == FAILED:
            return f"{head}  failed: {reason(trial)}"
        best = best_trial(trials, objective)
        text = (
            f"{head}  {objective} {shown(trial.score)} (epoch {trial.best_epoch} of {trial.epochs})"
        )
        if trial.status == PRUNED:
            text += ", stopped early"
        return (
            f"{text}  {trial.seconds:.0f} s  best {shown(best.score)} (trial {best.number})  "
            f"{self._left(trials)}"
        )

    def _epoch(self, trial):
        done = 0
        for path in self.sweep.store.folder(trial).glob("fold-*/history.csv"):
            with contextlib.suppress(OSError):
                done += max(path.read_text().count("\n") - 1, 0)
        return done + 1

    def _left(self, trials):
        """Returns about how much time is left, from the epochs trained since this process began."""
        definition = self.sweep.definition
        done = sum(trial.epochs for trial in trials if trial.finished)
        finished = [trial for trial in trials if trial.finished]
        new = done - self.epochs
        elapsed = time.perf_counter() - self.begun
        if new <= 0:
            return "time left not known yet"
        if definition.budget:
            left = definition.budget_epochs - self.sweep.tuner.oracle.spent(trials)
        else:
            count = min(definition.trials, self.sweep.space.size) - len(finished)
            left = count * done / max(len(finished), 1)
        return f"{duration(max(left, 0) * elapsed / new)} left"

    def close(self) -> None:
        """Clears the line that is rewritten."""
        if self.terminal:
            print("\r\033[K", end="", flush=True)
