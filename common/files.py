"""Files that are either whole or absent: written under a temporary name, then renamed."""

import contextlib
import errno
import json
import os
import tempfile
from pathlib import Path

from common.errors import RecipeError, StorageError


@contextlib.contextmanager
def atomic_path(path):
    """Yields a temporary path beside `path` that replaces it when the block succeeds.

    A process killed at any moment leaves the old file or the new one, never half of either.

    Args:
        path: The file to (re)place. Its folder is created. The temporary name keeps the suffix,
            because Keras chooses its format by it.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # mkstemp makes files private; give them the mode an ordinary open() would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise could_not_write(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


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
    write_bytes_atomic(path, text.encode("utf-8"))


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
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"no {what} at {path}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RecipeError(f"{path} is not a readable JSON {what}: {error}") from error
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise RecipeError(f"{path} is not a readable JSON {what}: expected an object, got a {kind}")
    return value
