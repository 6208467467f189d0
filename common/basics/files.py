"""Files that are either whole or absent: written under a temporary name, then renamed."""

import contextlib
import errno
import json
import os
from pathlib import Path

from common.basics import partial
from common.basics.errors import RecipeError, StorageError

# What a file system answers that cannot do it; there is nothing more that could be done on it.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def atomic_path(path):
    """Yields a temporary path beside `path` that replaces it when the block succeeds.

    A process killed at any moment leaves the old file or the new one, never half of either, and so does
    a power cut; what the killed one had begun goes when the next file is written into that folder.

    Args:
        path: The file to (re)place. Its folder is created. The temporary name keeps the suffix,
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
            # The temporary file is private; give it the mode an ordinary open() would have.
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            put_in_place(temporary, path)
    except OSError as error:
        raise could_not_write(path, error) from error


def put_in_place(temporary, path):
    """Renames a file or folder, whose content has been synced, so that a power cut cannot undo it.

    Raises:
        OSError: It could not be renamed.
        StorageError: It was, but the disk does not say that it stays so.
    """
    os.replace(temporary, path)
    try:
        sync(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path} was written, but the disk does not confirm it: {error.strerror or error}. "
            "Check the disk, then repeat the command."
        ) from error


def sync(path):
    """Flushes a file or a folder to the disk: of a folder, which names it holds."""
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


def make_folder(folder):
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
def locked(folder):
    """Waits until no other process is in such a block for this folder, and keeps them out of it."""
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


def could_not_write(path, error):
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


def write_bytes_atomic(path, data):
    """Writes `data` (bytes) to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text_atomic(path, text):
    """Writes `text` (UTF-8) to `path` atomically."""
    # The name of a file need not be text: what is no character is shown by its code.
    write_bytes_atomic(path, text.encode("utf-8", "backslashreplace"))


def write_json_atomic(path, value):
    """Writes `value` to `path` as indented JSON, atomically. NaN and infinity are refused."""
    write_text_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path, what="file"):
    """Reads a JSON object.

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


def link_to_nothing(path):
    """Returns what to add to a message that a path is not there: that it is a link, if it is."""
    path = Path(path)
    if not path.is_symlink() or path.exists():
        return ""
    return f": it is a link to {os.readlink(path)}, which is not there"


def parse_json(text):
    """Returns the value of a JSON text.

    Raises:
        ValueError: It is none, or one that Python does not hold; the message is a sentence.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # Only of an integer; what Python says of it is for programmers.
        raise ValueError("a number in it has too many digits") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def cache_folder():
    """Returns the cache folder: KERAS_RECIPE_BOX_CACHE, else ~/.cache/keras-recipe-box."""
    named = os.environ.get("KERAS_RECIPE_BOX_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "keras-recipe-box"
