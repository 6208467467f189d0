"""A run folder: what a training reads, writes, resumes from, and refuses to overwrite.

runs/<recipe>/<name>/
  config.json        recipe, preset and every field: `--config` reads it back
  environment.json   versions, machine, commit, data fingerprint, command
  backup/state.npz   everything an interrupted training continues from (common/training/keeper.py)
  history.csv        one row per epoch
  best.keras         the epoch with the best validation score; final.keras: the last epoch
  predictions.npz    class probabilities for the validation and test splits
  metrics.json       written last: its presence means that the run is finished
  timing.json        wall and CPU seconds
  report.html        the same for a person, figures/ beside it
"""

import contextlib
import dataclasses
import os
import shlex
from pathlib import Path

from common.basics import partial
from common.basics.errors import RecipeError, UsageError
from common.basics.files import link_to_nothing, read_json, write_json_atomic
from common.basics.flags import flags
from common.data.source import AS_IT_COMES, Reading, Source
from common.runs import config as configuration
from common.runs import folder
from common.runs.folder import LOCK

# What finishes a run is done again where metrics.json is missing; the epochs are in the backup.
SCORE_AGAIN = (
    "delete metrics.json and repeat the training command: it scores the run again, without training"
)


@dataclasses.dataclass(frozen=True)
class Options:
    """How and where a run takes place; what does not change its result."""

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


def needs_fit(module, config, source):
    """Returns whether a recipe fits its presets to the data: they are made for the built-in sets, whole.

    Args:
        module: The recipe's `train` module.
        config: Config.
        source: Source.
    """
    other = not source.built_in or getattr(config, "train_examples", 0) > 0
    return other and hasattr(module, "fit_to")


class Run:
    """One training in one folder.

    Args:
        recipe: Name of the recipe.
        config: The recipe's Config.
        options: Options.
        preset: Name of the preset, for the record.

    A trial of a search is a Run whose `is_trial` is true: it prints nothing, never reads the test
    split, and leaves only its history and checkpoints.
    """

    is_trial = False

    def __init__(self, recipe, config, options=None, preset="custom"):
        self.recipe = recipe
        self.config = self.asked = config
        self.options = options or Options()
        self.preset = preset
        self.source = Source(self.options.data, self.options.data_dir, self.options.reading)
        self._splits = None
        self._lock_file = None
        self.directory = Path(self.options.run_dir or self._default_directory())

    def _default_directory(self):
        # A field changed by a flag gets a folder of its own: the plain name is the plain preset.
        data = self.options.data
        if not self.source.built_in:
            resolved = Path(data).resolve()
            data = f"{resolved.stem}-{configuration.short_hash(str(resolved))}"
        name = f"{self.preset}-{data}-seed{self.config.seed}"
        if self.preset == "custom":
            fields = configuration.to_dict(self.config)
            name += f"-{configuration.short_hash(fields)}"
        return Path("runs") / self.recipe / name

    def path(self, name):
        """Returns the path of a file in the run folder."""
        return self.directory / name

    @property
    def finished(self):
        """Whether metrics.json, which is written last, is there."""
        return self.path("metrics.json").exists()

    @property
    def lacks_report(self):
        """Whether the run is finished but for its report: its process ended while it wrote that."""
        return self.finished and self.options.report and not self.path("report.html").exists()

    def stops(self, history):
        """Returns whether training ends here for a reason of the run's own; asked at every epoch.

        Args:
            history: List of dicts, a row for each epoch done.
        """
        return False

    def fit_to_data(self, module, given):
        """Lets the recipe fit the Config of a new run to the user's own data, or to a subset.

        A run that goes on keeps what it was started with: `check` has read it.

        Args:
            module: The recipe's `train` module.
            given: Names of the fields that the user chose.
        """
        if self.config is self.asked and needs_fit(module, self.asked, self.source):
            examples = len(self.load(module.load_data).train)
            self.config = module.fit_to(self.asked, examples, given)

    def load(self, load_data):
        """Returns the run's Splits; `load_data(config, source)` is called the first time only."""
        if self._splits is None:
            self._splits = load_data(self.config, self.source)
        return self._splits

    @property
    def command(self):
        """The command line that continues this run, for a person to copy."""
        options, words = self.options, ["recipes", "train", self.recipe]
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

    def check(self):
        """Checks that the folder can hold this run, and changes nothing in it.

        What fails or takes long comes between this and `open`, which deletes what `overwrite` gives
        up. A run that is in the folder is kept from other processes from here on.

        Returns:
            The config.json of the run in the folder, or None.

        Raises:
            UsageError: The folder holds a finished run (with its report, where one is wanted),
                another recipe's run, a run of another configuration or other data (the message says
                what differs), or files that no run wrote; or another process is training in it.
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

    def open(self):
        """Creates the folder, or empties it where `overwrite` says so, and writes config.json.

        Returns:
            The Run itself.

        Raises:
            UsageError, RecipeError: As `check`, which is done again.
        """
        held = self.check()
        self._lock()
        if folder.is_given_up(self.directory) or (held is not None and self.options.overwrite):
            folder.clear(self.directory)
        elif self.finished:
            raise self._is_finished()
        folder.remove_unfinished(self.directory)
        if self.options.report:
            # Of scores that are made again. One that cannot be deleted is replaced in the end.
            with contextlib.suppress(OSError):
                self.path("report.html").unlink()
        write_json_atomic(self.path("config.json"), self._started())
        return self

    def _started(self):
        """Returns what config.json holds."""
        data = self.options.data
        return {
            "recipe": self.recipe,
            "preset": self.preset,
            # A path is recorded whole, so that `recipes report` finds the data from any directory.
            "data": data if self.source.built_in else str(Path(data).resolve()),
            "data_dir": str(self.source.data_dir.resolve()) if self.source.data_dir else None,
            "reading": self.source.reading.to_dict(),
            "config": configuration.to_dict(self.config),
            # Before it was fitted to the data: what the same command asks for again.
            "asked": configuration.to_dict(self.asked),
        }

    def _held(self):
        """Returns the config.json of the run in the folder, or None where the folder is empty."""
        # A process killed while it wrote its first file leaves these.
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
            # A training did lock the folder, so it is a run's, of whichever recipe.
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
        """Keeps other processes out of the folder for as long as this one lives.

        Two trainings in one folder would overwrite each other's backups. The system releases the
        lock when the process ends, however it ends.
        """
        if self._lock_file is None:
            self._lock_file = folder.lock(self.directory)

    def changes(self, held):
        """Returns a line per thing in which the run is another one than that of a config.json."""
        started = self._started()
        stored = held.get("config", {})
        changed = configuration.changes(self.asked, held.get("asked", stored))
        if not configuration.changes(self.asked, stored):
            changed = []  # It was started from this very config.json.
        # The folder the data set lies in may change between machines; the data set may not.
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

    def record_environment(self, info):
        """Writes environment.json; `info` is the DataInfo of the data trained on.

        Where a run goes on with another commit or other versions, the file says so under `resumed`.

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
            # Weights would fit, random numbers would not: the result would be neither backend's.
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

    def data_info(self):
        """Returns what environment.json holds of the data trained on, a dict.

        Raises:
            RecipeError: The file is absent or damaged.
        """
        path = self.path("environment.json")
        data = read_json(path, "environment").get("data")
        wanted = {"kind", "class_names", "fingerprint"}
        if not isinstance(data, dict) or not wanted <= data.keys():
            raise RecipeError(
                f"{path} is damaged: it lacks 'data' with {', '.join(sorted(wanted))}; take it from "
                "a copy, or train again with --overwrite"
            )
        return data


def read_metrics(directory):
    """Returns what metrics.json of a finished run holds.

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


def open_finished(directory, recipe_module=None):
    """Opens the folder of an existing run for evaluate, predict, export, report.

    Args:
        directory: The run folder.
        recipe_module: Called with the recipe's name, returns its `train` module
            (default: `common.runs.registry.load`).

    Returns:
        Tuple of the Run and the recipe's module.

    Raises:
        RecipeError: It is not a run folder, or has no trained model yet.
    """
    from common.runs import registry

    directory = Path(directory)
    if not directory.is_dir():
        raise UsageError(f"no run folder at {directory}{link_to_nothing(directory)}")
    if folder.is_given_up(directory):
        raise UsageError(
            f"{directory} was being emptied for a new run when its process ended; repeat the training "
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
