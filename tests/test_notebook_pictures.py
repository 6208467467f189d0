"""Pictures that notebooks share: every value is where its name says, and all of them can be rendered."""

import io

import numpy as np
import PIL.Image
import pytest

from common.cli import notebook_pictures as pictures
from common.cli.notebook import lines, show
from common.report.drawing import to_png


def words(axes):
    return [text.get_text() for text in axes.texts]


def test_a_gallery_has_rows_names_and_captions():
    images = [np.full((4, 4, 1), value, np.uint8) for value in range(5)]
    figure = pictures.gallery(images, 3, "Five", names="abc", captions=["first"])
    assert [bool(axes.images) for axes in figure.axes] == [True] * 5 + [False]
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", "", "", ""]
    assert words(figure.axes[0]) == ["first"]
    assert to_png(figure)


def test_each_number_stands_in_its_cell():
    grids = {"a": np.array([[1, -2], [3, 4]]), "b": np.array([[0.5]])}
    figure = pictures.number_grids(grids, "Numbers", framed={"a": (1, 2)})
    first, second = figure.axes
    assert words(first) == ["1", "-2", "3", "4"]
    assert first.texts[1].get_position() == (1, 0)
    assert words(second) == ["0.5"]
    assert [len(axes.patches) for axes in figure.axes] == [1, 0]
    assert first.get_xlim() == second.get_xlim()
    assert to_png(figure)


def test_a_table_shows_its_percentages():
    figure = pictures.heat_table(np.array([[99.6, 3.2]]), ["fog"], ["none", 3], "severity", "Fog")
    assert words(figure.axes[0]) == ["100", "3"]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["none", "3"]
    assert to_png(figure)


def test_bars_and_dumbbells_begin_at_the_top():
    bars = pictures.paired_bars({"a": [1, 2], "b": [3, 4]}, ["x", "y"], "%", "Bars")
    assert [patch.get_width() for patch in bars.axes[0].patches] == [1, 2, 3, 4]
    ends = {"none": (9.0, 5.0), "more": (7.0, 6.0)}
    dumbbells = pictures.dumbbells(ends, ("seen", "unseen"), "%", "Gaps")
    first, second = dumbbells.axes[0].lines
    np.testing.assert_array_equal(first.get_xdata(), [9, 7])
    np.testing.assert_array_equal(second.get_xdata(), [5, 6])
    for figure in (bars, dumbbells):
        assert figure.axes[0].yaxis_inverted()
        assert to_png(figure)


def test_a_curve_over_names_begins_at_zero():
    figure = pictures.by_name({"conv": 3.0, "pool": 2.0}, "change", "%", "Falls")
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["conv", "pool"]
    assert axes.get_ylim()[0] == 0
    assert to_png(figure)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_logarithmic_scale_has_plain_numbers(axis):
    figure = lines({"a": [1, 10, 100]}, "x", "y", "Grows", x=[1, 10, 100])
    assert pictures.on_log_scale(figure, axis, [0.5, 10]) is figure
    chosen = getattr(figure.axes[0], f"{axis}axis")
    assert chosen.get_scale() == "log"
    assert [tick.get_text() for tick in chosen.get_ticklabels()] == ["0.5", "10"]
    assert to_png(figure)


def test_clouds_have_a_colour_for_each_class():
    places = {"pixels": np.zeros((3, 2)), "features": np.ones((3, 2))}
    figure = pictures.clouds(places, np.array([0, 1, 1]), ["a", "b"], "Two ways")
    for axes in figure.axes:
        assert [len(points.get_offsets()) for points in axes.collections] == [1, 2]
    assert to_png(figure)


def test_what_is_drawn_is_stored_small_and_photographs_as_they_are(monkeypatch):
    pytest.importorskip("IPython", reason="the extra [notebooks]")
    stored = []
    monkeypatch.setattr("IPython.display.display", lambda image: stored.append(image.data))
    drawing = to_png(lines({"a": [1, 2]}, "x", "y", "A line"))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    photograph = io.BytesIO()
    PIL.Image.fromarray(noise).save(photograph, "png")
    show(drawing)
    show(photograph.getvalue())
    assert len(stored[0]) < len(drawing) / 2
    shown, drawn = (
        np.asarray(PIL.Image.open(io.BytesIO(each)).convert("RGB"), int)
        for each in (stored[0], drawing)
    )
    assert np.abs(shown - drawn).max() <= 8
    assert stored[1] == photograph.getvalue()
