"""Pairs of texts, a source and its target: generated, a known collection, or the user's own.

    PATH.tsv, PATH.tsv.gz            source TAB target in each line
    PATH/                            such files whose names say train, test, and perhaps val

All pairs with the same source are in the same split.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.basics.errors import RecipeError, UsageError, near_match
from common.basics.flags import flag
from common.basics.wording import number, printable
from common.data import remarks
from common.data.own import TEST_FRACTION, TEST_SEED
from common.data.sets import PairSet
from common.data.split import check_fraction, check_seed, stratified_cut
from common.data.subset import stratified_subset
from common.data.types import DataInfo, Split, Splits, fingerprint_of

if TYPE_CHECKING:
    from common.data.sample_pairs import Pairs
    from common.data.source import Reading

EXPECTED = (
    "a .tsv or .tsv.gz file with source, tab and target in each line, or a folder of such files whose "
    "names say train, test, and perhaps val"
)
SKIPPED_AT_MOST = 0.1
"""A file with a larger share of lines that are no pair is refused."""
PARTS = {"train": ("train",), "validation": ("val", "dev"), "test": ("test",)}
FEWEST = 20
"""Pairs that are needed to cut three splits from them."""


def generated(
    make: Callable[[list[int]], list[Pairs]],
    counts: Sequence[int],
    *,
    name: str,
    label: str,
    source: str = "full",
    train_examples: int = 0,
    subset_seed: int = 0,
) -> Splits:
    """Returns the splits of generated pairs.

    Args:
        make: `dates` or `addition` of `common.data.sample_pairs`.
        counts: Pairs to train on, to validate on and to test on.
        name: As of DataInfo.
        label: As of DataInfo.
        source: "full" if the pairs are the recipe's data set, "sample" if they replace a real one.
        train_examples: As of `load`.
        subset_seed: As of `load`.
    """
    parts = dict(zip(PARTS, map(_split, make(list(counts))), strict=True))
    digest = hashlib.sha256()
    for split in parts.values():
        digest.update("\n".join([*split.x, *split.y]).encode())
    return _splits(
        parts,
        name=name,
        label=label,
        source=source,
        version="1",
        fingerprint=digest.hexdigest(),
        train_examples=train_examples,
        subset_seed=subset_seed,
    )


def load(
    path: str | Path | None,
    *,
    validation_fraction: float,
    reading: Reading | None = None,
    known: PairSet | None = None,
    train_examples: int = 0,
    subset_seed: int = 0,
) -> Splits:
    """Reads the user's own pairs, or a known collection.

    Args:
        path: File or folder, as above. None: that of `known`, by its environment variable.
        validation_fraction: Share of the training pairs to validate on, if there is no file for that.
        reading: How to read other kinds of data; of pairs it must be empty.
        known: The set that the files must be. None: own data.
        train_examples: Training pairs to keep; 0: all. A smaller subset lies in a larger one.
        subset_seed: Seed that chooses this subset.

    Returns:
        x and y are object arrays of str `(n,)`, the sources and the targets.

    Raises:
        UsageError: There is nothing at the path, or `reading` is not empty.
        RecipeError: What is there cannot be used, or nothing says where `known` is; the message says why.
    """
    check_fraction(validation_fraction)
    given = list(reading.to_dict()) if reading else []
    if given:
        raise UsageError(
            f"{flag(given[0])} says how other data is read; pairs of texts need it not"
        )
    if path is None:
        path = _folder(known)
    path = Path(path).expanduser()
    files = _files(path)
    notes: list[str] = []
    parts: dict[str, Split] = {}
    for part, file in files.items():
        parts[part] = _read(file, notes)
    if known is not None:
        _check_known(path, known, parts)
    if len(parts["train"]) < FEWEST:
        raise RecipeError(f"{path}: {len(parts['train'])} pairs to train on; {FEWEST} are needed")
    test_seen = None
    if "test" in parts:
        sources = set(parts["train"].x)
        test_seen = np.array([text in sources for text in parts["test"].x], bool)
    share_tested = known.test_fraction if known else TEST_FRACTION
    for part, share in (("test", share_tested), ("validation", validation_fraction)):
        if part not in parts:
            train = parts["train"]
            zeros = np.zeros(len(train), "int32")
            kept, held = stratified_cut(zeros, share, TEST_SEED, _groups(train.x))
            parts["train"], parts[part] = train.take(kept), train.take(held)
    how = "given" if "test" in files else "cut off"
    notes.append(
        f"training: {number(len(parts['train']))}, validation: {number(len(parts['validation']))}, "
        f"test: {number(len(parts['test']))} ({how})"
    )
    if test_seen is not None and test_seen.any():
        notes.append(f"test sources that also occur in training: {number(int(test_seen.sum()))}")
    return _splits(
        parts,
        name=known.name if known else printable(path.name.split(".")[0]),
        label=known.label if known else printable(path.resolve().name),
        source="full" if known else "own",
        version="",
        fingerprint=fingerprint_of(files.items()),
        notes=notes,
        test_seen=test_seen,
        train_examples=train_examples,
        subset_seed=subset_seed,
    )


def _splits(parts, *, notes=(), test_seen=None, train_examples=0, subset_seed=0, **info):
    check_seed(subset_seed, "subset_seed")
    train, notes = parts["train"], list(notes)
    if train_examples:
        zeros = np.zeros(len(train), "int32")
        rows = stratified_subset(zeros, train_examples, subset_seed, _groups(train.x))
        notes.append(remarks.subset(len(rows), len(train), train_examples))
        train = train.take(rows)
    counts = {"train": len(train), **{part: len(parts[part]) for part in ("validation", "test")}}
    info = DataInfo(
        kind="pair", class_names=(), note="", counts=counts, remarks=tuple(notes), **info
    )
    return Splits(train, parts["validation"], parts["test"], info, test_seen)


def _split(pairs):
    arrays = []
    for texts in pairs:
        array = np.empty(len(texts), object)
        array[:] = texts
        arrays.append(array)
    return Split(*arrays)


def _groups(sources):
    """Returns integers that are equal where sources are; None where all differ."""
    _, groups = np.unique(sources.astype(str), return_inverse=True)
    return None if groups.max() + 1 == len(groups) else groups


def _files(path):
    """Returns the files by part, a dict with "train" in it."""
    if not str(path) or not path.exists():
        raise UsageError(
            f"no data at '{path}'{near_match(str(path), ['full', 'sample'])}; --data takes 'full', "
            f"'sample', or the path of your own data ({EXPECTED})"
        )
    if path.is_file():
        if not path.name.lower().endswith((".tsv", ".tsv.gz")):
            raise RecipeError(f"this recipe reads pairs of texts: expected {EXPECTED}; got {path}")
        return {"train": path}
    there = sorted(
        each for each in path.iterdir() if each.name.lower().endswith((".tsv", ".tsv.gz"))
    )
    files = {}
    for part, words in PARTS.items():
        found = [each for each in there if any(word in each.name.lower() for word in words)]
        if len(found) > 1:
            names = ", ".join(each.name for each in found)
            raise RecipeError(f"{path} holds several files for {part} ({names}): leave one there")
        if found:
            files[part] = found[0]
    if "train" not in files:
        raise RecipeError(
            f"this recipe reads pairs of texts: expected {EXPECTED}; {path} has no file for train"
        )
    return files


def _read(path, notes):
    """Returns the Split of a file, and adds remarks on it."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            lines = [line.rstrip("\r\n").split("\t") for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 text ({error.reason}); save it as that") from error
    except (OSError, EOFError) as error:
        raise RecipeError(f"cannot read {path}: {error}") from error
    pairs = [(cells[0].strip(), cells[1].strip()) for cells in lines if len(cells) > 1]
    pairs = [pair for pair in pairs if all(pair)]
    skipped = len(lines) - len(pairs)
    if not pairs or skipped > SKIPPED_AT_MOST * len(lines):
        raise RecipeError(
            f"{path}: {skipped:,} of {len(lines):,} lines are no pair; expected source, tab and target "
            "in each line"
        )
    sources, targets = map(list, zip(*pairs, strict=True))
    words = round(statistics.median(len(text.split()) for text in sources))
    left = f"; {number(skipped)} lines that are no pair left out" if skipped else ""
    copies = len(sources) - len(set(sources))
    notes.append(
        f"{path.name}: {number(len(pairs))} pairs, {number(len(sources) - copies)} different sources of "
        f"{number(words)} words in the median{left}"
    )
    return _split((sources, targets))


def _folder(known):
    folder = os.environ.get(known.variable)
    if not folder:
        raise RecipeError(
            f"{known.where}, and name that folder with --data-dir or {known.variable}"
        )
    return folder


def _check_known(path, known, parts):
    counts = {part: len(split) for part, split in parts.items()}
    wanted = dict(zip(PARTS, known.counts, strict=False))
    if counts != wanted:

        def said(counts):
            return ", ".join(f"{part} {count:,}" for part, count in counts.items())

        raise RecipeError(
            f"{path} is not {known.label}: expected {said(wanted)} pairs, found {said(counts)}; other "
            "pairs are given as --data PATH"
        )
