"""Comparing single runs pair by pair, by their scores of the same test examples."""

from collections.abc import Sequence
from itertools import combinations

from common.basics import statistics
from common.basics.wording import p_value, significant
from common.runs import scores
from common.studies import compare_seeds, plain


def paired_tests(runs: Sequence[compare_seeds.Row]) -> str:
    """Returns the paired test of every pair of runs that was tested on the same examples, as text.

    The scores of each run are read from its folder, into `scores` of its row.
    """
    if len(runs) < 2:
        return ""
    import numpy as np

    remarks, found = [], []
    for run in runs:
        run["scores"], problem = scores.read(run["path"])
        if problem:
            remarks.append(f"{run['name']}: {problem}")
    for first, second in combinations(runs, 2):
        if first["scores"] is None or second["scores"] is None:
            continue
        if not compare_seeds.comparable(first, second):
            continue
        names = first["name"], second["name"]
        if not np.array_equal(first["scores"].truth, second["scores"].truth):
            remarks.append(f"{' and '.join(names)}: different test examples, no paired test.")
            continue
        result = statistics.paired_test(
            first["scores"].scores, second["scores"].scores, first["headline"].higher
        )
        found.append((" - ".join(names), first["headline"], result))
    parts = []
    if found:
        title = "Paired test on the same test examples:\n"
        parts.append(title + plain.table(_test_rows(found)))
        parts.append(
            "p is about these trained networks only: with other seeds, the order may be another."
        )
    if len(found) > 1:
        parts.append(
            f"With {len(found)} pairs, ask for p < {0.05 / len(found):.2g} (Bonferroni) before "
            "calling one different."
        )
    return "\n".join(parts + remarks)


def _test_rows(found):
    """Returns the rows of the table of paired tests; `found` is (pair, Headline, Paired) triples."""
    rights = all(result.test == statistics.MCNEMAR for *_, result in found)
    points = all(shown.unit == "%" for _, shown, _ in found)
    rows = [
        (
            "pair",
            "points" if points else "difference",
            "only first right" if rights else "first better",
            "only second right" if rights else "second better",
            "p",
            "test",
        )
    ]
    for pair, shown, result in found:
        difference = shown.scale * result.difference
        rows.append(
            (
                pair,
                f"{difference:+.2f}" if points else significant(difference, sign=True),
                plain.grouped(result.first_better),
                plain.grouped(result.second_better),
                p_value(result.p).removeprefix("p ").removeprefix("= "),
                result.test,
            )
        )
    return rows
