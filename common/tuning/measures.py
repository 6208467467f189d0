"""What a training with a new seed came to: the rows in summary.json and tuning.json, of any age.

A row of before tasks were told apart is a classifier's and names its figures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from common.basics.errors import RecipeError
from common.runs import headline
from common.runs.headline import Headline
from common.tuning import score

Row = dict[str, Any]
"""What a training with a new seed came to, as `row` returns it."""


def row(seed: int, metrics: dict[str, Any], objective: str) -> Row:
    """Returns the row of a run.

    Args:
        seed: Its training seed.
        metrics: What its metrics.json holds.
        objective: Column of the history that the search judged by.

    Returns:
        Dict of "seed", "judged" (the objective's value), "validation" and "test" (the headline's), and
        "val_loss", which is None where the task has no loss.

    Raises:
        RecipeError: The search judged by a loss, and metrics.json has none.
    """
    figure, validation = headline.of(metrics), metrics["validation"]
    if objective == "val_loss" and "loss" not in validation:
        raise RecipeError("metrics.json has no loss of the validation split to judge the run by")
    return {
        "seed": seed,
        "judged": validation.get(objective.removeprefix("val_"), figure.validation),
        "validation": figure.validation,
        "test": figure.value,
        "val_loss": validation.get("loss"),
    }


def judged(row: Row, objective: str) -> float:
    """Returns the value of the objective in a row."""
    return row["judged"] if "judged" in row else row[objective]


def validation(row: Row) -> float:
    """Returns the headline's value on the validation split in a row."""
    return row["validation"] if "validation" in row else row["val_accuracy"]


def test(row: Row) -> float:
    """Returns the headline's value on the test split in a row."""
    return row["test"] if "test" in row else row["test_accuracy"]


def named(figure: Headline) -> dict[str, str]:
    """Returns a Headline without its values, as a dict for JSON."""
    return {name: getattr(figure, name) for name in ("name", "unit", "better")}


def headline_of(held: Mapping[str, Any]) -> Headline:
    """Returns the Headline, without values, of what a summary.json or an entry of tuning.json holds."""
    return Headline(**held["headline"]) if "headline" in held else Headline("accuracy", "%")


def columns(summary: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, list[str]]:
    """Returns the table of rows: a dict from the head of a column to its texts.

    Args:
        summary: Dict with "objective" and, unless it is of a classifier, "headline".
        rows: List of rows.
    """
    figure, objective = headline_of(summary), summary["objective"]
    texts = {f"validation {figure.name}": [shown(figure, validation(row)) for row in rows]}
    # As a rule the objective is one of the other columns.
    values = [judged(row, objective) for row in rows]
    if objective != "val_loss" and values != [validation(row) for row in rows]:
        texts[objective] = [score.shown(value) for value in values]
    if all(row.get("val_loss") is not None for row in rows):
        texts["validation loss"] = [f"{row['val_loss']:.4f}" for row in rows]
    return texts | {f"test {figure.name}": [shown(figure, test(row)) for row in rows]}


def shown(figure: Headline, value: float) -> str:
    """Returns a headline's value as searches write it: a percentage as a fraction, like scores."""
    return score.shown(value) if figure.unit == "%" else figure.shown(value)


def spread(figure: Headline, values: Sequence[float]) -> str:
    """Returns values of a headline as mean and sample deviation, written as by `shown`."""
    if figure.unit == "%":
        return score.spread(values)
    return f"{figure.spread(values)} {figure.unit}".rstrip()
