"""Texts to tokens without loss: characters, or parts of words by byte pair encoding (SentencePiece)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError
from common.basics.files import atomic_path

PADDING, UNKNOWN, START, END = range(4)
SPECIAL = 4
"""The tokens of the texts have ids from this one on."""
CHARACTERS_PER_PIECE = 40
"""Characters of the training texts for each part of a word. Without this limit a whole sentence of few
texts would become one token, seen once."""
TYPES = {"character": "char", "piece": "bpe"}


class PieceEncoder:
    """Turns texts into rows of ids, padded at the end.

    0 is padding, 1 an unknown character, 2 START, 3 END; then the tokens.

    Args:
        content: A SentencePiece model, as in its file.
    """

    def __init__(self, content: bytes) -> None:
        import sentencepiece

        self.content = content
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=content)

    @classmethod
    def fit(cls, texts: Sequence[str] | np.ndarray, size: int, unit: str) -> PieceEncoder:
        """Makes an encoder from training texts.

        Args:
            texts: Training texts `(n,)`.
            size: Ids in all, at most.
            unit: "character", or "piece": characters and parts of words, at most one part for each
                CHARACTERS_PER_PIECE characters of the texts. Frequent words stay whole.

        Raises:
            RecipeError: The texts have more different characters than fit.
        """
        import sentencepiece

        if unit == "piece":
            room = sum(map(len, texts)) // CHARACTERS_PER_PIECE
            size = min(size, len(set().union(*texts)) + SPECIAL + 1 + room)
        written = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=written,
                model_type=TYPES[unit],
                vocab_size=size,
                # Fewer tokens are no error: the texts may be few.
                hard_vocab_limit=False,
                pad_id=PADDING,
                unk_id=UNKNOWN,
                bos_id=START,
                eos_id=END,
                character_coverage=1.0,
                # What is written is what is read: nothing is made lower case or left out.
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                add_dummy_prefix=unit == "piece",
                max_sentence_length=1 << 20,
                num_threads=1,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())[-200:]
            raise RecipeError(
                f"no vocabulary of {size} {unit}s can be made of these texts ({reason}); "
                "a larger --vocabulary-size may do"
            ) from error
        return cls(written.getvalue())

    @property
    def pieces(self) -> list[str]:
        """The tokens in the order of their ids."""
        return [self._processor.id_to_piece(index) for index in range(len(self))]

    def __len__(self) -> int:
        """Returns the number of ids in use."""
        return self._processor.get_piece_size()

    def encode(
        self, texts: Sequence[str] | np.ndarray, longest: int, end: bool = False
    ) -> np.ndarray:
        """Encodes texts.

        Args:
            texts: Texts `(n,)`.
            longest: Tokens kept of each text, the first ones; END counts as one.
            end: Whether END follows each text that is not cut off.

        Returns:
            int32 `(n, tokens)`, as wide as the longest row. Without END, an empty text becomes one
            unknown token, because layers with a mask need at least one token.
        """
        rows = self._processor.encode([str(text) for text in texts], add_eos=end)
        rows = [row[:longest] or [UNKNOWN] for row in rows]
        ids = np.full((len(rows), max(map(len, rows), default=1)), PADDING, "int32")
        for target, row in zip(ids, rows, strict=True):
            target[: len(row)] = row
        return ids

    def save(self, path: str | Path) -> None:
        """Writes the SentencePiece model."""
        with atomic_path(path) as temporary:
            Path(temporary).write_bytes(self.content)

    @classmethod
    def load(cls, path: str | Path) -> PieceEncoder:
        """Reads what `save` wrote.

        Raises:
            RecipeError: The file is absent or is no SentencePiece model.
        """
        try:
            return cls(Path(path).read_bytes())
        except (OSError, RuntimeError) as error:
            raise RecipeError(f"{path} is no SentencePiece model: {error}") from error
