"""A run folder: what a training reads, writes, resumes from, and refuses to overwrite.

runs/<recipe>/<name>/
  config.json        recipe, preset and every field: `--config` reads it back
  environment.json   versions, machine, commit, data fingerprint, command
  backup/state.npz   everything an interrupted training continues from (common/training/keeper.py)
  history.csv        one row per epoch
  best.keras         the epoch with the best validation score; final.keras: the last epoch
  predictions.npz    outputs for the validation and test splits, a score for each test example
  metrics.json       written last: its presence means that the run is finished
  timing.json        wall and CPU seconds
  report.html        the results for a person, figures/ beside it
  tracking.json      ids of the runs in trackers; what trackers write is in tensorboard/ and wandb/
"""

import contextlib
import os
import shlex
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TextIO

from common.basics import partial
from common.basics.errors import RecipeError, UsageError
from common.basics.files import link_to_nothing, read_json, write_json_atomic
from common.basics.flags import flags
from common.data.source import Source
from common.data.types import DataInfo, Splits
from common.runs import config as configuration
from common.runs import folder
from common.runs.folder import LOCK
from common.runs.options import Options, needs_fit
from common.runs.types import Config


class Run:
    """One training in one folder.

    Args:
        recipe: Name of the recipe.
        config: The recipe's Config.
        options: How and where it takes place; None: the defaults.
        preset: Name of the preset that `config` is, or "custom".

    A trial of a search is a Run whose `is_trial` is true: it prints nothing, never reads the test
    split, and leaves only its history and checkpoints.
    """

    is_trial = False

    def __init__(
        self,
        recipe: str,
        config: Config,
        options: Options | None = None,
        preset: str = "custom",
    ):
        self.recipe = recipe
        self.config = self.asked = config
        self.options = options or Options()
        self.preset = preset
        self.source = Source(self.options.data, self.options.data_dir, self.options.reading)
        self._splits: Splits | None = None
        self._lock_file: TextIO | None = None
        # What others keep with a run while it takes place: its trackers, the user's callbacks.
        self.companions: dict[str, Any] = {}
        self.directory = Path(self.options.run_dir or self._default_directory())

    def _default_directory(self):
        # A preset changed by flags is "custom". The hash gives each such Config its own folder.
        data = self.options.data
        if not self.source.built_in:
            resolved = Path(data).resolve()
            data = f"{resolved.stem}-{configuration.short_hash(str(resolved))}"
        name = f"{self.preset}-{data}-seed{self.config.seed}"
        if self.preset == "custom":
            fields = configuration.to_dict(self.config)
            name += f"-{configuration.short_hash(fields)}"
        return Path("runs") / self.recipe / name

    def path(self, name: str) -> Path:
        """Returns the path of a file in the run folder."""
        return self.directory / name

    @property
    def finished(self) -> bool:
        """Whether metrics.json, which is written last, is there."""
        return self.path("metrics.json").exists()

    @property
    def lacks_report(self) -> bool:
        """Whether only the report is missing: the process ended while it wrote it."""
        return self.finished and self.options.report and not self.path("report.html").exists()

    def stops(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Returns whether the run itself wants training to end now; asked after every epoch.

        Args:
            history: A row for each finished epoch, by column.
        """
        return False

    def fit_to_data(self, module: ModuleType, given: Collection[str]) -> None:
        """Lets the recipe fit the Config of a new run to the user's own data, or to a subset.

        A run that is continued keeps the Config that it was started with: `check` has read it.

        Args:
            module: The recipe's `train` module.
            given: Names of the fields that the user chose; they stay.
        """
        if self.config is self.asked and needs_fit(module, self.asked, self.source):
            examples = len(self.load(module.load_data).train)
            self.config = module.fit_to(self.asked, examples, given)

    def load(self, load_data: Callable[[Any, Source], Splits]) -> Splits:
        """Returns the data of the run; `load_data(config, source)` is called the first time only."""
        if self._splits is None:
            self._splits = load_data(self.config, self.source)
        return self._splits

    @property
    def command(self) -> str:
        """The command line that continues this run, for a person to copy."""
        options = self.options
        words: list[str | Path] = ["recipes", "train", self.recipe]
        words += ["--config", self.path("config.json"), "--data", options.data]
        if options.data_dir:
            words += ["--data-dir", options.data_dir]
        words += flags(options.reading.to_dict())
        words += ["--run-dir", self.directory]
        if options.deterministic:
            words.append("--deterministic")
        if not options.report:
            words.append("--no-report")
        if options.trackers:
            words += ["--tracker", ",".join(options.trackers)]
        if options.callbacks:
            words += ["--callbacks", options.callbacks]
        return shlex.join(map(str, words))

    def check(self) -> dict[str, Any] | None:
        """Checks that the folder can hold this run, and changes nothing in it.

        Steps that may fail or take long belong between `check` and `open`, because `open` deletes the old
        run if `overwrite` is set. If the folder holds a run, it is locked from here on.

        Returns:
            The config.json of the run in the folder, or None.

        Raises:
            UsageError: The folder holds a finished run (with its report, where one is wanted),
                another recipe's run, a run of another configuration or other data (the message says
                what differs), or files of something else; or another process is training in it.
            RecipeError: The folder cannot be written.
        """
        if link_to_nothing(self.directory):
            raise UsageError(f"no run folder at {self.directory}{link_to_nothing(self.directory)}")
        if self.directory.exists() and not self.directory.is_dir():
            raise UsageError(f"{self.directory} is a file, not a run folder")
        nearest = next(path for path in (self.directory, *self.directory.parents) if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise RecipeError(
                f"could not write {self.directory}: {nearest} is no folder that you may write in; "
                "choose another --run-dir"
            )
        held = self._held() if self.directory.is_dir() else None
        if held is not None:
            if not self.options.overwrite:
                self._check_same(held)
                if self.finished and not self.lacks_report:
                    raise self._is_finished()
                self.config = configuration.from_dict(type(self.config), held.get("config", {}))
            self._lock()
        return held

    def open(self) -> Self:
        """Creates the folder, or empties it if `overwrite` is set, and writes config.json.

        Returns:
            The Run itself.

        Raises:
            UsageError, RecipeError: As `check`, which is called again.
        """
        held = self.check()
        self._lock()
        if folder.is_given_up(self.directory) or (held is not None and self.options.overwrite):
            folder.clear(self.directory)
        elif self.finished:
            raise self._is_finished()
        folder.remove_unfinished(self.directory)
        if self.options.report:
            # It shows old scores. If it cannot be deleted, the new report replaces it at the end.
            with contextlib.suppress(OSError):
                self.path("report.html").unlink()
        write_json_atomic(self.path("config.json"), self._started())
        return self

    def _started(self):
        """Returns the content of config.json."""
        data = self.options.data
        return {
            "recipe": self.recipe,
            "preset": self.preset,
            # The path is absolute, so that `recipes report` finds the data from any directory.
            "data": data if self.source.built_in else str(Path(data).resolve()),
            "data_dir": str(self.source.data_dir.resolve()) if self.source.data_dir else None,
            "reading": self.source.reading.to_dict(),
            "config": configuration.to_dict(self.config),
            # The Config before it was fitted to the data: the same command asks for it again.
            "asked": configuration.to_dict(self.asked),
        }

    def _held(self):
        """Returns the config.json of the run in the folder, or None where the folder is empty."""
        # These files are left if a process is killed while it writes its first file.
        own = (LOCK, partial.PREFIX)
        if all(path.name.startswith(own) for path in self.directory.iterdir()):
            return None
        if folder.is_given_up(self.directory):
            return None
        if not self.path("config.json").exists():
            raise UsageError(
                f"{self.directory} is not empty and holds no run (no config.json); "
                "choose another --run-dir"
            )
        try:
            held = read_json(self.path("config.json"), "run configuration")
        except RecipeError:
            # The lock shows that a training of some recipe made the folder, so it may be emptied.
            if self.options.overwrite and self.path(LOCK).exists():
                return {}
            raise
        if held.get("recipe") != self.recipe:
            raise UsageError(
                f"{self.directory} holds a run of {held.get('recipe')}, not of {self.recipe}; "
                "choose another --run-dir"
            )
        return held

    def _lock(self):
        """Keeps other processes out of the folder until this one ends."""
        if self._lock_file is None:
            self._lock_file = folder.lock(self.directory)
            # A run that is dropped lets the folder go, and does not leave that to the file's end.
            weakref.finalize(self, self._lock_file.close)

    def changes(self, held: Mapping[str, Any]) -> list[str]:
        """Returns a line for each difference between this run and that of a config.json.

        Args:
            held: Content of the config.json.
        """
        started = self._started()
        stored = held.get("config", {})
        changed = configuration.changes(self.asked, held.get("asked", stored))
        if not configuration.changes(self.asked, stored):
            changed = []  # It was started from this config.json.
        # The data set must stay the same. The folder it lies in may differ between machines.
        if held.get("data") != started["data"]:
            changed.append(f"data: {held.get('data')} -> {started['data']}")
        return changed + configuration.differences(held.get("reading", {}), started["reading"])

    def _check_same(self, held):
        changed = self.changes(held)
        if changed:
            raise UsageError(
                f"{self.directory} holds a run with another configuration ({'; '.join(changed)}); "
                "choose another --run-dir, or --overwrite to start again"
            )

    def _is_finished(self):
        return UsageError(
            f"{self.directory} holds a finished run; --overwrite starts again, "
            f"`recipes report {self.directory}` shows it"
        )

    def record_environment(self, info: DataInfo) -> None:
        """Writes environment.json, or adds to it what has changed since the run was started.

        Args:
            info: The data trained on.

        Raises:
            RecipeError: The run was started on data with another fingerprint, or under another
                Keras backend.
        """
        from common.runs import environment

        environment.record(self.path("environment.json"), self.config.seed, info.to_dict())

    def data_info(self) -> dict[str, Any]:
        """Returns what environment.json records about the data trained on (`DataInfo.to_dict()`).

        Raises:
            RecipeError: The file is absent or damaged.
        """
        from common.runs import environment

        return environment.data_of(self.path("environment.json"))
