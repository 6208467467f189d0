"""The recipe's task, for all three problems: a sequence is solved or it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.runs.headline import Headline
from common.tasks.task import Section, Task

if TYPE_CHECKING:
    import numpy as np

    from common.data import Splits


class Lag(Task):
    """Each sequence is answered right or wrong, by the rule of `problems.right`.

    A sum is right within 0.04, an order if it is the likeliest of the four, a copy if all its ten symbols
    are right.
    """

    headline = Headline("sequences solved", "%")
    figure = "sequences_solved"
    objective = "val_sequences_solved"
    curves = (("loss", "loss"), ("sequences_solved", "sequences solved (%)"))

    def __init__(self) -> None:
        super().__init__("sequence")

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        """As of Task: "sequences_solved", a share; "loss", of sums the mean squared error; "count".

        Of the test split also "sequences_solved_interval", of 95 % (Wilson).
        """
        from common.basics.statistics import wilson_interval

        from .problems import losses, right

        parts: dict[str, dict[str, Any]] = {}
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

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns whether each test sequence is solved, uint8 `(m,)`."""
        from .problems import right

        return right(outputs["test_truth"], outputs["test_outputs"]).astype("uint8")

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        import numpy as np

        for prefix in ("val", "test"):
            truth, found = outputs[f"{prefix}_truth"], outputs[f"{prefix}_outputs"]
            expected = truth.shape if truth.dtype.kind == "f" else found.shape[:-1]
            if found.shape[: len(expected)] != truth.shape:
                raise ValueError(f"expected answers to {truth.shape}, got {found.shape}")
            if not np.isfinite(found).all():
                raise ValueError("some of its answers are not finite")

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        steps, until = metrics.get("solved_at_step"), metrics.get("solved_means")
        if until is None:
            return []
        if steps is None:
            return [f"Not solved in {metrics['steps']:,} steps ({until})."]
        return [f"Solved after {steps:,} of {metrics['steps']:,} steps ({until})."]

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        solved = metrics.get("solved_at_step")
        shown = f"{solved:,}" if solved else "never"
        return [*super().tiles(metrics), ("solved at step", shown)]

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
        found: list[Section] = []
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

    def line(self, row: np.ndarray, info: dict[str, Any], top: int) -> str:
        from .problems import ORDERS

        if row.shape == (1,):
            return f"{row[0]:.4f}"
        if row.ndim == 1:
            return f"{ORDERS[row.argmax()]} {row.max():.1%}"
        return " ".join(str(symbol) for symbol in row.argmax(axis=-1))

    def record(self, row: np.ndarray | None, info: dict[str, Any]) -> dict[str, Any]:
        from .problems import ORDERS

        if row is None:
            return {"answer": None}
        if row.shape == (1,):
            return {"answer": float(row[0])}
        likeliest = row.argmax(axis=-1)
        answer = ORDERS[likeliest] if row.ndim == 1 else likeliest.tolist()
        return {"answer": answer, "probabilities": row.tolist()}

    def columns(self, info: dict[str, Any]) -> list[str]:
        return ["answer"]

    def cells(self, row: np.ndarray, info: dict[str, Any]) -> list[str]:
        return [self.line(row, info, 1)]
