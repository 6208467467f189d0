"""The data sets: the real ones, built-in samples, and the user's own, all in one form.

It may import from basics. Start reading in `__init__.py`, `load_images`: `sets.py` says what a recipe
declares, `full.py`, `sample.py` and `own.py` are the three places that data comes from.

    DATA = ImageSet("mnist", "MNIST", image_size=(28, 28), channels=1, sample="digits")
    splits = load_images(DATA, Source("sample"), validation_fraction=0.15)  # or load_texts, ...
    splits.train.x, splits.train.y, splits.val, splits.test, splits.info

Images are uint8 `(n, height, width, channels)`, texts are Python strings, clips of sound are float32
`(n, samples)`, tables object arrays of str `(n, columns)`; labels int32, numbers to predict float64.
The validation split is cut from the training split by a seed of its own. The test split stays whole
and is read only on request. NumPy is imported when data is loaded, not when a recipe declares its set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from common.basics.errors import UsageError
from common.basics.flags import flag
from common.data.sets import AudioSet, ImageSet, NumberTable, PairSet, TableSet, TextSet
from common.data.source import Reading, Source
from common.data.types import DataInfo, Split, Splits

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "AudioSet",
    "DataInfo",
    "ImageSet",
    "NumberTable",
    "PairSet",
    "Reading",
    "Source",
    "Split",
    "Splits",
    "TableSet",
    "TextSet",
    "load_audio",
    "load_images",
    "load_table",
    "load_texts",
]


def load_images(
    data_set: ImageSet,
    source: Source,
    validation_fraction: float,
    train_examples: int = 0,
    *,
    split_seed: int = 0,
    subset_seed: int = 0,
) -> Splits:
    """Loads a data set of images.

    Args:
        data_set: The real data set, the sample that stands in for it, and the size and channels that
            images of all sources are converted to.
        source: Where the data comes from.
        validation_fraction: Share of the training split to validate on, in (0, 1).
        train_examples: Examples to keep of the training split after the validation cut, stratified
            and nested (`stratified_subset`); 0: all. Validation and test stay the same.
        split_seed: Seed of the validation cut, 0 to 2**32 - 1. It is not the training seed, so
            that runs with different seeds are compared on the same images.
        subset_seed: Seed of the choice of `train_examples`, 0 to 2**32 - 1; not the training seed
            either.

    Returns:
        `x` is uint8 `(n, height, width, channels)`, `y` int32 `(n,)`.

    Raises:
        UsageError: A value above is out of its range.
        RecipeError: The data is absent, damaged, or not images.
    """
    from common.data import full, own, sample
    from common.data.images import convert

    _check(ImageSet, data_set, source, validation_fraction, split_seed, subset_seed)
    image_size, channels = data_set.image_size, data_set.channels
    if source.data == "full":
        dataset = full.load(data_set, source.data_dir)
    elif source.data == "sample":
        dataset = sample.load_images(data_set.sample, image_size, channels)
    else:
        dataset = own.load_images(source.data, image_size, channels, source.reading)

    def fitted(split):
        return dataclasses.replace(split, x=convert(split.x, image_size, channels))

    return _cut(dataset, fitted, validation_fraction, split_seed, train_examples, subset_seed)


def load_texts(
    data_set: TextSet,
    source: Source,
    validation_fraction: float,
    train_examples: int = 0,
    *,
    split_seed: int = 0,
    subset_seed: int = 0,
) -> Splits:
    """Loads a data set of texts.

    Args:
        data_set: The real data set, and the sample that stands in for it.
        source: Where the data comes from.
        validation_fraction, train_examples, split_seed, subset_seed: As of `load_images`.

    Returns:
        `x` is an object array of str `(n,)`, `y` int32 `(n,)`.

    Raises:
        UsageError: A value above is out of its range.
        RecipeError: The data is absent, damaged, or not texts.
    """
    from common.data import full, own, sample

    _check(TextSet, data_set, source, validation_fraction, split_seed, subset_seed)
    if source.data == "full":
        dataset = full.load(data_set, source.data_dir)
    elif source.data == "sample":
        dataset = sample.load_texts(data_set.sample)
    else:
        dataset = own.load_texts(source.data, source.reading)
    return _cut(
        dataset, lambda split: split, validation_fraction, split_seed, train_examples, subset_seed
    )


def load_audio(
    data_set: AudioSet,
    source: Source,
    validation_fraction: float,
    train_examples: int = 0,
    *,
    hold_out: Callable[[list[str]], tuple[np.ndarray, np.ndarray | None]],
    split_seed: int = 0,
    subset_seed: int = 0,
) -> Splits:
    """Loads a data set of clips.

    Args:
        data_set: The real data set, the sample that stands in for it, and the rate and length that
            clips of all sources are converted to.
        source: Where the data comes from.
        validation_fraction, train_examples, split_seed, subset_seed: As of `load_images`.
        hold_out: Chooses the test split of the real set and of its sample by the names of the files.
            Returns which clips are tested on, bool `(n,)`, and the group of each clip, `(n,)` of any
            type that NumPy sorts, or None. Validation takes whole groups. For the user's own data it
            is not called.

    Returns:
        `x` is float32 `(n, samples)` in [-1, 1], `y` int32 `(n,)`.

    Raises:
        UsageError: A value above is out of its range.
        RecipeError: The data is absent, damaged, or not sound.
    """
    import numpy as np

    from common.data import full, own, sample
    from common.data.audio import fitted

    _check(AudioSet, data_set, source, validation_fraction, split_seed, subset_seed)
    if source.built_in:
        if source.data == "full":
            dataset = full.load(data_set, source.data_dir)
        else:
            dataset = sample.load_audio(data_set.sample)
        dataset = _held_out(dataset, hold_out)
    else:
        dataset = own.load_audio(source.data, data_set.rate, data_set.samples, source.reading)

    def of_one_length(split):
        clips = [fitted(clip, data_set.samples) for clip in split.x]
        return dataclasses.replace(split, x=np.stack(clips))

    # Predictions are made at the same rate.
    dataset = dataclasses.replace(dataset, reading={**dataset.reading, "rate": data_set.rate})
    return _cut(
        dataset, of_one_length, validation_fraction, split_seed, train_examples, subset_seed
    )


def load_table(
    data_set: TableSet | NumberTable,
    source: Source,
    validation_fraction: float,
    train_examples: int = 0,
    *,
    split_seed: int = 0,
    subset_seed: int = 0,
) -> Splits:
    """Loads a table.

    Args:
        data_set: The real table, and the sample that stands in for it. Its class says whether classes or
            numbers are to be predicted.
        source: Where the data comes from. `data_dir` is the folder of the real table, or above it.

    Other arguments and errors are those of `load_texts`.

    Returns:
        `x` is an object array of str `(n, columns)`, '' for a missing value; `y` int32 `(n,)`, or
        numbers, float64 `(n,)`.
        `common.data.columns.columns_of(info.reading)` says what the columns hold.
    """
    from common.data import number_table, own, sample

    expected = NumberTable if isinstance(data_set, NumberTable) else TableSet
    _check(expected, data_set, source, validation_fraction, split_seed, subset_seed)
    if source.data == "sample":
        dataset = sample.load_table(data_set.sample)
    elif source.data != "full":
        numbers = expected is NumberTable
        dataset = own.load_table(source.data, source.reading, numbers=numbers)
    elif isinstance(data_set, NumberTable):
        dataset = number_table.load(data_set)
    else:
        dataset = own.load_known_table(data_set, source.data_dir)
    return _cut(
        dataset, lambda split: split, validation_fraction, split_seed, train_examples, subset_seed
    )


def _held_out(dataset, hold_out):
    """Returns a Dataset of clips with the test split that `hold_out` chooses by their names."""
    import numpy as np

    held, groups = hold_out(dataset.names)
    whole = Split(dataset.train.x, dataset.train.y, groups)
    rows, test_rows = np.flatnonzero(~held), np.flatnonzero(held)
    return dataclasses.replace(
        dataset,
        train=whole.take(rows),
        load_test=lambda: whole.take(test_rows),
        test_count=len(test_rows),
    )


def _check(expected, data_set, source, validation_fraction, split_seed, subset_seed):
    """Refuses what no loader takes, before anything is read."""
    from common.data.split import check_fraction, check_seed

    check_fraction(validation_fraction)
    check_seed(split_seed)
    check_seed(subset_seed, "subset_seed")
    _check_set(data_set, expected)
    _check_reading(source)


def _check_set(data_set, expected):
    if not isinstance(data_set, expected):
        raise UsageError(
            f"a data set is declared as common.data.{expected.__name__}(name, label, ...) beside "
            f"load_data (recipes/README.md), got {data_set!r}"
        )


def _check_reading(source):
    given = list(source.reading.to_dict())
    if source.data in ("full", "sample") and given:
        raise UsageError(
            f"{flag(given[0])} says how your own data is read; --data {source.data} needs none of it"
        )


def _cut(dataset, fitted, validation_fraction, split_seed, train_examples, subset_seed):
    from common.data import by_time
    from common.data.split import strata

    labels = strata(dataset.train.y)
    train_rows, validation_rows = by_time.cut(
        dataset.train, validation_fraction, split_seed, dataset.class_names
    )
    notes = list(dataset.remarks)
    if dataset.train.times is not None:
        begins = by_time.shown(dataset.train.times[validation_rows].min())
        notes.append(f"split by time: validation begins with {begins}")
    if train_examples:
        from common.data import remarks
        from common.data.subset import stratified_subset

        left = len(train_rows)
        groups = None if dataset.train.groups is None else dataset.train.groups[train_rows]
        chosen = stratified_subset(labels[train_rows], train_examples, subset_seed, groups)
        train_rows = train_rows[chosen]
        notes.append(remarks.subset(len(train_rows), left, train_examples))
    info = DataInfo(
        name=dataset.name,
        version=dataset.version,
        source=dataset.source,
        fingerprint=dataset.fingerprint,
        kind=dataset.kind,
        class_names=tuple(dataset.class_names),
        label=dataset.label,
        note=dataset.note,
        counts={
            "train": len(train_rows),
            "validation": len(validation_rows),
            "test": dataset.test_count,
        },
        reading=dataset.reading,
        remarks=tuple(notes),
    )
    return Splits(
        train=fitted(dataset.train.take(train_rows)),
        val=fitted(dataset.train.take(validation_rows)),
        test=lambda: fitted(dataset.load_test()),
        info=info,
        test_seen=dataset.test_seen,
    )
