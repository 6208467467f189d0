"""Claims: what a recorded study says of each, worked out from its comparisons alone."""

import pytest

from common.basics.errors import UsageError
from common.runs import registry
from common.studies import claims, study_record
from common.studies.study import Claim, Study, of_recipe
from tests.benchmarks import claims as benchmarks


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
    others = claims.elsewhere()
    assert len(lines) == len(declared) + len(others) > 5
    for line, row in zip(lines[len(declared) :], others, strict=True):
        assert row["claim"] in line
        assert f"**{row['verdict']}**" in line
    for line, (name, title, claim) in zip(lines, declared, strict=False):
        assert claim.words in line
        assert f"[{name}, {title}]" in line
        assert ("not tested yet" in line) == (title not in study_record.read(name))


def test_claims_that_benchmarks_answer_are_those_of_their_results():
    assert benchmarks.rows() == claims.elsewhere()


def replay(random, grid):
    methods = {"random": {"regrets": random}, "grid": {"regrets": grid}}
    return {"toy": {"methods": methods}}


def test_random_search_beside_grid_search_by_hand():
    # Means over the budget: 0.2 and 0.4 against 0.1 and 0.2.
    row = benchmarks.random_or_grid(replay([[0.3, 0.1], [0.5, 0.3]], [[0.1, 0.1], [0.3, 0.1]]))
    # Student's t of one degree of freedom: 12.706.
    assert "toy: +15.00 (-48.53 to +78.53)" in row["difference"]
    assert (row["n"], row["verdict"]) == (2, "not shown")
    worse = replay([[0.3], [0.41], [0.5]], [[0.1], [0.2], [0.3]])
    assert benchmarks.random_or_grid(worse)["verdict"] == "holds"
    better = replay([[0.1], [0.2], [0.3]], [[0.3], [0.41], [0.5]])
    assert benchmarks.random_or_grid(better)["verdict"] == "does not hold"
    both = {"one": worse["toy"], "other": better["toy"]}
    assert benchmarks.random_or_grid(both)["verdict"] == "holds on one; does not hold on other"


def test_parameters_are_those_that_keras_counts():
    from recipes.cifar10_cnn.model import build_model
    from recipes.cifar10_cnn.train import PRESETS

    config = PRESETS["article"]
    found = benchmarks.parameters(32, config.filters, config.dense_units)
    assert sum(found) == build_model(config).count_params()
