"""The results of trainings with new seeds: the rows in summary.json and tuning.json.

Rows of older files are read as well. They are a classifier's, and their keys name its figures.
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
    """Returns the row of a finished run.

    Args:
        seed: Its training seed.
        metrics: What its metrics.json holds.
        objective: Column of history.csv that the search judged by.

    Returns:
        "seed", "judged" (the value of the objective), "validation" and "test" (the values of the
        headline), and "val_loss", which is None where the task has no loss.

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
    """Returns the value of the search's objective in a row."""
    return row["judged"] if "judged" in row else row[objective]


def validation(row: Row) -> float:
    """Returns the headline's value on the validation split in a row."""
    return row["validation"] if "validation" in row else row["val_accuracy"]


def test(row: Row) -> float:
    """Returns the headline's value on the test split in a row."""
    return row["test"] if "test" in row else row["test_accuracy"]


def named(figure: Headline) -> dict[str, str]:
    """Returns a figure without its values, as a dict for JSON."""
    return {name: getattr(figure, name) for name in ("name", "unit", "better")}


def headline_of(held: Mapping[str, Any]) -> Headline:
    """Returns the figure, without values, of a summary.json or of a search in tuning.json."""
    return Headline(**held["headline"]) if "headline" in held else Headline("accuracy", "%")


def columns(summary: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, list[str]]:
    """Returns a table of rows: the texts of each column, by its head.

    Args:
        summary: What summary.json holds; used are "objective" and "headline".
        rows: Rows of that summary.
    """
    figure, objective = headline_of(summary), summary["objective"]
    texts = {f"validation {figure.name}": [shown(figure, validation(row)) for row in rows]}
    # The objective has a column of its own only where it differs from the other columns.
    values = [judged(row, objective) for row in rows]
    if objective != "val_loss" and values != [validation(row) for row in rows]:
        texts[objective] = [score.shown(value) for value in values]
    if all(row.get("val_loss") is not None for row in rows):
        texts["validation loss"] = [f"{row['val_loss']:.4f}" for row in rows]
    return texts | {f"test {figure.name}": [shown(figure, test(row)) for row in rows]}


def shown(figure: Headline, value: float) -> str:
    """Returns a value of a figure as text. Percentages are written as fractions, as scores are."""
    return score.shown(value) if figure.unit == "%" else figure.shown(value)


def spread(figure: Headline, values: Sequence[float]) -> str:
    """Returns mean and sample deviation of values of a figure, written as `shown` writes them."""
    if figure.unit == "%":
        return score.spread(values)
    return f"{figure.spread(values)} {figure.unit}".rstrip()
