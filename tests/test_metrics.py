"""Metrics against hand-computed values, scikit-learn and SciPy; sizes are unequal on purpose."""

import json

import numpy as np
import pytest

from common.basics.errors import RecipeError
from common.tasks import calibration, metrics
from common.tasks.summary import summarise


def random_predictions(n=301, classes=4, seed=0, sharpness=2.0):
    """Returns softmax probabilities that are right more often than not, and their labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    logits = generator.normal(size=(n, classes))
    logits[np.arange(n), labels] += 1.0
    exponentials = np.exp(sharpness * logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels


def test_accuracy_and_log_loss_by_hand():
    # 3 examples, 5 classes: a transposed or square-only implementation fails.
    probabilities = np.array(
        [[0.5, 0.1, 0.1, 0.1, 0.2], [0.1, 0.2, 0.3, 0.4, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]
    )
    labels = np.array([0, 1, 4])
    assert metrics.accuracy(labels, probabilities.argmax(axis=1)) == pytest.approx(2 / 3)
    expected = (np.log(2) + np.log(5)) / 3
    assert metrics.log_loss(probabilities, labels) == pytest.approx(expected)


def test_log_loss_of_a_certain_mistake_is_finite():
    assert metrics.log_loss([[0.0, 1.0]], [0]) == pytest.approx(-np.log(1e-7))
    assert metrics.log_loss([[0.0, 1.0]], [1]) == 0.0


def test_confusion_matrix_has_true_classes_in_rows_and_keeps_absent_ones():
    confusion = metrics.confusion_matrix([0, 0, 2], [1, 1, 2], classes=5)
    assert confusion.shape == (5, 5)
    assert confusion[0, 1] == 2
    assert confusion[2, 2] == 1
    assert confusion.sum() == 3
    with pytest.raises(RecipeError, match="0 to 4"):
        metrics.confusion_matrix([0, 5], [0, 1], classes=5)


def test_precision_recall_and_f1_by_hand():
    # True classes: 4 of the first, 3 of the second, 2 of the third; predicted 4, 4 and 1 times.
    confusion = metrics.confusion_matrix(
        [0] * 4 + [1] * 3 + [2] * 2, [0, 0, 0, 1, 1, 1, 0, 1, 2], 3
    )
    assert confusion.tolist() == [[3, 1, 0], [1, 2, 0], [0, 1, 1]]
    assert confusion.dtype == np.int64
    first, second, third = metrics.per_class_scores(confusion)
    assert (first["precision"], first["recall"], first["f1"]) == (0.75, 0.75, 0.75)
    assert (second["precision"], second["recall"]) == (0.5, pytest.approx(2 / 3))
    assert second["f1"] == pytest.approx(4 / 7)
    assert (third["precision"], third["recall"]) == (1.0, 0.5)
    assert (third["support"], third["predicted"]) == (2, 1)
    # 2 of 4 by Wilson: 0.5 +- z * sqrt(1 / 16 + z^2 / 64) / (1 + z^2 / 4) with z^2 = 3.841459.
    assert second["precision_interval"] == pytest.approx((0.150039, 0.849961), abs=1e-6)
    assert metrics.confusion_matrix([], [], 2).tolist() == [[0, 0], [0, 0]]


def test_scores_agree_with_scikit_learn():
    from sklearn import metrics as reference

    probabilities, labels = random_predictions(n=257, classes=6)
    predictions = probabilities.argmax(axis=1)
    confusion = metrics.confusion_matrix(labels, predictions, 6)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(labels, predictions))
    assert metrics.log_loss(probabilities, labels) == pytest.approx(
        reference.log_loss(labels, probabilities)
    )
    precision, recall, f1, support = reference.precision_recall_fscore_support(labels, predictions)
    scores = metrics.per_class_scores(confusion)
    assert [score["precision"] for score in scores] == pytest.approx(precision)
    assert [score["recall"] for score in scores] == pytest.approx(recall)
    assert [score["f1"] for score in scores] == pytest.approx(f1)
    assert [score["support"] for score in scores] == list(support)


def test_scores_of_absent_and_never_predicted_classes():
    # Class 1 is absent and never predicted; 2 is present but never predicted; 3 the reverse.
    scores = metrics.per_class_scores(metrics.confusion_matrix([0, 2, 0], [0, 3, 0], 4))
    assert scores[1]["precision"] is scores[1]["recall"] is scores[1]["f1"] is None
    assert scores[1]["recall_interval"] == (0.0, 1.0)
    assert scores[2]["precision"] is None
    assert scores[2]["recall"] == 0
    assert scores[2]["f1"] == 0
    assert scores[3]["recall"] is None
    assert scores[3]["precision"] == 0
    assert scores[3]["f1"] == 0


def test_calibration_error_by_hand():
    # Bin (0.6, 0.667]: confidence 0.65, accuracy 1/2; bin (0.867, 0.933]: 0.9, accuracy 1.
    probabilities = np.array([[0.65, 0.35], [0.35, 0.65], [0.1, 0.9]])
    labels = np.array([0, 0, 1])
    expected = (2 * abs(0.5 - 0.65) + 1 * abs(1.0 - 0.9)) / 3
    assert calibration.expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_bins_include_their_upper_edge_and_count_everything():
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])
    table = calibration.reliability_bins(probabilities, [0, 0, 1], bins=4)
    np.testing.assert_array_equal(table["count"], [0, 1, 1, 1])
    np.testing.assert_array_equal(table["right"], [0, 1, 1, 0])
    assert np.isnan(table["accuracy"][0])
    # A certain and always right model is perfectly calibrated.
    assert calibration.expected_calibration_error(np.eye(5)[[1, 4]], [1, 4]) == 0.0


def test_temperature_is_recovered():
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(20000, 3)) * 2
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) < generator.random((20000, 1))).sum(axis=1)
    overconfident = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    temperature = calibration.fit_temperature(overconfident, labels)
    assert temperature == pytest.approx(3.0, rel=0.05)
    mended = calibration.apply_temperature(overconfident, temperature)
    np.testing.assert_allclose(mended.sum(axis=1), 1.0)
    np.testing.assert_array_equal(mended.argmax(axis=1), overconfident.argmax(axis=1))
    assert calibration.expected_calibration_error(mended, labels) < 0.02
    assert calibration.expected_calibration_error(overconfident, labels) > 0.1


def test_temperature_where_it_cannot_be_told():
    assert calibration.fit_temperature(np.eye(3)[[0, 2]], [0, 2]) == 1.0
    assert calibration.fit_temperature(np.full((5, 3), 1 / 3), [0, 1, 2, 1, 1]) == 1.0
    # Zeros and ones with a mistake: finite, within the bounds.
    assert 0.05 <= calibration.fit_temperature(np.eye(3)[[0, 1]], [0, 2]) <= 20.0
    np.testing.assert_allclose(calibration.apply_temperature([[0.2, 0.8]], 1.0), [[0.2, 0.8]])


def test_summary_has_the_shape_of_metrics_json_and_is_reproducible():
    validation, test = random_predictions(83, 4, 1), random_predictions(301, 4, 2)
    summary = summarise(*validation, *test)
    assert list(summary["validation"]) == ["count", "accuracy", "loss", "ece"]
    assert list(summary["test"]) == [
        "count",
        "accuracy",
        "accuracy_interval",
        "loss",
        "ece",
        "ece_calibrated",
        "temperature",
    ]
    assert summary["validation"]["count"] == 83
    assert summary["test"]["count"] == 301
    low, high = summary["test"]["accuracy_interval"]
    assert low < summary["test"]["accuracy"] < high
    text = json.dumps(summary, allow_nan=False)
    assert text == json.dumps(summarise(*validation, *test))
    assert round(summary["test"]["loss"], 6) == summary["test"]["loss"]
    # The temperature comes from validation alone.
    shuffled = (test[0][:7], test[1][:7])
    assert (
        summarise(*validation, *shuffled)["test"]["temperature"] == summary["test"]["temperature"]
    )


def test_summary_of_one_example_and_float32():
    one = np.array([[0.25, 0.75]], np.float32), np.array([0], np.int32)
    summary = summarise(*one, *one)
    assert summary["test"]["accuracy"] == 0.0
    assert summary["test"]["count"] == 1
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[0.5, np.nan]], [0], "not finite"),
        ([[3.0, -1.0]], [0], "logits"),
        ([[0.9], [0.1]], [0, 1], "two classes"),
        ([[0.5, 0.5]], [2], "labels from 0 to 1"),
        ([[0.5, 0.5]], [0, 1], "one label for each"),
        (np.zeros((0, 3)), [], "at least one example"),
    ],
)
def test_bad_predictions_are_refused(probabilities, labels, message):
    with pytest.raises(RecipeError, match=message):
        metrics.log_loss(probabilities, labels)


def test_importing_metrics_pulls_in_nothing_heavy():
    import subprocess
    import sys

    code = "import sys, common.tasks.metrics; sys.exit(any(m in sys.modules for m in ('scipy','keras')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_imbalanced_classes_have_balanced_accuracy_and_macro_f1():
    # Always "ok": 9 of 10 right, recalls 1 and 0; F1 of ok 2 * 9 / (9 + 10), of fault 0.
    labels = np.array([0] * 9 + [1])
    always = np.tile([0.9, 0.1], (10, 1))
    test = summarise(always, labels, always, labels)["test"]
    assert test["balanced_accuracy"] == 0.5
    assert test["macro_f1"] == pytest.approx((18 / 19 + 0) / 2, abs=1e-6)
    # 3 of 10 is more than half of a fair share of two; a class that is not there has none.
    labels = np.array([0] * 7 + [1] * 3)
    always = np.tile([0.9, 0.1, 0.0], (10, 1))
    assert "macro_f1" not in summarise(always, labels, always, labels)["test"]


@pytest.mark.parametrize("temperature", [0.05, 0.0501, 19.99])
def test_a_temperature_at_the_end_of_its_range_was_not_found(temperature):
    assert calibration.at_bound(temperature)
    assert not calibration.at_bound(1.0)


def test_test_examples_that_were_seen_are_left_out_of_a_second_score():
    labels = np.array([0, 1, 0, 1, 0])
    answers = np.eye(2)[[0, 1, 0, 0, 1]]  # Right, right, right, wrong, wrong.
    seen = np.array([True, True, False, False, False])
    test = summarise(answers, labels, answers, labels, seen=seen)["test"]
    assert test["unseen"] == {"count": 3, "accuracy": pytest.approx(1 / 3, abs=1e-6)}
    every = summarise(answers, labels, answers, labels, seen=np.ones(5, bool))["test"]
    assert every["unseen"] == {"count": 0, "accuracy": None}
    assert "unseen" not in summarise(answers, labels, answers, labels)["test"]
