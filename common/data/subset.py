"""A part of the training split: stratified, and nested, so that sizes can be compared."""

import heapq

import numpy as np

from common.basics.errors import UsageError


def stratified_subset(labels, count, seed=0, groups=None):
    """Chooses training examples, class by class.

    There is one order of them all, of which the first are taken: a smaller subset lies in a larger one.
    It begins with one of each class; then comes the class that is furthest behind its share (Webster's
    rule). By largest remainders a class would now and then have to give one back as a subset grows.

    Args:
        labels: Integer labels `(n,)`.
        count: Examples wanted, from the number of classes to n.
        seed: Seed of the order within the classes, 0 to 2**32 - 1.
        groups: What each example belongs to, `(n,)`: groups are taken whole, as many as come nearest to
            the count and hold every class. None: each example is by itself.

    Returns:
        Sorted index array of the chosen.

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
        units = rows[:, None]
    else:
        units = {}
        for row, group in zip(rows, np.asarray(groups)[rows].tolist(), strict=True):
            units.setdefault(group, []).append(row)
        units = list(units.values())
    return np.sort(np.concatenate(_first(units, labels, sizes.tolist(), count)))


def _first(units, labels, sizes, count):
    """Returns the units, lists of rows, that a subset of `count` consists of."""
    held_by = [labels[unit].tolist() for unit in units]
    # Of each class: the units that hold some of it, the next one last.
    waiting = [[] for _ in sizes]
    for unit in reversed(range(len(units))):
        for label in set(held_by[unit]):
            waiting[label].append(unit)
    held, total, taken, order = [0] * len(sizes), 0, set(), []

    def lag(label):
        # 0 until there is one; among equals the larger class comes first.
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
    # A group that leads beyond the count stays out where that is nearer to it.
    if spare and total - count >= count - (total - len(units[order[-1]])):
        order.pop()
    return [units[unit] for unit in order]
