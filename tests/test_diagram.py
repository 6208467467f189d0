"""Diagrams of blocks and cells."""

import io

import PIL.Image
import pytest

from common.report.diagram import diagram
from common.report.drawing import to_png

BLOCK = {"x": (0, 0), "conv": (1, 0), "+": (2, 0), "ReLU": (3, 0)}


def drawn(*arrows, values=()):
    return diagram(BLOCK, arrows, "A block", values)


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_boxes_and_words_are_drawn():
    figure = drawn("x > conv", "conv > +: F(x)", "x ( +: as it is", values=("x",))
    assert words(figure) == ["x", "conv", "+", "ReLU", "F(x)", "as it is"]
    kinds = [type(patch).__name__ for patch in figure.axes[0].patches]
    assert kinds == ["FancyBboxPatch"] * 2 + ["Circle", "FancyBboxPatch"] + ["FancyArrowPatch"] * 3
    picture = PIL.Image.open(io.BytesIO(to_png(figure)))
    assert picture.info["Description"] == "A block"


@pytest.mark.parametrize(("bend", "above"), [("(", True), (")", False)])
def test_an_arrow_bends_around_what_lies_between(bend, above):
    axes = drawn(f"x {bend} ReLU: around").axes[0]
    low, high = axes.get_ylim()
    # A diagram of one row has room only on the side to which the arrow goes.
    assert (high > -low) == above
    assert (axes.texts[-1].get_position()[1] > 0) == above
    straight = drawn("x > ReLU").axes[0].get_ylim()
    assert max(straight) < max(high, -low)


@pytest.mark.parametrize("arrow", ["x > nowhere", "nowhere > x", "x - conv", "x > conv "])
def test_an_arrow_to_nowhere_is_refused(arrow):
    with pytest.raises(ValueError, match="no arrow between"):
        drawn(arrow)


def test_a_high_box_is_whole():
    figure = diagram({"one\ntwo\nthree\nfour": (0, 0), "b": (1, 0)}, [], "A high box")
    low, high = figure.axes[0].get_ylim()
    box = figure.axes[0].patches[0]
    assert low < box.get_y() < box.get_y() + box.get_height() < high
