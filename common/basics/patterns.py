"""What a word is, in any script: the regular expressions that texts are split by."""

import dataclasses
import functools
import re

# Thai, Lao, Myanmar, Khmer, the kana and Han put no spaces between words: here a character is a word.
UNSPACED = (
    r"\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf"
    r"\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f"
    r"\u1780-\u17d3\u17d7\u17dc\u17dd"
    r"\u3041-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    r"\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Accents, points and vowel signs that are characters of their own, which Python's \w leaves out: of
# Latin, Cyrillic, Hebrew, Arabic, the scripts of India and Sri Lanka, and Tibetan. They end no word.
MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    r"\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    r"\u0900-\u0963\u0971-\u0df3\u0f71-\u0f84\u0f86-\u0fbc"
)
_LETTERS = rf"[^\W_{UNSPACED}]"
_RUN = rf"{_LETTERS}+(?:[{MARKS}]+{_LETTERS}*)*"


@dataclasses.dataclass(frozen=True)
class Patterns:
    """Regular expressions as Python's `re` reads them; a vocabulary keeps those it was made with."""

    tag: str
    """What is no text and becomes a space."""
    word: str
    """One word."""

    @functools.cached_property
    def _compiled(self):
        return re.compile(self.tag), re.compile(self.word)

    def check(self):
        """Raises re.error (or TypeError) where one of the two is no regular expression."""
        return self._compiled

    def split(self, text):
        """Returns the words of a text, list of str, in lower case."""
        tag, word = self._compiled
        if "<" in text:
            text = tag.sub(" ", text)
        return word.findall(text.lower().replace("\u2019", "'"))


# A tag starts with a letter, so that "a < b" stays what it is.
_TAG = r"</?[a-zA-Z][^<>]*>"

PATTERNS = Patterns(
    tag=_TAG,
    # Words with inner apostrophes: "don't" is one word and not "don" and "t". The marks that carry a
    # tone are words of their own, also in the width that Chinese and Japanese write them.
    word=rf"{_RUN}(?:'{_RUN})*|[{UNSPACED}!?\uff01\uff1f]",
)
PATTERNS_BEFORE = Patterns(tag=_TAG, word=r"[^\W_]+(?:'[^\W_]+)*|[!?]")
"""Those of vocabularies that do not say: a sentence without spaces was one word."""

NGRAM_TOKEN = rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:[{MARKS}]+[^\W{UNSPACED}]*)*|[^\w\s]"
"""A word, or one punctuation mark: what the linear baseline counts, alone and in pairs."""
