"""What a data set is made of. No NumPy before there is data: recipes declare theirs without."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import typing
from collections.abc import Callable

if typing.TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Examples and their labels.

    Args:
        x: uint8 `(n, height, width, channels)`, an object array of str `(n,)`, any other array
            `(n, ...)`, or a tuple or dict of arrays with one row per example each.
        y: int32 `(n,)`, indices into the class names; of tasks without classes any array `(n, ...)`, or
            a tuple or dict of arrays.
        groups: Integers `(n,)`: examples of equal value belong together, and no cut parts them; None:
            each example is by itself.
    """

    x: np.ndarray | tuple | dict
    y: np.ndarray | tuple | dict
    groups: np.ndarray | None = None

    def __len__(self):
        part = self.y
        while isinstance(part, tuple | dict):
            part = next(iter(part.values() if isinstance(part, dict) else part))
        return len(part)

    def take(self, rows):
        """Returns the Split of the given rows (integer indices), in their order."""

        groups = None if self.groups is None else self.groups[rows]
        return Split(_take(self.x, rows), _take(self.y, rows), groups)


def _take(part, rows):
    import numpy as np

    if isinstance(part, dict):
        return {name: _take(each, rows) for name, each in part.items()}
    if isinstance(part, tuple):
        return tuple(_take(each, rows) for each in part)
    # Indexing the plain array under a memory map is several times faster than the map itself.
    return np.asarray(part)[rows]


@dataclasses.dataclass(frozen=True)
class DataInfo:
    """What was trained on, as it is recorded beside every result."""

    name: str
    """Short name, e.g. 'cifar10'; samples are 'sample-...'."""
    version: str
    """Version of the data set or of the sample's generator; '' for the user's own data."""
    source: str
    """'full', 'sample' or 'own'."""
    fingerprint: str
    """SHA-256 in hexadecimal: of the files for 'full' and 'own', of the arrays for 'sample'."""
    kind: str
    """'image', 'text' or 'audio'."""
    class_names: tuple[str, ...]
    """Names of the classes; a label is an index into them."""
    label: str
    """Name for tables and titles, e.g. 'CIFAR-10, JPEG copy'."""
    note: str
    """A sentence on why figures differ from published ones, or ''."""
    counts: dict
    """Examples in 'train', 'validation' and 'test'."""
    reading: dict = dataclasses.field(default_factory=dict)
    """How own data was read, as far as predictions must be made alike: `value_range`, ..."""
    remarks: tuple[str, ...] = ()
    """Lines for a person: what was read, and what is odd about it."""

    def to_dict(self):
        """Returns a dictionary that JSON can hold."""
        lists = {"class_names": list(self.class_names), "remarks": list(self.remarks)}
        return {**dataclasses.asdict(self), **lists}


class Splits:
    """The three splits of a data set.

    Args:
        train: Split.
        val: Split, cut from the training data.
        test: Split, or a function that returns it. It is called when `.test` is first read: a
            hyperparameter search never does.
        info: DataInfo.
        test_seen: Which examples of a test split that the user gave occur in the training data as well,
            bool `(n,)`; None: none can, as the test split was cut from the same data.
    """

    def __init__(self, train, val, test, info, test_seen=None):
        self.train = train
        self.val = val
        self.info = info
        self.test_seen = test_seen
        self._test = test

    @functools.cached_property
    def test(self):
        """The test split, loaded on first use."""
        return self._test() if callable(self._test) else self._test


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set before validation is cut; what each source hands to `common.data`."""

    name: str
    version: str
    source: str
    fingerprint: str
    kind: str
    class_names: list
    label: str
    note: str
    train: Split
    load_test: Callable[[], Split]
    test_count: int
    reading: dict = dataclasses.field(default_factory=dict)
    """As of DataInfo."""
    remarks: tuple[str, ...] = ()
    """As of DataInfo."""
    test_seen: np.ndarray | None = None
    """As of Splits."""
    names: list | None = None
    """Names of the files of the training examples, where they tell what belongs together; or None."""


@dataclasses.dataclass(frozen=True, eq=False)
class OwnArrays:
    """What was read of the user's own data; `test` is None where it has no test split."""

    kind: str
    fingerprint: str
    class_names: list
    train: Split
    test: Split | None
    reading: dict = dataclasses.field(default_factory=dict)
    """As of DataInfo."""
    remarks: tuple[str, ...] = ()
    """Of what this kind of data has only: sizes, what was skipped. Classes and copies are told of
    all kinds alike."""
    groups: np.ndarray | None = None
    """What the training examples belong to, `(n,)` of any values that NumPy sorts (strings, integers);
    equal values belong together."""
    test_groups: np.ndarray | None = None
    """The same of the test examples, where there is a test split."""
    names: list | None = None
    """What to call a training example in a message, e.g. 'cat/1.png' or 'line 12'; None: its number."""


def fingerprint_of(named_files):
    """Returns the SHA-256, hexadecimal, of the names and the content of files.

    Args:
        named_files: Iterable of (name to count, path).
    """
    digest = hashlib.sha256()
    for name, path in named_files:
        # A file name need not be UTF-8; Python carries the bytes that are not as surrogates.
        digest.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
