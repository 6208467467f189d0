"""The files below a folder of class folders: each is read, or counted as skipped, or refused."""

import collections
import dataclasses
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError, UsageError
from common.basics.wording import printable
from common.data.audio import WAV_SUFFIXES
from common.data.images import pillow
from common.data.types import fingerprint_of

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


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A kind of files that folders are searched for."""

    noun: str
    """What they are called in messages, in the plural."""
    suffixes: Callable[[], tuple[str, ...]]
    """Returns the suffixes of files that are read, in lower case."""
    others: tuple[str, ...]
    """Suffixes that are of the kind and cannot be read here."""
    convert: str
    """What to do with files of other suffixes."""


IMAGES = Wanted("images", lambda: suffixes(), HEIF_SUFFIXES, "convert them to PNG or JPEG")
SOUNDS = Wanted(
    "sound files",
    lambda: WAV_SUFFIXES,
    (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff"),
    "convert them to WAV",
)


@dataclasses.dataclass(frozen=True)
class Parts:
    """The files of a folder of class folders, or of train/ and test/ with class folders each."""

    path: Path
    classes: list
    """Names of the class folders, sorted."""
    roots: dict
    """From each part, "train" and perhaps "test", to the folder that holds its class folders."""
    files: dict
    """From each part to a list of its files."""
    labels: dict
    """From each part to int32 `(n,)`, indices into the classes."""
    skipped: collections.Counter
    """Kinds of files that are not read."""

    def fingerprint(self):
        """Returns the SHA-256, hexadecimal, of the names and the content of all files."""
        return fingerprint_of(
            (file.relative_to(self.path).as_posix(), file)
            for files in self.files.values()
            for file in files
        )

    def names(self, part):
        """Returns what to call the files of a part in messages."""
        return [printable(file.relative_to(self.path).as_posix()) for file in self.files[part]]


def list_parts(path, wanted):
    """Returns the Parts of a folder.

    Args:
        path: Folder of class folders, or one that holds train/ (and test/) with class folders.
        wanted: Wanted.

    Raises:
        RecipeError: What is there cannot be used.
    """
    folders = {folder.name: folder for folder in class_folders(path)}
    roots, skipped = {"train": path}, collections.Counter()
    if "train" in folders:
        others = sorted(set(folders) - {"train", "test"})
        if others:
            raise RecipeError(
                f"{path} holds train/, so expected only train/ and test/ beside it, found "
                f"{others[0]}/. Move its {wanted.noun} into train/: validation is cut from there"
            )
        roots, skipped = folders, files_beside(path, wanted)
    listed = {}
    for part, folder in roots.items():
        listed[part], left_out = list_files(folder, wanted)
        skipped += left_out
    names = sorted(listed["train"])
    unknown = sorted(set(listed.get("test", {})) - set(names))
    if unknown:
        raise RecipeError(f"{path}: class '{unknown[0]}' is in test/ and not in train/")
    files, labels = {}, {}
    for part, by_class in listed.items():
        files[part] = [file for name in names for file in by_class.get(name, [])]
        counts = [len(by_class.get(name, [])) for name in names]
        labels[part] = np.repeat(np.arange(len(names), dtype=np.int32), counts)
    return Parts(path, names, roots, files, labels, skipped)


def groups_of(parts):
    """Returns what each file belongs to, by part: its folder within the class folder.

    A file directly in its class folder belongs to nothing but itself.

    Args:
        parts: Parts.

    Raises:
        UsageError: All are directly in their class folders.
    """
    groups = {}
    for part, files in parts.files.items():
        inner = [file.relative_to(parts.roots[part]).parts[1:-1] for file in files]
        # No folder's name begins so.
        alone = [f"\0{part} {row}" for row in range(len(files))]
        names = ["/".join(folders) or own for folders, own in zip(inner, alone, strict=True)]
        groups[part] = np.array(names)
    if all(name.startswith("\0") for name in groups["train"]):
        raise UsageError(
            f"--group-folders: expected folders within the class folders of {parts.path}, one for each "
            "group, e.g. cat/site1/1.png; found none"
        )
    return groups


def class_folders(path):
    """Returns the folders in a folder, sorted by name, without the hidden ones.

    Raises:
        RecipeError: It cannot be read, or holds a link that leads nowhere.
    """
    return [entry for entry in _entries(path) if _is_folder(entry)]


def list_files(folder, wanted):
    """Lists the files of each class.

    Args:
        folder: Folder of class folders.
        wanted: Wanted.

    Returns:
        Tuple of a dict from the name of a class folder to its files (those of a folder sorted by name,
        then those of its subfolders; links are followed), and a Counter of the kinds of files that are
        skipped.

    Raises:
        RecipeError: A class folder holds none or what cannot be read, or too much is skipped.
    """
    read, found = wanted.suffixes(), {}
    skipped = files_beside(folder, wanted)
    for entry in class_folders(folder):
        left_out = collections.Counter()
        real = os.path.realpath(entry)
        found[entry.name] = list(_walk(entry, (real,), {real}, read, left_out))
        if not found[entry.name]:
            raise RecipeError(
                f"the class folder {entry} holds no {wanted.noun} ({', '.join(read)}); add some or "
                f"remove the folder{_remedy(left_out)}"
            )
        # One readme is no loss, whatever the size of the class.
        if left_out.total() > 1:
            _check_skipped(entry, left_out, len(found[entry.name]), wanted)
        skipped += left_out
    _check_skipped(folder, skipped, sum(map(len, found.values())), wanted)
    return found, skipped


def files_beside(folder, wanted):
    """Returns a Counter of the files that lie in a folder itself, where only folders are read."""
    files = [entry for entry in _entries(folder) if not _is_folder(entry)]
    known = (*wanted.suffixes(), *wanted.others)
    count = sum(file.suffix.lower() in known for file in files)
    return collections.Counter({f"{wanted.noun} outside of a class folder": count} if count else {})


def describe_skipped(skipped):
    """Returns what a Counter of kinds says, e.g. '20 .heic, 3 without suffix'."""
    return ", ".join(f"{count:,} {kind}" for kind, count in skipped.most_common())


def _check_skipped(folder, skipped, count, wanted):
    total = skipped.total() + count
    if skipped.total() > MOST_SKIPPED * total:
        raise RecipeError(
            f"{folder}: {skipped.total():,} of {total:,} files would be left out "
            f"({describe_skipped(skipped)}), more than a tenth; {wanted.convert}, or move them out of "
            f"the folder{_remedy(skipped)}"
        )


def _remedy(skipped):
    if not set(HEIF_SUFFIXES) & set(skipped):
        return ""
    return (
        ". HEIC and AVIF are read with the extra [heic]: `pip install -e .[heic]` in the clone, or "
        "`make setup EXTRAS=heic`"
    )


def _walk(folder, above, seen, read, skipped):
    """Yields the files of the wanted kind below a folder.

    Args:
        folder: The folder.
        above: Its real path and those of the folders that it was reached through.
        seen: Real paths of the folders read for this class; more are added.
        read: Their suffixes.
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
