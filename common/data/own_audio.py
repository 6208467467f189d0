"""The user's own sound: a folder with one folder of WAV files per class, or a CSV of paths and labels."""

import dataclasses
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from common.basics.wording import printable
from common.data import own_csv
from common.data.audio import read_wave
from common.data.folders import SOUNDS, describe_skipped, groups_of, list_parts
from common.data.progress import progress
from common.data.source import Reading
from common.data.types import OwnArrays, Split, fingerprint_of


def read(path: Path, rate: int, samples: int, reading: Reading) -> OwnArrays:
    """Reads a folder of class folders.

    Args:
        path: The folder, which may hold train/ and test/.
        rate: Samples per second; other rates are resampled.
        samples: Length of every clip, in samples.
        reading: How the clips are grouped.

    Returns:
        `x` of the splits is float32 `(n, samples)`.

    Raises:
        UsageError: Folders of groups were announced, and there are none.
        RecipeError: A file cannot be used; the message says why.
    """
    found = list_parts(path, SOUNDS)
    splits = {
        part: Split(_clips(files, rate, samples), found.labels[part])
        for part, files in found.files.items()
    }
    groups = groups_of(found) if reading.group_folders else {}
    lines = [f"skipped: {describe_skipped(found.skipped)}"] if found.skipped else []
    return OwnArrays(
        "audio",
        found.fingerprint(),
        [printable(name) for name in found.classes],
        splits["train"],
        splits.get("test"),
        remarks=(_sizes(rate, samples), *lines),
        groups=groups.get("train"),
        test_groups=groups.get("test"),
        names=found.names("train"),
    )


def read_csv(files: Mapping[str, Path], rate: int, samples: int, reading: Reading) -> OwnArrays:
    """Reads the WAV files that CSV files name in a column `path`, or another that `reading` names.

    Args:
        files: The CSV file of "train", and perhaps of "test". Paths in it are relative to its folder.
        rate, samples: As of `read`.
        reading: Names of the columns; `text_column` is that of the paths.

    Returns:
        As of `read`.

    Raises:
        RecipeError: A file cannot be used; the message says why.
    """
    reading = dataclasses.replace(reading, text_column=reading.text_column or "path")
    table = own_csv.read(files, reading, words=False)
    splits, named = {}, []
    for part, split in (("train", table.train), ("test", table.test)):
        if split is not None:
            paths = [files[part].parent / name.strip() for name in split.x]
            splits[part] = Split(_clips(paths, rate, samples), split.y)
            named += [*zip(split.x, paths, strict=True)]
    return dataclasses.replace(
        table,
        kind="audio",
        fingerprint=fingerprint_of([*files.items(), *named]),
        train=splits["train"],
        test=splits.get("test"),
        remarks=(_sizes(rate, samples), *table.remarks),
    )


def _clips(files, rate, samples):
    """Returns float32 `(n, samples)`."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        read_one = pool.map(lambda file: read_wave(file, rate, samples), files)
        try:
            return np.stack(list(progress(read_one, len(files), "reading sound")))
        except BaseException:
            # Otherwise an interrupt would wait until the whole queue is done.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _sizes(rate, samples):
    return (
        f"clips are read at {rate:,} samples a second and made {samples / rate:g} s long: shorter ones "
        "get silence, longer ones are cut to the stretch with the most energy"
    )
