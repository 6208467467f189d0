"""Classification: an answer is a class, with a probability of each class."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from common.runs.headline import Headline
from common.tasks.task import Section, Task

if TYPE_CHECKING:
    import keras
    import numpy as np

    from common.data.types import Arrays, Splits


class Classification(Task):
    """Each example belongs to one of several classes.

    The model ends in a softmax `(n, classes)`, or in a sigmoid `(n, 1)` for two classes.

    Args:
        kind: Kind of an example: "image", "text", "audio" or "table". Answers about the last two are not
            explained.
    """

    headline = Headline("accuracy", "%")
    figure = "accuracy"
    objective = "val_accuracy"
    also = {"loss": "loss", "ece": "ECE"}
    curves: tuple[tuple[str, str], ...] = (
        ("loss", "loss (nats per example)"),
        ("accuracy", "accuracy (%)"),
    )
    loss_unit = "nats"
    arrays = ("val_probabilities", "val_labels", "test_probabilities", "test_labels")

    @property
    def explains(self) -> bool:
        """As of Task."""
        return self.kind in ("image", "text")

    @property
    def explain(self) -> ModuleType:
        """The module that explains answers. It imports Keras."""
        from common.explain import explanation

        return explanation

    def outputs(
        self, model: keras.Model, splits: Splits, encode: Callable[[Any], Arrays]
    ) -> dict[str, np.ndarray]:
        """As of Task: `val_probabilities` `(n, classes)`, `val_labels` `(n,)`, and those of test."""
        from common.training.outputs import predict_splits

        return predict_splits(model, splits, encode)

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        from common.tasks import summary

        given = {name: outputs[name] for name in self.arrays}
        return summary.summarise(**given, seen=seen)

    def corrupted(
        self,
        model: keras.Model,
        splits: Splits,
        encode: Callable[[Any], Arrays],
        severity: int,
    ) -> dict[str, Any]:
        """As of Task; beside the network, a linear model on pixels."""
        if self.kind != "image":
            return super().corrupted(model, splits, encode, severity)
        from common.tasks import corrupted_images

        return corrupted_images.of_network(model, splits, encode, severity)

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        right = outputs["test_probabilities"].argmax(axis=1) == outputs["test_labels"]
        return right.astype("uint8")

    def baselines(self, splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        from common.tasks import baselines

        return [baselines.majority_class(splits, outputs)]

    def verdict(self, metrics: dict[str, Any]) -> str:
        from common.tasks import verdict

        return verdict.line(metrics)

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        from common.tasks import verdict

        return verdict.remarks(metrics)

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        from common.basics.wording import percent

        test, found = metrics["test"], super().tiles(metrics)
        if "balanced_accuracy" in test:
            digits = 2 if test["count"] >= 1000 else 1
            found[:0] = [
                ("balanced accuracy", percent(test["balanced_accuracy"], digits)),
                ("macro F1", percent(test["macro_f1"], digits)),
            ]
        if "auc" in test:
            found[:0] = [("ROC AUC", f"{test['auc']:.3f}")]
        return found

    def fine_print(
        self,
        metrics: dict[str, Any],
        outputs: dict[str, np.ndarray] | None,
        info: dict[str, Any],
    ) -> list[str]:
        import numpy as np

        from common.basics.wording import percent, shorten

        test = metrics["test"]
        wrong = round((1 - test["accuracy"]) * test["count"])
        lines = [f"{wrong:,} wrong of {test['count']:,} test examples"]
        names = info.get("class_names") or ()
        if outputs is not None and names:
            counts = np.bincount(outputs["test_labels"])
            commonest = int(counts.argmax())
            name = shorten(names[commonest] if commonest < len(names) else str(commonest), 80)
            share = percent(counts.max() / counts.sum())
            lines.append(f"always answering “{name}” would score {share}")
        return lines

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        from common.tasks.metrics import check_probabilities

        for part in ("val", "test"):
            check_probabilities(outputs[f"{part}_probabilities"], outputs[f"{part}_labels"])

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
        from common.tasks import sections

        found = sections.of_classes(
            outputs,
            problem,
            metrics=metrics,
            info=info,
            splits=splits,
            encode=encode,
            figures=figures,
        )
        if outputs is not None and outputs["test_probabilities"].shape[1] == 2:
            from common.tasks import thresholds

            names = tuple(info.get("class_names") or ())
            found.append(thresholds.section(outputs, names))
        if self.kind == "image":
            from common.tasks import corrupted_images, image_slices

            test = _test_images(outputs, splits)
            if outputs is not None and test is not None:
                found += image_slices.sections(outputs, test.x)
            if metrics.get("corruptions"):
                found.append(corrupted_images.section(metrics["corruptions"], test, figures))
        if self.kind == "table":
            from common.tasks import slice_section

            found.append(slice_section.of_classes(outputs, problem, splits))
        return found

    def line(self, row: np.ndarray, info: dict[str, Any], top: int) -> str:
        names, row = info["class_names"], probabilities(row)
        best = row.argsort()[::-1][: max(top, 1)]
        return ", ".join(f"{names[index]} {row[index]:.1%}" for index in best)

    def record(self, row: np.ndarray | None, info: dict[str, Any]) -> dict[str, Any]:
        if row is None:
            return {"class": None, "probabilities": {}}
        names, row = info["class_names"], probabilities(row)
        order = row.argsort()[::-1]
        values = {names[index]: float(row[index]) for index in order}
        return {"class": names[order[0]], "probabilities": values}

    def columns(self, info: dict[str, Any]) -> list[str]:
        return ["class", *(f"probability_{name}" for name in info["class_names"])]

    def cells(self, row: np.ndarray, info: dict[str, Any]) -> list[str]:
        row = probabilities(row)
        # Nine digits tell every float32 number exactly.
        return [info["class_names"][row.argmax()], *(f"{value:.9g}" for value in row.tolist())]


def probabilities(row: np.ndarray) -> np.ndarray:
    """Returns probabilities, float32 `(classes,)`, from a model's output for one example."""
    import numpy as np

    row = np.asarray(row, "float32")
    return np.array([1 - row[0], row[0]], "float32") if row.shape == (1,) else row


def _test_images(outputs, splits):
    """Returns the test split of images; None if it cannot be read, or is not the one that was scored."""
    import numpy as np

    from common.basics.errors import RecipeError

    if splits is None or outputs is None:
        return None
    try:
        test = splits.test
    except RecipeError:
        # The section on mistakes says so.
        return None
    same = np.array_equal(np.asarray(test.y), outputs["test_labels"])
    return test if same and np.ndim(test.x) == 4 else None
