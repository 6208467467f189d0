"""The part of the report that translations have: ways to search, lengths, examples with attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from common.tasks.translation_scores import by_exact, figures_of, sentence_scores, unpack

if TYPE_CHECKING:
    from common.data.types import Splits

SLICES = 4
"""Parts into which the test split is cut by the length of the source, about equally large."""
NAMES = ("one of the worst", "in the middle", "one of the best")


def translations(
    outputs: dict[str, np.ndarray] | None,
    problem: str | None,
    metrics: dict[str, Any],
    splits: Splits | None,
    figures: dict[str, bytes],
) -> str:
    """Returns the HTML of the section; arguments as of `Task.sections`."""
    from common.report.rendering import data_uri, render
    from common.tasks import drawing

    searches = metrics.get("searches") or []
    page: dict[str, Any] = {"problem": problem, "figures": {}, "searches": searches}
    if outputs is not None:
        truth, found = unpack(outputs["test_truth"]), unpack(outputs["test_outputs"])
        scores = sentence_scores(truth, found)
        exact = by_exact(truth)
        page["exact"] = exact
        page["lengths"] = _by_length(splits, truth, found, exact)
        page["examples"] = []
        sources, targets = unpack(outputs["shown_source"]), unpack(outputs["shown_target"])
        for place, row in enumerate(outputs["shown"].tolist()):
            name = f"attention_{place + 1}.png"
            source = [token for token in sources[place] if token]
            target = [token for token in targets[place] if token]
            weights = outputs["shown_attention"][place][: len(target), : len(source)]
            title = f"Test no. {row}, {NAMES[min(3 * place // len(outputs['shown']), 2)]}"
            figures[name] = drawing.attention(source, target, weights, title)
            page["figures"][name] = data_uri(figures[name])
            page["examples"].append(
                {
                    "figure": name,
                    "alt": f"Heat map of attention, source tokens across, answer down. {title}.",
                    "index": row,
                    "score": f"{scores[row]:.0f}" if exact else f"{scores[row]:.1f}",
                    "source": _text_of(splits, row),
                    "truth": truth[row],
                    "found": found[row],
                }
            )
    return render("translation.html", page, package="common.tasks")


def _text_of(splits, row):
    return "" if splits is None else splits.test.x[row]


def _by_length(splits, truth, found, exact):
    """Returns the score by the length of the source: dicts of words, count and score."""
    if splits is None or len(truth) < 10 * SLICES:
        return []
    lengths = np.array([len(text) if exact else len(text.split()) for text in splits.test.x])
    ends = np.unique(np.quantile(lengths, np.linspace(0, 1, SLICES + 1)[1:], method="lower"))
    rows, low = [], lengths.min()
    for end in ends.tolist():
        rows_in = np.flatnonzero((lengths >= low) & (lengths <= end))
        part = figures_of([truth[row] for row in rows_in], [found[row] for row in rows_in], exact)
        shown = f"{100 * part['score']:.2f} %" if exact else f"{part['score']:.1f}"
        rows.append({"length": f"{low} to {end}", "count": len(rows_in), "score": shown})
        low = end + 1
    return rows
