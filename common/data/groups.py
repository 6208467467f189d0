"""Finds the examples that must stay together: copies of one example, and groups of the user's."""

import dataclasses
import hashlib

import numpy as np

from common.data import remarks
from common.data.types import OwnArrays


@dataclasses.dataclass(frozen=True, eq=False)
class Together:
    """The result of `find`."""

    units: np.ndarray | None
    """An integer for each training example, `(n,)`. Examples with equal integers must stay on one side
    of every split. None: no two examples belong together."""
    copies: np.ndarray
    """An integer for each training example, `(n,)`: equal examples have equal ones."""
    test_seen: np.ndarray | None
    """Which examples of the test split occur in training too, bool `(n,)`. None: no test split was
    given."""
    remarks: tuple[str, ...]
    """Lines for a person."""


def find(arrays: OwnArrays) -> Together:
    """Finds the examples that must stay together.

    Copies must, but for those of data that is split by time: what occurs again later does so in use, too.
    """
    known: dict[bytes, int] = {}
    ids = _ids(arrays.train.x, known)
    names = arrays.names or [f"example {row + 1}" for row in range(len(ids))]
    by_time = arrays.train.times is not None
    labels = np.asarray(arrays.train.y)
    lines = remarks.copies(ids, labels, arrays.class_names, names, by_time)
    test_seen = None
    if arrays.test is not None:
        count = len(known)
        test_seen = _ids(arrays.test.x, known) < count
        lines += remarks.seen(test_seen)
    units = np.arange(len(ids)) if by_time else ids
    if arrays.groups is not None:
        lines += _of_groups(arrays)
        units = _joined(units, np.unique(arrays.groups, return_inverse=True)[1])
    alone = len(np.unique(units)) == len(units)
    return Together(None if alone else units, ids, test_seen, tuple(lines))


def _ids(x, known):
    """Returns an integer for each example, `(n,)`. Equal examples have equal integers.

    Args:
        x: Images, texts, or rows of a table.
        known: Integer of each digest of an example; this function adds new ones.
    """
    # Reading rows of a plain array is several times faster than rows of a memory map.
    rows = (known.setdefault(_digest(example), len(known)) for example in np.asarray(x))
    return np.fromiter(rows, np.int64, len(x))


def _digest(example):
    if isinstance(example, np.ndarray) and example.dtype == object:
        example = "\0".join(example)  # A row of a table. Its own bytes would be addresses.
    text = isinstance(example, str)
    held = example.encode("utf-8", "surrogatepass") if text else np.ascontiguousarray(example)
    return hashlib.blake2b(held, digest_size=16).digest()


def _joined(ids, groups):
    """Returns the connected components `(n,)` of the examples, linked by equal ids or equal groups."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    offset = ids.max() + 1
    nodes = offset + groups.max() + 1
    links = coo_array((np.ones(len(ids)), (ids, offset + groups)), shape=(nodes, nodes))
    return connected_components(links, directed=False)[1][ids].astype(np.int64)


def _of_groups(arrays):
    groups, counts = np.unique(arrays.groups, return_counts=True)
    several = counts[counts > 1]
    alone = len(counts) - len(several)
    lines = [
        f"groups: {len(several):,} of {several.min(initial=len(arrays.train)):,} to "
        f"{several.max(initial=0):,} training examples"
        + (f", and {alone:,} examples by themselves" if alone else "")
        + "; each group stays on one side of every split"
    ]
    if arrays.test_groups is not None:
        shared = np.isin(arrays.test_groups, groups)
        if shared.any():
            lines.append(
                f"test split: {shared.sum():,} of its {len(shared):,} examples belong to groups that are "
                "also in the training data; its scores may be too good"
            )
    return lines
