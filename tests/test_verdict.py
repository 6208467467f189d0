"""The verdict on a run: one case for each thing that a practitioner would say."""

import pytest

from common.tasks import verdict


def metrics(test=0.9, validation=0.9, training=0.92, count=100, majority=0.34, linear=None, **more):
    rows = [{"name": "always answering “cat”", "accuracy": majority, "mcnemar_p": 0.0001}]
    if linear is not None:
        rows.append({"name": "logistic regression on pixels", "accuracy": linear[0]})
        rows[-1]["mcnemar_p"] = linear[1]
    rows.append({"name": "average over each image and its mirror image", "accuracy": 0.99})
    rows[-1]["mcnemar_p"] = 0.001
    return {
        "training": {"accuracy": training},
        "validation": {"accuracy": validation, "count": count},
        "test": {"accuracy": test, "count": count, **more},
        "baselines": rows,
    }


def line(**values):
    return verdict.line(metrics(**values))


def test_chance():
    chance = metrics(test=0.3333, majority=0.3333)
    chance["baselines"][0]["mcnemar_p"] = 1.0
    assert verdict.line(chance).startswith(
        "no better than always answering “cat” (33.3% against 33.3% of 100 test examples, p = 1.00)"
    )
    # A little above, which may be luck.
    chance["test"]["accuracy"], chance["baselines"][0]["mcnemar_p"] = 0.36, 0.2
    assert verdict.line(chance).startswith("not shown to be better than always answering")


def test_the_linear_model_is_better():
    said = line(test=0.6, linear=(0.78, 0.01))
    assert said.startswith(
        "worse than logistic regression on pixels (78.0% against 60.0%, p = 0.01"
    )


def test_examples_learnt_by_heart():
    said = line(test=0.5, training=0.88, validation=0.41)
    assert said.startswith("training 88%, validation 41%: it does not generalise; try more data")


def test_a_gap_that_few_examples_may_make_by_luck_is_none():
    """3 of 5 right may be a network that is right in 82 %; 30 of 50 is none."""
    assert "generalise" not in line(training=0.82, validation=0.6, count=5)
    assert "generalise" in line(training=0.82, validation=0.6, count=50)


@pytest.mark.parametrize(("accuracy", "p"), [(0.88, 0.5), (0.93, 0.4), (0.9, 1.0)])
def test_level_with_the_linear_model(accuracy, p):
    said = line(linear=(accuracy, p))
    assert said.startswith("no difference shown from logistic regression")
    assert ("100 test examples are too few to tell" in said) == (accuracy < 0.9)


def test_better_than_the_best_of_the_others():
    assert line(linear=(0.7, 0.001)) == (
        "better than logistic regression on pixels by 20.0 points (p = 0.001)"
    )
    assert line() == "better than always answering “cat” by 56.0 points (p < 0.001)"


def test_metrics_of_before_have_a_verdict_too():
    old = metrics()
    del old["training"]
    old["baselines"] = []
    assert verdict.line(old) == "90.0% on the test split, with no baseline beside it"


def test_remarks_say_what_makes_figures_uncertain():
    assert verdict.remarks(metrics()) == []
    (few,) = verdict.remarks(metrics(count=13))
    assert few.startswith("Validation holds 13 examples: each is 7.7 points.")
    assert "--folds 5" in few
    (imbalanced,) = verdict.remarks(metrics(balanced_accuracy=0.5, macro_f1=0.49))
    assert "balanced accuracy" in imbalanced
    (unknown,) = verdict.remarks({**metrics(), "unknown_words": 0.4})
    assert unknown.startswith("40% of the words are not in the vocabulary")
    (seen,) = verdict.remarks(metrics(unseen={"count": 60, "accuracy": 0.5}))
    assert seen.startswith("40 of the 100 test examples also occur in the training data")
    assert seen.endswith("the other 60 score 50.00 %.")
    (all_seen,) = verdict.remarks(metrics(unseen={"count": 0, "accuracy": None}))
    assert all_seen.startswith("100 of the 100")
