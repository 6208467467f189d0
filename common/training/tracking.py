"""Logs a run to trackers: parameters at the start, a row an epoch, figures and files at the end.

What is logged comes from the run folder: config.json, environment.json, the rows of history.csv,
metrics.json and report.html. A tracker is given all rows and takes those that it has not got, so a run
that was killed goes on in the same run of the tracker, without gaps and without doubled epochs; and
`recipes track` logs a run that is finished. `tracking.json` in the folder holds the ids.

A tracker never costs a training. Where one fails, that is told once, it is left out until the end, and
then it is tried once more.
"""

import functools
import importlib
import json
import sys
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import keras

from common.basics.errors import RecipeError
from common.basics.files import read_json, write_json_atomic
from common.basics.passwords import hide
from common.runs.run import Run
from common.runs.trackers import check_installed
from common.training.keeper import RunKeeper
from common.training.tracked import (
    FAILED,
    FILES,
    FINISHED,
    KILLED,
    Subject,
    figures_of,
    rows_of,
    subject_of,
)

FILE = "tracking.json"


class Tracker(Protocol):
    """A run in a tracker. Any error may come out of any method."""

    title: str

    def open(self, subject: Subject, held: dict[str, Any]) -> None:
        """Starts the run of a subject, or goes on with it.

        Args:
            subject: What is logged.
            held: What the tracker keeps between processes. It changes this: it is stored after a call.
        """

    def log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Logs those rows that it has not got; each has `epoch`, 1-based, and numbers by name."""

    def close(self, figures: Mapping[str, float], files: Sequence[Path], status: str) -> None:
        """Logs final figures and files, and ends the run as FINISHED, FAILED or KILLED."""

    def where(self) -> str:
        """Returns where a person finds it, in a few words."""


def make(name: str) -> Tracker:
    """Returns a tracker by its name; it is imported here."""
    module = importlib.import_module(f"common.training.tracker_{name}")
    made: Tracker = module.make()
    return made


class Tracking:
    """The trackers of one subject.

    Args:
        names: Names of trackers.
        subject: Function that returns what is logged; called when the first tracker is opened.
        held: What the trackers keep between processes, by their name.
        store: Function that stores `held`.
        afterwards: How to log the subject later, for the message where a tracker fails.
        say: Function that prints that message.
    """

    def __init__(
        self,
        names: Sequence[str],
        subject: Callable[[], Subject],
        held: dict[str, Any],
        store: Callable[[dict[str, Any]], None],
        afterwards: str,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.names, self._subject, self._held, self._store = names, subject, held, store
        self._afterwards, self._say = afterwards, say or _say
        self._open: dict[str, Tracker] = {}
        self._rows: Sequence[Mapping[str, float]] = ()
        self._stored = json.dumps(held)
        self.failed: set[str] = set()

    def log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Logs what is new among the rows; the first call starts the trackers' runs.

        Args:
            rows: All rows up to now: `epoch`, 1-based, and numbers by name.
        """
        self._rows = list(rows)
        for name in self.names:
            if name not in self.failed:
                self._try(name, self._log)

    def close(
        self,
        figures: Mapping[str, float] | None = None,
        files: Sequence[Path] = (),
        status: str = FINISHED,
    ) -> list[str]:
        """Ends the trackers' runs, with all that is logged at the end.

        Args:
            figures: Numbers by name.
            files: Files to keep; those that are not there are left out.
            status: FINISHED, FAILED or KILLED.

        Returns:
            A line for each tracker that has everything: where it is.
        """
        files, places = [file for file in files if file.is_file()], []

        def close(tracker):
            self._log(tracker)
            tracker.close(figures or {}, files, status)
            places.append(f"Logged to {tracker.title}: {tracker.where()}")

        # A run that is not finished goes on later: what has failed is not tried again.
        for name in self.names:
            if name not in self.failed or status == FINISHED:
                self._try(name, close)
        self._open = {}
        return places

    def _log(self, tracker):
        tracker.log(self._rows)

    def _try(self, name, action):
        try:
            if name not in self._open:
                check_installed([name])
                tracker, held = make(name), self._held.setdefault(name, {})
                tracker.open(self._subject(), held)
                self._open[name] = tracker
            action(self._open[name])
        except Exception as error:
            self._open.pop(name, None)
            if name not in self.failed:
                self.failed.add(name)
                self._say(
                    f"warning: {name} could not be logged to ({_short(error)}); nothing else is lost. "
                    f"{self._afterwards.format(name=name)}"
                )
        # Once an epoch, and only where a tracker has changed what it keeps.
        now = json.dumps(self._held)
        if now != self._stored:
            self._store(self._held)
            self._stored = now


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _short(error):
    text = " ".join(hide(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} ..."


# Of a run


def of(
    run: Run,
    names: Sequence[str] | None = None,
    *,
    parent: str | None = None,
    name: str | None = None,
) -> Tracking:
    """Returns the trackers of a run, always the same object.

    Args:
        run: Opened.
        names: Names of trackers. None: those of the run's options.
        parent: Key of a search that the run lies under.
        name: What people read. None: the name of the folder.

    Raises:
        RecipeError: tracking.json is damaged.
    """
    if "tracking" not in run.companions:
        file, it = run.path(FILE), weakref.ref(run)
        names = run.options.trackers if names is None else names
        held = _held(file) if names else {}
        run.companions["tracking"] = Tracking(
            names,
            # A run that holds itself would let its folder go late.
            lambda: subject_of(cast("Run", it()), held["key"], parent, name),
            held,
            functools.partial(write_json_atomic, file),
            f"Afterwards: recipes track {run.directory} --tracker {{name}}",
        )
    found: Tracking = run.companions["tracking"]
    return found


def _held(file):
    """Returns the content of tracking.json, with a key that is stored before any tracker is asked."""
    try:
        held = read_json(file, "tracking") if file.exists() else {}
    except RecipeError as error:
        raise RecipeError(f"{error}; without it, the run is logged anew") from error
    if not held.get("key"):
        held["key"] = uuid.uuid4().hex[:12]
        write_json_atomic(file, held)
    return held


def complete(run: Run, names: Sequence[str] | None = None, **under: str | None) -> list[str]:
    """Logs what a finished run's trackers have not got, figures and files too, and ends their runs.

    Args:
        run: Finished.
        names: As of `of`.
        **under: `parent` and `name`, as of `of`.

    Returns:
        Lines that say where it was logged.
    """
    tracking = of(run, names, **under)
    if not tracking.names:
        return []
    tracking.log(rows_of(run.directory))
    timing = run.path("timing.json")
    figures = figures_of(
        read_json(run.path("metrics.json"), "metrics"),
        read_json(timing, "timing") if timing.exists() else {},
    )
    return tracking.close(figures, [run.path(name) for name in FILES])


def interrupt(run: Run, error: BaseException) -> None:
    """Ends a run in its trackers whose training an error or Ctrl-C ended; it may be resumed."""
    tracking = run.companions.get("tracking")
    if tracking is not None:
        tracking.close(status=FAILED if isinstance(error, Exception) else KILLED)


class TrackEpochs(keras.callbacks.Callback):
    """Logs the history after each epoch. Comes after RunKeeper: what is logged is stored in the run."""

    def __init__(self, tracking: Tracking, keeper: RunKeeper) -> None:
        super().__init__()
        self.tracking, self.keeper = tracking, keeper

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.tracking.log(self.keeper.history)


def follow(run: Run, keeper: RunKeeper) -> list[keras.callbacks.Callback]:
    """Starts the trackers of a run with the epochs that it has; returns the callbacks that go on."""
    if run.is_trial or not run.options.trackers:
        return []
    tracking = of(run)
    tracking.log(keeper.history)
    return [TrackEpochs(tracking, keeper)]
