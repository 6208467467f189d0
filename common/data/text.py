"""Turns words into integers: a vocabulary by frequency, rows of ids of a fixed length, plain NumPy."""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from common.basics.errors import RecipeError, UsageError
from common.basics.files import read_json, write_json_atomic
from common.basics.patterns import PATTERNS, PATTERNS_BEFORE, Patterns
from common.data.tokens import Tokens

PADDING = 0
UNKNOWN = 1
SPECIAL = 2
"""Ids below this one are not words."""

UNKNOWN_WORD = "[UNK]"
MANY_UNKNOWN = 0.2
"""Share of unknown words above which a warning is printed."""


def tell_unknown(share: float) -> None:
    """Prints the share of unknown words in the validation texts, and warns if it is large.

    Args:
        share: The result of `TextEncoder.unknown_share` for these texts.
    """
    print(
        f"{share:.1%} of the words of the validation texts are not in the vocabulary.", flush=True
    )
    if share > MANY_UNKNOWN:
        print(
            f"warning: the model does not know {share:.0%} of the words of the validation texts and "
            "cannot learn from them; raise --vocabulary-size, or train on more texts",
            file=sys.stderr,
            flush=True,
        )


class TextEncoder:
    """Turns texts into rows of word ids, padded at the end.

    0 is padding, 1 is any word outside the vocabulary, 2 and above are the words of the training
    texts by falling frequency (equally frequent ones in alphabetical order, so that the same texts
    always give the same ids).

    Args:
        words: Words in the order of their ids, from id 2.
        vocabulary_size: Number of ids a model's embedding needs: at most
            `vocabulary_size - 2` words. At least 3.
        max_tokens: Length of a row, in tokens. At least 1.
        keep: `"last"` or `"first"`: which end of a longer text is kept. Reviews end with their
            verdict, so the last tokens say more.
        patterns: Patterns that split a text into words.
    """

    def __init__(
        self,
        words: Iterable[str],
        vocabulary_size: int,
        max_tokens: int,
        keep: Literal["last", "first"] = "last",
        patterns: Patterns = PATTERNS,
    ) -> None:
        if vocabulary_size < SPECIAL + 1:
            raise UsageError(f"vocabulary_size must be at least 3, got {vocabulary_size}")
        if max_tokens < 1:
            raise UsageError(f"max_tokens must be at least 1, got {max_tokens}")
        if keep not in ("last", "first"):
            raise UsageError(f"keep must be 'last' or 'first', got '{keep}'")
        self.words = list(words)[: vocabulary_size - SPECIAL]
        self.vocabulary_size = vocabulary_size
        self.max_tokens = max_tokens
        self.keep = keep
        self.patterns = patterns
        self._ids = {word: index for index, word in enumerate(self.words, SPECIAL)}

    @classmethod
    def fit(
        cls,
        texts: np.ndarray | Sequence[str],
        vocabulary_size: int,
        max_tokens: int,
        keep: Literal["last", "first"] = "last",
    ) -> "TextEncoder":
        """Makes an encoder of the most frequent words of the training texts.

        Args:
            texts: Training texts only, so that words of other texts stay unknown.
            vocabulary_size: As of the class.
            max_tokens: As of the class.
            keep: As of the class.
        """
        tokens = Tokens.of(texts)
        counts = np.bincount(tokens.ids, minlength=len(tokens.words))
        # Most words are rare. Sorting only the words that may be frequent enough saves time.
        rare = len(counts) - (vocabulary_size - SPECIAL)
        least = np.partition(counts, rare)[rare] if 0 < rare < len(counts) else 0
        candidates = np.flatnonzero(counts >= least).tolist()
        candidates.sort(key=lambda index: (-counts[index], tokens.words[index]))
        words = [tokens.words[index] for index in candidates]
        return cls(words, vocabulary_size, max_tokens, keep)

    def __len__(self) -> int:
        """Number of ids in use: padding, unknown, and the words."""
        return SPECIAL + len(self.words)

    def encode(self, texts: np.ndarray | Sequence[str]) -> np.ndarray:
        """Encodes n texts.

        Returns:
            int32 `(n, max_tokens)`. A text without words becomes one unknown word, so that a mask
            covers no row completely.
        """
        tokens = Tokens.of(texts, self.patterns)
        ids_here = np.array([self._ids.get(word, UNKNOWN) for word in tokens.words], np.int32)
        found = ids_here[tokens.ids]
        kept = np.minimum(np.diff(tokens.offsets), self.max_tokens)
        starts = tokens.offsets[1:] - kept if self.keep == "last" else tokens.offsets[:-1]
        ids = np.full((len(texts), self.max_tokens), PADDING, np.int32)
        # One copy per row is faster than one fancy index for all places.
        for row, start, count in zip(ids, starts.tolist(), kept.tolist(), strict=True):
            row[:count] = found[start : start + count]
        ids[kept == 0, 0] = UNKNOWN
        return ids

    @staticmethod
    def lengths(ids: np.ndarray) -> np.ndarray:
        """Returns the number of tokens of each row, without padding: int32 `(n,)`."""
        return np.count_nonzero(np.asarray(ids), axis=1).astype(np.int32)

    @staticmethod
    def unknown_share(ids: np.ndarray) -> float:
        """Returns the share of words that are not in the vocabulary, 0 to 1.

        Args:
            ids: The result of `encode`. A text without words counts as one unknown word.
        """
        words = int(np.count_nonzero(np.asarray(ids) != PADDING))
        return int(np.count_nonzero(np.asarray(ids) == UNKNOWN)) / max(words, 1)

    def decode(self, ids: np.ndarray | Sequence[int]) -> str | list[str]:
        """Returns the words of a row of ids as one str, or a list of str for several rows."""
        ids = np.asarray(ids)
        known = [UNKNOWN_WORD, *self.words]
        rows = [
            " ".join(known[index - UNKNOWN] for index in row if index != PADDING)
            for row in np.atleast_2d(ids).tolist()
        ]
        return rows if ids.ndim > 1 else rows[0]

    def save(self, path: Path) -> None:
        """Writes the encoder as JSON, usually `vocabulary.json`."""
        write_json_atomic(
            path,
            {
                "vocabulary_size": self.vocabulary_size,
                "max_tokens": self.max_tokens,
                "keep": self.keep,
                # The patterns are stored, so that a reader without this package splits texts alike.
                "patterns": {"tag": self.patterns.tag, "word": self.patterns.word},
                "words": self.words,
            },
        )

    @classmethod
    def load(cls, path: Path) -> "TextEncoder":
        """Reads an encoder that `save` wrote.

        Raises:
            RecipeError: The file is absent or not a vocabulary.
        """
        held = read_json(path, "vocabulary")
        try:
            words = held["words"]
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise TypeError("words is not a list of strings")
            sizes = int(held["vocabulary_size"]), int(held["max_tokens"])
            patterns = PATTERNS_BEFORE
            if "patterns" in held:
                patterns = Patterns(**held["patterns"])
                patterns.check()
            return cls(words, *sizes, held["keep"], patterns)
        except (KeyError, TypeError, ValueError, OverflowError, UsageError, re.error) as error:
            raise RecipeError(f"{path} is not a vocabulary: {error!r}") from error
