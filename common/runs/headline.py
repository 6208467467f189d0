"""The one figure by which a run is judged, whatever it trained: `headline` in metrics.json.

Tables, comparisons, studies and searches read this and nothing that only some tasks have. A metrics.json
of before it was written tells the accuracy of a classifier.
"""

import dataclasses
import typing

from common.basics.wording import DASH

RISING = ("accuracy", "auc", "precision", "recall", "f1", "solved", "epoch")
"""A column of history.csv whose name ends in one of these is better the higher it is. To choose by
"epoch" is to take the last one."""


def higher_is_better(column):
    """Returns whether a column of history.csv is better the higher it is; a loss is not."""
    return column.lower().endswith(RISING)


@dataclasses.dataclass(frozen=True)
class Headline:
    """A figure of the test split, and the same one of the validation split.

    What a task names (`name`, `unit`, `better`) comes without values; `of` fills them in.
    """

    name: str
    """E.g. "accuracy", "mean squared error"."""
    unit: str = ""
    """"%": the value is a fraction in [0, 1] and shown in per cent; else what follows the number."""
    better: str = "higher"
    """"higher" or "lower"."""
    value: float | None = None
    """On the test split."""
    interval: tuple[float, float] | None = None
    """95 % interval of `value` over test examples; None where the task has none."""
    count: int | None = None
    """Test examples."""
    validation: float | None = None
    """The same figure on the validation split."""

    @property
    def higher(self):
        """Whether a higher value is better."""
        return self.better == "higher"

    @property
    def scale(self):
        """What a value is multiplied by to be shown: 100 for per cent."""
        return 100 if self.unit == "%" else 1

    @property
    def column(self):
        """The head of a table's column: "accuracy, %", "mean squared error"."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    @property
    def words(self):
        """Unit and name as they follow a number: "% accuracy", "mean squared error"."""
        return f"{self.unit} {self.name}" if self.unit not in ("", self.name) else self.name

    @property
    def difference_unit(self):
        """What follows the difference of two values: " points of accuracy"."""
        return f" points of {self.name}" if self.unit == "%" else f" {self.unit or self.name}"

    def to_dict(self):
        """Returns what metrics.json holds, a dict."""
        return dataclasses.asdict(self)

    def text(self, value, digits=None):
        """Returns a value as text, without its unit; a dash for None.

        Args:
            value: As in `value`.
            digits: After the point. None: two of a percentage, else four significant digits.
        """
        if value is None:
            return DASH
        if self.unit == "%":
            return f"{100 * value:.{2 if digits is None else digits}f}"
        return f"{value:.4g}" if digits is None else f"{value:.{digits}f}"

    def shown(self, value, digits=None):
        """Returns a value as text with its unit, e.g. "99.53 %" or "0.01234"."""
        text = self.text(value, digits)
        return f"{text} {self.unit}" if self.unit and value is not None else text

    def spread(self, values):
        """Returns `99.53 ± 0.04`, without unit: mean and sample deviation, absent for one value."""
        import statistics

        mean = statistics.fmean(values)
        if len(values) < 2:
            return self.text(mean)
        deviation = statistics.stdev(values)
        if self.unit == "%":
            return f"{100 * mean:.2f} ± {100 * deviation:.2f}"
        return f"{mean:.4g} ± {deviation:.2g}"


def of(metrics):
    """Returns the Headline of the content of a metrics.json.

    Args:
        metrics: Dict.

    Raises:
        KeyError, TypeError: It is not the metrics of a run.
    """
    held = metrics.get("headline")
    if held is not None:
        interval = held.get("interval")
        return Headline(**{**held, "interval": tuple(interval) if interval else None})
    test = metrics["test"]
    interval = test.get("accuracy_interval")
    return Headline(
        "accuracy",
        "%",
        "higher",
        value=float(test["accuracy"]),
        interval=tuple(map(float, interval)) if interval else None,
        count=int(test["count"]),
        validation=float(metrics["validation"]["accuracy"]),
    )


class Baseline(typing.NamedTuple):
    """What another answer to the test split comes to, in the figure of the headline."""

    name: str
    value: float
    count: int | None
    """Test examples; None where the row does not tell."""
    p: float | None
    """Of the paired test against the network; None where there was none."""


def baseline(row):
    """Returns the Baseline of a row of `baselines` in metrics.json or results.json, of any age.

    Args:
        row: Dict of name, value, count and p; before, and of a classifier, of name, accuracy, count and
            mcnemar_p.

    Raises:
        KeyError: It is no such row.
    """
    value = row["value"] if "value" in row else row["accuracy"]
    p = row["p"] if "p" in row else row.get("mcnemar_p")
    return Baseline(row["name"], value, row.get("count"), p)
