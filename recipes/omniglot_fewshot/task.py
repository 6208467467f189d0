"""The recipe's task: an answer is one of the characters of a task's support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from common.basics.errors import UsageError
from common.basics.wording import percent
from common.runs.headline import Headline
from common.tasks.classification import Classification
from common.tasks.task import Section, Task

from .form import SHOT, SIZE, WAY

if TYPE_CHECKING:
    import keras
    import numpy as np

    from common.data.types import Arrays, Splits

    from .episodes import Tasks

AT_ONCE = 20
"""Tasks that are answered at a time."""


class FewShot(Task):
    """Queries of tasks are answered from a few drawings of each character.

    Args:
        support: Of `recipes predict`: uint8 images `(n, 28, 28, 1)` and the class of each, int `(n,)`.
        names: Names of these classes.
        adaptation: `steps` and `rate` of Tasks.
    """

    headline = Headline(f"{WAY}-way {SHOT}-shot accuracy", "%")
    figure = "accuracy"
    objective = "val_accuracy"
    curves = (("loss", "loss (nats per query)"), ("accuracy", "accuracy (%)"))
    loss_unit = "nats"
    image_form = (SIZE, SIZE), 1
    """Size and channels of the images of a support."""
    arrays = (*Task.arrays, "val_alphabets", "test_alphabets")

    def __init__(
        self,
        support: tuple[np.ndarray, np.ndarray] | None = None,
        names: Sequence[str] = (),
        adaptation: dict[str, Any] | None = None,
    ) -> None:
        super().__init__("task")
        self.support, self.names, self.adaptation = support, tuple(names), adaptation or {}

    def outputs(
        self, model: keras.Model, splits: Splits, encode: Callable[[Any], Arrays]
    ) -> dict[str, np.ndarray]:
        """As of Task; probabilities `(m, way * queries, way)`; characters, alphabets `(m, way)`."""
        import numpy as np

        found = {}
        for name, split in (("val", splits.val), ("test", splits.test)):
            found[f"{name}_outputs"] = answers_to(split.x, model)
            found[f"{name}_truth"] = np.asarray(split.y)
            found[f"{name}_alphabets"] = split.x.characters.alphabets[split.y].astype("int32")
        return found

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        """As of Task: the figures of `scoring.figures`."""
        from .scoring import figures

        return {
            name: figures(
                *(outputs[f"{part}_{array}"] for array in ("outputs", "truth", "alphabets"))
            )
            for name, part in (("validation", "val"), ("test", "test"))
        }

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns the share of right answers of each test task, float64 `(m,)`."""
        from .scoring import right

        return right(outputs["test_outputs"]).mean(axis=(1, 2))

    def probes(self, inputs: Arrays) -> Arrays:
        """Returns the first 100 images of tasks: an export takes images."""
        import numpy as np

        return np.asarray(inputs).reshape(-1, SIZE, SIZE, 1)[:100]

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        import numpy as np

        for part in ("val", "test"):
            found, truth = outputs[f"{part}_outputs"], outputs[f"{part}_truth"]
            if found.ndim != 3 or truth.shape != (len(found), found.shape[2]):
                raise ValueError(f"expected answers to {truth.shape}, got {found.shape}")
            if not np.isfinite(found).all():
                raise ValueError("some of its answers are not finite")

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        lines = [
            f"Tasks of {row['way']} characters, {row['shot']} known drawing"
            f"{'s' * (row['shot'] > 1)} of each: {percent(row['accuracy'])}"
            + _between(" over tasks", row["accuracy_interval"])
            + _between(" over alphabets", row["alphabet_interval"])
            for row in metrics.get("tasks", [])
        ]
        return [f"{line}." for line in lines] + [
            "Each query is answered by itself, not together with the others (not transductive)."
        ]

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
        if outputs is None or splits is None:
            return []
        from .picture import task_section

        html = task_section(splits.test.x, outputs["test_outputs"], figures)
        return [Section("tasks", "Tasks and answers", html, "Tasks")]

    def with_support(
        self, support: tuple[np.ndarray, np.ndarray], names: Sequence[str], config: Any
    ) -> FewShot:
        """Returns the task whose classes are those of some drawings: what `recipes predict` asks.

        Args:
            support: Images and labels, as of the class.
            names: Names of the classes.
            config: The run's.

        Raises:
            UsageError: The run adapts a layer of five classes, and these are not five.
        """
        if config.learner != "prototypes" and len(names) != WAY:
            raise UsageError(
                f"a network trained by {config.learner} tells {WAY} classes apart: expected {WAY} "
                f"folders in --support, got {len(names)}; one trained with --preset best takes any number"
            )
        return FewShot(support, names, adaptation_of(config))

    def answers(self, model: keras.Model, inputs: Arrays) -> np.ndarray:
        """As of Task: probabilities of the classes of the support, `(n, classes)`."""
        if self.support is None:
            raise UsageError(
                "this network knows no classes of its own: name a folder of class folders, with a few "
                "drawings of each, by --support"
            )
        import numpy as np

        from .asking import probabilities

        return probabilities(model, self.support, np.asarray(inputs), **self.adaptation)

    def line(self, row: np.ndarray, info: dict[str, Any], top: int) -> str:
        return _classes.line(row, self._named(info), top)

    def record(self, row: np.ndarray | None, info: dict[str, Any]) -> dict[str, Any]:
        return _classes.record(row, self._named(info))

    def columns(self, info: dict[str, Any]) -> list[str]:
        return _classes.columns(self._named(info))

    def cells(self, row: np.ndarray, info: dict[str, Any]) -> list[str]:
        return _classes.cells(row, self._named(info))

    def _named(self, info):
        return {**info, "class_names": self.names}


_classes = Classification("image")


def _between(what, interval):
    if interval is None:
        return ""
    low, high = map(percent, interval)
    return f", 95 % interval{what} {low} to {high}"


def adaptation_of(config: Any) -> dict[str, Any]:
    """Returns the `steps` and `rate` of Tasks that a Config says."""
    return {"steps": config.test_steps, "rate": config.inner_rate}


def answers_to(tasks: Tasks, model: keras.Model) -> np.ndarray:
    """Returns a network's probabilities of tasks, float32 `(m, way * queries, way)`."""
    import numpy as np

    from common.training.outputs import inference_batches, outputs_of

    from .learners import has_embeddings

    if has_embeddings(model):
        # Each drawing once, however many tasks show it.
        batches = inference_batches(tasks.characters.images)
        return by_prototypes(tasks, outputs_of(model, batches))
    ask = _by_gradients(tasks, model)
    images = (tasks[start : start + AT_ONCE] for start in range(0, len(tasks), AT_ONCE))
    return np.concatenate([ask(part) for part in images])


def by_prototypes(tasks: Tasks, embeddings: np.ndarray) -> np.ndarray:
    """Returns the probabilities of tasks from the embedding of each drawing.

    Args:
        tasks: The tasks.
        embeddings: Floats `(n, features)`, a row for each drawing of `tasks.characters`.

    Returns:
        float32 `(m, way * queries, way)`.
    """
    import keras
    import numpy as np

    from .learners import prototype_logits

    found = []
    for start in range(0, len(tasks), AT_ONCE):
        known = embeddings[tasks.places[start : start + AT_ONCE]].astype("float32")
        logits = prototype_logits(keras.ops.convert_to_tensor(known), tasks.shot)
        found.append(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))
    return np.concatenate(found)


def _by_gradients(tasks, model):
    import keras

    from common.basics.compiled import compiled
    from common.training.gradients import values

    from .learners import scorer

    ask = scorer(model, tasks.shot, tasks.steps, tasks.rate)
    weights = values(model.trainable_variables), values(model.non_trainable_variables)

    def logits(images):
        # The shape of a task is told to a compiler that knows none.
        return keras.ops.softmax(ask(*weights, keras.ops.reshape(images, (-1, *tasks.shape[1:]))))

    return compiled(logits)
