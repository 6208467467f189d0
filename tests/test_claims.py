"""Claims: what a recorded study says of each, worked out from its comparisons alone."""

import pytest

from common.basics.errors import UsageError
from common.runs import registry
from common.studies import claims, study_record
from common.studies.study import Claim, Study, of_recipe


def found(*verdicts, sizes=(None,)):
    """Returns as much of a recorded study as a claim needs: arm b against a, a verdict for each size."""
    return {
        "study": "which",
        "reference": "a",
        "headline": {"name": "accuracy", "unit": "%", "better": "higher"},
        "data": {"label": "MNIST"},
        "runs": [{"arm": arm, "seed": seed} for arm in "ab" for seed in range(3)],
        "comparisons": [
            {
                "arm": "b",
                "size": size,
                "difference": 0.0123,
                "interval": [0.004, 0.02],
                "verdict": verdict,
            }
            for size, verdict in zip(sizes, verdicts, strict=True)
        ]
        + [{"arm": "c", "size": size, "verdict": "worse"} for size in sizes],
    }


@pytest.mark.parametrize(
    ("says", "shown", "expected"),
    [
        ("better", "better", "holds"),
        ("better", "worse", "does not hold"),
        ("better", "no difference shown", "not shown"),
        ("worse", "worse", "holds"),
        ("worse", "better", "does not hold"),
        ("worse", "no difference shown", "not shown"),
        ("level", "no difference shown", "no difference shown"),
        ("level", "worse", "does not hold"),
        ("level", "better", "does not hold"),
    ],
)
def test_verdict_of_one_size(says, shown, expected):
    assert claims.verdict(found(shown), Claim("b helps", "An article", "b", says)) == expected


def test_verdict_says_with_how_many_examples():
    claim = Claim("b helps", "An article", "b", "better")
    held = found("better", "no difference shown", "better", sizes=(500, 10000, 2000))
    assert claims.verdict(held, claim) == (
        "holds with 500 and 2,000 examples; not shown with 10,000 examples"
    )
    assert claims.verdict(found("better", "better", sizes=(500, 2000)), claim) == "holds"


def test_line_of_the_table():
    claim = Claim("b helps", "An article", "b", "better")
    assert claims._line(claim, "[x](y)", found("better")) == (
        "| b helps | An article | [x](y) | MNIST | 3 | b against a: +1.23 points of accuracy "
        "(+0.40 to +2.00) | **holds** |"
    )
    assert claims._line(claim, "[x](y)", None).endswith("| not tested yet |")


def test_a_claim_is_about_an_arm_beside_the_reference():
    arms = {"plain": {}, "dropout": {"dropout_rate": 0.5}}
    for arm in ("plain", "dropuot"):
        with pytest.raises(UsageError, match=f"a claim is about '{arm}'.*there are: dropout"):
            Study("Which?", "best", arms, claims=(Claim("it helps", "An article", arm, "better"),))


def test_the_table_has_every_claim_once():
    lines = claims.table().splitlines()[2:]
    declared = [
        (name, title, claim)
        for name in registry.names()
        for title, study in of_recipe(name).items()
        for claim in study.claims
    ]
    assert len(lines) == len(declared) > 5
    for line, (name, title, claim) in zip(lines, declared, strict=True):
        assert claim.words in line
        assert f"[{name}, {title}]" in line
        assert ("not tested yet" in line) == (title not in study_record.read(name))
