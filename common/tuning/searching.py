"""The search itself: starts workers that run the trials, watches them, and replaces those that die."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from common.basics.errors import RecipeError, StorageError
from common.tuning.processes import NO_STORAGE, REFUSED, Worker
from common.tuning.status import Status
from common.tuning.store import Store
from common.tuning.trial import FAILED, RUNNING, Trial
from common.tuning.types import Search

POLL_SECONDS = 0.25
# After so many replaced workers, the search stops: the machine is the problem then.
MAX_REPLACEMENTS = 20


Log = Callable[[Sequence[Trial], Collection[str]], None]


def search(sweep: Search, log: Log = lambda trials, workers: None) -> None:
    """Runs the workers of a search until no trial is left.

    Args:
        sweep: Prepared.
        log: Called again and again with the trials, and the names of all workers started here.

    Raises:
        StorageError: A disk or a database cannot be used.
        RecipeError: A worker met an error that every other worker would meet as well, or too many died.
    """
    status = Status(sweep)
    workers = []
    try:
        for index in range(sweep.options.workers):
            workers.append(_worker(sweep, index))
        _watch(sweep, status, workers, log)
    except BaseException:
        _end(status, workers)
        # A user who interrupts does not want to wait for a database that is away.
        sweep.store.hurry()
        with contextlib.suppress(RecipeError, OSError):
            sweep.tuner.tidy()
        raise
    _end(status, workers)
    # Workers that died have not tidied up.
    sweep.tuner.tidy()


def _worker(sweep, index):
    return Worker(sweep.directory, index, sweep.options.workers, sweep.definition.storage)


def _watch(sweep, status, workers, log):
    replacements, names = 0, {worker.name for worker in workers}
    while workers:
        time.sleep(POLL_SECONDS)
        sweep.found = sweep.store.read()
        status.show(sweep.found)
        log(sweep.found, names)
        for worker in list(workers):
            code = worker.process.poll()
            if code is None:
                continue
            workers.remove(worker)
            held = held_by(worker, sweep.store.read())
            if code == 0 and not held:
                continue
            if code == NO_STORAGE:
                raise StorageError(worker.last_words())
            if code == REFUSED or (code > 0 and not held):
                raise RecipeError(worker.last_words())
            died(sweep.store, worker, code)
            replacements += 1
            if replacements > MAX_REPLACEMENTS:
                raise RecipeError(f"{replacements} workers died; see {worker.log}")
            workers.append(_worker(sweep, worker.index))
            names.add(workers[-1].name)
    sweep.found = sweep.store.read()
    status.show(sweep.found)
    log(sweep.found, names)


def _end(status, workers):
    status.close()
    for worker in workers:
        worker.stop()


def died(store: Store, worker: Worker, code: int) -> None:
    """Notes in the trial of a worker that the worker has died; at last that the trial has failed.

    Args:
        store: The trials.
        worker: The worker that has ended.
        code: Its exit code; negative: the number of the signal that killed it.
    """
    from common.tuning.oracle import MAX_FAILURES

    end = f"was killed by signal {-code} (9: out of memory?)"
    if code >= 0:
        end = f"ended by itself with exit code {code}; see {worker.log}"
    with store.lock():
        trials = store.read()
        for trial in held_by(worker, trials):
            trial.failures += 1
            trial.message = f"its process {end}"
            if trial.failures >= MAX_FAILURES:
                trial.status = FAILED
                trial.note_end(trials)
            store.bury(trial)
            print(f"trial {trial.number}: {trial.message}")


def held_by(worker: Worker, trials: Iterable[Trial]) -> list[Trial]:
    """Returns the trials that a worker runs, or ran when it ended: one or none."""
    return [each for each in trials if each.status == RUNNING and each.worker == worker.name]
