"""Translation: an answer is a text, searched for token by token, and scored against a reference."""

import dataclasses

import numpy as np

from common.runs.headline import Headline
from common.tasks.task import Section, Task

EXACT = Headline("exact match", "%")
FEW_WORDS = 4
"""BLEU counts runs of four words. Where references have fewer, the share of exact answers counts."""
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


def pack(texts):
    """Returns texts as an array of numbers, uint32 `(..., characters)`: code points, 0 after the end."""
    array = np.asarray(texts, dtype=str)
    longest = array.dtype.itemsize // 4
    if not array.size or not longest:
        return np.zeros((*array.shape, 1), "uint32")
    return np.ascontiguousarray(array).view("uint32").reshape(*array.shape, longest)


def unpack(codes):
    """Returns the texts that `pack` was given, a list of str `(n,)`, or of lists."""
    codes = np.ascontiguousarray(codes, "uint32")
    if codes.ndim < 2 or (codes.size and codes.max() > 0x10FFFF):
        raise ValueError("no packed texts")
    return codes.view(f"<U{codes.shape[-1]}")[..., 0].tolist()


def packed_maps(maps):
    """Returns maps of attention as arrays of one shape each.

    Args:
        maps: List of (source tokens, target tokens, weights `(target, source)`).

    Returns:
        Dict of the three, as in `Translation.outputs`.
    """
    source = max((len(each[0]) for each in maps), default=1)
    target = max((len(each[1]) for each in maps), default=1)
    weights = np.zeros((len(maps), target, source), "float32")
    names = [np.full((len(maps), length), "", object) for length in (source, target)]
    for row, (*tokens, looked) in enumerate(maps):
        weights[row, : looked.shape[0], : looked.shape[1]] = looked
        for array, found in zip(names, tokens, strict=True):
            array[row, : len(found)] = found
    parts = {"source": names[0], "target": names[1]}
    packed = {f"shown_{name}": pack(array.astype(str)) for name, array in parts.items()}
    return {**packed, "shown_attention": weights}


def by_exact(truth):
    """Returns whether exact answers count, not BLEU: references (list of str) of few words."""
    return np.median([len(text.split()) for text in truth]) < FEW_WORDS


def sentence_scores(truth, found):
    """Returns the score of each answer, `(n,)`: 0 or 1 where exact answers count, else chrF."""
    if by_exact(truth):
        return np.array([one == other for one, other in zip(truth, found, strict=True)], "uint8")
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    pairs = zip(found, truth, strict=True)
    return np.array([metric.sentence_score(answer, [right]).score for answer, right in pairs])


def figures_of(truth, found, exact, interval=False):
    """Returns the dict of `Translation.score` for one split.

    Args:
        truth, found: References and answers, lists of str.
        exact: Whether exact answers count, not BLEU.
        interval: Whether to add "score_interval" and sacrebleu's "signature".
    """
    from sacrebleu.metrics import BLEU, CHRF

    from common.basics.statistics import wilson_interval

    right = sum(one == other for one, other in zip(truth, found, strict=True))
    figures = {"count": len(truth), "exact": right / len(truth)}
    figures["chrf"] = CHRF().corpus_score(found, [truth]).score
    if exact:
        figures["score"] = figures["exact"]
        if interval:
            figures["score_interval"] = list(wilson_interval(right, len(truth)))
        return figures
    metric = BLEU()
    # sacrebleu draws sentences with a seed of its own.
    score = metric.corpus_score(found, [truth], n_bootstrap=1000 if interval else 1)
    figures |= {"score": score.score, "bleu": score.score}
    if interval:
        low, high = score._mean - score._ci, score._mean + score._ci
        figures["score_interval"] = [max(low, 0.0), min(high, 100.0)]
        figures["signature"] = str(metric.get_signature())
    return figures


def chosen_examples(scores, truth):
    """Returns which examples to show: two of the worst, two in the middle, two of the best, `(6,)`.

    Args:
        scores: `(n,)`.
        truth: Packed references `(n, characters)`; of equally good answers the longer ones are shown.
    """
    order = np.lexsort((np.count_nonzero(truth, axis=1), scores))
    middle = len(order) // 2
    # Few examples may be in two of the three.
    chosen = dict.fromkeys([*order[:2], *order[middle - 1 : middle + 1], *order[-2:][::-1]])
    return np.array(list(chosen), "int64")


def nearest_source(train, test, at_once=500):
    """Returns the row of the most similar training source for each test source.

    Similar is the cosine of counts of three characters, weighted by how rare they are.

    Args:
        train: Texts `(n,)`.
        test: Texts `(m,)`.
        at_once: Test sources compared at a time.

    Returns:
        Integers `(m,)`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), dtype=np.float32)
    known, asked = vectors.fit_transform(train), vectors.transform(test)
    rows = [
        np.asarray((asked[start : start + at_once] @ known.T).argmax(axis=1)).ravel()
        for start in range(0, len(test), at_once)
    ]
    return np.concatenate(rows)
