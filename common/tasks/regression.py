"""Regression: an answer is one number, or several, and is scored by its squared error."""

import numpy as np

from common.basics.wording import shorten
from common.runs.headline import Headline
from common.tasks.task import Section, Task

WORST_SHOWN = 12


class Regression(Task):
    """Examples with a number, or several, to be predicted: targets `(n,)` or `(n, numbers)`.

    Args:
        kind: What an example is.
        unit: Unit of the targets, e.g. "m"; "" where they have none.
    """

    headline = Headline("mean squared error", better="lower")
    figure = "mse"
    objective = "val_loss"
    curves = (("loss", "loss"),)
    also = {"mae": "mean absolute error", "r2": "R²"}

    def __init__(self, kind="array", unit=""):
        super().__init__(kind)
        self.unit = unit

    def score(self, outputs, seen=None):
        """As of Task: "mse", its 95 % "mse_interval" by Student's t, "rmse", "mae", "r2", "count"."""
        from sklearn import metrics

        parts = {}
        for name, prefix in (("validation", "val"), ("test", "test")):
            truth, found = _pair(outputs, prefix)
            mse = float(metrics.mean_squared_error(truth, found))
            parts[name] = {
                "count": len(truth),
                "mse": mse,
                "rmse": mse**0.5,
                "mae": float(metrics.mean_absolute_error(truth, found)),
                # Undefined where there is one example, or all truths are equal.
                "r2": float(metrics.r2_score(truth, found)) if np.ptp(truth) > 0 else None,
            }
        parts["test"]["mse_interval"] = mean_interval(self.example_scores(outputs))
        return parts

    def example_scores(self, outputs):
        """Returns the squared error of each test example, float64 `(m,)`; the mean of several numbers."""
        truth, found = _pair(outputs, "test")
        return np.mean((truth - found) ** 2, axis=1)

    def check(self, outputs):
        for prefix in ("val", "test"):
            truth, found = _pair(outputs, prefix)
            if not (np.isfinite(truth).all() and np.isfinite(found).all()):
                raise ValueError("some of its numbers are not finite")

    def baselines(self, splits, outputs):
        """Always answering the mean of the training targets: what a model has to beat."""
        mean = np.asarray(splits.train.y, "float64").reshape(len(splits.train.y), -1).mean(axis=0)
        return [beside("always answering the mean of the training targets", outputs, mean)]

    def sections(self, outputs, problem, *, metrics, info, splits, encode, figures):
        from common.report.rendering import data_uri, render
        from common.tasks import drawing

        page = {"problem": problem, "figures": {}}
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

    def line(self, row, info, top):
        unit = f" {self.unit}" if self.unit else ""
        return ", ".join(f"{value:.6g}{unit}" for value in np.ravel(row))

    def record(self, row, info):
        return {"answer": None if row is None else np.ravel(row).tolist()}


def _pair(outputs, prefix):
    """Returns truth and answers as float64 `(n, numbers)`."""
    truth = np.asarray(outputs[f"{prefix}_truth"], "float64")
    truth = truth.reshape(len(truth), -1)
    found = np.asarray(outputs[f"{prefix}_outputs"], "float64").reshape(len(truth), -1)
    if found.shape != truth.shape:
        raise ValueError(f"expected answers of shape {truth.shape}, got {found.shape}")
    return truth, found


def mean_interval(values):
    """Returns the 95 % interval of a mean by Student's t, [low, high].

    Args:
        values: `(n,)`; where they are skewed, as squared errors are, n should be some dozens.

    Returns:
        None where the values tell no spread: one, or all alike.
    """
    from scipy import stats

    values = np.asarray(values, "float64")
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return [float(values.mean() - half), float(values.mean() + half)]


def beside(name, outputs, answers):
    """Returns what metrics.json tells of other answers to the test split than the network's.

    Args:
        name: Of the other answers, as the report shows it.
        outputs: As in predictions.npz.
        answers: `(m, numbers)`, or what can be broadcast to it.
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
