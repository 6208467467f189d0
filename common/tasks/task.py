"""What a task answers about a training: the figure that counts, the scores, the report, the answers.

A task is a small object without the state of a training. A recipe names its own in `train.py`:
`TASK = Classification("image")`. Everything above the rooms below asks it and knows no task by name.
"""

import dataclasses
import json

from common.basics.wording import p_value
from common.runs.headline import Headline

SIGNIFICANT = 0.05


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report that only some tasks have."""

    id: str
    """Its address in the page."""
    title: str
    html: str
    """Its content, escaped."""
    link: str
    """What the page's list of sections calls it."""


class Task:
    """The answers that most tasks share; each task gives `score` and its own figures.

    Args:
        kind: What an example is: "image", "text", or "array".
    """

    headline = Headline("loss", better="lower")
    """Which figure counts, without values."""
    figure = "loss"
    """Its name in the dicts of `score`."""
    objective = "val_loss"
    """Column of history.csv that a search goes by, if it is not told another."""
    also = {"loss": "loss"}
    """What `recipes evaluate` shows beside the figure: names in the dicts of `score` -> words."""
    curves: tuple[tuple[str, str], ...] = (("loss", "loss"),)
    """Columns of history.csv that the report draws, and the labels of their axes."""
    loss_unit = ""
    named = True
    """Whether a line of `recipes predict` begins with the name of what was asked about."""
    explains = False
    """Whether `explain` gives the module with `explain_files` and `explain_examples`."""

    def __init__(self, kind="array"):
        self.kind = kind

    def outputs(self, model, splits, encode):
        """Returns the arrays of predictions.npz: what the model answers to validation and test.

        Args:
            model: Keras model.
            splits: Splits; the test split is read here.
            encode: Function from the x of a split to model inputs.

        Returns:
            Dict of `val_outputs`, `val_truth`, `test_outputs`, `test_truth`, each `(n, ...)`.
        """
        import numpy as np

        from common.training.outputs import inference_batches, outputs_of

        found = {}
        for name, split in (("val", splits.val), ("test", splits.test)):
            found[f"{name}_outputs"] = outputs_of(model, inference_batches(encode(split.x)))
            found[f"{name}_truth"] = np.asarray(split.y)
        return found

    def answers(self, model, inputs):
        """Returns what `recipes predict` shows, an item for each example: an array `(n, ...)`, a list.

        Args:
            model: Keras model.
            inputs: Model inputs, as `encode` returns them.
        """
        from common.training.outputs import inference_batches, outputs_of

        return outputs_of(model, inference_batches(inputs))

    def probes(self, inputs):
        """Returns what an exported model is compared on: inputs that the model itself takes.

        Args:
            inputs: As `encode` returns them.
        """
        return inputs

    def score(self, outputs, seen=None):
        """Returns {"validation": {...}, "test": {...}}, figures as plain numbers with their "count".

        Args:
            outputs: As of `outputs`.
            seen: Which test examples occur in the training data as well, bool `(m,)`, or None.
        """
        raise NotImplementedError

    def example_scores(self, outputs):
        """Returns a score for each test example, `(m,)`: 0 or 1 where answers are wrong or right."""
        raise NotImplementedError

    def headline_of(self, scores):
        """Returns the Headline with the values of what `score` returned."""
        test = scores["test"]
        interval = test.get(f"{self.figure}_interval")
        return dataclasses.replace(
            self.headline,
            value=test[self.figure],
            interval=tuple(interval) if interval else None,
            count=test["count"],
            validation=scores["validation"][self.figure],
        )

    def baselines(self, splits, outputs):
        """Returns dicts for metrics.json of what any model of the task must beat, a list."""
        return []

    def verdict(self, metrics):
        """Returns what a practitioner would say of a run, a sentence without a full stop."""
        from common.runs import headline

        found = headline.of(metrics)
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

    def remarks(self, metrics):
        """Returns sentences on what makes the figures less certain than they look, a list."""
        return []

    def tiles(self, metrics):
        """Returns the small figures beside the headline of the report: (name, text) pairs."""
        found = metrics["test"].get("loss")
        unit = f", {self.loss_unit}" if self.loss_unit else ""
        return [] if found is None else [(f"test loss{unit}", f"{found:.4g}")]

    def fine_print(self, metrics, outputs, info):
        """Returns lines below the headline of the report, a list; arguments as of `sections`."""
        return []

    def read(self, path):
        """Reads predictions.npz.

        Returns:
            Dict of arrays and None; or None and a sentence that says what is wrong with the file.
        """
        from common.basics import arrays
        from common.basics.errors import RecipeError
        from common.runs.run import SCORE_AGAIN

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

    def check(self, outputs):
        """Refuses outputs that cannot be scored with a RecipeError, a ValueError or a TypeError."""

    def sections(self, outputs, problem, *, metrics, info, splits, encode, figures):
        """Returns the parts of the report that only this task has, a list of Section.

        Args:
            outputs: As of `read`, or None; `problem` says why.
            metrics: Content of metrics.json.
            info: What environment.json says of the data, a dict; it may be empty.
            splits: The Splits, or None.
            encode: Function from raw test examples to what is shown in their place, or None.
            figures: Dict to put pictures in: file name -> PNG bytes.
        """
        return []

    def line(self, row, info, top):
        """Returns an answer of `recipes predict` as text.

        Args:
            row: An item of `answers`.
            info: What environment.json says of the data.
            top: How many possibilities to name, where there are several.
        """
        import numpy as np

        return np.array2string(row, precision=4, threshold=20)

    def record(self, row, info):
        """Returns an answer as a dict that JSON can hold; `row` None: there is none."""
        return {"output": None if row is None else row.tolist()}

    def columns(self, info):
        """Returns the names of the columns of a CSV file of answers, without that of the example."""
        return ["output"]

    def cells(self, row, info):
        """Returns the values of these columns for one answer."""
        return [json.dumps(row.tolist())]
