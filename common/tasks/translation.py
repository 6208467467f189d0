"""Translation: an answer is a text, searched for token by token, and scored against a reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from common.runs.headline import Headline
from common.tasks.task import Section, Task
from common.tasks.translation_scores import (
    AttentionMap,
    by_exact,
    chosen_examples,
    figures_of,
    nearest_source,
    pack,
    packed_maps,
    sentence_scores,
    unpack,
)

if TYPE_CHECKING:
    import keras
    import numpy as np

    from common.data.types import Arrays, Split, Splits

EXACT = Headline("exact match", "%")
SAME = "the same network"
"""How the name of a baseline begins if it is only another search by the network itself."""
COMPARED = 1000
"""Validation sentences that ways to search are compared on."""


class Translator(Protocol):
    """What translates with a trained model."""

    def texts(
        self, ids: np.ndarray, width: int | None = None, penalty: float | None = None
    ) -> list[str]:
        """Returns the translations of encoded sources.

        Args:
            ids: Source ids, int32 `(n, source)`.
            width: Width of the beam. None: the model's own.
            penalty: Length penalty. None: the model's own.
        """

    def attention(self, ids: np.ndarray) -> list[AttentionMap] | None:
        """Returns where the model looked, for each encoded source; None without attention."""


class Translation(Task):
    """Sources with a target each, both texts.

    The figure is BLEU, or, where the references are shorter than four words in the median (dates,
    sums), the share of answers that are exactly the reference.

    Args:
        translator: Returns the translator of a model.
    """

    headline = Headline("BLEU")
    figure = "score"
    objective = "val_accuracy"
    also = {"chrf": "chrF", "exact": "exact match"}
    curves = (("loss", "loss (nats per token)"), ("accuracy", "token accuracy (%)"))
    arrays = (*Task.arrays, "shown", "shown_source", "shown_target", "shown_attention")
    named = False

    def __init__(self, translator: Callable[[keras.Model], Translator]) -> None:
        super().__init__("pair")
        self.translator = translator

    def outputs(
        self, model: keras.Model, splits: Splits, encode: Callable[[Any], Any]
    ) -> dict[str, np.ndarray]:
        """As of Task: texts as of `pack`, and maps of attention as of `packed_maps`.

        The maps are those of the worst, the middle and the best test examples by `example_scores`;
        `shown`, int64 `(k,)`, holds their rows. k is 0 without attention.
        """
        translator, found = self.translator(model), {}
        for name, split in (("val", splits.val), ("test", splits.test)):
            found[f"{name}_outputs"] = pack(translator.texts(encode(split.x)))
            found[f"{name}_truth"] = pack(split.y)
        chosen = chosen_examples(self.example_scores(found), found["test_truth"])
        maps = translator.attention(encode(splits.test.x[chosen])) or []
        found["shown"] = chosen[: len(maps)]
        return found | packed_maps(maps)

    def answers(self, model: keras.Model, inputs: Any) -> list[str]:
        return self.translator(model).texts(inputs)

    def probes(self, inputs: Any) -> Arrays:
        # The exported model is the network as it is trained: it takes the source and the target so far.
        import numpy as np

        from common.data.pieces import START

        target = np.concatenate([np.full_like(inputs[:, :1], START), inputs[:, :5]], axis=1)
        return {"source": inputs, "target": target}

    def score(
        self, outputs: dict[str, np.ndarray], seen: np.ndarray | None = None
    ) -> dict[str, dict[str, Any]]:
        """As of Task: "score" (that of the headline), "exact" (a share), "chrf", and "bleu" unless exact
        answers count. Of test also "score_interval", 95 % over sentences, and the "signature" of BLEU. If
        some test sources occur in training, "unseen" has the "count" and the "score" of the others."""
        import numpy as np

        parts = {}
        for name, prefix in (("validation", "val"), ("test", "test")):
            truth, found = self._pair(outputs, prefix)
            exact = by_exact(unpack(outputs["test_truth"]))
            parts[name] = figures_of(truth, found, exact, interval=prefix == "test")
        if seen is not None and np.any(seen) and not np.all(seen):
            truth, found = self._pair(outputs, "test")
            rows = np.flatnonzero(~np.asarray(seen))
            part = figures_of([truth[row] for row in rows], [found[row] for row in rows], exact)
            parts["test"]["unseen"] = {"count": len(rows), "score": part["score"]}
        return parts

    def example_scores(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns a score for each test example, `(m,)`: 0 or 1 if exact answers count, else chrF, 0 to
        100."""
        return sentence_scores(*self._pair(outputs, "test"))

    def headline_of(self, scores: dict[str, dict[str, Any]]) -> Headline:
        found = super().headline_of(scores)
        if "bleu" in scores["test"]:
            return found
        return dataclasses.replace(found, name=EXACT.name, unit=EXACT.unit)

    def _pair(self, outputs, prefix):
        return unpack(outputs[f"{prefix}_truth"]), unpack(outputs[f"{prefix}_outputs"])

    def check(self, outputs: dict[str, np.ndarray]) -> None:
        for prefix in ("val", "test"):
            truth, found = self._pair(outputs, prefix)
            if len(truth) != len(found):
                raise ValueError(f"{len(found)} answers to {len(truth)} sources")

    def baselines(self, splits: Splits, outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        """Returns two rows: copying the source, and a translation memory, which answers with the target
        of the most similar training source."""
        memory = nearest_source(splits.train.x, splits.test.x)
        rows = {
            "copying the source": list(splits.test.x),
            "nearest training source (translation memory)": list(splits.train.y[memory]),
        }
        return [self.beside(name, outputs, answers) for name, answers in rows.items()]

    def beside(
        self, name: str, outputs: dict[str, np.ndarray], answers: list[str]
    ) -> dict[str, Any]:
        """Returns a row for metrics.json: other answers to the test split, compared with the model's.

        Args:
            name: Name of the other answers in the report.
            outputs: As in predictions.npz.
            answers: The other answers, m in the order of the test split.
        """
        from common.basics.statistics import paired_test

        truth, found = self._pair(outputs, "test")
        figures = figures_of(truth, answers, by_exact(truth))
        p = paired_test(sentence_scores(truth, answers), sentence_scores(truth, found)).p
        value = round(figures["score"], 6)
        return {"name": name, "value": value, "count": len(truth), "p": p}

    def searches(
        self,
        model: keras.Model,
        split: Split,
        encode: Callable[[Any], np.ndarray],
        widths: Sequence[int] = (1, 2, 4, 8),
        penalties: Sequence[float] = (0.0, 0.6, 1.0),
    ) -> list[dict[str, Any]]:
        """Compares ways to search, for metrics.json.

        Args:
            model: Trained network.
            split: Validation split, because a search is chosen by these figures. Its first COMPARED
                examples are used.
            encode: Turns sources into model inputs.
            widths: Widths of the beam.
            penalties: Length penalties. Width 1 is searched with the first only: all give the same.

        Returns:
            A row for each way: "width", "penalty", the figures of `score`, and "length", the characters
            of all answers divided by those of all references.
        """
        import numpy as np

        split = split.take(np.arange(min(COMPARED, len(split))))
        translator, ids, truth = self.translator(model), encode(split.x), list(split.y)
        exact, rows = by_exact(truth), []
        for width in widths:
            for penalty in penalties if width > 1 else penalties[:1]:
                found = translator.texts(ids, width, penalty)
                characters = max(sum(map(len, truth)), 1)
                rows.append(
                    {
                        "width": width,
                        "penalty": penalty,
                        **figures_of(truth, found, exact),
                        "length": round(sum(map(len, found)) / characters, 4),
                    }
                )
        return rows

    def verdict(self, metrics: dict[str, Any]) -> str:
        # Another search by the same network is no rival to it.
        rows = [row for row in metrics["baselines"] if not row["name"].startswith(SAME)]
        return super().verdict({**metrics, "baselines": rows})

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        found, later = [], metrics.get("later")
        if later:
            found.append(
                f"Of what the network learnt after this task, {100 * later['exact']:.2f} % of "
                f"{later['count']:,} answers are right."
            )
        unseen = metrics["test"].get("unseen")
        if unseen is None:
            return found
        count = metrics["test"]["count"]
        shown = self.headline_of({**metrics, "validation": {"score": None}})
        return [
            *found,
            f"{count - unseen['count']:,} of the {count:,} test sources also occur in the training data: "
            f"the other {unseen['count']:,} score {shown.shown(unseen['score'])}.",
        ]

    def tiles(self, metrics: dict[str, Any]) -> list[tuple[str, str]]:
        test = metrics["test"]
        found = [("exact match", f"{100 * test['exact']:.1f} %")] if "bleu" in test else []
        return [*found, ("chrF", f"{test['chrf']:.1f}")]

    def fine_print(
        self,
        metrics: dict[str, Any],
        outputs: dict[str, np.ndarray] | None,
        info: dict[str, Any],
    ) -> list[str]:
        signature = metrics["test"].get("signature")
        return [f"sacrebleu {signature}"] if signature else []

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
        from common.tasks import translation_sections

        html = translation_sections.translations(outputs, problem, metrics, splits, figures)
        return [Section("translations", "Translations", html, "Translations")]

    # A row is a str, where other tasks have an array.

    def line(self, row: Any, info: dict[str, Any], top: int) -> str:
        return row

    def record(self, row: Any, info: dict[str, Any]) -> dict[str, Any]:
        return {"translation": row}

    def columns(self, info: dict[str, Any]) -> list[str]:
        return ["translation"]

    def cells(self, row: Any, info: dict[str, Any]) -> list[str]:
        return [row]
