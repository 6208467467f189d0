"""The recipe's task: a sequence is solved or not, whichever of the three problems it belongs to."""

from common.runs.headline import Headline
from common.tasks.task import Section, Task


class Lag(Task):
    """Sequences of which each is answered right or wrong; `problems.right` says when.

    A sum is right within 0.04, an order if it is the likeliest of the four, a copy if all its ten symbols
    are.
    """

    headline = Headline("sequences solved", "%")
    figure = "sequences_solved"
    objective = "val_sequences_solved"
    curves = (("loss", "loss"), ("sequences_solved", "sequences solved (%)"))

    def __init__(self):
        super().__init__("sequence")

    def score(self, outputs, seen=None):
        """As of Task: "sequences_solved", "loss" (of sums the mean squared error), "count"; of test, the
        95 % "sequences_solved_interval" (Wilson)."""
        from common.basics.statistics import wilson_interval

        from .problems import losses, right

        parts = {}
        for name, prefix in (("validation", "val"), ("test", "test")):
            truth, found = outputs[f"{prefix}_truth"], outputs[f"{prefix}_outputs"]
            solved = right(truth, found)
            parts[name] = {
                "count": len(truth),
                "sequences_solved": float(solved.mean()),
                "loss": float(losses(truth, found).mean()),
            }
        interval = wilson_interval(int(solved.sum()), len(solved))
        parts["test"]["sequences_solved_interval"] = [float(end) for end in interval]
        return parts

    def example_scores(self, outputs):
        """Returns whether each test sequence is solved, uint8 `(m,)`."""
        from .problems import right

        return right(outputs["test_truth"], outputs["test_outputs"]).astype("uint8")

    def check(self, outputs):
        import numpy as np

        for prefix in ("val", "test"):
            truth, found = outputs[f"{prefix}_truth"], outputs[f"{prefix}_outputs"]
            expected = truth.shape if truth.dtype.kind == "f" else found.shape[:-1]
            if found.shape[: len(expected)] != truth.shape:
                raise ValueError(f"expected answers to {truth.shape}, got {found.shape}")
            if not np.isfinite(found).all():
                raise ValueError("some of its answers are not finite")

    def remarks(self, metrics):
        steps, until = metrics.get("solved_at_step"), metrics.get("solved_means")
        if until is None:
            return []
        if steps is None:
            return [f"Not solved in {metrics['steps']:,} steps ({until})."]
        return [f"Solved after {steps:,} of {metrics['steps']:,} steps ({until})."]

    def tiles(self, metrics):
        solved = metrics.get("solved_at_step")
        shown = f"{solved:,}" if solved else "never"
        return [*super().tiles(metrics), ("solved at step", shown)]

    def sections(self, outputs, problem, *, metrics, info, splits, encode, figures):
        found = []
        if outputs is None or outputs["test_truth"].dtype.kind == "f":
            from common.tasks.regression import Regression

            found += Regression().sections(
                outputs,
                problem,
                metrics=metrics,
                info=info,
                splits=splits,
                encode=encode,
                figures=figures,
            )
        lags = metrics.get("gradient_by_lag")
        if lags:
            from .picture import lag_section

            html = lag_section(lags, figures)
            found.append(Section("lags", "How far back the gradient reaches", html, "Lags"))
        return found

    def line(self, row, info, top):
        from .problems import ORDERS

        if row.shape == (1,):
            return f"{row[0]:.4f}"
        if row.ndim == 1:
            return f"{ORDERS[row.argmax()]} {row.max():.1%}"
        return " ".join(str(symbol) for symbol in row.argmax(axis=-1))

    def record(self, row, info):
        from .problems import ORDERS

        if row is None:
            return {"answer": None}
        if row.shape == (1,):
            return {"answer": float(row[0])}
        likeliest = row.argmax(axis=-1)
        answer = ORDERS[likeliest] if row.ndim == 1 else likeliest.tolist()
        return {"answer": answer, "probabilities": row.tolist()}

    def columns(self, info):
        return ["answer"]

    def cells(self, row, info):
        return [self.line(row, info, 1)]
