"""The figure by which a run is judged: read from metrics.json of any age, and shown in its unit."""

import numpy as np
import pytest

from common.runs import headline, scores
from common.runs.headline import Headline


def test_columns_that_are_better_the_higher_they_are():
    higher = [
        name
        for name in (
            "val_accuracy",
            "val_loss",
            "mae",
            "val_AUC",
            "epoch",
            "macro_f1",
            "val_sequences_solved",
        )
        if headline.higher_is_better(name)
    ]
    assert higher == ["val_accuracy", "val_AUC", "epoch", "macro_f1", "val_sequences_solved"]


def test_values_are_shown_in_their_unit():
    accuracy = Headline("accuracy", "%")
    assert accuracy.shown(0.98765) == "98.77 %"
    assert accuracy.shown(0.98765, 1) == "98.8 %"
    assert accuracy.column == "accuracy, %"
    assert accuracy.difference_unit == " points of accuracy"
    error = Headline("mean squared error", better="lower")
    assert not error.higher
    assert error.shown(0.0123456) == "0.01235"
    assert error.shown(None) == "\N{EN DASH}"
    assert Headline("error", "m").shown(2.5) == "2.5 m"


def test_spread_is_mean_and_sample_deviation():
    assert Headline("accuracy", "%").spread([0.90, 0.92, 0.97]) == "93.00 ± 3.61"
    assert Headline("accuracy", "%").spread([0.9]) == "90.00"
    assert Headline("error").spread([0.1, 0.3]) == "0.2 ± 0.14"


def test_of_metrics_of_before_the_headline_was_written():
    old = {
        "validation": {"accuracy": 0.5},
        "test": {"accuracy": 0.75, "accuracy_interval": [0.5, 0.9], "count": 4},
    }
    found = headline.of(old)
    assert found == Headline("accuracy", "%", "higher", 0.75, (0.5, 0.9), 4, 0.5)
    assert headline.of({"headline": found.to_dict()}) == found
    with pytest.raises(KeyError):
        headline.of({"test": {}})


def test_baselines_of_both_forms():
    old = headline.baseline({"name": "a", "accuracy": 0.5, "count": 3, "mcnemar_p": 0.2})
    new = headline.baseline({"name": "a", "value": 0.5, "count": 3, "p": 0.2})
    assert old == new
    assert headline.baseline({"name": "b", "accuracy": 1.0}).p is None


def test_scores_of_before_they_were_stored(tmp_path):
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], "float32")
    np.savez(tmp_path / "predictions.npz", test_probabilities=probabilities, test_labels=[0, 1, 1])
    found, problem = scores.read(tmp_path)
    assert problem is None
    np.testing.assert_array_equal(found.scores, [1, 0, 1])
    np.testing.assert_array_equal(found.truth, [0, 1, 1])
    np.savez(tmp_path / "predictions.npz", test_scores=[0.5, 2.0], test_truth=[1.0, 2.0])
    np.testing.assert_array_equal(scores.read(tmp_path)[0].scores, [0.5, 2])
    (tmp_path / "predictions.npz").write_bytes(b"no archive")
    assert "cannot be used" in scores.read(tmp_path)[1]
    (tmp_path / "predictions.npz").unlink()
    assert "no predictions.npz" in scores.read(tmp_path)[1]
