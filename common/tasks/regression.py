"""Regression: an answer is one number, or several, and is scored by its squared error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from common.basics.wording import shorten
from common.data.types import Splits
from common.runs.headline import Headline
from common.tasks.task import Section, Task

WORST_SHOWN = 12


class Regression(Task):
    """Each example has one number, or several, to predict: targets `(n,)` or `(n, numbers)`.

    Args:
        kind: Kind of an example: "image", "text", or "array".
        unit: Unit of the targets, e.g. "m"; "" if they have none.
    """

    headline = Headline("mean squared error", better="lower")
    figure = "mse"
    objective = "val_loss"
    curves = (("loss", "loss"),)
    also = {"mae": "mean absolute error", "r2": "R²"}

    def __init__(self, kind: str = "array", unit: str = "") -> None:
        super().__init__(kind)
        self.unit = unit

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        """As of Task: "mse", its 95 % "mse_interval" by Student's t, "rmse", "mae", "r2", "count"."""
        from sklearn import metrics

        parts: dict[str, dict[str, Any]] = {}
        for name, prefix in (("validation", "val"), ("test", "test")):
            truth, found = _pair(outputs, prefix)
            mse = float(metrics.mean_squared_error(truth, found))
            parts[name] = {
                "count": len(truth),
                "mse": mse,
                "rmse": mse**0.5,
                "mae": float(metrics.mean_absolute_error(truth, found)),
                # Undefined for one example, or if all true numbers are equal.
                "r2": float(metrics.r2_score(truth, found)) if np.ptp(truth) > 0 else None,
            }
        parts["test"]["mse_interval"] = mean_interval(self.example_scores(outputs))
        return parts

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns the squared error of each test example, the mean over its numbers, float64 `(m,)`."""
        truth, found = _pair(outputs, "test")
        return np.mean((truth - found) ** 2, axis=1)

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        for prefix in ("val", "test"):
            truth, found = _pair(outputs, prefix)
            if not (np.isfinite(truth).all() and np.isfinite(found).all()):
                raise ValueError("some of its numbers are not finite")

    def baselines(self, splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """Returns one row: always answering the mean of the training targets."""
        mean = np.asarray(splits.train.y, "float64").reshape(len(splits.train.y), -1).mean(axis=0)
        return [beside("always answering the mean of the training targets", outputs, mean)]

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
            page["alt"] = f"Scatter plot. {title}. The largest error is {errors.max():.4g}."
            page["worst"] = [
                {
                    "index": int(index),
                    "truth": shorten(", ".join(f"{value:.4g}" for value in truth[index]), 80),
                    "answer": shorten(", ".join(f"{value:.4g}" for value in found[index]), 80),
                    "error": f"{errors[index]:.4g}",
                }
                for index in np.argsort(-errors, kind="stable")[:WORST_SHOWN]
            ]
        html = render("answers.html", page, package="common.tasks")
        return [Section("answers", "Answers and their errors", html, "Answers")]

    def line(self, row: np.ndarray, info: dict[str, Any], top: int) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return ", ".join(f"{value:.6g}{unit}" for value in np.ravel(row))

    def record(self, row: np.ndarray | None, info: dict[str, Any]) -> dict[str, Any]:
        return {"answer": None if row is None else np.ravel(row).tolist()}


def _pair(outputs, prefix):
    """Returns truth and answers as float64 `(n, numbers)`."""
    truth = np.asarray(outputs[f"{prefix}_truth"], "float64")
    truth = truth.reshape(len(truth), -1)
    found = np.asarray(outputs[f"{prefix}_outputs"], "float64").reshape(len(truth), -1)
    if found.shape != truth.shape:
        raise ValueError(f"expected answers of shape {truth.shape}, got {found.shape}")
    return truth, found


def mean_interval(values: np.ndarray | Sequence[float]) -> list[float] | None:
    """Returns the 95 % interval of a mean by Student's t.

    Args:
        values: `(n,)`; if they are skewed, as squared errors are, n should be some dozens.

    Returns:
        [low, high]; None if the values have no spread: a single one, or all equal.
    """
    from scipy import stats

    values = np.asarray(values, "float64")
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return [float(values.mean() - half), float(values.mean() + half)]


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
    other = np.mean((truth - answers) ** 2, axis=1)
    network = np.mean((truth - found) ** 2, axis=1)
    return {
        "name": name,
        "value": round(float(other.mean()), 6),
        "count": len(truth),
        "p": paired_test(other, network).p,
    }
