"""Encoder and decoder of LSTMs, with attention between them or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras

from .decoder import Decoder
from .encoder import PACKAGE, Encoder

if TYPE_CHECKING:
    from .train import Config


def build_model(
    config: Config,
    num_classes: int | None = None,
    pieces: tuple[Sequence[str], Sequence[str]] | None = None,
) -> keras.Model:
    """Builds the network, uncompiled.

    Args:
        config: Hyperparameters.
        num_classes: Not used: an answer is a text.
        pieces: Tokens of the source and of the target, in the order of their ids. The model holds them,
            so that its file is enough to translate. None: it holds none.

    Returns:
        Model from source ids, int32 `(n, source)`, and target ids, int32 `(n, target)`, to logits
        `(n, target, vocabulary_size)` of the tokens that come next. Ids are padded at the end with 0;
        the target has START before it.
    """
    source_pieces, target_pieces = pieces or ([], [])
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    encoder = Encoder(
        config.vocabulary_size,
        config.embedding_units,
        config.units,
        stacked=config.layers,
        bidirectional=config.attention != "none",
        reverse=config.reverse_source,
        dropout=config.dropout_rate,
        pieces=source_pieces,
        name="encoder",
    )
    decoder = Decoder(
        config.vocabulary_size,
        config.embedding_units,
        config.units,
        stacked=config.layers,
        attention=config.attention,
        dropout=config.dropout_rate,
        sampling=config.sampling_rate > 0,
        longest=config.max_target,
        width=config.beam,
        penalty=config.length_penalty,
        pieces=target_pieces,
        name="decoder",
    )
    memory, words, state = encoder(source)
    logits = decoder(target, memory, words, state)
    return keras.Model([source, target], logits, name=PACKAGE)
