"""Subsets of the training split: stratified, and nested so that sizes can be compared."""

import heapq
from collections.abc import Sequence

import numpy as np

from common.basics.errors import UsageError


def stratified_subset(
    labels: np.ndarray | Sequence[int],
    count: int,
    seed: int = 0,
    groups: np.ndarray | Sequence | None = None,
) -> np.ndarray:
    """Chooses training examples, class by class.

    All examples get one order, and a subset is its beginning: so a smaller subset lies in a larger one.
    The order begins with one example of each class. The next example always comes from the class that is
    furthest behind its share (Webster's rule). Largest remainders would not do: with them a class can
    lose an example when the subset grows.

    Args:
        labels: Integer labels `(n,)`.
        count: Examples wanted, from the number of classes to n.
        seed: Seed of the order within the classes, 0 to 2**32 - 1.
        groups: Group of each example, `(n,)`. Whole groups are taken, so many that every class occurs and
            the number of examples comes nearest to the count. None: there are no groups.

    Returns:
        Sorted indices of the chosen examples.

    Raises:
        UsageError: There are fewer examples, or more classes, than `count`.
    """
    _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if not len(sizes) <= count <= len(labels):
        raise UsageError(
            f"train_examples must be 0 (all), or {len(sizes)} (one of each class) to {len(labels)} "
            f"(all that there are to train on), got {count}"
        )
    # RandomState: NumPy guarantees its stream for ever, as for the cut of the validation split.
    rows = np.random.RandomState(seed).permutation(len(labels))
    if groups is None:
        units = list(rows[:, None])
    else:
        rows_of: dict[object, list[int]] = {}
        for row, group in zip(rows, np.asarray(groups)[rows].tolist(), strict=True):
            rows_of.setdefault(group, []).append(row)
        units = [np.array(each) for each in rows_of.values()]
    return np.sort(np.concatenate(_first(units, labels, sizes.tolist(), count)))


def _first(units, labels, sizes, count):
    """Returns the units (arrays of rows) that a subset of `count` examples consists of."""
    held_by = [labels[unit].tolist() for unit in units]
    # For each class, the units that hold examples of it; the next one to take stands last.
    waiting = [[] for _ in sizes]
    for unit in reversed(range(len(units))):
        for label in set(held_by[unit]):
            waiting[label].append(unit)
    held, total, taken, order = [0] * len(sizes), 0, set(), []

    def lag(label):
        # 0 while the class has no example; among equals the larger class comes first.
        return (held[label] and (held[label] + 0.5) / sizes[label]), -sizes[label], label

    turns = [lag(label) for label in range(len(sizes))]
    heapq.heapify(turns)
    while total < count or not all(held):
        turn = heapq.heappop(turns)
        label = turn[2]
        while waiting[label] and waiting[label][-1] in taken:
            waiting[label].pop()
        if not waiting[label]:
            continue
        if turn == lag(label):
            spare = all(held)
            unit = waiting[label].pop()
            taken.add(unit)
            order.append(unit)
            total += len(units[unit])
            for other in held_by[unit]:
                held[other] += 1
        heapq.heappush(turns, lag(label))
    # The last group is left out again if the total is then nearer to the count.
    if spare and total - count >= count - (total - len(units[order[-1]])):
        order.pop()
    return [units[unit] for unit in order]
