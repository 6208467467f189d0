"""A study: a question, the arms that are compared to answer it, and the trainings it needs.

`recipes/<name>/studies.py` holds `STUDIES`, a dict from names to Study objects. Nothing here imports
NumPy or Keras, so that a mistake in a study is reported at once.
"""

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.files import read_json
from common.data.source import AS_IT_COMES, Reading
from common.runs import config as configuration
from common.runs import registry
from common.runs.bounds import PositiveInt, check_bounds
from common.runs.options import Options
from common.runs.run import Run
from common.runs.types import Config

SIZE = "train_examples"
"""The Config field that `sizes` sets."""
# Names of arms and studies become names of folders and files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence of an article that a study puts to the test."""

    words: str
    """The claim in a few of the article's words."""
    article: str
    """Which article says so, e.g. "Improving networks"."""
    arm: str
    """The arm that the claim is about; it is compared with the study's reference."""
    says: Literal["better", "worse", "level"]
    """How the arm scores beside the reference if the claim is true."""


@dataclasses.dataclass(frozen=True)
class Study:
    """What is compared with what, and how often each arm is trained.

    Raises:
        UsageError: A name cannot name a folder, there are fewer than two arms, or the reference or the
            claim's arm is none of them.
    """

    question: str
    """What a reader wants to know, with its question mark."""
    base: str
    """Name of the preset that all arms start from."""
    arms: dict
    """The Config fields that each arm sets, by the name of the arm. The first arm is the reference."""
    sizes: tuple[PositiveInt, ...] | None = None
    """Numbers of training examples; every arm is trained with each. None: with all examples."""
    seeds: PositiveInt = 3
    """Trainings of each arm, with seeds 0 to n - 1."""
    settings: dict = dataclasses.field(default_factory=dict)
    """Config fields that all arms set."""
    reference: str | None = None
    """The arm that the others are compared with. None: the first."""
    claims: tuple[Claim, ...] = ()
    """What the study puts to the test; the table of claims in the root README gives the verdicts."""

    def __post_init__(self):
        check_bounds(self)
        if len(self.arms) < 2:
            raise UsageError(f"a study compares two arms or more, this has {len(self.arms)}")
        for arm in self.arms:
            if not _NAME.fullmatch(arm):
                raise UsageError(
                    "the name of an arm becomes that of a folder: use letters, digits, '.', '_', '+' "
                    f"and '-', got '{arm}'"
                )
        if self.reference is not None and self.reference not in self.arms:
            raise UsageError(
                f"the reference '{self.reference}' is no arm{near_match(self.reference, self.arms)} "
                f"(there are: {', '.join(self.arms)})"
            )
        reference = self.reference or next(iter(self.arms))
        others = [arm for arm in self.arms if arm != reference]
        for claim in self.claims:
            if claim.arm not in others:
                raise UsageError(
                    f"a claim is about '{claim.arm}', which is no arm beside the reference"
                    f"{near_match(claim.arm, others)} (there are: {', '.join(others)})"
                )


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

    @property
    def label(self) -> str:
        """A name for messages, e.g. "plain-20, 500 examples, seed 2"."""
        size = "" if self.size is None else f", {self.size:,} examples"
        return f"{self.arm}{size}, seed {self.seed}"

    def finished(self) -> bool:
        """Returns whether the folder holds a finished run with this configuration and data."""
        return self.run.finished and not self._other()

    def stale(self) -> bool:
        """Returns whether the folder holds a run of another configuration: the study has changed."""
        return self.run.path("config.json").exists() and bool(self._other())

    def _other(self):
        return self.run.changes(read_json(self.run.path("config.json"), "run configuration"))


def of_recipe(name: str) -> dict[str, Study]:
    """Returns the studies of a recipe by their names; empty where it has none.

    Raises:
        UsageError: There is no such recipe.
        RecipeError: Its studies.py has no STUDIES.
    """
    if not (registry.recipes_folder() / registry.check(name) / "studies.py").is_file():
        return {}
    module = registry.load_part(name, "studies")
    studies = getattr(module, "STUDIES", None)
    if not isinstance(studies, dict):
        raise RecipeError(f"recipes/{name}/studies.py lacks STUDIES, a dict from names to Study")
    return studies


def find(name: str, study: str) -> Study:
    """Returns a study of a recipe.

    Args:
        name: Name of the recipe.
        study: Name of the study.

    Raises:
        UsageError: There is none of that name; the message lists those that exist.
    """
    studies = of_recipe(name)
    if study not in studies:
        there = f"there are: {', '.join(studies)}" if studies else f"{name} has none"
        raise UsageError(f"unknown study '{study}'{near_match(study, studies)} ({there})")
    return studies[study]


def arm_config(name: str, study: Study, arm: str, **more: Any) -> Config:
    """Returns the Config of an arm.

    Args:
        name: Name of the recipe.
        study: It has the arm.
        arm: Name of the arm.
        **more: Config fields that take precedence over those of the arm.

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


def chosen_arms(study: Study, words: str | None) -> list[str]:
    """Returns the names of the arms to train, in the order of the study.

    Args:
        study: It has the arms.
        words: Names of arms, separated by commas. None: all arms.

    Raises:
        UsageError: An arm is unknown, or there are fewer than two.
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


def plan(name: str, title: str, study: Study, options: StudyOptions) -> list[Planned]:
    """Returns the trainings of a study in order: all arms with the first seed, then with the next.

    So a study that is stopped early has trained all arms with the same seeds.

    Args:
        name: Name of the recipe.
        title: Name of the study.
        study: What is compared.
        options: They say how often, on which data and where.

    Raises:
        UsageError: An arm has an unknown field or a bad value, or the title cannot name a folder.
    """
    if not _NAME.fullmatch(title):
        raise UsageError(
            "the name of a study becomes that of a folder: use letters, digits, '.', '_', '+' and "
            f"'-', got '{title}'"
        )
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
