"""Options of a run: where its data come from, where it goes, and how it takes place."""

import dataclasses
from pathlib import Path
from types import ModuleType

from common.data.source import AS_IT_COMES, Reading, Source
from common.runs import trackers
from common.runs.bounds import PositiveInt
from common.runs.types import Config


@dataclasses.dataclass(frozen=True)
class Options:
    """How and where a run takes place. These options do not change its result; callbacks may."""

    preset: str = "best"
    """Named configuration to start from; all other flags change single fields of it."""
    config: Path | None = None
    """JSON file to start from instead: a run's config.json or a tuner's best.json."""
    data: str = "full"
    """'full' (the real data set), 'sample' (built in, small, no network), or a path to your own data:
    a folder of class folders of images, a CSV with columns path (or text) and label, or an .npz file."""
    data_dir: Path | None = None
    """Folder of TensorFlow Datasets (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)."""
    reading: Reading = AS_IT_COMES
    run_dir: Path | None = None
    """Folder of the run; the same folder resumes (default: runs/<recipe>/<preset>-<data>-seed<n>)."""
    overwrite: bool = False
    """Delete what the run folder holds and start again."""
    deterministic: bool = False
    """Bitwise repeatable on one machine; slower on some backends."""
    devices: PositiveInt = 1
    """GPUs that share each batch, with JAX; the batch size stays that of all together. On several hosts
    those of all hosts together: all of them, unless a number above 1 is given."""
    tracker: str | None = None
    """Log the run to tensorboard, mlflow or wandb; several are separated by commas. The last two need the
    extra of their name."""
    tensorboard: bool = False
    """The same as --tracker tensorboard: logs in the run folder."""
    callbacks: str | None = None
    """Your own Keras callbacks, MODULE:FACTORY: FACTORY(run) returns one or a list of them. They may
    change the result, and their state is not kept where a run is resumed."""
    report: bool = True
    """Write report.html at the end."""
    debug: bool = False
    """Show tracebacks of errors."""

    def __post_init__(self):
        trackers.names_in(self.tracker)

    @property
    def trackers(self) -> tuple[str, ...]:
        """Names of the trackers to log to."""
        names = trackers.names_in(self.tracker)
        return tuple(dict.fromkeys([*names, *["tensorboard"] * self.tensorboard]))


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
