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
"""

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TextIO

from common.basics import partial
from common.basics.errors import RecipeError, UsageError
from common.basics.files import link_to_nothing, read_json, write_json_atomic
from common.basics.flags import flags
from common.data.source import AS_IT_COMES, Reading, Source
from common.data.types import DataInfo, Splits
from common.runs import config as configuration
from common.runs import folder
from common.runs.folder import LOCK
from common.runs.types import Config

# Without metrics.json a run is not finished, so it is scored again; its epochs are in the backup.
SCORE_AGAIN = (
    "delete metrics.json and repeat the training command: it scores the run again, without training"
)


@dataclasses.dataclass(frozen=True)
class Options:
    """How and where a run takes place. These options do not change its result."""

    preset: str = "best"
    """Named configuration to start from; all other flags change single fields of it."""
    config: Path | None = None
    """JSON file to start from instead: a run's config.json or a tuner's best.json."""
    data: str = "full"
    """'full' (the real data set), 'sample' (built in, small, no network), or a path to your own data:
    a folder of class folders of images, a CSV with columns text and label, or an .npz file."""
    data_dir: Path | None = None
    """Folder of TensorFlow Datasets (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)."""
    reading: Reading = AS_IT_COMES
    run_dir: Path | None = None
    """Folder of the run; the same folder resumes (default: runs/<recipe>/<preset>-<data>-seed<n>)."""
    overwrite: bool = False
    """Delete what the run folder holds and start again."""
    deterministic: bool = False
    """Bitwise repeatable on one machine; slower on some backends."""
    tensorboard: bool = False
    """Write TensorBoard logs to the run folder."""
    report: bool = True
    """Write report.html at the end."""
    debug: bool = False
    """Show tracebacks of errors."""


def needs_fit(module: ModuleType, config: Config, source: Source) -> bool:
    """Returns whether a recipe must fit its presets to the data.

    Presets are made for the built-in data sets. They need a fit on other data and on a subset, if the
    recipe has a `fit_to`.

    Args:
        module: The recipe's `train` module.
        config: The configuration; its `train_examples` asks for a subset.
        source: Where the data comes from.
    """
    other = not source.built_in or getattr(config, "train_examples", 0) > 0
    return other and hasattr(module, "fit_to")


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
        """Writes environment.json.

        If a run is continued with another commit or other versions, they are added under `resumed`.

        Args:
            info: The data trained on.

        Raises:
            RecipeError: The run was started on data with another fingerprint, or under another
                Keras backend.
        """
        from common.runs import environment

        path = self.path("environment.json")
        now = environment.describe(self.config.seed, info.to_dict())
        if not path.exists():
            write_json_atomic(path, now)
            return
        held = read_json(path, "environment")
        fingerprint = self.data_info()["fingerprint"]
        if fingerprint != info.fingerprint:
            raise RecipeError(
                f"the data changed since {self.directory} was started "
                f"(fingerprint {fingerprint} -> {info.fingerprint}); --overwrite starts again"
            )
        if held.get("backend") != now["backend"]:
            # The weights would fit, but the random numbers would not. The result would be that of
            # neither backend.
            raise RecipeError(
                f"{self.directory} was started with the Keras backend {held.get('backend')}, and this "
                f"is {now['backend']}: set KERAS_BACKEND={held.get('backend')} to go on, or "
                "--overwrite to start again"
            )
        changed = configuration.differences(held.get("versions") or {}, now["versions"])
        if changed or held.get("commit") != now["commit"]:
            resumed = {"started": now["started"], "commit": now["commit"], "versions": changed}
            held["resumed"] = [*held.get("resumed", []), resumed]
            write_json_atomic(path, held)

    def data_info(self) -> dict[str, Any]:
        """Returns what environment.json records about the data trained on (`DataInfo.to_dict()`).

        Raises:
            RecipeError: The file is absent or damaged.
        """
        path = self.path("environment.json")
        data = read_json(path, "environment").get("data")
        wanted = {"kind", "class_names", "fingerprint"}
        if not isinstance(data, dict) or not wanted <= data.keys():
            raise RecipeError(
                f"{path} is damaged: it lacks 'data' with {', '.join(sorted(wanted))}; restore it from "
                "a copy, or train again with --overwrite"
            )
        return data


def read_metrics(directory: str | Path) -> dict[str, Any]:
    """Returns the content of metrics.json of a finished run.

    Raises:
        RecipeError: The file is absent or damaged.
    """
    path = Path(directory) / "metrics.json"
    try:
        held = read_json(path, "metrics")
    except RecipeError as error:
        raise RecipeError(f"{error}; {SCORE_AGAIN}") from error
    missing = [key for key in ("data", "validation", "test") if not held.get(key)]
    if missing:
        raise RecipeError(f"{path} is damaged: it lacks '{missing[0]}'; {SCORE_AGAIN}")
    return held


def open_finished(
    directory: str | Path, recipe_module: Callable[[str], ModuleType] | None = None
) -> tuple[Run, ModuleType]:
    """Opens the folder of an existing run for evaluate, predict, export, report.

    Args:
        directory: The run folder.
        recipe_module: Function from the recipe's name to its `train` module
            (default: `common.runs.registry.load`).

    Returns:
        The run and the recipe's module.

    Raises:
        RecipeError: It is not a run folder, or has no trained model yet.
    """
    from common.runs import registry

    directory = Path(directory)
    if not directory.is_dir():
        raise UsageError(f"no run folder at {directory}{link_to_nothing(directory)}")
    if folder.is_given_up(directory):
        raise UsageError(
            f"{directory} was being emptied for a new run when the process ended; repeat the training "
            "command"
        )
    if not (directory / "config.json").exists():
        raise UsageError(f"{directory} is not a run folder: it has no config.json")
    held = read_json(directory / "config.json", "run configuration")
    missing = [key for key in ("recipe", "data", "config") if key not in held]
    if missing:
        raise RecipeError(f"{directory / 'config.json'} is damaged: it lacks '{missing[0]}'")
    module = (recipe_module or registry.load)(held["recipe"])
    config = configuration.read_config_file(
        directory / "config.json", module.Config, held["recipe"]
    )
    options = Options(
        data=held["data"],
        data_dir=Path(held["data_dir"]) if held.get("data_dir") else None,
        reading=Reading.from_dict(held.get("reading", {})),
        run_dir=directory,
    )
    run = Run(held["recipe"], config, options, preset=held.get("preset", "custom"))
    if not run.path("best.keras").exists():
        raise RecipeError(
            f"{directory} has no trained model yet (no best.keras): finish it with `{run.command}`"
        )
    return run, module
