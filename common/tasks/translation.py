"""Translation: an answer is a text, searched for token by token, and scored against a reference."""

import dataclasses

import numpy as np

from common.data.pieces import START
from common.runs.headline import Headline
from common.tasks.task import Section, Task
from common.tasks.translation_scores import (
    by_exact,
    chosen_examples,
    figures_of,
    nearest_source,
    pack,
    packed_maps,
    sentence_scores,
    unpack,
)

EXACT = Headline("exact match", "%")
SAME = "the same network"
"""How the names of rows begin that are another search by the network itself."""
COMPARED = 1000
"""Validation sentences that ways to search are compared on."""


class Translation(Task):
    """Sources with a target each, both texts.

    The figure is BLEU, or, where the references are shorter than four words in the median (dates,
    sums), the share of answers that are exactly the reference.

    Args:
        translator: Function of a model that returns its translator: `texts(ids, width, penalty)`, the
            translations of encoded sources as a list of str, and `attention(ids)`, a list of (source
            tokens, target tokens, weights `(target, source)`), or None.
    """

    headline = Headline("BLEU")
    figure = "score"
    objective = "val_accuracy"
    also = {"chrf": "chrF", "exact": "exact match"}
    curves = (("loss", "loss (nats per token)"), ("accuracy", "token accuracy (%)"))
    arrays = (*Task.arrays, "shown", "shown_source", "shown_target", "shown_attention")
    named = False

    def __init__(self, translator):
        super().__init__("pair")
        self.translator = translator

    def outputs(self, model, splits, encode):
        """As of Task: texts as of `pack`, and maps of the attention of some test examples.

        They are the worst, the middle and the best by `example_scores`: `shown` `(k,)` says which;
        `shown_source` and `shown_target` are their tokens, packed `(k, tokens, characters)`;
        `shown_attention` float32 `(k, target, source)`. k is 0 without attention.
        """
        translator, found = self.translator(model), {}
        for name, split in (("val", splits.val), ("test", splits.test)):
            found[f"{name}_outputs"] = pack(translator.texts(encode(split.x)))
            found[f"{name}_truth"] = pack(split.y)
        chosen = chosen_examples(self.example_scores(found), found["test_truth"])
        maps = translator.attention(encode(splits.test.x[chosen])) or []
        found["shown"] = chosen[: len(maps)]
        return found | packed_maps(maps)

    def answers(self, model, inputs):
        return self.translator(model).texts(inputs)

    def probes(self, inputs):
        # What is exported is the network as it is trained: the source and the target so far.
        target = np.concatenate([np.full_like(inputs[:, :1], START), inputs[:, :5]], axis=1)
        return {"source": inputs, "target": target}

    def score(self, outputs, seen=None):
        """As of Task: "score", that of the headline; "exact", a share; "chrf" and, of texts of four words
        and more, "bleu" with its "signature"; of test, "score_interval", 95 % over sentences, and
        "unseen", the same of the sources that do not occur in training, where some do."""
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

    def example_scores(self, outputs):
        """Returns 0 or 1 of each test example where exact answers count, else its chrF, 0 to 100."""
        return sentence_scores(*self._pair(outputs, "test"))

    def headline_of(self, scores):
        found = super().headline_of(scores)
        if "bleu" in scores["test"]:
            return found
        return dataclasses.replace(found, name=EXACT.name, unit=EXACT.unit)

    def _pair(self, outputs, prefix):
        return unpack(outputs[f"{prefix}_truth"]), unpack(outputs[f"{prefix}_outputs"])

    def check(self, outputs):
        for prefix in ("val", "test"):
            truth, found = self._pair(outputs, prefix)
            if len(truth) != len(found):
                raise ValueError(f"{len(found)} answers to {len(truth)} sources")

    def baselines(self, splits, outputs):
        """Copying the source, and the target of the nearest source of training: a translation memory."""
        memory = nearest_source(splits.train.x, splits.test.x)
        rows = {
            "copying the source": list(splits.test.x),
            "nearest training source (translation memory)": list(splits.train.y[memory]),
        }
        return [self.beside(name, outputs, answers) for name, answers in rows.items()]

    def beside(self, name, outputs, answers):
        """Returns what metrics.json tells of other answers to the test split than the model's.

        Args:
            name: Of the other answers, as the report shows it.
            outputs: As in predictions.npz.
            answers: List of str `(m,)`.
        """
        from common.basics.statistics import paired_test

        truth, found = self._pair(outputs, "test")
        figures = figures_of(truth, answers, by_exact(truth))
        p = paired_test(sentence_scores(truth, answers), sentence_scores(truth, found)).p
        value = round(figures["score"], 6)
        return {"name": name, "value": value, "count": len(truth), "p": p}

    def searches(self, model, split, encode, widths=(1, 2, 4, 8), penalties=(0.0, 0.6, 1.0)):
        """Compares ways to search, for metrics.json.

        Args:
            model: Keras model.
            split: Split, not that of the test: who chooses by it must not choose on that. Its first
                COMPARED examples are taken.
            encode: Function from sources to model inputs.
            widths: Of the beam.
            penalties: Length penalties; of width 1 all are the same.

        Returns:
            List of dicts of "width", "penalty", the figures of `score`, and "tokens_ratio", the words
            of the answers by those of the references.
        """
        split = split.take(range(min(COMPARED, len(split))))
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

    def verdict(self, metrics):
        # Another search by the same network is no rival to it.
        rows = [row for row in metrics["baselines"] if not row["name"].startswith(SAME)]
        return super().verdict({**metrics, "baselines": rows})

    def remarks(self, metrics):
        unseen = metrics["test"].get("unseen")
        if unseen is None:
            return []
        count = metrics["test"]["count"]
        shown = self.headline_of({**metrics, "validation": {"score": None}})
        return [
            f"{count - unseen['count']:,} of the {count:,} test sources also occur in the training data: "
            f"the other {unseen['count']:,} score {shown.shown(unseen['score'])}."
        ]

    def tiles(self, metrics):
        test = metrics["test"]
        found = [("exact match", f"{100 * test['exact']:.1f} %")] if "bleu" in test else []
        return [*found, ("chrF", f"{test['chrf']:.1f}")]

    def fine_print(self, metrics, outputs, info):
        signature = metrics["test"].get("signature")
        return [f"sacrebleu {signature}"] if signature else []

    def sections(self, outputs, problem, *, metrics, info, splits, encode, figures):
        from common.tasks import translation_sections

        html = translation_sections.translations(outputs, problem, metrics, splits, figures)
        return [Section("translations", "Translations", html, "Translations")]

    def line(self, row, info, top):
        return row

    def record(self, row, info):
        return {"translation": row}

    def columns(self, info):
        return ["translation"]

    def cells(self, row, info):
        return [row]
