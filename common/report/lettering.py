"""Texts in pictures, whatever characters they hold: as they are written, in a font that has them."""

import functools
import unicodedata

MISSING = "\u25a1"
"""Drawn for a character that no font of this machine has."""
UNREADABLE = "\ufffd"
"""Drawn for what is no character: control characters, halves of a pair."""


def prepare(figure):
    """Makes the texts of a matplotlib figure ones that can be drawn; called before it is.

    Matplotlib would take a dollar sign for mathematics, and draw with one font only.
    """
    from matplotlib.text import Text

    scales = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    powers = {
        label
        for axis in scales
        # Those labels are mathematics indeed, and matplotlib's own.
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


def drawable(text):
    """Returns a text with marks in the place of characters that cannot be drawn."""
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
            # A joiner or an accent is left out: nobody misses a box there.
            drawn.append(MISSING)
    return "".join(drawn)


def names_to_draw(names, kind="class", first=0):
    """Returns names for pictures: a number where no font of this machine has the characters.

    Args:
        names: Sequence of str.
        kind: What they name, before the number.
        first: Number of the first.
    """
    lacking = missing("".join(names))
    return [
        f"{kind} {number}" if lacking & set(name) else name
        for number, name in enumerate(names, first)
    ]


def missing(text):
    """Returns the set of a text's characters that no font of this machine has."""
    wanted = _beyond_the_usual(text)
    have = [_characters(path) for path in _fonts().values()] if wanted else []
    return {character for character in wanted if not any(ord(character) in font for font in have)}


def fallbacks(text):
    """Returns the fonts, by name, that have what the usual one lacks of a text; few will do."""
    left, chosen = _beyond_the_usual(text) - missing(text), []
    while left:

        def covered(name, left=left):
            return sum(ord(character) in _characters(_fonts()[name]) for character in left)

        # Of equals, one without serifs, as the rest of the picture.
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
    """Returns the files of the fonts that texts may be drawn with, by name, the plain cut of each."""
    from matplotlib import font_manager

    found = {}
    for font in font_manager.fontManager.ttflist:
        # The one has boxes for all characters, the others pictures in colour, which cannot be drawn.
        if not font.name.startswith("Last Resort") and "Color" not in font.name:
            plain = font.style == "normal" and font.weight in (400, "normal", "regular")
            if plain or font.name not in found:
                found[font.name] = font.fname
    return found


@functools.cache
def _characters(path):
    """Returns the numbers of the characters that a font has; of one that cannot be drawn with, none."""
    from matplotlib import font_manager

    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()
