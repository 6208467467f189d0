"""Two classes: areas under curves, and lines that are chosen on validation and measured on test."""

import numpy as np
import pytest

from common.tasks import metrics, thresholds
from common.tasks.classification import Classification
from common.tasks.summary import summarise

LABELS = np.array([0, 0, 1, 0, 1, 1, 0, 1])
GIVEN = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9])


def both(probabilities):
    """Returns probabilities of two classes by those of the second."""
    return np.stack([1 - probabilities, probabilities], axis=1)


def test_separation_by_hand():
    found = metrics.separation(LABELS, GIVEN)
    # Pairs of the four of class 1 with the four of class 0: 2 + 3 + 3 + 4 of 16 in the right order.
    assert found["auc"] == 12 / 16
    low, high = found["auc_interval"]
    assert 0 < low < 0.75 < high <= 1
    # Precision where another of class 1 is found, from above: 1, 2/3, 3/4, 4/6.
    assert found["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 4 + 4 / 6) / 4)
    assert metrics.separation(LABELS[:3], GIVEN[:3]) == {}


def test_lines_by_hand():
    found = thresholds.chosen(LABELS, GIVEN)
    # From 0.3 on: six taken, four right: F1 8/10. From 0.5 on: four taken, three right: 6/8.
    assert found == {
        "as answered": 0.5,
        "largest F1": 0.3,
        "recall of 90%": 0.3,
        "precision of 90%": 0.9,
    }
    assert thresholds.chosen(np.zeros(3, int), GIVEN[:3]) == {"as answered": 0.5}
    assert "precision of 90%" not in thresholds.chosen(1 - LABELS[2:], GIVEN[2:])


def test_a_line_is_measured_by_hand():
    found = thresholds.measured(LABELS, GIVEN, 0.5)
    assert (found["selected"], found["precision"], found["recall"]) == (0.5, 0.75, 0.75)
    assert found["f1"] == 0.75
    assert found["recall_interval"] == found["precision_interval"]
    none = thresholds.measured(LABELS, GIVEN, 0.95)
    assert (none["precision"], none["recall"], none["f1"]) == (None, 0, 0)
    absent = thresholds.measured(np.zeros(3, int), GIVEN[:3], 0.95)
    assert (absent["recall"], absent["f1"]) == (None, None)


def outputs(classes=2):
    if classes == 2:
        return {
            "val_probabilities": both(GIVEN[::-1]),
            "val_labels": LABELS[::-1],
            "test_probabilities": both(GIVEN),
            "test_labels": LABELS,
        }
    rows = np.full((8, classes), 1 / classes)
    return {f"{part}_probabilities": rows for part in ("val", "test")} | {
        f"{part}_labels": np.arange(8) % classes for part in ("val", "test")
    }


def test_metrics_and_report_have_them_for_two_classes_only():
    task = Classification("array")
    for classes in (2, 3):
        found = {**summarise(**outputs(classes)), "baselines": []}
        assert ("auc" in found["test"]) == (classes == 2)
        assert any(name == "ROC AUC" for name, _ in task.tiles(found)) == (classes == 2)
        names = [f"<{index}>" for index in range(classes)]
        sections = task.sections(
            outputs(classes),
            None,
            metrics=found,
            info={"class_names": names},
            splits=None,
            encode=None,
            figures={},
        )
        assert ("thresholds" in [section.id for section in sections]) == (classes == 2)
        for section in sections:
            if section.id == "thresholds":
                assert "of which 50.0 % are &lt;1&gt;" in section.html
                assert "Of one example of &lt;1&gt; and one of &lt;0&gt;" in section.html
                assert "the larger probability in 75.0 % of all pairs" in section.html
                assert section.html.count("<tr>") == 5
