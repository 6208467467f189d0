"""Lines that tell a person what was read of their data, and what is odd about it."""

import numpy as np

SHOWN = 10
"""Classes that are named with their counts."""


def show(info):
    """Prints what was read of a person's own data; the built-in data sets need no words.

    Args:
        info: DataInfo.
    """
    if info.source == "own":
        print("\n  ".join([f"Data: {info.label}", *info.remarks]), flush=True)


def classes(class_names, train_counts, test_counts, given):
    """Returns lines on how many examples there are of each class.

    Args:
        class_names: List of str.
        train_counts: Examples of each class to train and validate on.
        test_counts: Examples of each class in the test split.
        given: Whether the test split was given; otherwise it was cut off.
    """
    total = train_counts + test_counts
    order = range(len(class_names))
    named = ", ".join(f"{class_names[label]} {total[label]:,}" for label in order[:SHOWN])
    if len(class_names) > SHOWN:
        named += f" and {len(class_names) - SHOWN} more classes ({total[SHOWN:].sum():,})"
    test = "given" if given else "cut off"
    lines = [
        f"{total.sum():,} examples in {len(class_names)} classes: {named}",
        f"training and validation: {train_counts.sum():,}, test: {test_counts.sum():,} ({test})",
    ]
    rarest = int(total.argmin())
    share = total.sum() / len(class_names)
    if total[rarest] < 0.5 * share:
        lines.append(
            f"unequal classes: the rarest, {class_names[rarest]}, has {total[rarest]:,} examples where "
            f"equal shares were {share:,.0f}; the most frequent, {class_names[int(total.argmax())]}, "
            f"is {total.max() / total.sum():.1%} of all"
        )
    return lines


def subset(count, left, wanted):
    """Returns a line on a subset of the training examples.

    Args:
        count: Examples in it.
        left: Examples there were to choose from.
        wanted: Examples asked for; another number where groups are kept whole.
    """
    line = f"trained on {count:,} of the {left:,} training examples"
    return line if count == wanted else f"{line}: whole groups, {wanted:,} were asked for"


def copies(ids, labels, class_names, names):
    """Returns lines on examples that occur more than once.

    Args:
        ids: Integers `(n,)`, equal where the examples are.
        labels: Integers `(n,)`.
        class_names: List of str.
        names: What to call each example, a list of str.
    """
    _, first, counts = np.unique(ids, return_index=True, return_counts=True)
    repeated = int((counts > 1).sum())
    if not repeated:
        return []
    lines = [
        f"duplicates: {len(ids) - len(first):,} of {len(ids):,} examples are copies of others "
        f"({repeated:,} occur more than once); copies stay on one side of every split"
    ]
    # An example whose label is not the one of its first copy.
    first_of = first[np.unique(ids, return_inverse=True)[1]]
    differing = np.flatnonzero(labels != labels[first_of])
    if len(differing):
        row = int(differing[0])
        one, other = int(first_of[row]), row
        lines.append(
            f"duplicates with different labels: {len(np.unique(ids[differing])):,}, e.g. "
            f"{names[one]} ({class_names[labels[one]]}) and "
            f"{names[other]} ({class_names[labels[other]]})"
        )
    return lines


def sizes(counter, image_size):
    """Returns a line on the sizes of pictures.

    Args:
        counter: Counter of `(width, height)`.
        image_size: `(height, width)` that they are read in.
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
