"""Texts in pictures with any characters: they are drawn literally, in fonts that have the characters."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSING = "\u25a1"
"""Stands for a character that no font of this machine has."""
UNREADABLE = "\ufffd"
"""Stands for control characters and halves of surrogate pairs."""


def prepare(figure: Figure) -> None:
    """Changes the texts of a figure so that all can be drawn; to be called before it is rendered.

    Without it, matplotlib would take a dollar sign for mathematics, and would draw with one font only.
    """
    from matplotlib.text import Text

    scales = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    powers = {
        label
        for axis in scales
        # Labels of a logarithmic axis are mathematics by matplotlib itself.
        if axis.get_scale() == "log"
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
    }
    texts = [text for text in figure.findobj(Text) if text not in powers]
    for text in texts:
        text.set_parse_math(False)
        text.set_text(drawable(text.get_text()))
    others = fallbacks("".join(text.get_text() for text in texts))
    if others:
        for text in texts:
            text.set_fontfamily([*text.get_fontfamily(), *others])


def drawable(text: str) -> str:
    """Returns a text with marks in place of characters that cannot be drawn."""
    if text.isascii() and text.isprintable():
        return text
    lacking = missing(text)
    drawn = []
    for character in text:
        if character == "\n":
            drawn.append(character)
        elif unicodedata.category(character) in ("Cc", "Cs"):
            drawn.append(" " if character == "\t" else UNREADABLE)
        elif character not in lacking:
            drawn.append(character)
        elif unicodedata.category(character) not in ("Cf", "Mn"):
            # Joiners and accents are left out, because a box for them would only disturb.
            drawn.append(MISSING)
    return "".join(drawn)


def names_to_draw(names: Sequence[str], kind: str = "class", first: int = 0) -> list[str]:
    """Returns names for pictures, with a number for each name that no font of this machine can show.

    Args:
        names: Names as they are.
        kind: The word before the number.
        first: Number of the first name.
    """
    lacking = missing("".join(names))
    return [
        f"{kind} {number}" if lacking & set(name) else name
        for number, name in enumerate(names, first)
    ]


def missing(text: str) -> set[str]:
    """Returns the characters of a text that no font of this machine has."""
    wanted = _beyond_the_usual(text)
    have = [_characters(path) for path in _fonts().values()] if wanted else []
    return {character for character in wanted if not any(ord(character) in font for font in have)}


def fallbacks(text: str) -> list[str]:
    """Returns the names of a few fonts that have the characters which the default font lacks."""
    left: set[str] = _beyond_the_usual(text) - missing(text)
    chosen: list[str] = []
    while left:

        def covered(name, left=left):
            return sum(ord(character) in _characters(_fonts()[name]) for character in left)

        # Among equal fonts one without serifs is taken, like the rest of the picture.
        best = max(sorted(_fonts()), key=lambda name: (covered(name), "sans" in name.lower()))
        chosen.append(best)
        left = {each for each in left if ord(each) not in _characters(_fonts()[best])}
    return chosen


def _beyond_the_usual(text):
    from matplotlib import font_manager

    usual = _characters(font_manager.findfont(font_manager.FontProperties()))
    return {
        character
        for character in set(text)
        if ord(character) not in usual and unicodedata.category(character) not in ("Cc", "Cs")
    }


def _fonts():
    """Returns the file of each font by name: of its regular style, if there is one."""
    from matplotlib import font_manager

    found = {}
    for font in font_manager.fontManager.ttflist:
        # Last Resort has a box for every character. Fonts in colour cannot be drawn.
        if not font.name.startswith("Last Resort") and "Color" not in font.name:
            plain = font.style == "normal" and font.weight in (400, "normal", "regular")
            if plain or font.name not in found:
                found[font.name] = font.fname
    return found


@functools.cache
def _characters(path):
    """Returns the code points that a font has; none if the font cannot be drawn."""
    from matplotlib import font_manager

    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()
