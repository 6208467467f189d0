"""The one figure by which a run is judged, whatever its task: `headline` in metrics.json.

Tables, comparisons, studies and searches read this figure, and nothing that only some tasks have. An old
metrics.json without it is that of a classifier: its accuracy is the headline.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from common.basics.wording import DASH, significant

RISING = ("accuracy", "auc", "precision", "recall", "f1", "solved", "epoch")
"""If the name of a column of history.csv ends in one of these, higher values are better. "epoch" makes
the last epoch the best."""


def higher_is_better(column: str) -> bool:
    """Returns whether higher values of a column of history.csv are better, by its name."""
    return column.lower().endswith(RISING)


@dataclasses.dataclass(frozen=True)
class Headline:
    """A figure of the test split, and the same figure of the validation split.

    A task declares its headline with `name`, `unit` and `better` only. `of` reads one with values.
    """

    name: str
    """E.g. "accuracy", "mean squared error"."""
    unit: str = ""
    """"%": the value is a fraction in [0, 1] and shown in per cent. Any other unit follows the number."""
    better: str = "higher"
    """"higher" or "lower"."""
    value: float = math.nan
    """On the test split; NaN where a task only declares its headline."""
    interval: tuple[float, float] | None = None
    """95 % interval of `value` over test examples; None if the task has none."""
    count: int | None = None
    """Test examples."""
    validation: float | None = None
    """The same figure on the validation split."""

    @property
    def higher(self) -> bool:
        """Whether a higher value is better."""
        return self.better == "higher"

    @property
    def scale(self) -> int:
        """The factor between a value and the number that is shown: 100 for per cent, else 1."""
        return 100 if self.unit == "%" else 1

    @property
    def column(self) -> str:
        """The head of a table's column: "accuracy, %", "mean squared error"."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    @property
    def words(self) -> str:
        """Unit and name as they follow a number: "% accuracy", "mean squared error"."""
        return f"{self.unit} {self.name}" if self.unit not in ("", self.name) else self.name

    @property
    def difference_unit(self) -> str:
        """What follows the difference of two values: " points of accuracy"."""
        return f" points of {self.name}" if self.unit == "%" else f" {self.unit or self.name}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the `headline` of metrics.json."""
        return dataclasses.asdict(self)

    def text(self, value: float | None, digits: int | None = None) -> str:
        """Returns a value as text, without its unit; a dash for None.

        Args:
            value: A value of the figure, a fraction where the unit is "%".
            digits: Digits after the point. None: two of a percentage, else four significant digits.
        """
        if value is None:
            return DASH
        if self.unit == "%":
            return f"{100 * value:.{2 if digits is None else digits}f}"
        return significant(value) if digits is None else f"{value:.{digits}f}"

    def shown(self, value: float | None, digits: int | None = None) -> str:
        """Returns a value as text with its unit, e.g. "99.53 %" or "0.01234"."""
        text = self.text(value, digits)
        return f"{text} {self.unit}" if self.unit and value is not None else text

    def spread(self, values: Sequence[float]) -> str:
        """Returns mean and sample deviation without unit, "99.53 ± 0.04"; of one value only the mean."""
        import statistics

        mean = statistics.fmean(values)
        if len(values) < 2:
            return self.text(mean)
        deviation = statistics.stdev(values)
        if self.unit == "%":
            return f"{100 * mean:.2f} ± {100 * deviation:.2f}"
        return f"{significant(mean)} ± {significant(deviation, 2)}"


def of(metrics: Mapping[str, Any]) -> Headline:
    """Returns the headline in the content of a metrics.json.

    Raises:
        KeyError, TypeError: It is not the metrics of a run.
    """
    held = metrics.get("headline")
    if held is not None:
        interval = held.get("interval")
        if held["value"] is None:
            raise TypeError("its headline has no value")
        ends = (float(interval[0]), float(interval[1])) if interval else None
        return Headline(**{**held, "value": float(held["value"]), "interval": ends})
    test = metrics["test"]
    interval = test.get("accuracy_interval")
    return Headline(
        "accuracy",
        "%",
        "higher",
        value=float(test["accuracy"]),
        interval=(float(interval[0]), float(interval[1])) if interval else None,
        count=int(test["count"]),
        validation=float(metrics["validation"]["accuracy"]),
    )


@dataclasses.dataclass(frozen=True)
class Baseline:
    """The score of another method on the test split, in the figure of the headline."""

    name: str
    value: float
    count: int | None
    """Test examples; None if the row does not say."""
    p: float | None
    """Of the paired test against the network; None if there was none."""


def baseline(row: Mapping[str, Any]) -> Baseline:
    """Returns the Baseline of a row of `baselines` in metrics.json or results.json.

    Args:
        row: It has name, value, count and p; an old row of a classifier has name, accuracy, count and
            mcnemar_p.

    Raises:
        KeyError: It is no such row.
    """
    value = row["value"] if "value" in row else row["accuracy"]
    p = row["p"] if "p" in row else row.get("mcnemar_p")
    return Baseline(row["name"], value, row.get("count"), p)
