"""The trainings of a study: which arms, sizes and seeds, each in a folder of its own."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.basics.errors import UsageError, near_match
from common.basics.files import read_json
from common.data.source import AS_IT_COMES, Reading
from common.runs import config as configuration
from common.runs.bounds import PositiveInt, check_bounds
from common.runs.options import Options
from common.runs.run import Run
from common.studies.study import NAME, SIZE, Study, arm_config

TUNING_SEED = 1000
"""Of the trainings that tune an arm: no seed that counts."""


@dataclasses.dataclass(frozen=True)
class StudyOptions:
    """Trains the arms of a study with the same seeds and tells how they differ.

    Each training runs in its own process, in runs/NAME/studies/STUDY/. Given again, the same command
    reuses finished trainings and continues an interrupted one.
    """

    seeds: PositiveInt | None = None
    """Trainings of each arm, with seeds 0 to n - 1 (default: as the study says)."""
    workers: PositiveInt = 1
    """Trainings at a time, which share the cores; with more than one, their output goes to log files."""
    arms: str | None = None
    """Only these arms, separated by commas (default: all)."""
    epochs: PositiveInt | None = None
    """Epochs of every training (default: as the study says)."""
    data: str = "full"
    """'full' (the real data set), 'sample' (built in, small, no network), or a path to your own data."""
    data_dir: Path | None = None
    """Folder of TensorFlow Datasets (default: TFDS_DATA_DIR, else ~/tensorflow_datasets)."""
    reading: Reading = AS_IT_COMES
    runs_dir: Path = Path("runs")
    """Where the runs are kept."""
    record: bool = False
    """Write the answer into the recipe's studies.json, README and picture; real data only."""
    debug: bool = False
    """Show tracebacks of errors."""

    def __post_init__(self):
        check_bounds(self)
        if self.record and (self.data != "full" or self.arms or self.epochs):
            raise UsageError(
                "--record takes the whole study on the real data: leave out --data, --arms and --epochs, "
                "or --record (the answer is printed and kept in study.json in any case)"
            )


@dataclasses.dataclass(frozen=True)
class Planned:
    """One training of a study."""

    arm: str
    size: int | None
    seed: int
    run: Run
    given: frozenset = frozenset()
    """Names of the fields that the study or the command line sets: they are not fitted to the data."""
    tried: tuple[str, Any] | None = None
    """The field that is being tuned and its value here; None in a training that counts."""

    @property
    def label(self) -> str:
        """A name for messages, e.g. "plain-20, 500 examples, seed 2"."""
        size = "" if self.size is None else f", {self.size:,} examples"
        if self.tried:
            return f"{self.arm}{size}, {self.tried[0]} {self.tried[1]:g}"
        return f"{self.arm}{size}, seed {self.seed}"

    def finished(self) -> bool:
        """Returns whether the folder holds a finished run with this configuration and data."""
        return self.run.finished and not self._other()

    def stale(self) -> bool:
        """Returns whether the folder holds a run of another configuration: the study has changed."""
        return self.run.path("config.json").exists() and bool(self._other())

    def _other(self):
        return self.run.changes(read_json(self.run.path("config.json"), "run configuration"))


def chosen_arms(study: Study, words: str | None) -> list[str]:
    """Returns the names of the arms to train, in the order of the study.

    Args:
        study: It has the arms.
        words: Names of arms, separated by commas. None: all arms.

    Raises:
        UsageError: An arm is unknown, there are fewer than two, or the study has conditions.
    """
    if words is None:
        return list(study.trained)
    if study.conditions:
        raise UsageError("--arms: this study has none, it scores one network under conditions")
    asked = [word.strip() for word in words.split(",") if word.strip()]
    for arm in asked:
        if arm not in study.arms:
            raise UsageError(
                f"unknown arm '{arm}'{near_match(arm, study.arms)} (there are: {', '.join(study.arms)})"
            )
    if len(set(asked)) < 2:
        raise UsageError(f"--arms needs two arms or more, got '{words}'")
    return [arm for arm in study.arms if arm in asked]


def folder(name: str, title: str, options: StudyOptions) -> Path:
    """Returns the folder of a study's runs.

    With other data or epochs than the study's own it is another folder, so that a short try on sample
    data leaves the real runs alone.

    Args:
        name: Name of the recipe.
        title: Name of the study.
        options: They say which data and epochs.
    """
    suffix = ""
    if options.data == "sample":
        suffix += "-sample"
    elif options.data != "full":
        resolved = Path(options.data).resolve()
        suffix += f"-{resolved.stem}-{configuration.short_hash(str(resolved))}"
    if options.epochs:
        suffix += f"-epochs{options.epochs}"
    return options.runs_dir / name / "studies" / f"{title}{suffix}"


def plan(
    name: str,
    title: str,
    study: Study,
    options: StudyOptions,
    chosen: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Planned]:
    """Returns the trainings of a study in order: all arms with the first seed, then with the next.

    So a study that is stopped early has trained all arms with the same seeds.

    Args:
        name: Name of the recipe.
        title: Name of the study.
        study: What is compared.
        options: They say how often, on which data and where.
        chosen: What was tuned: Config fields by arm.

    Raises:
        UsageError: An arm has an unknown field or a bad value, or the title cannot name a folder.
    """
    if not NAME.fullmatch(title):
        raise UsageError(
            "the name of a study becomes that of a folder: use letters, digits, '.', '_', '+' and "
            f"'-', got '{title}'"
        )
    chosen = chosen or {}
    return [
        _one(name, title, study, options, arm, size, seed, chosen.get(arm, {}))
        for seed in range(options.seeds or study.seeds)
        for size in study.sizes or (None,)
        for arm in chosen_arms(study, options.arms)
    ]


def tuning(name: str, title: str, study: Study, options: StudyOptions) -> list[Planned]:
    """Returns the trainings that tune each arm, with one seed that is none of the others.

    Args:
        name: Name of the recipe.
        title: Name of the study.
        study: It has a field to tune.
        options: They say on which data and where.

    Raises:
        UsageError: A value is refused.
    """
    ((field, values),) = study.tuned.items()
    return [
        _one(name, title, study, options, arm, size, TUNING_SEED, {field: value}, (field, value))
        for value in values
        for size in study.sizes or (None,)
        for arm in chosen_arms(study, options.arms)
    ]


def _one(name, title, study, options, arm, size, seed, fields, tried=None):
    more = {**fields, "seed": seed}
    if size is not None:
        more[SIZE] = size
    if options.epochs:
        more["epochs"] = options.epochs
    place = f"{arm}-{size}" if size is not None else arm
    place = f"tuning/{place}-{tried[1]:g}" if tried else f"{place}-seed{seed}"
    run_options = Options(
        data=options.data,
        data_dir=options.data_dir,
        reading=options.reading,
        run_dir=folder(name, title, options) / place,
        report=False,
    )
    given = frozenset({*study.settings, *study.trained[arm], *more})
    config = arm_config(name, study, arm, **more)
    return Planned(arm, size, seed, Run(name, config, run_options), given, tried)
