"""`recipes attack`: which run can be attacked, on which test images, and the section of its report."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json, write_json_atomic
from common.basics.wording import percent
from common.tasks.classification import Classification
from common.tasks.task import Section

if TYPE_CHECKING:
    from common.data.types import Splits
    from common.runs.run import Run
    from common.training.adversarial import Norm

FILE = "attack.json"
USUAL = {"linf": (0.3, 8 / 255), "l2": (2.0, 0.5)}
"""The usual epsilon of grey and of colour images in each norm, where a recipe names none."""
LONGEST = 1000
"""Largest epsilon in L2: two images of 1,000 x 1,000 pixels are at most so far apart."""


def check(run: Run, module: ModuleType) -> None:
    """Raises a RecipeError if a run is no classification of images."""
    if not isinstance(module.TASK, Classification) or module.TASK.kind != "image":
        raise RecipeError(
            f"{run.recipe} does not classify images: attacks change the pixels of one, by at most epsilon"
        )


def epsilon_of(text: str | None, config: Any, channels: int, norm: str = "linf") -> float:
    """Returns epsilon from a flag such as "0.3" or "8/255"; else the recipe's, else the usual one.

    Args:
        text: The flag, or None.
        config: The run's, which may have a field `epsilon`, in the maximum norm.
        channels: Of the images.
        norm: "linf" or "l2".

    Raises:
        UsageError: It is no number above 0 and, in the maximum norm, at most 1.
    """
    if text is None:
        own = getattr(config, "epsilon", None)
        if own is not None and norm == "linf":
            return float(own)
        return USUAL[norm][channels > 1]
    try:
        value = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value <= (1 if norm == "linf" else LONGEST):
        most = " and at most 1" if norm == "linf" else f" and at most {LONGEST}"
        raise UsageError(
            f"--epsilon must be a number above 0{most}, where black is 0 and white is 1, such as "
            f"0.3 or 8/255; got '{text}'"
        )
    return value


def attack(
    run: Run,
    splits: Splits,
    encode: Callable[[Any], Any],
    *,
    epsilon: str | None,
    norm: Norm = "linf",
    examples: int,
    restarts: int,
    queries: int,
) -> dict[str, Any]:
    """Attacks the best model of a run on test images and writes attack.json into its folder.

    Args:
        run: A finished run.
        splits: Its data.
        encode: Turns raw images into model inputs; of the recipe.
        epsilon: As for `epsilon_of`.
        norm: Likewise.
        examples: Test images, a random subset that is always the same; all if there are fewer.
        restarts: As of `Effort`.
        queries: Likewise.

    Returns:
        The content of attack.json.

    Raises:
        UsageError: A number is out of its range.
        RecipeError: The model takes no images of whole numbers, or cannot be attacked.
    """
    import numpy as np

    from common.tasks import ladder
    from common.training.attacks import Target
    from common.training.loading import load_model

    for name, value in (("examples", examples), ("restarts", restarts), ("queries", queries)):
        if value < 1:
            raise UsageError(f"--{name} must be at least 1, got {value}")
    model = load_model(run.path("best.keras"))
    total = len(splits.test)
    rows = np.sort(np.random.default_rng(0).permutation(total)[:examples])
    some = splits.test.take(rows)
    images = np.asarray(encode(some.x))
    if images.dtype != np.uint8 or images.ndim != 4:
        raise RecipeError(
            f"attacks need a model of images, uint8 (n, height, width, channels); {run.recipe} takes "
            f"{images.dtype} {images.shape}"
        )
    bound = epsilon_of(epsilon, run.config, images.shape[-1], norm)
    effort = ladder.Effort(bound, restarts, queries)
    what = "all" if len(images) == total else f"a random {len(images):,} of the"
    print(
        f"Attacking {what} {total:,} test images, epsilon {effort.epsilon:.4g} in {norm} (white is 1)"
    )
    found = {"of": total, **ladder.climb(Target(model, norm), images, np.asarray(some.y), effort)}
    write_json_atomic(run.path(FILE), found)
    return found


def line(found: dict[str, Any]) -> str:
    """Returns the result of `attack` as a sentence."""
    low, high = map(percent, found["minimum"]["interval"])
    what = "each pixel" if found["norm"] == "linf" else "each image in the L2 norm"
    return (
        f"Withstand every attack: {percent(found['minimum']['accuracy'])} (95 % interval {low} to {high})"
        f" of {found['examples']:,} test images, {what} changed by at most {found['epsilon']:.4g}."
    )


def sections(folder: Path) -> list[Section]:
    """Returns the section of the report on the attack of a run, or none if it has not been attacked."""
    from common.report.rendering import render

    if not (folder / FILE).is_file():
        return []
    found = read_json(folder / FILE)
    rows = [*found["rungs"], {"name": "minimum per image", "alone": True, **found["minimum"]}]
    for row in rows:
        row["text"] = percent(row["accuracy"])
        row["ends"] = " to ".join(map(percent, row["interval"]))
    page = {"line": line(found), "rows": rows, **found}
    html = render("attack.html", page, package="common.tasks")
    return [Section("attack", "What attacks leave", html, "Attack")]
