"""What a word is, in any script: the regular expressions that texts are split by."""

import dataclasses
import functools
import re

# Scripts without spaces between words (Thai, Lao, Myanmar, Khmer, kana, Han): a character is a word.
UNSPACED = (
    r"\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf"
    r"\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f"
    r"\u1780-\u17d3\u17d7\u17dc\u17dd"
    r"\u3041-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    r"\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Accents, points and vowel signs that are separate characters: of Latin, Cyrillic, Hebrew, Arabic, the
# scripts of India and Sri Lanka, and Tibetan. Python's \w leaves them out, but they do not end a word.
MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    r"\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    r"\u0900-\u0963\u0971-\u0df3\u0f71-\u0f84\u0f86-\u0fbc"
)
_LETTERS = rf"[^\W_{UNSPACED}]"
_RUN = rf"{_LETTERS}+(?:[{MARKS}]+{_LETTERS}*)*"


@dataclasses.dataclass(frozen=True)
class Patterns:
    """Regular expressions of Python's `re`. A vocabulary stores those it was made with."""

    tag: str
    """Markup, which becomes a space."""
    word: str
    """One word."""

    @functools.cached_property
    def _compiled(self):
        return re.compile(self.tag), re.compile(self.word)

    def check(self) -> None:
        """Raises re.error (or TypeError) if one of the two is no regular expression."""
        _ = self._compiled

    def split(self, text: str) -> list[str]:
        """Returns the words of a text, in lower case."""
        tag, word = self._compiled
        if "<" in text:
            text = tag.sub(" ", text)
        return word.findall(text.lower().replace("\u2019", "'"))


# A tag starts with a letter, so that "a < b" stays what it is.
_TAG = r"</?[a-zA-Z][^<>]*>"

PATTERNS = Patterns(
    tag=_TAG,
    # Words may hold apostrophes: "don't" is one word, not "don" and "t". "!" and "?" are words too,
    # also in the full-width forms of Chinese and Japanese.
    word=rf"{_RUN}(?:'{_RUN})*|[{UNSPACED}!?\uff01\uff1f]",
)
PATTERNS_BEFORE = Patterns(tag=_TAG, word=r"[^\W_]+(?:'[^\W_]+)*|[!?]")
"""Patterns of vocabularies that store none. With them, a sentence without spaces is one word."""

NGRAM_TOKEN = rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:[{MARKS}]+[^\W{UNSPACED}]*)*|[^\w\s]"
"""A word or one punctuation mark. The linear baseline counts these, alone and in pairs."""
