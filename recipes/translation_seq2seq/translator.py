"""Translation with a trained model: the search, and where the decoder looked meanwhile."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from common.basics.compiled import compiled
from common.layers.decoding import END, PADDING, START, beam_search

if TYPE_CHECKING:
    import keras

    from common.tasks.translation_scores import AttentionMap

AT_ONCE = 250
"""Sentences translated together."""
WIDTH = 8
"""Batches are cut to a multiple of this many tokens: fewer shapes to compile for."""


class Translator:
    """Searches for translations with a model of this recipe. It needs nothing else: the model holds the
    tokens and the settings of the search.

    Args:
        model: As of `build_model`.
    """

    def __init__(self, model: keras.Model) -> None:
        self.encoder, self.decoder = model.get_layer("encoder"), model.get_layer("decoder")
        self._variables = model.variables
        self._searches: dict[int, Callable] = {}

    def texts(
        self, ids: np.ndarray, width: int | None = None, penalty: float | None = None
    ) -> list[str]:
        """Returns the translations of sources.

        Args:
            ids: Source ids, int32 `(n, source)`.
            width: Width of the beam; 1 searches greedily. None: that of the run's Config.
            penalty: Length penalty. None: that of the run's Config.
        """
        found = self.search(ids, width, penalty)["ids"][:, 0]
        return [text_of(row, self.decoder.pieces) for row in found]

    def search(
        self, ids: np.ndarray, width: int | None = None, penalty: float | None = None
    ) -> dict[str, np.ndarray]:
        """Returns what `beam_search` returns, as arrays; arguments as of `texts`."""
        run = self._search(self.decoder.width if width is None else width)
        alpha = np.float32(self.decoder.penalty if penalty is None else penalty)
        lengths = np.count_nonzero(ids, axis=1)
        order = np.argsort(lengths, kind="stable")
        found: dict[str, np.ndarray] = {}
        for start in range(0, len(ids), AT_ONCE):
            rows = order[start : start + AT_ONCE]
            longest = max(-(-int(lengths[rows].max()) // WIDTH) * WIDTH, WIDTH)
            # A batch with fewer rows is filled with copies of its last: fewer shapes to compile for.
            taken = np.resize(rows, min(AT_ONCE, len(ids)))
            taken[len(rows) :] = rows[-1]
            part = np.full((len(taken), longest), PADDING, "int32")
            part[:, : min(longest, ids.shape[1])] = ids[taken, :longest]
            for name, values in run(part, alpha).items():
                whole = found.setdefault(
                    name, np.zeros((len(ids), *values.shape[1:]), values.dtype)
                )
                whole[rows] = values[: len(rows)]
        return found

    def _search(self, width):
        if width not in self._searches:

            def step(ids, state, context):
                logits, state, _ = self.decoder.decode(ids[:, None], *context, state)
                return logits[:, 0], state

            def search(source, penalty):
                memory, words, state = self.encoder(source)
                return beam_search(
                    step,
                    state,
                    (memory, words),
                    width=width,
                    length=self.decoder.longest,
                    penalty=penalty,
                )

            self._searches[width] = compiled(search, self._variables)
        return self._searches[width]

    def attention(self, ids: np.ndarray) -> list[AttentionMap] | None:
        """Returns where the decoder looked for each token of its translations.

        Args:
            ids: Source ids, int32 `(n, source)`.

        Returns:
            A map for each source; END is among the target's tokens. None: the model has no attention.
        """
        if self.decoder.attention == "none":
            return None
        found = self.search(ids)["ids"][:, 0]
        before = np.concatenate([np.full_like(found[:, :1], START), found[:, :-1]], axis=1)
        weights = self._looked(np.asarray(ids, "int32"), before)
        maps = []
        for source, target, looked in zip(ids, found, weights, strict=True):
            names = (_names(source, self.encoder.pieces), _names(target, self.decoder.pieces))
            maps.append((*names, looked[: len(names[1]), : len(names[0])]))
        return maps

    @functools.cached_property
    def _looked(self):
        def look(source, target):
            return self.decoder.decode(target, *self.encoder(source))[2]

        return compiled(look, self._variables)


def _names(ids, pieces):
    return [pieces[index] if index < len(pieces) else str(index) for index in ids if index]


def text_of(ids: np.ndarray, pieces: Sequence[str]) -> str:
    """Returns a text from its tokens.

    Args:
        ids: Target ids, int32 `(tokens,)`; what follows END or padding is left out.
        pieces: The tokens in the order of their ids.
    """
    words = []
    for index in ids.tolist():
        if index in (END, PADDING):
            break
        words.append(pieces[index] if index < len(pieces) else f" {index}")
    return "".join(words).replace("\u2581", " ").strip()
