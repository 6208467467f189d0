"""A run folder: what a training reads, writes, resumes from, and refuses to overwrite.

runs/<recipe>/<name>/
  config.json        recipe, preset and every field: `--config` reads it back
  environment.json   versions, machine, commit, data fingerprint, command
  backup/state.npz   everything an interrupted training continues from (common/callbacks.py)
  history.csv        one row per epoch
  best.keras         the epoch with the best validation score; final.keras: the last epoch
  predictions.npz    class probabilities for the validation and test splits
  metrics.json       written last: its presence means that the run is finished
  timing.json        wall and CPU seconds
  report.html        the same for a person, figures/ beside it
"""

import dataclasses
import shutil
from pathlib import Path

from common import config as configuration
from common.errors import RecipeError, UsageError
from common.files import read_json, write_json_atomic

LOCK = ".lock"


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
        self.config = config
        self.options = options or Options()
        from common.data import Source

        self.preset = preset
        self.source = Source(data=self.options.data, data_dir=self.options.data_dir)
        self._splits = None
        self.directory = Path(self.options.run_dir or self._default_directory())

    def _default_directory(self):
        # A field changed by a flag gets a folder of its own: the plain name is the plain preset.
        data = self.options.data
        if data not in ("full", "sample"):
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

    def stops(self, history):
        """Returns whether training ends here for a reason of the run's own; asked at every epoch.

        Args:
            history: List of dicts, a row for each epoch done.
        """
        return False

    def load(self, load_data):
        """Returns the run's Splits; `load_data(config, source)` is called the first time only."""
        if self._splits is None:
            self._splits = load_data(self.config, self.source)
        return self._splits

    def open(self):
        """Creates the folder, or checks that what it holds is this very run.

        Raises:
            UsageError: The folder holds a finished run, another recipe's run, a run of another
                configuration or other data (the message says what differs), or files that no run
                wrote.
            RecipeError: The folder cannot be written.
        """
        data = self.options.data
        started = {
            "recipe": self.recipe,
            "preset": self.preset,
            # A path is recorded whole, so that `recipes report` finds the data from any directory.
            "data": data if data in ("full", "sample") else str(Path(data).resolve()),
            "data_dir": str(self.source.data_dir.resolve()) if self.source.data_dir else None,
            "config": configuration.to_dict(self.config),
        }
        if self.directory.exists() and not self.directory.is_dir():
            raise UsageError(f"{self.directory} is a file, not a run folder")
        held = None
        if self.directory.is_dir():
            held = self._held()
        if held is not None and not self.options.overwrite:
            self._check_same(held, started)
        self._lock()
        if held is not None and self.options.overwrite:
            self._clear()
        self._remove_unfinished()
        write_json_atomic(self.path("config.json"), started)
        return self

    def _held(self):
        """Returns the config.json of the run in the folder, or None where the folder is empty."""
        # A process killed while it wrote its first file leaves these.
        own = (LOCK, ".partial-")
        if all(path.name.startswith(own) for path in self.directory.iterdir()):
            return None
        if not self.path("config.json").exists():
            raise UsageError(
                f"{self.directory} is not empty and holds no run (no config.json); "
                "choose another --run-dir"
            )
        held = read_json(self.path("config.json"), "run configuration")
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
        try:
            import fcntl
        except ImportError:  # Windows has no such locks.
            return
        path = self.path(LOCK)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock_file = path.open("w")
        except OSError as error:
            raise RecipeError(
                f"could not write {path}: {error.strerror or error}; choose another --run-dir"
            ) from error
        try:
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"another process is training in {self.directory}; wait for it, or choose another "
                "--run-dir"
            ) from error

    def _clear(self):
        try:
            for path in self.directory.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != LOCK:
                    path.unlink()
        except OSError as error:
            raise RecipeError(f"could not clear {self.directory}: {error.strerror}") from error

    def _remove_unfinished(self):
        """Removes what a killed process was writing; nobody else writes here while this one does."""
        for path in self.directory.rglob(".partial-*"):
            if path.is_file():
                path.unlink(missing_ok=True)

    def _check_same(self, held, started):
        changed = configuration.differences(held.get("config", {}), started["config"])
        # The folder the data set lies in may change between machines; the data set may not.
        if held.get("data") != started["data"]:
            changed.append(f"data: {held.get('data')} -> {started['data']}")
        if changed:
            raise UsageError(
                f"{self.directory} holds a run with another configuration ({'; '.join(changed)}); "
                "choose another --run-dir, or --overwrite to start again"
            )
        if self.finished:
            raise UsageError(
                f"{self.directory} holds a finished run; --overwrite starts again, "
                f"`recipes report {self.directory}` shows it"
            )

    def record_environment(self, info):
        """Writes environment.json; `info` is the DataInfo of the data trained on.

        Raises:
            RecipeError: The run was started on data with another fingerprint.
        """
        from common import environment

        path = self.path("environment.json")
        if path.exists():
            held = read_json(path, "environment").get("data", {}).get("fingerprint")
            if held != info.fingerprint:
                raise RecipeError(
                    f"the data changed since {self.directory} was started "
                    f"(fingerprint {held} -> {info.fingerprint}); --overwrite starts again"
                )
            return
        write_json_atomic(path, environment.describe(self.config.seed, info.to_dict()))


def open_finished(directory, recipe_module=None):
    """Opens the folder of an existing run for evaluate, predict, export, report.

    Args:
        directory: The run folder.
        recipe_module: Called with the recipe's name, returns its `train` module
            (default: `common.registry.load`).

    Returns:
        Tuple of the Run and the recipe's module.

    Raises:
        RecipeError: It is not a run folder, or has no trained model yet.
    """
    from common import registry

    directory = Path(directory)
    if not directory.is_dir():
        raise UsageError(f"no run folder at {directory}")
    if not (directory / "config.json").exists():
        raise UsageError(f"{directory} is not a run folder: it has no config.json")
    held = read_json(directory / "config.json", "run configuration")
    module = (recipe_module or registry.load)(held.get("recipe"))
    config = configuration.read_config_file(
        directory / "config.json", module.Config, held.get("recipe")
    )
    options = Options(
        data=held.get("data", "full"),
        data_dir=Path(held["data_dir"]) if held.get("data_dir") else None,
        run_dir=directory,
    )
    run = Run(held["recipe"], config, options, preset=held.get("preset", "custom"))
    if not run.path("best.keras").exists():
        raise RecipeError(
            f"{directory} has no trained model yet (no best.keras): "
            f"finish it with `recipes train {run.recipe} --run-dir {directory}`"
        )
    return run, module
