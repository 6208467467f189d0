"""Reading .npz files that may be damaged, or claim more than they hold."""

import contextlib
import math
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

# DEFLATE cannot compress further. A file that claims more is damaged or a decompression bomb.
_MAXIMUM_EXPANSION = 1032
_FLOOR_BYTES = 1 << 20


PICKLED = "it holds pickled Python objects, which could run code and are not read"


def names(path: str | Path) -> list[str]:
    """Returns the names of the arrays in an .npz file; raises what `read` does."""
    with _archive(path) as archive:
        return [part.filename.removesuffix(".npy") for part in archive.infolist()]


def read(path: str | Path, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """Reads the arrays of the given names from an .npz file.

    The headers are checked first, because NumPy allocates the size that a header claims before it reads
    any data.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is damaged, lacks an array, or holds other things than plain arrays. The
            message says which.
    """
    size = Path(path).stat().st_size
    with _archive(path) as archive:
        held = {part.filename.removesuffix(".npy"): part for part in archive.infolist()}
        missing = [name for name in wanted if name not in held]
        if missing:
            raise ValueError(f"it lacks '{missing[0]}'")
        return {name: _read(archive, held[name], name, size) for name in wanted}


@contextlib.contextmanager
def _archive(path):
    """Yields the open archive. What NumPy and zipfile raise for a damaged one becomes a ValueError."""
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except MemoryError as error:
            raise ValueError("it does not fit into memory") from error
        except Exception as error:  # Many types: from zipfile, decompressors and Python's parser.
            raise ValueError(str(error) or type(error).__name__) from error


def _read(archive, part, name, size):
    most = min(part.compress_size, size)
    if part.compress_type != zipfile.ZIP_STORED:
        most = _FLOOR_BYTES + _MAXIMUM_EXPANSION * most
    if part.file_size > most:
        raise ValueError(f"'{name}' claims {part.file_size:,} bytes, and the file has {size:,}")
    with archive.open(part) as stream:
        read_header = np.lib.format.read_array_header_2_0
        if np.lib.format.read_magic(stream) == (1, 0):
            read_header = np.lib.format.read_array_header_1_0
        shape, _, dtype = read_header(stream)
        if dtype.hasobject:
            raise ValueError(PICKLED)
        claimed, found = math.prod(shape) * dtype.itemsize, part.file_size - stream.tell()
        if not 0 <= claimed <= found:
            raise ValueError(f"'{name}' claims {claimed:,} bytes, and {found:,} are there")
    with archive.open(part) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
