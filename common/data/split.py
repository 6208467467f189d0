"""Stratified cuts: each class is held out in proportion, and the choice depends on one seed only."""

from collections.abc import Sequence

import numpy as np

from common.basics.errors import RecipeError, UsageError

ORDERS = 20
"""Number of random orders in which groups are tried. More hardly improve the cut of a small set."""


def check_fraction(fraction: float) -> float:
    """Returns the fraction if it lies in (0, 1).

    Raises:
        UsageError: It does not.
    """
    if not 0 < fraction < 1:
        raise UsageError(
            f"validation_fraction must be greater than 0 and less than 1, got {fraction}"
        )
    return fraction


def check_seed(seed: int, name: str = "split_seed") -> int:
    """Returns the seed if it is one of RandomState: 0 to 2**32 - 1.

    Args:
        seed: The seed.
        name: Its name in the message.

    Raises:
        UsageError: It is negative or does not fit 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise UsageError(f"{name} must be in 0 to {2**32 - 1}, got {seed}")
    return seed


def strata(targets: np.ndarray | Sequence) -> np.ndarray:
    """Returns the labels `(n,)` to cut by: classes as they are; numbers all count as one class."""
    targets = np.asarray(targets)
    return targets if np.issubdtype(targets.dtype, np.integer) else np.zeros(len(targets), int)


def stratified_cut(
    labels: np.ndarray | Sequence[int],
    fraction: float,
    seed: int,
    groups: np.ndarray | Sequence | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Holds out a share of the examples, class by class.

    Args:
        labels: Integer labels `(n,)`.
        fraction: Share to hold out, in (0, 1). The total is the nearest whole number of examples;
            classes share it by largest remainder, and each keeps at least one example on both
            sides.
        seed: Seed of the choice.
        groups: Group of each example, `(n,)`; examples of one group stay on one side. The shares are
            then met as nearly as whole groups allow. None: there are no groups.

    Returns:
        Two sorted index arrays, `(kept, held out)`; together they are all examples.

    Raises:
        RecipeError: A class has fewer than two examples, or fewer than two groups.
    """
    labels = np.asarray(labels)
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        rare = classes[counts.argmin()]
        raise RecipeError(f"class {rare} has one example: too few to cut validation from")
    sizes = _sizes(counts, fraction)
    # RandomState, not default_rng: NumPy guarantees its stream for ever, so any later version can cut
    # the split of a published result again.
    random = np.random.RandomState(seed)
    mask = np.zeros(len(labels), bool)
    if groups is not None and len(np.unique(groups)) < len(labels):
        mask[_whole_groups(labels, np.asarray(groups), sizes, random)] = True
        return np.flatnonzero(~mask), np.flatnonzero(mask)
    for label, size in zip(classes, sizes, strict=True):
        mask[random.permutation(np.flatnonzero(labels == label))[:size]] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _sizes(counts, fraction):
    """Returns how many examples of each class to hold out."""
    quotas = counts * fraction
    sizes = np.floor(quotas).astype(int)
    missing = round(fraction * counts.sum()) - sizes.sum()
    sizes[np.argsort(sizes - quotas, kind="stable")[:missing]] += 1
    sizes = np.clip(sizes, 1, counts - 1)
    return np.clip(sizes, 1, counts - 1)


def _whole_groups(labels, groups, sizes, random):
    """Returns the rows of the groups to hold out.

    Groups are tried in random order, and one is taken if it brings the classes nearer to their sizes.
    The order matters if groups are few and large, so several orders are tried.

    Args:
        labels: Integers `(n,)`.
        groups: Values `(n,)`, some of them equal.
        sizes: Examples of each class to hold out, in the order of the labels.
        random: RandomState.
    """
    _, labels = np.unique(labels, return_inverse=True)
    _, groups = np.unique(groups, return_inverse=True)
    pairs, counts = np.unique(np.stack([groups, labels]), axis=1, return_counts=True)
    # For each group, a list of (class, number of its examples).
    held_by = [[] for _ in range(groups.max() + 1)]
    for group, label, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        held_by[group].append((label, count))
    in_class = np.bincount(pairs[1])
    if in_class.min() < 2:
        raise RecipeError(
            f"all examples of class {in_class.argmin()} belong together (copies of one, or one group), "
            "so none can be held out: a class needs two groups or more"
        )
    best, least = None, np.inf
    for _ in range(ORDERS):
        chosen, distance = _choose(held_by, in_class, sizes.tolist(), random)
        if distance < least:
            best, least = chosen, distance
        if least == 0:
            break
    if best is None:
        raise RecipeError(
            "no choice of whole groups leaves every class on both sides of the split: too few groups "
            "hold several classes; make the groups smaller, or add examples"
        )
    return np.flatnonzero(np.isin(groups, best))


def _choose(held_by, in_class, sizes, random):
    """Returns groups to hold out, and their distance from the sizes (infinite: a class has none)."""
    held = [0] * len(sizes)
    # The rest will be cut again, so two groups of each class stay there, if it has as many.
    spare = [groups - min(2, groups - 1) for groups in in_class.tolist()]
    chosen = []

    def gain(group):
        # Squares relative to the size: large deviations and rare classes count most.
        return sum(
            ((sizes[label] - held[label]) ** 2 - (sizes[label] - held[label] - count) ** 2)
            / sizes[label]
            for label, count in held_by[group]
        )

    def take(group):
        chosen.append(group)
        for label, count in held_by[group]:
            held[label] += count
            spare[label] -= 1

    def can_take(group):
        return all(spare[label] > 0 for label, _ in held_by[group])

    order = random.permutation(len(held_by)).tolist()
    for group in order:
        if can_take(group) and gain(group) > 0:
            take(group)
    for label in range(len(sizes)):
        if held[label] == 0:
            # Every group of the class is larger than the size asked for, so the nearest one is taken.
            able = [
                group
                for group in order
                if can_take(group) and any(found == label for found, _ in held_by[group])
            ]
            if not able:
                return None, np.inf
            take(max(able, key=gain))
    return chosen, sum((want - got) ** 2 / want for want, got in zip(sizes, held, strict=True))
