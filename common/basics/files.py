"""Files that are either whole or absent: written under a temporary name, then renamed."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.basics import partial
from common.basics.errors import RecipeError, StorageError

# Error codes of file systems that cannot sync a folder. Nothing more can be done there.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that replaces it when the block succeeds.

    If the process is killed or the power is cut, the old file or the new one is there, never half of
    one. An unfinished temporary file is removed when the next file is written into that folder.

    Args:
        path: The file to write or replace. Its folder is created. The temporary name keeps the suffix,
            because Keras chooses its format by it.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    path = Path(path)
    try:
        make_folder(path.parent)
        partial.remove_abandoned(path.parent)
        with partial.file_in(path.parent, path.suffix) as temporary:
            yield temporary
            sync(temporary)
            # The temporary file is private. It gets the mode that an ordinary open() would give.
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            put_in_place(temporary, path)
    except OSError as error:
        raise could_not_write(path, error) from error


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a file or folder, whose content has been synced, so that a power cut cannot undo it.

    Raises:
        OSError: It could not be renamed.
        StorageError: It was renamed, but the disk does not confirm that this is permanent.
    """
    os.replace(temporary, path)
    try:
        sync(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} was written, but the disk does not confirm it: {error.strerror or error}. "
            "Check the disk, then repeat the command."
        ) from error


def sync(path: Path) -> None:
    """Flushes a file to the disk, or the list of names that a folder holds."""
    is_folder = path.is_dir()
    try:
        handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if not is_folder or error.errno not in _CANNOT_SYNC:
            raise


def make_folder(folder: str | Path) -> None:
    """Creates a folder, and those above it, so that a power cut cannot undo it.

    Raises:
        OSError: It cannot be created.
    """
    folder = Path(folder)
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for link in missing:
        if link.is_symlink():
            raise OSError(errno.ENOENT, f"{link} is a link to nothing")
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync(each.parent)


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Lets one process at a time run such a block for a folder; the others wait."""
    path = Path(folder) / ".lock"
    try:
        import fcntl
    except ImportError:  # Windows has no such locks.
        yield
        return
    try:
        file = path.open("w")
    except OSError as error:
        raise could_not_write(path, error) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def could_not_write(path: str | Path, error: OSError) -> StorageError:
    """Returns the StorageError for an OSError that came while `path` was replaced."""
    advice = "Choose another folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "Free some space or choose another folder"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        advice = "Make the folder writable, or copy it to where you may write"
    return StorageError(
        f"could not write {path}: {error.strerror or error}. "
        f"{advice}; what was there before is unchanged."
    )


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Writes `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text_atomic(path: str | Path, text: str) -> None:
    """Writes `text` to `path` atomically, as UTF-8."""
    # A text may hold file names, and these may hold bytes that are no characters: they become codes.
    write_bytes_atomic(path, text.encode("utf-8", "backslashreplace"))


def write_json_atomic(path: str | Path, value: Any) -> None:
    """Writes `value` to `path` as indented JSON, atomically. NaN and infinity are refused."""
    write_text_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path, what: str = "file") -> dict[str, Any]:
    """Reads a JSON object.

    Args:
        path: The file.
        what: What error messages call it.

    Raises:
        RecipeError: The file is absent or not valid JSON, or holds no object.
    """
    path = Path(path)
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no {what} at {path}{link_to_nothing(path)}") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} is not a readable JSON {what}: {error}") from error
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise RecipeError(f"{path} is not a readable JSON {what}: expected an object, got a {kind}")
    return value


def link_to_nothing(path: str | Path) -> str:
    """Returns what a message about a missing path should add: "" or that it is a broken link."""
    path = Path(path)
    if not path.is_symlink() or path.exists():
        return ""
    return f": it is a link to {os.readlink(path)}, which is not there"


def parse_json(text: str) -> Any:
    """Returns the value of a JSON text.

    Raises:
        ValueError: It is not JSON, or Python cannot hold the value. The message is a sentence.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # An integer too long. Python's own message is for programmers.
        raise ValueError("a number in it has too many digits") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def cache_folder() -> Path:
    """Returns the cache folder: KERAS_RECIPE_BOX_CACHE, else ~/.cache/keras-recipe-box."""
    named = os.environ.get("KERAS_RECIPE_BOX_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "keras-recipe-box"
