"""The pairs: captions, sentences of all kinds, generated dates and sums, or a user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import data
from common.data import pairs, sample_pairs

if TYPE_CHECKING:
    from .train import Config

FILES = {
    # Captions of photographs (Elliott et al. 2016).
    "pairs": data.PairSet(
        "multi30k_en_de",
        "Multi30k, English to German",
        counts=(29_000, 1_014, 1_000),
        variable="MULTI30K_DIR",
        where="Multi30k comes from https://github.com/multi30k/dataset (data/task1/raw: train, val, "
        "test_2016_flickr); put them into one folder as train.tsv, val.tsv and test.tsv, English, tab, "
        "German (`paste train.en train.de > train.tsv`)",
    ),
    "tatoeba": data.PairSet(
        "tatoeba_en_es",
        "Tatoeba, English to Spanish",
        counts=(118_964,),
        variable="TATOEBA_DIR",
        where="the pairs of the tutorials of TensorFlow and Keras come from "
        "https://storage.googleapis.com/download.tensorflow.org/data/spa-eng.zip; put its spa.txt into "
        "a folder as train.tsv",
        test_fraction=0.05,
    ),
}
"""Sets that lie in files, by the Config's `task`."""
GENERATED = {
    "dates": (sample_pairs.dates, "generated dates"),
    "addition": (sample_pairs.addition, "sums of numbers up to 999"),
}
"""Sets that are made, by `task`: the function and what the set is called."""
COUNTS = {"dates": (20_000, 2_000, 10_000), "addition": (100_000, 2_000, 10_000)}
"""Pairs of train, validation and test."""
SAMPLE_COUNTS = (1_000, 120, 200)
"""The same of `--data sample`."""


def load(config: Config, source: data.Source) -> data.Splits:
    """Returns sources and targets, object arrays of str `(n,)`.

    Args:
        config: Its `task` says what `--data full` is.
        source: "full", "sample" (generated dates) or the path of the user's own pairs.

    Raises:
        RecipeError: Pairs are not there or cannot be read; the message says what to do.
    """
    kept = config.train_examples
    if source.data == "sample":
        return pairs.generated(
            sample_pairs.dates,
            SAMPLE_COUNTS,
            name="sample-dates",
            label="sample of generated dates",
            source="sample",
            train_examples=kept,
        )
    if source.data == "full" and config.task in GENERATED:
        make, label = GENERATED[config.task]
        counts = COUNTS[config.task]
        return pairs.generated(make, counts, name=config.task, label=label, train_examples=kept)
    known = FILES[config.task] if source.data == "full" else None
    return pairs.load(
        source.data_dir if known else source.data,
        validation_fraction=config.validation_fraction,
        reading=source.reading,
        known=known,
        train_examples=kept,
    )
