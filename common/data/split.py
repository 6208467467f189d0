"""Stratified cuts: every class is held out in proportion, and by one seed alone."""

import numpy as np

from common.errors import RecipeError, UsageError


def check_fraction(fraction):
    """Returns the fraction if it lies in (0, 1).

    Raises:
        UsageError: It does not.
    """
    if not 0 < fraction < 1:
        raise UsageError(
            f"validation_fraction must be greater than 0 and less than 1, got {fraction}"
        )
    return fraction


def check_seed(seed):
    """Returns the seed if NumPy's frozen generator takes it.

    Raises:
        UsageError: It is negative or does not fit 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise UsageError(f"split_seed must be in 0 to {2**32 - 1}, got {seed}")
    return seed


def stratified_cut(labels, fraction, seed):
    """Cuts a share of the examples off, class by class.

    Args:
        labels: Integer labels `(n,)`.
        fraction: Share to hold out, in (0, 1). The total is the nearest whole number of examples;
            classes share it by largest remainder, and each keeps at least one example on both
            sides.
        seed: Seed of the choice.

    Returns:
        Tuple of two sorted index arrays, `(kept, held out)`; together they are all examples.

    Raises:
        RecipeError: A class has fewer than two examples.
    """
    labels = np.asarray(labels)
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        rare = classes[counts.argmin()]
        raise RecipeError(f"class {rare} has one example: too few to cut validation from")
    quotas = counts * fraction
    sizes = np.floor(quotas).astype(int)
    missing = round(fraction * len(labels)) - sizes.sum()
    sizes[np.argsort(sizes - quotas, kind="stable")[:missing]] += 1
    sizes = np.clip(sizes, 1, counts - 1)
    held_out = []
    # RandomState, not default_rng: NumPy guarantees its stream for ever, so the split of a
    # published result can be cut again by any later version.
    random = np.random.RandomState(seed)
    for label, size in zip(classes, sizes, strict=True):
        held_out.append(random.permutation(np.flatnonzero(labels == label))[:size])
    mask = np.zeros(len(labels), bool)
    mask[np.concatenate(held_out)] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)
