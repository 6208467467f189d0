"""A study: a question, and the arms that are compared to answer it. study_plan.py lists the trainings.

`recipes/<name>/studies.py` holds `STUDIES`, a dict from names to Study objects. Nothing here imports
NumPy or Keras, so that a mistake in a study is reported at once.
"""

import dataclasses
import re
from typing import Any, Literal

from common.basics.errors import RecipeError, UsageError, near_match
from common.runs import config as configuration
from common.runs import registry
from common.runs.bounds import PositiveInt, check_bounds
from common.runs.types import Config

SIZE = "train_examples"
"""The Config field that `sizes` sets."""
# Names of arms and studies become names of folders and files.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


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
        UsageError: A name cannot name a folder, there are fewer than two arms, the reference or a
            claim's arm is none of them, or fields exclude each other.
    """

    question: str
    """What a reader wants to know, with its question mark."""
    base: str
    """Name of the preset that all arms start from."""
    arms: dict = dataclasses.field(default_factory=dict)
    """The Config fields that each arm sets, by the name of the arm. The first arm is the reference."""
    conditions: dict = dataclasses.field(default_factory=dict)
    """In place of arms: what is done to the test images, keywords of `common.data.altered.alter`, by the
    name of the condition. One network a seed is trained, and scored under all of them."""
    sizes: tuple[PositiveInt, ...] | None = None
    """Numbers of training examples; every arm is trained with each. None: with all examples."""
    tuned: dict = dataclasses.field(default_factory=dict)
    """One Config field and its values: each arm is first trained with all of them, and the one that is
    best on validation is that arm's. Other seeds than those that count."""
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
        if bool(self.arms) == bool(self.conditions):
            raise UsageError("a study has either arms or conditions")
        if len(self.compared) < 2:
            raise UsageError(f"a study compares two arms or more, this has {len(self.compared)}")
        for arm in self.compared:
            if not NAME.fullmatch(arm):
                raise UsageError(
                    "the name of an arm becomes that of a folder: use letters, digits, '.', '_', '+' "
                    f"and '-', got '{arm}'"
                )
        if self.reference is not None and self.reference not in self.compared:
            raise UsageError(
                f"the reference '{self.reference}' is no arm{near_match(self.reference, self.compared)} "
                f"(there are: {', '.join(self.compared)})"
            )
        if self.tuned and (
            len(self.tuned) > 1 or self.conditions or len(self.sizes or (None,)) > 1
        ):
            raise UsageError("one field of arms can be tuned, with one number of training examples")
        reference = self.reference or self.compared[0]
        others = [arm for arm in self.compared if arm != reference]
        for claim in self.claims:
            if claim.arm not in others:
                raise UsageError(
                    f"a claim is about '{claim.arm}', which is no arm beside the reference"
                    f"{near_match(claim.arm, others)} (there are: {', '.join(others)})"
                )

    @property
    def compared(self) -> list[str]:
        """The names of what is compared: arms or conditions."""
        return list(self.arms or self.conditions)

    @property
    def trained(self) -> dict[str, dict[str, Any]]:
        """The Config fields of each network that is trained a seed: of all arms, or of one network."""
        return self.arms or {"network": {}}

    @property
    def trainings(self) -> str:
        """The number of trainings in words, e.g. "7 to tune, then 6 x 3"."""
        each = len(self.trained) * len(self.sizes or (1,))
        tuning = sum(len(values) for values in self.tuned.values()) * len(self.trained)
        return f"{f'{tuning} to tune, then ' if tuning else ''}{each} x {self.seeds}"


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
        arm: Name of the arm; a condition changes no field.
        **more: Config fields that take precedence over those of the arm.

    Raises:
        UsageError: The preset or a field is unknown, or a value is refused; the arm is named.
    """
    module = registry.load(name)
    try:
        base = configuration.to_dict(configuration.preset(module.PRESETS, study.base))
        fields = {**base, **study.settings, **study.trained.get(arm, {}), **more}
        return configuration.from_dict(module.Config, fields)
    except UsageError as error:
        raise UsageError(f"arm '{arm}' of the study \"{study.question}\": {error}") from error
