"""Pictures survive any characters, names of any length, and any number of classes."""

import io
import warnings

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image

from common.basics.wording import readable, shorten
from common.explain import pictures
from common.report import drawing, lettering, thumbnails
from common.report import page as report
from common.tasks.classification import Classification
from common.tuning import figures
from tests.test_report import Page, write_run

HOSTILE = (
    "$x$ and $y_{",
    "\\frac{a}{b} $$",
    "tab\tline\nreturn\rzero\0escape\x1b[31m",
    "not UTF-8: \udce9",
    "<script>alert(1)</script>&\"'",
    "long " + "x" * 10_000,
    "one " * 3_000,
    "差评 \U000e0001 \u200d e\u0301",
    "",
)


@pytest.fixture(autouse=True)
def no_warnings():
    """Fails where matplotlib warns, as it does of characters that it cannot draw."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What it says of a library that it uses is none of our business.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.fixture
def chinese_font(tmp_path, monkeypatch):
    """Adds a font that has one Chinese character to those that matplotlib knows; returns its name."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((800, 0), (800, 800), (0, 800)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "good"])
    builder.setupCharacterMap({ord("好"): "good"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "good": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "good": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Test Han", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "han.ttf")
    fonts = font_manager.fontManager
    monkeypatch.setattr(fonts, "ttflist", list(fonts.ttflist))
    fonts.addfont(tmp_path / "han.ttf")
    return "Test Han"


def drawn(png):
    """Checks that a picture is one, and not larger than a page can show; returns its pixels."""
    image = Image.open(io.BytesIO(png))
    assert max(image.size) < 3000
    return np.asarray(image.convert("L"))


def test_any_characters_in_names_of_classes_and_words():
    pixels = np.zeros((8, 8, 3), np.uint8)
    names = lettering.names_to_draw(HOSTILE)
    matrix = np.ones((len(names), len(names)), int)
    drawn(drawing.confusion(matrix, names, title="t"))
    captions = [f"{drawing.short(name, 12)}\n99 %" for name in names]
    drawn(thumbnails.contact_sheet([pixels] * len(names), captions))
    drawn(explained_words(HOSTILE, "label"))
    drawn(figures.bars(HOSTILE, np.arange(len(HOSTILE)), "x", "t"))
    lines = {name or "none": (np.arange(3), np.array([[0.1, 0.2, 0.3]])) for name in HOSTILE}
    drawn(figures.race(lines, "x", "y", "t", log=True))


@pytest.mark.parametrize("name", [HOSTILE[0], "".join(HOSTILE), HOSTILE[6], ""])
def test_any_characters_in_titles_and_labels(name):
    epochs, values = np.arange(1, 4), np.array([0.3, 0.2, np.nan])
    drawn(drawing.learning_curve(epochs, values, None, 2, title=name, ylabel=name))
    drawn(explained_words(["word"], name))
    checks = {"residual": 0.01, "similarity": 0.1, "gradients_similarity": 0.1}
    pixels = np.zeros((8, 8, 3), np.uint8)
    drawn(
        pictures.image_explanation(
            pixels, name, 0.9, np.zeros((8, 8)), np.ones((8, 8, 3)), CURVES, checks
        )
    )


CURVES = {which: (np.array([0, 1]), np.array([0.9, 0.1]), 0.5) for which in ("words", "random")}


def explained_words(words, label):
    scores = np.linspace(-1, 1, len(words))
    checks = {"similarity": 0.1}
    return pictures.word_explanation(words, scores, label, 0.9, CURVES, checks)


def test_a_dollar_sign_is_drawn_as_one():
    """Mathematics would make "a$b$c" the same picture as "abc", in italics."""
    one, other = (
        drawing.confusion(np.eye(2, dtype=int), [name, "x"], title="t")
        for name in ("a$b$c", "a\\$b\\$c")
    )
    assert one != other
    figure, axes = drawing.new_axes(4, 3, "$x$", "y", "$\\frac{$")
    axes.set_yscale("log")
    axes.plot([1, 2], [1, 1000])
    drawing.to_png(figure)
    assert axes.xaxis.label.get_text() == "$x$"
    assert not axes.xaxis.label.get_parse_math()
    powers = [label for label in axes.get_yticklabels() if label.get_text()]
    assert powers
    # Powers of ten are mathematics, and stay so when a figure is drawn once more.
    drawing.to_png(figure)
    assert all(label.get_parse_math() for label in powers)


def test_characters_that_no_font_has_are_marked_and_names_numbered():
    assert lettering.missing("ab éя→好") == {"好"}
    assert lettering.drawable("a好\tb\0\udce9\n") == "a□ b\ufffd\ufffd\n"
    assert lettering.drawable("a\U000e0001b") == "ab"
    assert lettering.names_to_draw(["好", "bad", "评"]) == ["class 0", "bad", "class 2"]
    assert lettering.names_to_draw(["a", "好"], "word", first=1) == ["a", "word 2"]
    assert lettering.fallbacks("ab é好") == []


def test_a_font_that_has_the_characters_is_used(chinese_font):
    assert lettering.missing("好评") == {"评"}
    assert lettering.drawable("好评") == "好□"
    assert lettering.fallbacks("ab好") == [chinese_font]
    assert lettering.names_to_draw(["好", "评"]) == ["好", "class 1"]
    figure = Figure(figsize=(2, 1))
    text = figure.text(0.5, 0.3, "a好", fontsize=20)
    with_font = drawn(drawing.to_png(figure))
    assert text.get_fontfamily()[-1] == chinese_font
    assert (with_font < 100).sum() > 500  # The test font's character is a black square.


@pytest.mark.parametrize("classes", [2, 60, 61, 1000])
def test_any_number_of_classes(classes):
    names = [f"class number {index}" for index in range(classes)]
    matrix = np.eye(classes, dtype=int) * 3
    matrix[0, 1] = 1
    with pytest.MonkeyPatch.context() as patch:
        kept = []
        patch.setattr(drawing, "to_png", lambda figure: kept.append(figure) or b"")
        drawing.confusion(matrix, names, title="t")
    axes = kept[0].axes[0]
    assert 2 <= len(axes.get_yticklabels()) <= 60
    drawn(drawing.to_png(kept[0]))


def test_a_report_of_hostile_names_is_written_and_readable(tmp_path):
    names = [name or "nameless" for name in HOSTILE]
    run = tmp_path / "run \udce9 <b>$x$"
    run.mkdir()
    write_run(run, classes=len(names), class_names=names)
    page_file = report.write_report(Classification("image"), run)
    page = Page(page_file)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert "class 7 is 差评" in page.text
    assert "$x$ and $y_{" in page.text
    assert "\0" not in page_file.read_text(encoding="utf-8")
    # A name of 10,000 characters is cut wherever it stands.
    assert "x" * 200 not in page.text


def test_shorten_makes_one_line():
    assert shorten("a\n b\t c", 10) == "a b c"
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
    assert shorten("x" * 10_000, 6) == "xxxxx…"
    assert shorten(" " * 10_000 + "x", 6) == "…"


def test_readable_can_be_written_as_utf_8():
    assert readable("a\tb\nc\0\x1b\udce9é好") == "a\tb\nc\ufffd\ufffd\ufffdé好"
