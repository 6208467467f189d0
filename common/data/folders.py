"""The files below a folder of class folders: each is read, or counted as skipped, or refused."""

import collections
import os
import stat
from pathlib import Path

from common.basics.errors import RecipeError
from common.data.images import pillow

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm"),
)
HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
"""What phones store; Pillow reads them with pillow-heif, AVIF in newer versions by itself."""

COMPANIONS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx")
"""What file managers leave beside pictures; nobody misses them. The hidden ones are the other part."""

MOST_SKIPPED = 0.1
"""Share of the files that may be left out; beyond it, something is amiss."""


def suffixes():
    """Returns the suffixes of files that are read as images, on this machine."""
    registered = pillow().registered_extensions()
    return (*IMAGE_SUFFIXES, *(suffix for suffix in HEIF_SUFFIXES if suffix in registered))


def class_folders(path):
    """Returns the folders in a folder, sorted by name, without the hidden ones.

    Raises:
        RecipeError: It cannot be read, or holds a link that leads nowhere.
    """
    return [entry for entry in _entries(path) if _is_folder(entry)]


def list_images(folder):
    """Lists the images of each class.

    Args:
        folder: Folder of class folders.

    Returns:
        Tuple of a dict from the name of a class folder to its image files (those of a folder sorted by
        name, then those of its subfolders; links are followed), and a Counter of the kinds of files
        that are skipped.

    Raises:
        RecipeError: A class folder holds no images or what cannot be read, or too much is skipped.
    """
    read, found = suffixes(), {}
    skipped = images_beside(folder)
    for entry in class_folders(folder):
        left_out = collections.Counter()
        real = os.path.realpath(entry)
        found[entry.name] = list(_walk(entry, (real,), {real}, read, left_out))
        if not found[entry.name]:
            raise RecipeError(
                f"the class folder {entry} holds no images ({', '.join(read)}); add some or remove the "
                f"folder{_remedy(left_out)}"
            )
        # One readme is no loss, whatever the size of the class.
        if left_out.total() > 1:
            _check_skipped(entry, left_out, len(found[entry.name]))
        skipped += left_out
    _check_skipped(folder, skipped, sum(map(len, found.values())))
    return found, skipped


def images_beside(folder):
    """Returns a Counter of the images that lie in a folder itself, where only folders are read."""
    files = [entry for entry in _entries(folder) if not _is_folder(entry)]
    count = sum(file.suffix.lower() in (*IMAGE_SUFFIXES, *HEIF_SUFFIXES) for file in files)
    return collections.Counter({"images outside of a class folder": count} if count else {})


def describe_skipped(skipped):
    """Returns what a Counter of kinds says, e.g. '20 .heic, 3 without suffix'."""
    return ", ".join(f"{count:,} {kind}" for kind, count in skipped.most_common())


def _check_skipped(folder, skipped, count):
    total = skipped.total() + count
    if skipped.total() > MOST_SKIPPED * total:
        raise RecipeError(
            f"{folder}: {skipped.total():,} of {total:,} files would be left out "
            f"({describe_skipped(skipped)}), more than a tenth; convert them to PNG or JPEG, or move "
            f"them out of the folder{_remedy(skipped)}"
        )


def _remedy(skipped):
    if not set(HEIF_SUFFIXES) & set(skipped):
        return ""
    return (
        ". HEIC and AVIF are read with the extra [heic]: `pip install -e .[heic]` in the clone, or "
        "`make setup EXTRAS=heic`"
    )


def _walk(folder, above, seen, read, skipped):
    """Yields the image files below a folder.

    Args:
        folder: The folder.
        above: Its real path and those of the folders that it was reached through.
        seen: Real paths of the folders read for this class; more are added.
        read: Suffixes of images.
        skipped: Counter of kinds.
    """
    folders = []
    for entry in _entries(folder):
        if _is_folder(entry):
            folders.append(entry)
        elif entry.suffix.lower() in read:
            yield entry
        else:
            skipped[entry.suffix.lower() or "without suffix"] += 1
    # Links last: what a class holds itself is not listed under the name of a link to it.
    for entry in sorted(folders, key=os.path.islink):
        real = os.path.realpath(entry)
        if any(Path(parent).is_relative_to(real) for parent in above):
            raise RecipeError(
                f"{entry} is a link to {real}, a folder that it lies in itself; remove the link"
            )
        if real not in seen:
            seen.add(real)
            yield from _walk(entry, (*above, real), seen, read, skipped)


def _entries(folder):
    """Returns the paths in a folder, sorted by name, without hidden files and known companions."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise RecipeError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    return [
        Path(folder) / name
        for name in names
        if not name.startswith(".") and name.lower() not in COMPANIONS
    ]


def _is_folder(path):
    """Returns whether a path, or what it is a link to, is a folder rather than a file.

    Raises:
        RecipeError: It is neither, or a link that leads nowhere: reading it would fail or never end.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        what = "is a link that leads nowhere" if path.is_symlink() else "cannot be read"
        raise RecipeError(f"{path} {what} ({error.strerror or error}); remove it") from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise RecipeError(f"{path} is neither a file nor a folder (a pipe or a device); remove it")
    return stat.S_ISDIR(mode)
