"""The parts of a data set. NumPy is not imported here, so that declaring a data set stays fast."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import typing
from collections.abc import Callable, Iterable

if typing.TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

Arrays: typing.TypeAlias = "np.ndarray | tuple | dict"
"""One array, or a tuple or dict of arrays, which may be nested."""


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Examples and their labels.

    Args:
        x: uint8 `(n, height, width, channels)`, an object array of str `(n,)`, any other array
            `(n, ...)`, or a tuple or dict of arrays with one row per example each.
        y: int32 `(n,)`, indices into the class names; of tasks without classes any array `(n, ...)`, or
            a tuple or dict of arrays.
        groups: Group of each example, integers `(n,)`: the examples of a group stay on one side of every
            cut. None: there are no groups.
        names: What the user's CSV calls the file of each example, object array of str `(n,)`. None: no
            CSV names files.
        times: Time of each example, datetime64 or float64 `(n,)`: the latest ones are held out. None:
            they are held out at random.
    """

    x: typing.Any
    y: typing.Any
    groups: np.ndarray | None = None
    names: np.ndarray | None = None
    times: np.ndarray | None = None

    def __len__(self) -> int:
        part = self.y
        while isinstance(part, tuple | dict):
            part = next(iter(part.values() if isinstance(part, dict) else part))
        return len(part)

    def take(self, rows: np.ndarray) -> Split:
        """Returns the examples at the given integer indices, in that order."""
        others = (
            None if each is None else each[rows] for each in (self.groups, self.names, self.times)
        )
        return Split(_take(self.x, rows), _take(self.y, rows), *others)


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
    """Description of the data of a run, recorded with every result."""

    name: str
    """Short name, e.g. 'cifar10'; samples are 'sample-...'."""
    version: str
    """Version of the data set or of the sample's generator; '' for the user's own data."""
    source: str
    """'full', 'sample' or 'own'."""
    fingerprint: str
    """SHA-256 in hexadecimal: of the files for 'full' and 'own', of the arrays for 'sample'."""
    kind: str
    """'image', 'text', 'audio' or 'table', or another word where a recipe makes its own data."""
    class_names: tuple[str, ...]
    """Names of the classes; a label is an index into them. None where numbers are predicted."""
    label: str
    """Name for tables and titles, e.g. 'CIFAR-10, JPEG copy'."""
    note: str
    """A sentence on why figures differ from published ones, or ''."""
    counts: dict[str, int]
    """Examples in 'train', 'validation' and 'test'."""
    reading: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    """How the user's data was read, as far as predictions must do the same: `value_range`, ..."""
    remarks: tuple[str, ...] = ()
    """Lines for a person: what was read, and what is unusual about it."""

    def to_dict(self) -> dict[str, typing.Any]:
        """Returns the fields as values that JSON can hold."""
        lists = {"class_names": list(self.class_names), "remarks": list(self.remarks)}
        return {**dataclasses.asdict(self), **lists}


class Splits:
    """The three splits of a data set.

    Args:
        train: Examples to train on.
        val: Examples to validate on, cut from the training data.
        test: The test split, or a function that returns it. The function is called when `.test` is
            first read; a hyperparameter search never reads it.
        info: Description of the data.
        test_seen: Which examples of a test split that was given or cut off by time occur in the training
            data too, bool `(n,)`. None: none does, as copies stayed on one side of the cut.
    """

    def __init__(
        self,
        train: Split,
        val: Split,
        test: Split | Callable[[], Split],
        info: DataInfo,
        test_seen: np.ndarray | None = None,
    ) -> None:
        self.train = train
        self.val = val
        self.info = info
        self.test_seen = test_seen
        self._test = test

    @functools.cached_property
    def test(self) -> Split:
        """The test split, loaded on first use."""
        return self._test() if callable(self._test) else self._test


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set before the validation split is cut from it. Each source of data returns one."""

    name: str
    version: str
    source: str
    fingerprint: str
    kind: str
    class_names: list[str]
    label: str
    note: str
    train: Split
    load_test: Callable[[], Split]
    test_count: int
    reading: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    """As of DataInfo."""
    remarks: tuple[str, ...] = ()
    """As of DataInfo."""
    test_seen: np.ndarray | None = None
    """As of Splits."""
    names: list[str] | None = None
    """Name of each training example's file, if a recipe needs them to choose the test split."""


@dataclasses.dataclass(frozen=True, eq=False)
class OwnArrays:
    """The user's own data as it was read. `test` is None if there is no test split."""

    kind: str
    fingerprint: str
    class_names: list[str]
    train: Split
    test: Split | None
    reading: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    """As of DataInfo."""
    remarks: tuple[str, ...] = ()
    """Lines on what only this kind of data has: sizes of images, skipped files. Classes and copies are
    described for all kinds elsewhere."""
    groups: np.ndarray | None = None
    """Group of each training example, `(n,)`, of any type that NumPy sorts (strings, integers)."""
    test_groups: np.ndarray | None = None
    """Group of each test example, if there is a test split."""
    names: list[str] | None = None
    """Name of each training example in a message, e.g. 'cat/1.png' or 'line 12'; None: its number."""


def fingerprint_of(named_files: Iterable[tuple[str, Path]]) -> str:
    """Returns the SHA-256, hexadecimal, of the names and the content of files.

    Args:
        named_files: The name that counts, and the path of each file.
    """
    digest = hashlib.sha256()
    for name, path in named_files:
        # A file name need not be UTF-8; Python keeps the other bytes as surrogates.
        digest.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
