"""Splits texts into words and caches the result for later starts on the same data.

Splitting 25,000 reviews takes seconds, and training, tuning and evaluation all begin with it.
"""

import contextlib
import hashlib
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.basics.errors import RecipeError
from common.basics.files import atomic_path, cache_folder
from common.basics.patterns import PATTERNS, Patterns

WORTH_KEEPING = 1000
"""Fewer texts than this are not cached."""
FILES_KEPT = 8
"""Number of the newest files that stay in the cache folder `tokens`; one of IMDB takes 25 MB."""
_memory: dict[str, "Tokens"] = {}
"""The last two results, by key: a run first counts the words of its texts and then encodes them."""


def tokenise(text: str, patterns: Patterns = PATTERNS) -> list[str]:
    """Returns the words of a text in lower case. `!` and `?` are words; tags are left out."""
    return patterns.split(text)


@dataclass(frozen=True)
class Tokens:
    """The words of n texts, one after the other."""

    words: list[str]
    """Distinct words, in the order of their first appearance."""
    ids: np.ndarray
    """int32, position in `words` of each word of each text."""
    offsets: np.ndarray
    """int64 `(n + 1,)`: text i is `ids[offsets[i] : offsets[i + 1]]`."""

    @classmethod
    def of(cls, texts: np.ndarray | Sequence[str], patterns: Patterns = PATTERNS) -> "Tokens":
        """Returns the words of texts, from memory or the cache if they were split before."""
        if len(texts) < WORTH_KEEPING:
            return cls._split(texts, patterns)
        key = _key(texts, patterns)
        if key not in _memory:
            while len(_memory) > 1:
                _memory.pop(next(iter(_memory)))
            path = cache_folder() / "tokens" / f"{key}.npz"
            _memory[key] = cls._read(path) or cls._split(texts, patterns)._write(path)
        return _memory[key]

    @classmethod
    def _split(cls, texts, patterns):
        index, rows = {}, []
        for text in texts:
            rows.append([index.setdefault(word, len(index)) for word in tokenise(text, patterns)])
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        ids = np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(offsets[-1]))
        return cls(list(index), ids, offsets)

    @classmethod
    def _read(cls, path):
        try:
            with np.load(path, allow_pickle=False) as held:
                words = held["words"].tobytes().decode("utf-8").split()
                with contextlib.suppress(OSError):  # a cache that can only be read
                    path.touch()
                return cls(words, held["ids"], held["offsets"])
        except Exception:  # absent or damaged (np.load raises many kinds): split again
            return None

    def _write(self, path):
        words = np.frombuffer("\n".join(self.words).encode("utf-8"), np.uint8)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as partial, partial.open("wb") as file:
                np.savez(file, words=words, ids=self.ids, offsets=self.offsets)
        except (OSError, RecipeError) as error:
            print(f"note: texts are split into words at every start: {error}", file=sys.stderr)
        # Another worker may be tidying at the same moment.
        with contextlib.suppress(OSError):
            files = path.parent.glob("[!.]*.npz")
            for old in sorted(files, key=lambda each: -each.stat().st_mtime)[FILES_KEPT:]:
                old.unlink()
        return self


def _key(texts, patterns=PATTERNS):
    # The number is increased when `tokenise` changes in anything but its patterns.
    digest = hashlib.blake2b(f"1 {patterns.tag} {patterns.word}".encode(), digest_size=16)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
