"""Decoded arrays on disk, opened as memory maps: a later start takes milliseconds.

    <cache>/<name>/<version>-<fingerprint>/
      meta.json                          what it is, and a checksum of each array
      train_x.npy train_y.npy            images uint8 and labels int32, or
      train_x.npy train_offsets.npy ...  texts as one UTF-8 uint8 blob and int64 offsets, or
      train_x.npy train_offsets.npy ...  clips as one int16 blob, with train_names.npy and its offsets
      test_...                           the same

An entry is written into a temporary folder and renamed into place, so it is whole or absent. Two
processes may write the same entry at once: the first rename wins, and both read that entry.
"""

import atexit
import contextlib
import errno
import json
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.basics import partial
from common.basics.errors import RecipeError
from common.basics.files import cache_folder, make_folder, put_in_place, sync
from common.data.types import Split

FORMAT = 1
"""Increased when the layout changes. Entries of another format are written again."""


class Entry:
    """An opened cache entry.

    All arrays are mapped on opening, so that a run keeps its test split even if somebody clears the
    cache meanwhile.

    Args:
        folder: The entry's folder.

    Raises:
        ValueError: The entry is damaged or of another format.
        OSError: It is absent or unreadable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.meta: dict[str, Any] = json.loads(
            (self.folder / "meta.json").read_text(encoding="utf-8")
        )
        if not isinstance(self.meta, dict) or self.meta.get("format") != FORMAT:
            raise ValueError("another cache format")
        self._arrays: dict[str, np.ndarray] = {}
        for name, checksum in self.meta["checksums"].items():
            array = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if _checksum(array) != checksum:
                raise ValueError(f"{name}.npy does not match its checksum")
            self._arrays[name] = array
        if not {"train_x", "train_y", "test_x", "test_y"} <= set(self._arrays):
            raise ValueError("arrays are missing")

    def count(self, split: str) -> int:
        """Returns the number of examples of a split."""
        return len(self._arrays[f"{split}_y"])

    def split(self, name: str) -> Split:
        """Returns a split: images as a memory map; texts (str) and clips (int16) as an object array."""
        x = self._arrays[f"{name}_x"]
        y = np.array(self._arrays[f"{name}_y"])
        if self.meta["kind"] == "text":
            x = unpack_texts(x, self._arrays[f"{name}_offsets"])
        if self.meta["kind"] == "audio":
            clips, x = np.split(x, self._arrays[f"{name}_offsets"][1:-1]), np.empty(len(y), object)
            x[:] = clips[: len(y)]
        return Split(x, y)

    def names(self, split: str) -> list[str] | None:
        """Returns the name of each example's file, or None if the entry holds no names."""
        if f"{split}_names" not in self._arrays:
            return None
        offsets = self._arrays[f"{split}_names_offsets"]
        return unpack_texts(self._arrays[f"{split}_names"], offsets).tolist()


def get(
    name: str, version: str, fingerprint: str, build: Callable[[Path], dict[str, Any]]
) -> Entry:
    """Returns the entry of a data set; builds it if it is absent or damaged.

    Args:
        name: Name of the data set.
        version: Its version.
        fingerprint: SHA-256 of its files, hexadecimal.
        build: Writes the arrays into the folder it is given, and returns a dictionary with `kind`
            and whatever else `meta.json` should hold.

    Raises:
        RecipeError: The disk is full, or `build` raised it.
    """
    folder = cache_folder() / name / f"{version}-{fingerprint[:16]}"
    # Even if nothing is written now: a killed process may have left a whole data set behind.
    partial.remove_abandoned(folder.parent)
    entry = _open(folder, fingerprint)
    if entry is not None:
        return entry
    with contextlib.ExitStack() as cleanup:
        try:
            make_folder(folder.parent)
            new = cleanup.enter_context(partial.folder_in(folder.parent))
        except OSError as error:
            print(
                f"note: the cache folder {cache_folder()} cannot be written "
                f"({error.strerror or error}), so the data is decoded again at "
                "every start; KERAS_RECIPE_BOX_CACHE names another folder",
                file=sys.stderr,
            )
            temporary = Path(tempfile.mkdtemp(prefix="keras-recipe-box-"))
            atexit.register(shutil.rmtree, temporary, ignore_errors=True)
            folder, new = temporary / "entry", temporary / "new"
            new.mkdir()
        try:
            meta = build(new)
            _seal(new, {**meta, "name": name, "version": version, "fingerprint": fingerprint})
            return _move_into_place(new, folder, fingerprint)
        except OSError as error:
            raise RecipeError(
                f"could not write the array cache in {folder.parent}: {error.strerror or error}. "
                "Free some space, or name another folder in KERAS_RECIPE_BOX_CACHE"
            ) from error


def find(name: str) -> list[Entry]:
    """Returns all whole entries of a data set."""
    try:
        folders = sorted(path for path in (cache_folder() / name).iterdir() if path.is_dir())
    except OSError:
        return []
    entries = (_open(path) for path in folders if not path.name.startswith("."))
    return [entry for entry in entries if entry is not None]


def write_split(
    folder: Path, split: str, x: np.ndarray | Sequence[str | bytes], y: np.ndarray | Sequence[int]
) -> None:
    """Writes one split into the folder of an entry under construction.

    Args:
        folder: What `build` was given.
        split: `"train"` or `"test"`.
        x: uint8 images `(n, h, w, c)`, or a sequence of str or UTF-8 bytes.
        y: Integer labels `(n,)`.
    """
    folder = Path(folder)
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8:
        x, offsets = pack_texts(x)
        np.save(folder / f"{split}_offsets.npy", offsets)
    np.save(folder / f"{split}_x.npy", x)
    np.save(folder / f"{split}_y.npy", np.asarray(y, np.int32))


def write_clips(
    folder: Path,
    split: str,
    clips: Sequence[np.ndarray],
    y: np.ndarray | Sequence[int],
    names: Sequence[str | bytes],
) -> None:
    """Writes one split of sound into the folder of an entry under construction.

    Args:
        folder: What `build` was given.
        split: `"train"` or `"test"`.
        clips: int16 arrays, each of any length.
        y: Integer labels `(n,)`.
        names: Name of each clip's file, as str or UTF-8 bytes.
    """
    folder = Path(folder)
    offsets = np.cumsum([0, *map(len, clips)], dtype=np.int64)
    packed, names_offsets = pack_texts(names)
    np.save(folder / f"{split}_x.npy", np.concatenate([*clips, np.zeros(0, np.int16)]))
    np.save(folder / f"{split}_offsets.npy", offsets)
    np.save(folder / f"{split}_names.npy", packed)
    np.save(folder / f"{split}_names_offsets.npy", names_offsets)
    np.save(folder / f"{split}_y.npy", np.asarray(y, np.int32))


def pack_texts(texts: np.ndarray | Sequence[str | bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the texts as one uint8 blob of UTF-8, and int64 offsets `(n + 1,)` into it."""
    encoded = [text.encode("utf-8") if isinstance(text, str) else text for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def unpack_texts(blob: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns the texts that `pack_texts` packed, as an object array of str `(n,)`."""
    data, bounds = blob.tobytes(), offsets.tolist()
    texts = np.empty(len(bounds) - 1, object)
    for row in range(len(texts)):
        texts[row] = data[bounds[row] : bounds[row + 1]].decode("utf-8")
    return texts


def _checksum(array):
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def _open(folder, fingerprint=None):
    try:
        entry = Entry(folder)
    except Exception:  # Absent or damaged: NumPy and the JSON reader raise many kinds.
        return None
    if fingerprint is not None and entry.meta.get("fingerprint") != fingerprint:
        return None
    return entry


def _seal(folder, meta):
    """Writes meta.json, and flushes all files to the disk before the rename."""
    paths = sorted(folder.glob("*.npy"))
    checksums = {path.stem: _checksum(np.load(path, mmap_mode="r")) for path in paths}
    text = json.dumps({"format": FORMAT, **meta, "checksums": checksums}, indent=2)
    (folder / "meta.json").write_text(text + "\n", encoding="utf-8")
    for path in [*paths, folder / "meta.json", folder]:
        sync(path)
    # mkdtemp makes folders private; give this one the mode an ordinary mkdir would have.
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)


def _move_into_place(new, folder, fingerprint):
    for _ in range(50):
        try:
            put_in_place(new, folder)
        except FileNotFoundError:
            pass  # Our folder is in place already, and another process is replacing it right now.
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        entry = _open(folder, fingerprint)
        if entry is not None:
            return entry
        if new.exists():
            _move_aside(folder)
        else:
            time.sleep(0.1)
    raise RecipeError(f"the cache entry {folder} is being changed by other programs; try again")


def _move_aside(folder):
    """Moves a damaged entry out of the way; another process may do so at the same moment."""
    with partial.folder_in(folder.parent) as aside, contextlib.suppress(FileNotFoundError):
        os.replace(folder, aside / "damaged")
