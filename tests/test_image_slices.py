"""Thirds of the test images by hand."""

import numpy as np
import pytest

from common.tasks import image_slices
from common.tasks.classification import Classification


def test_properties_by_hand():
    image = np.zeros((2, 3, 1), np.uint8)
    image[:, 1] = 90
    found = image_slices.properties(np.stack([image, image + 10, np.full_like(image, 7)]))
    # Two of six values are 90. Of four steps sideways all are 90, of three downwards none is.
    np.testing.assert_allclose(found["brightness"], [30, 40, 7], rtol=1e-6)
    np.testing.assert_allclose(found["contrast"], [np.sqrt(1800), np.sqrt(1800), 0], rtol=1e-6)
    np.testing.assert_allclose(found["detail"], [360 / 7, 360 / 7, 0], rtol=1e-6)
    assert image_slices.properties(np.full((2, 1, 1, 3), 5, np.uint8))["detail"].tolist() == [0, 0]


def test_thirds_go_by_value():
    values = np.array([5.0, 1, 4, 2, 3, 9, 7])
    right = np.array([1, 0, 1, 0, 1, 1, 0], bool)
    low, middle, high = image_slices.thirds(values, right)
    assert (low["count"], middle["count"], high["count"]) == (3, 2, 2)
    assert low["accuracy"] == pytest.approx(1 / 3)
    assert (low["low"], low["high"]) == (1, 3)
    assert middle["accuracy"] == 1
    assert (middle["low"], middle["high"]) == (4, 5)
    assert high["accuracy"] == 0.5


def outputs_of(right):
    answers = np.where(right, 0, 1)
    return {
        "test_probabilities": np.eye(2)[answers],
        "test_labels": np.zeros(len(right), int),
    }


def test_the_section_names_what_is_weak():
    images = np.arange(0, 180, 2, dtype=np.uint8)[:, None, None, None].repeat(4, axis=1)
    # The darkest 30 of 90 are all wrong; no image has contrast, so that there are no thirds of it.
    outputs = outputs_of(np.arange(90) >= 30)
    (section,) = image_slices.sections(outputs, images)
    assert (
        "Clearly below the accuracy of all, 66.67 %: the lowest third of brightness, 0.00 %."
        in (section.html)
    )
    assert "contrast</th>" not in section.html
    (section,) = image_slices.sections(outputs_of(np.arange(90) % 3 > 0), images)
    assert "No third is clearly below" in section.html
    assert image_slices.sections(outputs_of(np.ones(29, bool)), images[:29]) == []
    assert image_slices.sections(outputs_of(np.ones(90, bool)), images * 0) == []


def test_reports_of_texts_and_without_data_have_none():
    outputs = outputs_of(np.arange(90) >= 30)
    more = {"metrics": {}, "info": {}, "splits": None, "encode": None}
    for kind in ("text", "image"):
        found = Classification(kind).sections(
            outputs
            | {
                "val_probabilities": outputs["test_probabilities"],
                "val_labels": outputs["test_labels"],
            },
            None,
            figures={},
            **more,
        )
        assert "slices" not in [section.id for section in found]
