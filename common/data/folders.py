"""The files below a folder of class folders: each one is read, counted as skipped, or refused."""

import os
import stat
from collections import Counter
from pathlib import Path

from common.basics.errors import RecipeError
from common.data.images import pillow

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm"),
)
HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
"""Formats of phones. Pillow reads them with pillow-heif; newer versions read AVIF by themselves."""

COMPANIONS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx")
"""Files that file managers leave beside pictures. They are ignored, as hidden files are."""

MOST_SKIPPED = 0.1
"""Largest share of files that may be left out. More than that points to a mistake."""


def suffixes() -> tuple[str, ...]:
    """Returns the suffixes of files that are read as images, on this machine."""
    registered = pillow().registered_extensions()
    return (*IMAGE_SUFFIXES, *(suffix for suffix in HEIF_SUFFIXES if suffix in registered))


def class_folders(path: Path) -> list[Path]:
    """Returns the folders in a folder, sorted by name, without the hidden ones.

    Raises:
        RecipeError: The folder cannot be read, or holds a broken link.
    """
    return [entry for entry in _entries(path) if _is_folder(entry)]


def list_images(folder: Path) -> tuple[dict[str, list[Path]], Counter[str]]:
    """Lists the images of each class.

    Args:
        folder: Folder of class folders.

    Returns:
        The image files of each class folder by its name, and the number of skipped files of each kind.
        The files of a folder are sorted by name and come before those of its subfolders. Links are
        followed.

    Raises:
        RecipeError: A class folder holds no images or cannot be read, or too many files are skipped.
    """
    read = suffixes()
    found: dict[str, list[Path]] = {}
    skipped = images_beside(folder)
    for entry in class_folders(folder):
        left_out: Counter[str] = Counter()
        real = os.path.realpath(entry)
        found[entry.name] = list(_walk(entry, (real,), {real}, read, left_out))
        if not found[entry.name]:
            raise RecipeError(
                f"the class folder {entry} holds no images ({', '.join(read)}); add some or remove the "
                f"folder{_remedy(left_out)}"
            )
        # A single file, such as a readme, is allowed even in a small class.
        if left_out.total() > 1:
            _check_skipped(entry, left_out, len(found[entry.name]))
        skipped += left_out
    _check_skipped(folder, skipped, sum(map(len, found.values())))
    return found, skipped


def images_beside(folder: Path) -> Counter[str]:
    """Counts the images that lie directly in a folder of class folders, and so are not read."""
    files = [entry for entry in _entries(folder) if not _is_folder(entry)]
    count = sum(file.suffix.lower() in (*IMAGE_SUFFIXES, *HEIF_SUFFIXES) for file in files)
    return Counter({"images outside of a class folder": count} if count else {})


def describe_skipped(skipped: Counter[str]) -> str:
    """Returns the kinds and their counts as text, e.g. '20 .heic, 3 without suffix'."""
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
        above: Its real path, and those of the folders that led to it.
        seen: Real paths of the folders read for this class; this function adds to them.
        read: Suffixes of images.
        skipped: Number of skipped files of each kind; this function adds to it.
    """
    folders = []
    for entry in _entries(folder):
        if _is_folder(entry):
            folders.append(entry)
        elif entry.suffix.lower() in read:
            yield entry
        else:
            skipped[entry.suffix.lower() or "without suffix"] += 1
    # Links last, so that a file is listed under its own folder and not under a link to that folder.
    for entry in sorted(folders, key=os.path.islink):
        real = os.path.realpath(entry)
        if any(Path(parent).is_relative_to(real) for parent in above):
            raise RecipeError(
                f"{entry} is a link to {real}, a folder that contains it; remove the link"
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
    """Returns whether a path, or the target of a link, is a folder rather than a file.

    Raises:
        RecipeError: It is neither of the two, or a broken link: reading it would fail or never end.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        what = "is a link that leads nowhere" if path.is_symlink() else "cannot be read"
        raise RecipeError(f"{path} {what} ({error.strerror or error}); remove it") from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise RecipeError(f"{path} is neither a file nor a folder (a pipe or a device); remove it")
    return stat.S_ISDIR(mode)
