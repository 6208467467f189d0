"""Scores of translations, from texts alone; and texts as arrays of numbers, for files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

AttentionMap: TypeAlias = "tuple[list[str], list[str], np.ndarray]"
"""Source tokens, target tokens, and weights float32 `(target, source)`, whose rows sum to 1."""

FEW_WORDS = 4
"""BLEU counts runs of four words. Where references have fewer, the share of exact answers counts."""


def pack(texts: Sequence[str] | np.ndarray) -> np.ndarray:
    """Returns texts `(...)` as numbers, uint32 `(..., characters)`: code points, 0 after the end."""
    import numpy as np

    array = np.asarray(texts, dtype=str)
    longest = array.dtype.itemsize // 4
    if not array.size or not longest:
        return np.zeros((*array.shape, 1), "uint32")
    return np.ascontiguousarray(array).view("uint32").reshape(*array.shape, longest)


def unpack(codes: np.ndarray) -> list:
    """Returns the texts that `pack` was given, a list of str, or of lists for more axes than one.

    Raises:
        ValueError: These are no packed texts.
    """
    import numpy as np

    codes = np.ascontiguousarray(codes, "uint32")
    if codes.ndim < 2 or (codes.size and codes.max() > 0x10FFFF):
        raise ValueError("no packed texts")
    return codes.view(f"<U{codes.shape[-1]}")[..., 0].tolist()


def packed_maps(maps: Sequence[AttentionMap]) -> dict[str, np.ndarray]:
    """Returns k maps of attention as three arrays, filled up to the largest map.

    Returns:
        `shown_source` and `shown_target`, packed `(k, tokens, characters)`, and `shown_attention`,
        float32 `(k, target, source)`.
    """
    import numpy as np

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


def by_exact(truth: list[str]) -> bool:
    """Returns whether exact answers count, not BLEU: where the references have few words."""
    import numpy as np

    return bool(np.median([len(text.split()) for text in truth]) < FEW_WORDS)


def sentence_scores(truth: list[str], found: list[str]) -> np.ndarray:
    """Returns the score of each answer, `(n,)`: 0 or 1 where exact answers count, else chrF."""
    import numpy as np

    if by_exact(truth):
        return np.array([one == other for one, other in zip(truth, found, strict=True)], "uint8")
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    pairs = zip(found, truth, strict=True)
    return np.array([metric.sentence_score(answer, [right]).score for answer, right in pairs])


def figures_of(
    truth: list[str], found: list[str], exact: bool, interval: bool = False
) -> dict[str, Any]:
    """Returns the figures of `Translation.score` for one split.

    Args:
        truth: References.
        found: Answers, in the same order.
        exact: Whether exact answers count, not BLEU.
        interval: Whether to add "score_interval" and sacrebleu's "signature".
    """
    from sacrebleu.metrics import BLEU, CHRF

    from common.basics.statistics import wilson_interval

    right = sum(one == other for one, other in zip(truth, found, strict=True))
    figures: dict[str, Any] = {"count": len(truth), "exact": right / len(truth)}
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


def chosen_examples(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns which examples to show: two of the worst, two in the middle, two of the best.

    Args:
        scores: `(n,)`.
        truth: Packed references `(n, characters)`. They order answers of equal score: shortest first.

    Returns:
        int64 `(6,)`, fewer of fewer than six examples.
    """
    import numpy as np

    order = np.lexsort((np.count_nonzero(truth, axis=1), scores))
    middle = len(order) // 2
    # Few examples may be in two of the three.
    chosen = dict.fromkeys([*order[:2], *order[middle - 1 : middle + 1], *order[-2:][::-1]])
    return np.array(list(chosen), "int64")


def nearest_source(
    train: Sequence[str] | np.ndarray, test: Sequence[str] | np.ndarray, at_once: int = 500
) -> np.ndarray:
    """Returns the row of the most similar training source for each test source.

    Two texts are compared by the runs of three characters that they have: the cosine between the counts,
    where rare runs weigh more (TF-IDF).

    Args:
        train: Training sources `(n,)`.
        test: Test sources `(m,)`.
        at_once: Test sources compared at a time.

    Returns:
        Integers `(m,)`.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 3), dtype=np.float32)
    known, asked = vectors.fit_transform(train), vectors.transform(test)
    rows = [
        np.asarray((asked[start : start + at_once] @ known.T).argmax(axis=1)).ravel()
        for start in range(0, len(test), at_once)
    ]
    return np.concatenate(rows)
