"""The interface of a task: the headline figure, scores, parts of the report, and answers as text.

A task is a small object that holds no state of a training. A recipe names its own in `train.py`:
`TASK = Classification("image")`. All other code calls these methods and knows no task by name.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.basics.errors import UsageError
from common.basics.wording import p_value
from common.runs.headline import Headline

if TYPE_CHECKING:
    import keras
    import numpy as np

    from common.data.types import Arrays, Splits

SIGNIFICANT = 0.05


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report that only some tasks have."""

    id: str
    """Its anchor in the page."""
    title: str
    html: str
    """Its content, escaped."""
    link: str
    """Its name in the page's list of sections."""


class Task:
    """The base of all tasks: each adds `score`, `example_scores` and figures of its own.

    Args:
        kind: Kind of an example: "image", "text", "audio", "table" or "array".
    """

    headline = Headline("loss", better="lower")
    """The figure by which a run is judged, without values."""
    figure = "loss"
    """Its name in the dicts of `score`."""
    objective = "val_loss"
    """Column of history.csv that a search uses by default."""
    also: dict[str, str] = {"loss": "loss"}
    """Figures that `recipes evaluate` shows too: their names in the dicts of `score`, and in words."""
    curves: tuple[tuple[str, str], ...] = (("loss", "loss"),)
    """Columns of history.csv that the report draws, and the labels of their axes."""
    loss_unit = ""
    named = True
    """Whether a line of `recipes predict` begins with the name of what was asked about."""

    def __init__(self, kind: str = "array") -> None:
        self.kind = kind

    @property
    def explains(self) -> bool:
        """Whether `explain` is the module with `explain_files` and `explain_examples`."""
        return False

    def outputs(
        self, model: keras.Model, splits: Splits, encode: Callable[[Any], Arrays]
    ) -> dict[str, np.ndarray]:
        """Returns the arrays of predictions.npz: the model's answers to validation and test.

        Args:
            model: Trained network.
            splits: Its data; the test split is read here.
            encode: Turns the x of a split into model inputs.

        Returns:
            `val_outputs`, `val_truth`, `test_outputs`, `test_truth`, each `(n, ...)`.
        """
        import numpy as np

        from common.training.outputs import inference_batches, outputs_of

        found: dict[str, Any] = {}
        for name, split in (("val", splits.val), ("test", splits.test)):
            found[f"{name}_outputs"] = outputs_of(model, inference_batches(encode(split.x)))
            found[f"{name}_truth"] = np.asarray(split.y)
        return found

    def answers(self, model: keras.Model, inputs: Arrays) -> Sequence[Any] | np.ndarray:
        """Returns what `recipes predict` shows, an item for each example: an array `(n, ...)` or a list.

        Args:
            model: Trained network.
            inputs: Model inputs, as `encode` returns them.
        """
        from common.training.outputs import inference_batches, outputs_of

        return outputs_of(model, inference_batches(inputs))

    def probes(self, inputs: Arrays) -> Arrays:
        """Returns the inputs on which an exported model is compared: what the model itself takes.

        Args:
            inputs: As `encode` returns them.
        """
        return inputs

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        """Returns {"validation": {...}, "test": {...}}: figures as plain numbers, and their "count".

        Args:
            outputs: The result of `outputs`.
            seen: Which test examples occur in the training data too, bool `(m,)`, or None.
        """
        raise NotImplementedError

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns a score for each test example, `(m,)`: 0 or 1 if answers are wrong or right."""
        raise NotImplementedError

    def corrupted(
        self,
        model: keras.Model,
        splits: Splits,
        encode: Callable[[Any], Arrays],
        severity: int,
    ) -> dict[str, Any]:
        """Returns how a model does on worse copies of test images, the "corruptions" of metrics.json.

        Args:
            model: Trained network.
            splits: Its data; the test split is read here.
            encode: Turns the x of a split into model inputs.
            severity: One of `common.data.corruptions.SEVERITIES`.

        Raises:
            UsageError: This is not a task of classes of images.
        """
        raise UsageError(
            f"corruptions are of images that belong to classes; this recipe's examples are {self.kind}: "
            "leave --corruptions out"
        )

    def headline_of(self, scores: dict[str, dict[str, Any]]) -> Headline:
        """Returns the headline figure with its values, taken from the result of `score`."""
        test = scores["test"]
        interval = test.get(f"{self.figure}_interval")
        return dataclasses.replace(
            self.headline,
            value=test[self.figure],
            interval=tuple(interval) if interval else None,
            count=test["count"],
            validation=scores["validation"][self.figure],
        )

    def baselines(self, splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """Returns rows for metrics.json: simple answers that any model of the task must beat."""
        return []

    def verdict(self, metrics: dict[str, Any]) -> str:
        """Returns a judgement of a run against its baselines, a sentence without a full stop."""
        from common.runs import headline

        found: Headline = headline.of(metrics)
        shown = f"{found.name} {found.shown(found.value)} on the test split"
        rows = [headline.baseline(row) for row in metrics["baselines"]]
        if not rows:
            return f"{shown}, with no baseline beside it"
        best = (max if found.higher else min)(rows, key=lambda row: row.value)
        better = found.value > best.value if found.higher else found.value < best.value
        against = f"{best.name} ({found.shown(best.value)} against {found.shown(found.value)}"
        if best.p is None or best.p >= SIGNIFICANT:
            test = "" if best.p is None else f", {p_value(best.p)}"
            return f"no difference shown from {against}{test})"
        return f"{'better' if better else 'worse'} than {against}, {p_value(best.p)})"

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """Returns sentences on what makes the figures less certain than they look."""
        return []

    def remembered(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """Returns what the answers of `recipes predict` need of a run's metrics.json.

        `line`, `record`, `columns` and `cells` find it in their `info`.
        """
        return {}

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        """Returns the small figures beside the headline of the report: names and texts."""
        found = metrics["test"].get("loss")
        unit = f", {self.loss_unit}" if self.loss_unit else ""
        return [] if found is None else [(f"test loss{unit}", f"{found:.4g}")]

    def fine_print(
        self,
        metrics: dict[str, Any],
        outputs: dict[str, np.ndarray] | None,
        info: dict[str, Any],
    ) -> list[str]:
        """Returns lines below the headline of the report; arguments as of `sections`."""
        return []

    def read(self, path: Path) -> tuple[dict[str, np.ndarray] | None, str | None]:
        """Reads predictions.npz.

        Returns:
            The arrays and None; or None and a sentence that says what is wrong with the file.
        """
        from common.basics import arrays
        from common.basics.errors import RecipeError
        from common.runs.finished import SCORE_AGAIN

        if not path.is_file():
            return None, f"The run folder has no predictions.npz; {SCORE_AGAIN}."
        try:
            held = arrays.read(path, self.arrays)
            self.check(held)
        except (OSError, ValueError, TypeError, RecipeError) as error:
            return None, f"predictions.npz cannot be used ({error}); {SCORE_AGAIN}."
        return held, None

    arrays: tuple[str, ...] = ("val_outputs", "val_truth", "test_outputs", "test_truth")
    """Names of the arrays that `score` and `sections` need."""

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        """Raises a RecipeError, a ValueError or a TypeError if outputs cannot be scored."""

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
        """Returns the parts of the report that only this task has.

        Args:
            outputs: The result of `read`, or None.
            problem: Why `outputs` is None.
            metrics: Content of metrics.json.
            info: Description of the data in environment.json; it may be empty.
            splits: The data, or None.
            encode: Turns raw test examples into what is shown for them, or None.
            figures: Receives the pictures: PNG bytes by file name.
        """
        return []

    def line(self, row: np.ndarray, info: dict[str, Any], top: int) -> str:
        """Returns an answer of `recipes predict` as text.

        Args:
            row: An item of `answers`.
            info: Description of the data in environment.json.
            top: Number of possibilities to name, if there are several.
        """
        import numpy as np

        return np.array2string(row, precision=4, threshold=20)

    def record(self, row: np.ndarray | None, info: dict[str, Any]) -> dict[str, Any]:
        """Returns an answer as a dict that JSON can hold; `row` is None if there is no answer."""
        return {"output": None if row is None else row.tolist()}

    def columns(self, info: dict[str, Any]) -> list[str]:
        """Returns the columns of a CSV file of answers, without the name of the example."""
        return ["output"]

    def cells(self, row: np.ndarray, info: dict[str, Any]) -> list[str]:
        """Returns the values of these columns for one answer."""
        return [json.dumps(row.tolist())]
