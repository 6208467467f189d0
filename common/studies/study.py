"""A study: a question, the arms that answer it, and the trainings that it takes.

`recipes/<name>/studies.py` holds `STUDIES`, a dict of names and Study objects. Nothing here imports NumPy
or Keras: a mistake in a study is told before anything is trained.
"""

import dataclasses
import re
from pathlib import Path

from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.files import read_json
from common.data.source import AS_IT_COMES, Reading
from common.runs import config as configuration
from common.runs import registry
from common.runs.bounds import PositiveInt, check_bounds
from common.runs.run import Options, Run

SIZE = "train_examples"
"""The Config field that `sizes` sets."""
# Arms and studies name folders and files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclasses.dataclass(frozen=True)
class Study:
    """What is compared with what, and how often it is trained.

    Raises:
        UsageError: A name cannot be a folder's, there are too few arms, or the reference is none of them.
    """

    question: str
    """What a reader wants to know, with its question mark."""
    base: str
    """Name of the preset that all arms start from."""
    arms: dict
    """Name of an arm -> the fields that it sets. The first one is the reference."""
    sizes: tuple[PositiveInt, ...] | None = None
    """Numbers of training examples; every arm is trained with each. None: with all there are."""
    seeds: PositiveInt = 3
    """Trainings of each arm, with seeds 0 to n - 1."""
    settings: dict = dataclasses.field(default_factory=dict)
    """Fields that all arms set."""
    reference: str | None = None
    """The arm that the others are compared with, where it is not the first."""

    def __post_init__(self):
        check_bounds(self)
        if len(self.arms) < 2:
            raise UsageError(f"a study compares two arms or more, this has {len(self.arms)}")
        for arm in self.arms:
            if not _NAME.fullmatch(arm):
                raise UsageError(
                    f"an arm names a folder: letters, digits, '.', '_', '+' and '-', got '{arm}'"
                )
        if self.reference is not None and self.reference not in self.arms:
            raise UsageError(
                f"the reference '{self.reference}' is no arm{near_match(self.reference, self.arms)} "
                f"(there are: {', '.join(self.arms)})"
            )


@dataclasses.dataclass(frozen=True)
class StudyOptions:
    """Trains the arms of a study with the same seeds and tells how they differ.

    Each training is a process of its own in runs/NAME/studies/STUDY/. Finished ones are reused and an
    interrupted one goes on: the same command again.
    """

    seeds: PositiveInt | None = None
    """Trainings of each arm, with seeds 0 to n - 1 (default: as the study says)."""
    workers: PositiveInt = 1
    """Trainings at a time, each with its share of the cores; with several, their words go to logs."""
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
    """Write the answer into studies.json, the picture and the README of the recipe: real data only."""
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

    @property
    def label(self):
        """E.g. "plain-20, 500 examples, seed 2"."""
        size = "" if self.size is None else f", {self.size:,} examples"
        return f"{self.arm}{size}, seed {self.seed}"

    def finished(self):
        """Returns whether the folder holds the result of this training: same configuration and data."""
        return self.run.finished and not self._other()

    def stale(self):
        """Returns whether the folder holds another training: the study has changed since."""
        return self.run.path("config.json").exists() and bool(self._other())

    def _other(self):
        return self.run.changes(read_json(self.run.path("config.json"), "run configuration"))


def of_recipe(name):
    """Returns the studies of a recipe, a dict; empty where it has none.

    Raises:
        RecipeError: Its studies.py has no STUDIES.
    """
    if not (registry.recipes_folder() / registry.check(name) / "studies.py").is_file():
        return {}
    module = registry.load_part(name, "studies")
    studies = getattr(module, "STUDIES", None)
    if not isinstance(studies, dict):
        raise RecipeError(f"recipes/{name}/studies.py lacks STUDIES, a dict of name and Study")
    return studies


def find(name, study):
    """Returns the Study of that name.

    Raises:
        UsageError: There is none; the message lists those that exist.
    """
    studies = of_recipe(name)
    if study not in studies:
        there = f"there are: {', '.join(studies)}" if studies else f"{name} has none"
        raise UsageError(f"unknown study '{study}'{near_match(study, studies)} ({there})")
    return studies[study]


def arm_config(name, study, arm, **more):
    """Returns the Config of an arm.

    Args:
        name: Name of the recipe.
        study: Study.
        arm: Name of the arm.
        **more: Fields that count more than the arm's.

    Raises:
        UsageError: The preset or a field is unknown, or a value is refused; the arm is named.
    """
    module = registry.load(name)
    try:
        base = configuration.to_dict(configuration.preset(module.PRESETS, study.base))
        fields = {**base, **study.settings, **study.arms[arm], **more}
        return configuration.from_dict(module.Config, fields)
    except UsageError as error:
        raise UsageError(f"arm '{arm}' of the study \"{study.question}\": {error}") from error


def chosen_arms(study, words):
    """Returns the names of the arms in `words`, separated by commas, in the study's order; all for None.

    Raises:
        UsageError: One is unknown, or there are fewer than two.
    """
    if words is None:
        return list(study.arms)
    asked = [word.strip() for word in words.split(",") if word.strip()]
    for arm in asked:
        if arm not in study.arms:
            raise UsageError(
                f"unknown arm '{arm}'{near_match(arm, study.arms)} (there are: {', '.join(study.arms)})"
            )
    if len(set(asked)) < 2:
        raise UsageError(f"--arms needs two arms or more, got '{words}'")
    return [arm for arm in study.arms if arm in asked]


def folder(name, title, options):
    """Returns the folder of a study's runs.

    Other data or epochs than the study's own have another one: a short try on sample data is no reason to
    train hours again.
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


def plan(name, title, study, options):
    """Returns the trainings of a study, Planned, in their order: seeds outermost.

    A study that is stopped early has the same seeds of all arms.

    Args:
        name: Name of the recipe.
        title: Name of the study.
        study: Study.
        options: StudyOptions.

    Raises:
        UsageError: An arm has an unknown field or a bad value.
    """
    if not _NAME.fullmatch(title):
        raise UsageError(f"a study names a folder: letters, digits, '.', '_', '+', '-': '{title}'")
    directory, planned = folder(name, title, options), []
    arms = chosen_arms(study, options.arms)
    for seed in range(options.seeds or study.seeds):
        for size in study.sizes or (None,):
            for arm in arms:
                more = {"seed": seed}
                if size is not None:
                    more[SIZE] = size
                if options.epochs:
                    more["epochs"] = options.epochs
                place = f"{arm}-{size}-seed{seed}" if size is not None else f"{arm}-seed{seed}"
                run_options = Options(
                    data=options.data,
                    data_dir=options.data_dir,
                    reading=options.reading,
                    run_dir=directory / place,
                    report=False,
                )
                config = arm_config(name, study, arm, **more)
                given = frozenset({*study.settings, *study.arms[arm], *more})
                planned.append(Planned(arm, size, seed, Run(name, config, run_options), given))
    return planned
