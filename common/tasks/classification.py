"""Classification: an answer is a class, with a probability for each."""

from common.runs.headline import Headline
from common.tasks.task import Task


class Classification(Task):
    """Examples of which each belongs to one of several classes.

    The model ends in a softmax `(n, classes)`, or in a sigmoid `(n, 1)` for two of them.

    Args:
        kind: "image", "text" or "audio": what is classified. Answers about sound are not explained.
    """

    headline = Headline("accuracy", "%")
    figure = "accuracy"
    objective = "val_accuracy"
    also = {"loss": "loss", "ece": "ECE"}
    curves = (("loss", "loss (nats per example)"), ("accuracy", "accuracy (%)"))
    loss_unit = "nats"
    arrays = ("val_probabilities", "val_labels", "test_probabilities", "test_labels")

    @property
    def explains(self):
        """As of Task."""
        return self.kind in ("image", "text")

    @property
    def explain(self):
        """The module that explains answers; it imports Keras."""
        from common.explain import explanation

        return explanation

    def outputs(self, model, splits, encode):
        """As of Task: `val_probabilities` `(n, classes)`, `val_labels` `(n,)`, the same of test."""
        from common.training.outputs import predict_splits

        return predict_splits(model, splits, encode)

    def score(self, outputs, seen=None):
        from common.tasks import metrics

        return metrics.summarise(**{name: outputs[name] for name in self.arrays}, seen=seen)

    def example_scores(self, outputs):
        right = outputs["test_probabilities"].argmax(axis=1) == outputs["test_labels"]
        return right.astype("uint8")

    def baselines(self, splits, outputs):
        from common.tasks import baselines

        return [baselines.majority_class(splits, outputs)]

    def verdict(self, metrics):
        from common.tasks import verdict

        return verdict.line(metrics)

    def remarks(self, metrics):
        from common.tasks import verdict

        return verdict.remarks(metrics)

    def tiles(self, metrics):
        from common.basics.wording import percent

        test, found = metrics["test"], super().tiles(metrics)
        if "balanced_accuracy" in test:
            digits = 2 if test["count"] >= 1000 else 1
            found[:0] = [
                ("balanced accuracy", percent(test["balanced_accuracy"], digits)),
                ("macro F1", percent(test["macro_f1"], digits)),
            ]
        return found

    def fine_print(self, metrics, outputs, info):
        import numpy as np

        from common.basics.wording import percent, shorten

        test = metrics["test"]
        wrong = round((1 - test["accuracy"]) * test["count"])
        lines = [f"{wrong:,} wrong of {test['count']:,} test examples"]
        names = info.get("class_names") or ()
        if outputs is not None and names:
            counts = np.bincount(outputs["test_labels"])
            name = shorten(dict(enumerate(names)).get(counts.argmax(), counts.argmax()), 80)
            share = percent(counts.max() / counts.sum())
            lines.append(f"always answering “{name}” would score {share}")
        return lines

    def check(self, outputs):
        from common.tasks.metrics import check_probabilities

        for part in ("val", "test"):
            check_probabilities(outputs[f"{part}_probabilities"], outputs[f"{part}_labels"])

    def sections(self, outputs, problem, *, metrics, info, splits, encode, figures):
        from common.tasks import sections

        return sections.of_classes(
            outputs,
            problem,
            metrics=metrics,
            info=info,
            splits=splits,
            encode=encode,
            figures=figures,
        )

    def line(self, row, info, top):
        names, row = info["class_names"], probabilities(row)
        best = row.argsort()[::-1][: max(top, 1)]
        return ", ".join(f"{names[index]} {row[index]:.1%}" for index in best)

    def record(self, row, info):
        if row is None:
            return {"class": None, "probabilities": {}}
        names, row = info["class_names"], probabilities(row)
        order = row.argsort()[::-1]
        values = {names[index]: float(row[index]) for index in order}
        return {"class": names[order[0]], "probabilities": values}

    def columns(self, info):
        return ["class", *(f"probability_{name}" for name in info["class_names"])]

    def cells(self, row, info):
        row = probabilities(row)
        # Nine digits are all that float32 has.
        return [info["class_names"][row.argmax()], *(f"{value:.9g}" for value in row.tolist())]


def probabilities(row):
    """Returns the probabilities `(classes,)` of what a model returned for one example."""
    import numpy as np

    row = np.asarray(row, "float32")
    return np.array([1 - row[0], row[0]], "float32") if row.shape == (1,) else row
