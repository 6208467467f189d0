"""Pictures of the notebook on LSTMs."""

import numpy as np

from common.report.drawing import to_png
from recipes.imdb_bilstm import pictures


def test_a_map_shows_the_units_that_change_most():
    steps = np.array([[0.0], [1.0], [0.0]])
    gate = 0.5 + steps * np.linspace(0, 0.5, 30)
    figure = pictures.gate_map(gate, ["so", "very", "bad"], "forget gate", "A gate")
    image = figure.axes[0].images[0].get_array()
    assert image.shape == (pictures.MOST_UNITS, 3)
    # The unit that changes most is the last one, and is on top.
    np.testing.assert_allclose(image[0], gate[:, 29])
    assert figure.axes[0].get_ylabel() == "the 24 of 30 units that change most"


def test_words_stand_below_curves_and_intervals_around_accuracies():
    figure = pictures.by_word({"forget": np.array([0.2, 0.9])}, ["not", "bad"], "gate", "Two words")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["not", "bad"]
    figure = pictures.accuracies([("LSTM", 0.9), ("always pos", 0.5)], 100, "Two models")
    low, high = figure.axes[0].lines[0].get_xdata()
    # 90 of 100: Wilson's interval.
    np.testing.assert_allclose([low, high], [82.56, 94.48], atol=0.01)
    assert to_png(figure)
