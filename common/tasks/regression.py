"""Regression: an answer is one number, or several, and is scored by its absolute error.

That error has the unit of the targets: a price is missed by so much money. The root of the mean squared
error, to which a few large errors count most, and R² stand beside it. Around a single number stands an
interval that holds the truth nine times in ten: prediction_interval.py.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.basics.errors import RecipeError
from common.basics.wording import DASH, percent, shorten, significant
from common.data.columns import columns_of, in_words
from common.runs.headline import Headline
from common.tasks.task import Section, Task

if TYPE_CHECKING:
    import numpy as np

    from common.data.types import Splits

WORST_SHOWN = 12
ROW_LENGTH = 300
"""Characters that are shown of a row of a table."""


class Regression(Task):
    """Each example has one number, or several, to predict: targets `(n,)` or `(n, numbers)`.

    Args:
        kind: Kind of an example: "image", "text", "table" or "array".
        unit: Unit of the targets, e.g. "m"; "" if they have none.
    """

    figure = "mae"
    objective = "val_loss"
    curves = (("loss", "loss"),)
    also = {"rmse": "root mean squared error", "r2": "R²"}

    def __init__(self, kind: str = "array", unit: str = "") -> None:
        super().__init__(kind)
        self.unit = unit
        self.headline = Headline("mean absolute error", unit, better="lower")

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        """As of Task: "mae", its 95 % "mae_interval" by Student's t, "rmse", "r2", "count".

        "test" also has the figures of prediction_interval.py, if an answer is a single number.
        """
        import numpy as np
        from sklearn import metrics

        from common.basics.statistics import mean_interval
        from common.tasks import prediction_interval

        parts: dict[str, dict[str, Any]] = {}
        for name, prefix in (("validation", "val"), ("test", "test")):
            truth, found = _pair(outputs, prefix)
            parts[name] = {
                "count": len(truth),
                "mae": float(metrics.mean_absolute_error(truth, found)),
                "rmse": float(metrics.mean_squared_error(truth, found)) ** 0.5,
                # Undefined for one example, or if all true numbers are equal.
                "r2": float(metrics.r2_score(truth, found)) if np.ptp(truth) > 0 else None,
            }
        parts["test"]["mae_interval"] = mean_interval(self.example_scores(outputs))
        pairs = [_pair(outputs, prefix) for prefix in ("val", "test")]
        if pairs[0][0].shape[1] == 1:
            validation, test = ((truth[:, 0], found[:, 0]) for truth, found in pairs)
            parts["test"]["prediction_interval"] = prediction_interval.measured(validation, test)
        return parts

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns the absolute error of each test example, the mean over its numbers, float64 `(m,)`."""
        truth, found = _pair(outputs, "test")
        return abs(truth - found).mean(axis=1)

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        import numpy as np

        for prefix in ("val", "test"):
            truth, found = _pair(outputs, prefix)
            if not (np.isfinite(truth).all() and np.isfinite(found).all()):
                raise ValueError("some of its numbers are not finite")

    def baselines(self, splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """Returns one row: always answering the median of the training targets."""
        import numpy as np

        targets = np.asarray(splits.train.y, "float64").reshape(len(splits.train.y), -1)
        middle = np.median(targets, axis=0)
        return [beside("always answering the median of the training targets", outputs, middle)]

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        from common.tasks.prediction_interval import SHARE

        found = metrics["test"].get("prediction_interval")
        if not found:
            return []
        ends = sorted({min(found["half_widths"]), max(found["half_widths"])})
        width = " to ".join(f"± {significant(end)}" for end in ends)
        width += f" {self.unit}" * bool(self.unit) + ", by the size of the answer," * (
            len(ends) > 1
        )
        low, high = found["held_interval"]
        wrong = "" if low <= SHARE <= high else ": do not rely on them"
        return [
            f"Intervals of {width} should hold the truth nine times in ten, by validation; on the test "
            f"split they do in {percent(found['held'], 1)} (95 % interval {percent(low, 1)} to "
            f"{percent(high, 1)}){wrong}."
        ]

    def remembered(self, metrics: dict[str, Any]) -> dict[str, Any]:
        return {"prediction_interval": metrics["test"].get("prediction_interval")}

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        test, unit = metrics["test"], f", {self.unit}" if self.unit else ""
        r2 = DASH if test.get("r2") is None else f"{test['r2']:.3f}"
        return [(f"root mean squared error{unit}", significant(test["rmse"])), ("R²", r2)]

    def sections(
        self,
        outputs: dict[str, np.ndarray] | None,
        problem: str | None,
        *,
        metrics: dict[str, Any],
        info: dict[str, Any],
        splits: Splits | None,
        encode: Callable[[Any], Any] | None,
        figures: dict[str, bytes],
    ) -> list[Section]:
        import numpy as np

        from common.report.rendering import data_uri, render
        from common.tasks import drawing

        page: dict[str, Any] = {"problem": problem, "figures": {}}
        if outputs is not None:
            truth, found = _pair(outputs, "test")
            r2 = metrics["test"].get("r2")
            title = "Answers against truth" + ("" if r2 is None else f": R² {r2:.3f}")
            figures["answers.png"] = drawing.answers(truth[:, 0], found[:, 0], title, self.unit)
            page["figures"] = {"answers.png": data_uri(figures["answers.png"])}
            errors = np.abs(truth - found).max(axis=1)
            worst = np.argsort(-errors, kind="stable")[:WORST_SHOWN]
            page["alt"] = (
                f"Scatter plot. {title}. The largest error is {significant(errors.max())}."
            )
            page["worst"] = [
                {
                    "index": int(index),
                    "truth": shorten(", ".join(significant(value) for value in truth[index]), 80),
                    "answer": shorten(", ".join(significant(value) for value in found[index]), 80),
                    "error": significant(errors[index]),
                }
                for index in worst
            ]
            page["rows"] = self._rows(worst, outputs["test_truth"], splits)
        html = render("answers.html", page, package="common.tasks")
        parts = [Section("answers", "Answers and their errors", html, "Answers")]
        if self.kind == "table":
            from common.tasks import slice_section

            parts.append(slice_section.of_numbers(outputs, problem, splits))
        return parts

    def _rows(self, chosen, truth, splits):
        """Returns test rows of a table in words, or None if there are none to show."""
        import numpy as np

        if self.kind != "table" or splits is None:
            return None
        with contextlib.suppress(RecipeError):  # The file may be gone since.
            test = splits.test
            if np.array_equal(test.y, truth):
                columns = columns_of(splits.info.reading)
                return [shorten(in_words(columns, test.x[index]), ROW_LENGTH) for index in chosen]
        return None

    def line(self, row: np.ndarray, info: dict[str, Any], top: int) -> str:
        unit, ends = f" {self.unit}" if self.unit else "", _ends(row, info)
        answer = ", ".join(f"{significant(value, 6)}{unit}" for value in row.ravel())
        if ends is None:
            return answer
        low, high = (significant(end, 6) for end in ends)
        return f"{answer}, nine times in ten {low} to {high}{unit}"

    def record(self, row: np.ndarray | None, info: dict[str, Any]) -> dict[str, Any]:
        values = None if row is None else row.ravel().tolist()
        found = {"answer": values[0] if values and len(values) == 1 else values}
        ends = None if row is None else _ends(row, info)
        return found if ends is None else {**found, "low": ends[0], "high": ends[1]}

    def columns(self, info: dict[str, Any]) -> list[str]:
        """As of Task: of a table the name of the column that was learnt, and the ends of its interval."""
        name = (info.get("reading") or {}).get("label_column") or "answer"
        return (
            [name] if not info.get("prediction_interval") else [name, f"{name}_low", f"{name}_high"]
        )

    def cells(self, row: np.ndarray, info: dict[str, Any]) -> list[str]:
        values = row.ravel().tolist()
        if len(values) > 1:
            return [json.dumps(values)]
        return [f"{value:.8g}" for value in (*values, *(_ends(row, info) or ()))]


def _ends(row, info):
    """Returns the ends of the interval around an answer; None if it has none."""
    if not info.get("prediction_interval"):
        return None
    from common.tasks.prediction_interval import widths_at

    answer = float(row.item())
    width = float(widths_at(row.ravel().astype("float64"), info["prediction_interval"])[0])
    return answer - width, answer + width


def _pair(outputs, prefix):
    """Returns truth and answers as float64 `(n, numbers)`."""
    import numpy as np

    truth = np.asarray(outputs[f"{prefix}_truth"], "float64")
    truth = truth.reshape(len(truth), -1)
    found = np.asarray(outputs[f"{prefix}_outputs"], "float64").reshape(len(truth), -1)
    if found.shape != truth.shape:
        raise ValueError(f"expected answers of shape {truth.shape}, got {found.shape}")
    return truth, found


def beside(
    name: str, outputs: dict[str, np.ndarray], answers: np.ndarray | float
) -> dict[str, Any]:
    """Returns the row for metrics.json that compares other answers with the network's on the test split.

    Args:
        name: Name of the other answers in the report.
        outputs: The network's answers and the truth, as in predictions.npz.
        answers: `(m, numbers)`, or a shape that can be broadcast to it.
    """
    from common.basics.statistics import paired_test

    truth, found = _pair(outputs, "test")
    other, network = abs(truth - answers).mean(axis=1), abs(truth - found).mean(axis=1)
    return {
        "name": name,
        "value": round(float(other.mean()), 6),
        "count": len(truth),
        "p": paired_test(other, network).p,
    }
