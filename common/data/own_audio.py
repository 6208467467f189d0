"""The user's own sound: a folder with one folder of WAV files per class, or a CSV of paths and labels."""

import dataclasses
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from common.data import folders, named_files
from common.data.audio import read_wave
from common.data.progress import progress
from common.data.source import Reading
from common.data.types import OwnArrays


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
    return _read_clips(folders.listed(path, folders.SOUNDS, reading), rate, samples)


def read_csv(files: Mapping[str, Path], rate: int, samples: int, reading: Reading) -> OwnArrays:
    """Reads the WAV files that CSV files name.

    Args:
        files: The CSV file of "train", and perhaps of "test".
        rate, samples: As of `read`.
        reading: Names of the columns.

    Returns:
        As of `read`.

    Raises:
        RecipeError: A file cannot be used; the message says why.
    """
    return _read_clips(named_files.listed(files, folders.SOUNDS, reading), rate, samples)


def _read_clips(found, rate, samples):
    """Returns OwnArrays of clips for those whose x are Paths."""
    train, test = (
        None if split is None else dataclasses.replace(split, x=_clips(split.x, rate, samples))
        for split in (found.train, found.test)
    )
    remarks = (_sizes(rate, samples), *found.remarks)
    return dataclasses.replace(found, kind="audio", train=train, test=test, remarks=remarks)


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
