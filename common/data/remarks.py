"""Lines that tell users what was read of their data, and what is unusual about it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from common.basics.wording import significant
from common.data.types import DataInfo

SHOWN = 10
"""Largest number of classes that are named with their counts."""


def show(info: DataInfo) -> None:
    """Prints what was read of the user's own data; prints nothing for other data."""
    if info.source == "own":
        print("\n  ".join([f"Data: {info.label}", *info.remarks]), flush=True)


def classes(
    class_names: Sequence[str], train_counts: np.ndarray, test_counts: np.ndarray, given: bool
) -> list[str]:
    """Returns lines on how many examples there are of each class.

    Args:
        class_names: Names of the k classes.
        train_counts: Examples of each class for training and validation, integers `(k,)`.
        test_counts: Examples of each class in the test split, integers `(k,)`.
        given: Whether the test split was given; otherwise it was cut from the same data.
    """
    total = train_counts + test_counts
    order = range(len(class_names))
    named = ", ".join(f"{class_names[label]} {total[label]:,}" for label in order[:SHOWN])
    if len(class_names) > SHOWN:
        named += f" and {len(class_names) - SHOWN} more classes ({total[SHOWN:].sum():,})"
    lines = [
        f"{total.sum():,} examples in {len(class_names)} classes: {named}",
        _sizes(train_counts.sum(), test_counts.sum(), given),
    ]
    rarest = int(total.argmin())
    share = total.sum() / len(class_names)
    if total[rarest] < 0.5 * share:
        lines.append(
            f"unequal classes: the rarest, {class_names[rarest]}, has {total[rarest]:,} examples (equal "
            f"shares would be {share:,.0f}); the most frequent, {class_names[int(total.argmax())]}, "
            f"is {total.max() / total.sum():.1%} of all"
        )
    return lines


def _sizes(train, test, given):
    cut = "given" if given else "cut off"
    return f"training and validation: {train:,}, test: {test:,} ({cut})"


def numbers(train: np.ndarray, test: np.ndarray, given: bool) -> list[str]:
    """Returns lines on numbers to predict.

    Args:
        train: The numbers for training and validation, `(n,)`.
        test: Those of the test split, `(m,)`.
        given: Whether the test split was given; otherwise it was cut from the same data.
    """
    every = np.concatenate([train, test])
    low, middle, high = np.quantile(every, [0, 0.5, 1])
    return [
        f"{len(every):,} examples; the number to predict is {significant(low)} to {significant(high)}, "
        f"{significant(middle)} in the median",
        _sizes(len(train), len(test), given),
    ]


def subset(count: int, left: int, wanted: int) -> str:
    """Returns a line on a subset of the training examples.

    Args:
        count: Examples in the subset.
        left: Examples to choose from.
        wanted: Examples asked for. It may differ from `count` because groups are kept whole.
    """
    line = f"trained on {count:,} of the {left:,} training examples"
    return line if count == wanted else f"{line}: whole groups, {wanted:,} were asked for"


def copies(
    ids: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    names: Sequence[str],
    by_time: bool = False,
) -> list[str]:
    """Returns lines on examples that occur more than once.

    Args:
        ids: Integers `(n,)`. Equal examples have equal integers.
        labels: Integers `(n,)`, or numbers to predict.
        class_names: Names of the classes; none of numbers.
        names: Name of each example in a message.
        by_time: Whether the data is split by time, where copies need not stay together.
    """
    _, first, counts = np.unique(ids, return_index=True, return_counts=True)
    repeated = int((counts > 1).sum())
    if not repeated:
        return []
    lines = [
        f"duplicates: {len(ids) - len(first):,} of {len(ids):,} examples are copies of others "
        f"({repeated:,} occur more than once)"
        + ("" if by_time else "; copies stay on one side of every split")
    ]
    # Examples whose label differs from that of their first copy.
    first_of = first[np.unique(ids, return_inverse=True)[1]]
    differing = np.flatnonzero(labels != labels[first_of])
    if len(differing):
        row = int(differing[0])
        one, other = int(first_of[row]), row
        shown = [
            class_names[label] if class_names else f"{label:g}" for label in labels[[one, other]]
        ]
        lines.append(
            f"duplicates with different labels: {len(np.unique(ids[differing])):,}, e.g. "
            f"{names[one]} ({shown[0]}) and {names[other]} ({shown[1]})"
        )
    return lines


def seen(test_seen: np.ndarray) -> list[str]:
    """Returns a line on test examples that occur in the training data too, bool `(m,)`, if any do."""
    if not test_seen.any():
        return []
    return [
        f"test split: {test_seen.sum():,} of its {len(test_seen):,} examples also occur in the training "
        "data; scores are given without them as well"
    ]


def sizes(counter: Counter[tuple[int, int]], image_size: Sequence[int]) -> str:
    """Returns a line on the sizes of pictures.

    Args:
        counter: Number of pictures of each `(width, height)`.
        image_size: `(height, width)` that they are resized to.
    """
    height, width = image_size
    (commonest, count), total = counter.most_common(1)[0], counter.total()
    line = f"sizes: {_size(commonest)}"
    if len(counter) > 1:
        by_area = sorted(counter, key=lambda size: (size[0] * size[1], size))
        line += f" ({count:,} of {total:,}), from {_size(by_area[0])} to {_size(by_area[-1])}"
    if set(counter) == {(width, height)}:
        return line
    line += f" -> {_size((width, height))}"
    # Rounding may cost up to half a pixel of either side.
    kept = all(abs(size[0] * height - size[1] * width) <= sum(size) / 2 for size in counter)
    return line + (", aspect kept" if kept else ", aspect not kept")


def _size(size):
    return f"{size[0]} x {size[1]}"
