"""The data sets: the real ones, built-in samples, and the user's own, all in one form.

    splits = load_images("mnist", Source("sample"), image_size=(28, 28), channels=1,
                         validation_fraction=0.15)
    splits.train.x, splits.train.y, splits.val, splits.test, splits.info

Images are uint8 `(n, height, width, channels)`, texts are Python strings, labels int32.
Validation is cut from train by a seed of its own; the test split is whole and is only read when
somebody asks for it.
"""

from common.basics.errors import UsageError, near_match
from common.basics.flags import flag
from common.basics.source import Reading, Source
from common.data import own, remarks, sample
from common.data.full import DATA_SETS
from common.data.full import load as load_full
from common.data.images import convert
from common.data.split import check_fraction, check_seed, stratified_cut
from common.data.subset import stratified_subset
from common.data.types import DataInfo, Split, Splits

__all__ = ["DataInfo", "Reading", "Source", "Split", "Splits", "load_images", "load_texts"]


def load_images(
    name,
    source,
    *,
    image_size,
    channels,
    validation_fraction,
    split_seed=0,
    train_examples=0,
    subset_seed=0,
):
    """Loads a data set of images.

    Args:
        name: `"mnist"` or `"cifar10"`: the real data set, and which sample stands in for it.
        source: Source. Where the data comes from.
        image_size: Tuple `(height, width)` in pixels. Other sizes are resized (bilinear, with
            antialiasing; the aspect ratio is not kept).
        channels: 1 (grey) or 3 (RGB). Other images are converted.
        validation_fraction: Share of the training split to validate on, in (0, 1).
        split_seed: Seed of the validation cut, 0 to 2**32 - 1. It is not the training seed, so
            that runs with different seeds are compared on the same images.
        train_examples: Training examples to keep of those that validation leaves, stratified and
            nested (`stratified_subset`); 0: all. Validation and test stay the same.
        subset_seed: Seed of that choice, 0 to 2**32 - 1; not the training seed either.

    Returns:
        Splits, with `x` uint8 `(n, height, width, channels)` and `y` int32 `(n,)`.

    Raises:
        UsageError: A value above is out of its range.
        RecipeError: The data is absent, damaged, or not images.
    """
    check_fraction(validation_fraction)
    check_seed(split_seed)
    check_seed(subset_seed, "subset_seed")
    _check_name(name, "image")
    _check_reading(source)
    if source.data == "full":
        dataset = load_full(name, source.data_dir)
    elif source.data == "sample":
        dataset = sample.load_images(name, image_size, channels)
    else:
        dataset = own.load_images(source.data, image_size, channels, source.reading)

    def fitted(split):
        return Split(convert(split.x, image_size, channels), split.y, split.groups)

    return _cut(dataset, fitted, validation_fraction, split_seed, train_examples, subset_seed)


def load_texts(name, source, *, validation_fraction, split_seed=0, train_examples=0, subset_seed=0):
    """Loads a data set of texts.

    Args:
        name: `"imdb_reviews"`: the real data set, and which sample stands in for it.
        source: Source. Where the data comes from.
        validation_fraction: Share of the training split to validate on, in (0, 1).
        split_seed: Seed of the validation cut, 0 to 2**32 - 1.
        train_examples, subset_seed: As of `load_images`.

    Returns:
        Splits, with `x` an object array of str `(n,)` and `y` int32 `(n,)`.

    Raises:
        UsageError: A value above is out of its range.
        RecipeError: The data is absent, damaged, or not texts.
    """
    check_fraction(validation_fraction)
    check_seed(split_seed)
    check_seed(subset_seed, "subset_seed")
    _check_name(name, "text")
    _check_reading(source)
    if source.data == "full":
        dataset = load_full(name, source.data_dir)
    elif source.data == "sample":
        dataset = sample.load_texts(name)
    else:
        dataset = own.load_texts(source.data, source.reading)
    return _cut(
        dataset, lambda split: split, validation_fraction, split_seed, train_examples, subset_seed
    )


def _check_name(name, kind):
    known = [key for key, value in DATA_SETS.items() if value.kind == kind]
    if name not in known:
        raise UsageError(
            f"unknown {kind} data set '{name}'{near_match(name, known)} (known: {', '.join(known)})"
        )


def _check_reading(source):
    given = list(source.reading.to_dict())
    if source.data in ("full", "sample") and given:
        raise UsageError(
            f"{flag(given[0])} says how your own data is read; --data {source.data} needs none of it"
        )


def _cut(dataset, fitted, validation_fraction, split_seed, train_examples, subset_seed):
    train_rows, validation_rows = stratified_cut(
        dataset.train.y, validation_fraction, split_seed, dataset.train.groups
    )
    notes = list(dataset.remarks)
    if train_examples:
        left = len(train_rows)
        groups = None if dataset.train.groups is None else dataset.train.groups[train_rows]
        chosen = stratified_subset(dataset.train.y[train_rows], train_examples, subset_seed, groups)
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
