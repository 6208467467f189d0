"""Classification of every token of a sequence: tagging, segmentation by position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from common.data.types import Splits
from common.runs.headline import Headline
from common.tasks.task import Section, Task

WORST_SHOWN = 12


class TokenClassification(Task):
    """Each token of a sequence has a class; targets are integers `(n, tokens)`.

    The model ends in a softmax over the classes, `(n, tokens, classes)`. The data names the classes.

    Args:
        kind: Kind of an example: "image", "text", or "array".
        ignored: Target of the positions that do not count, e.g. padding.
    """

    headline = Headline("token accuracy", "%")
    figure = "accuracy"
    objective = "val_accuracy"
    curves = (("loss", "loss (nats per token)"), ("accuracy", "token accuracy (%)"))
    also = {"exact": "sequences without a mistake", "loss": "loss"}
    loss_unit = "nats a token"

    def __init__(self, kind: str = "array", ignored: int = 0) -> None:
        super().__init__(kind)
        self.ignored = ignored

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        """As of Task: "accuracy" over tokens, "exact" (share of sequences without a mistake), "loss",
        "count" (sequences) and "tokens"; of test also "accuracy_interval", 95 %, over sequences."""
        parts: dict[str, dict[str, Any]] = {}
        for name, prefix in (("validation", "val"), ("test", "test")):
            truth, probabilities = self._pair(outputs, prefix)
            counted, right = self._right(truth, probabilities)
            place = np.where(counted, truth, 0)[..., None]
            likely = np.take_along_axis(probabilities, place, axis=2)[..., 0]
            nats = -np.log(np.clip(likely.astype("float64"), 1e-7, 1))
            parts[name] = {
                "count": len(truth),
                "tokens": int(counted.sum()),
                "accuracy": float(right.sum() / counted.sum()),
                "exact": float(np.mean(right.sum(axis=1) == counted.sum(axis=1))),
                "loss": float(nats[counted].mean()),
            }
            if prefix == "test":
                interval = ratio_interval(right.sum(axis=1), counted.sum(axis=1))
                parts[name]["accuracy_interval"] = interval
        return parts

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns the share of right tokens of each test sequence, float64 `(m,)`; 1 without tokens."""
        counted, right = self._right(*self._pair(outputs, "test"))
        lengths = counted.sum(axis=1)
        return np.where(lengths > 0, right.sum(axis=1) / np.maximum(lengths, 1), 1.0)

    def _pair(self, outputs, prefix):
        truth, probabilities = outputs[f"{prefix}_truth"], outputs[f"{prefix}_outputs"]
        if probabilities.ndim != 3 or truth.shape != probabilities.shape[:2]:
            raise ValueError(
                f"expected probabilities (sequences, tokens, classes) and classes (sequences, tokens), "
                f"got {probabilities.shape} and {truth.shape}"
            )
        return truth, probabilities

    def _right(self, truth, probabilities):
        """Returns which tokens count, and which of those are right, bool `(n, tokens)` both."""
        counted = truth != self.ignored
        return counted, counted & (probabilities.argmax(axis=2) == truth)

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        for prefix in ("val", "test"):
            _, probabilities = self._pair(outputs, prefix)
            if not np.isfinite(probabilities).all():
                raise ValueError("some of its probabilities are not finite")

    def baselines(self, splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """Returns one row: always answering the most frequent class of the training tokens."""
        from common.basics.statistics import paired_test

        labels = np.asarray(splits.train.y)
        commonest = int(np.bincount(labels[labels != self.ignored]).argmax())
        truth, _ = self._pair(outputs, "test")
        counted = truth != self.ignored
        right = counted & (truth == commonest)
        lengths = np.maximum(counted.sum(axis=1), 1)
        scores = np.where(counted.any(axis=1), right.sum(axis=1) / lengths, 1.0)
        return [
            {
                "name": f"always answering “{splits.info.class_names[commonest]}”",
                "value": round(float(right.sum() / counted.sum()), 6),
                "count": len(truth),
                "p": paired_test(scores, self.example_scores(outputs)).p,
            }
        ]

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        exact = metrics["test"]["exact"]
        return [("sequences without a mistake", f"{100 * exact:.1f} %"), *super().tiles(metrics)]

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

        page: dict[str, Any] = {"problem": problem, "figures": {}, "ignored": self.ignored}
        if outputs is not None:
            truth, probabilities = self._pair(outputs, "test")
            counted, right = self._right(truth, probabilities)
            counts = counted.sum(axis=0)
            shares = right.sum(axis=0)[counts > 0] / counts[counts > 0]
            places = np.flatnonzero(counts)
            title = "No mistake at any position"
            if shares.min() < 1:
                worst = places[shares.argmin()] + 1
                title = f"Hardest at position {worst}: {shares.min():.1%} right"
            figures["positions.png"] = drawing.positions(places + 1, shares, title)
            page["figures"] = {"positions.png": data_uri(figures["positions.png"])}
            page["alt"] = f"Line chart of token accuracy by position. {title}."
            wrong = (counted & ~right).sum(axis=1)
            names = info.get("class_names") or ()
            page["worst"] = [
                _compared(int(index), truth, probabilities, counted, names)
                for index in np.argsort(-wrong, kind="stable")[:WORST_SHOWN]
                if wrong[index]
            ]
        html = render("tokens.html", page, package="common.tasks")
        return [Section("tokens", "Right and wrong by position", html, "Tokens")]

    def line(self, row: np.ndarray, info: dict[str, Any], top: int) -> str:
        return " ".join(_names(row.argmax(axis=1), info.get("class_names") or ()))

    def record(self, row: np.ndarray | None, info: dict[str, Any]) -> dict[str, Any]:
        if row is None:
            return {"classes": None}
        return {"classes": _names(row.argmax(axis=1), info.get("class_names") or ())}

    def cells(self, row: np.ndarray, info: dict[str, Any]) -> list[str]:
        return [self.line(row, info, 1)]


def _names(labels, names):
    return [names[label] if label < len(names) else str(label) for label in labels.tolist()]


def _compared(index, truth, probabilities, counted, names):
    """Returns the true and the answered class of each token of a sequence, and whether they differ."""
    rows = counted[index]
    true, found = truth[index][rows], probabilities[index].argmax(axis=1)[rows]
    pairs = zip(_names(true, names), _names(found, names), strict=True)
    return {"index": index, "tokens": [(one, other, one != other) for one, other in pairs]}


def ratio_interval(numerators: np.ndarray, denominators: np.ndarray) -> list[float] | None:
    """Returns the 95 % interval of sum(numerators) / sum(denominators), within [0, 1].

    Sequences are independent, but the tokens of a sequence are not. So the interval rests on the
    variance of a ratio estimator over sequences (Cochran 1977, section 6.3), with Student's t.

    Args:
        numerators: One number for each sequence, `(n,)`.
        denominators: Likewise.

    Returns:
        [low, high]; None if the sequences have no spread: a single one, or all alike.
    """
    from scipy import stats

    x, y = np.asarray(numerators, "float64"), np.asarray(denominators, "float64")
    ratio = x.sum() / y.sum()
    residuals = x - ratio * y
    if len(x) < 2 or not residuals.any():
        return None
    error = (np.sum(residuals**2) / (len(x) - 1) / len(x)) ** 0.5 / y.mean()
    half = stats.t.ppf(0.975, len(x) - 1) * error
    return [max(0.0, float(ratio - half)), min(1.0, float(ratio + half))]
