"""The files below a folder of class folders: each one is read, counted as skipped, or refused."""

import dataclasses
import os
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common.basics.errors import RecipeError, UsageError
from common.basics.wording import printable
from common.data.audio import WAV_SUFFIXES
from common.data.images import pillow
from common.data.source import Reading
from common.data.types import OwnArrays, Split, fingerprint_of

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


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A kind of file that folders are searched for."""

    noun: str
    """The plural noun for such files in messages."""
    suffixes: Callable[[], tuple[str, ...]]
    """Returns the suffixes of the files that are read, in lower case."""
    others: tuple[str, ...]
    """Suffixes of further files of this kind, which are not read, or not on every machine."""
    convert: str
    """Advice on files with other suffixes."""


# A lambda, so that a test can replace `suffixes`.
IMAGES = Wanted("images", lambda: suffixes(), HEIF_SUFFIXES, "convert them to PNG or JPEG")
SOUNDS = Wanted(
    "sound files",
    lambda: WAV_SUFFIXES,
    (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff"),
    "convert them to WAV",
)


@dataclasses.dataclass(frozen=True)
class Parts:
    """The files of a folder of class folders, or of train/ and test/ with class folders in each."""

    path: Path
    classes: list[str]
    """Names of the class folders, sorted."""
    roots: dict[str, Path]
    """For each part, "train" and perhaps "test": the folder that holds its class folders."""
    files: dict[str, list[Path]]
    """For each part: its files."""
    labels: dict[str, np.ndarray]
    """For each part: int32 `(n,)`, indices into the classes."""
    skipped: Counter[str]
    """Number of skipped files of each kind."""

    def fingerprint(self) -> str:
        """Returns the SHA-256, hexadecimal, of the names and the content of all files."""
        return fingerprint_of(
            (file.relative_to(self.path).as_posix(), file)
            for files in self.files.values()
            for file in files
        )

    def names(self, part: str) -> list[str]:
        """Returns the name of each file of a part in messages, e.g. 'cat/1.png'."""
        return [printable(file.relative_to(self.path).as_posix()) for file in self.files[part]]


def list_parts(path: Path, wanted: Wanted) -> Parts:
    """Lists the files of a folder, by part and class.

    Args:
        path: Folder of class folders, or one that holds train/ (and test/) with class folders.
        wanted: The kind of file to list.

    Raises:
        RecipeError: The folder cannot be used; the message says why.
    """
    folders = {folder.name: folder for folder in class_folders(path)}
    roots, skipped = {"train": path}, Counter[str]()
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


def listed(path: Path, wanted: Wanted, reading: Reading) -> OwnArrays:
    """Returns the files of a folder of class folders with their labels; `x` holds their Paths.

    Args:
        path, wanted: As of `list_parts`.
        reading: Whether subfolders are groups.

    Raises:
        UsageError: Folders of groups were announced, and there are none.
        RecipeError: The folder cannot be used; the message says why.
    """
    found = list_parts(path, wanted)
    groups = groups_of(found) if reading.group_folders else {}
    splits = {part: Split(files, found.labels[part]) for part, files in found.files.items()}
    return OwnArrays(
        "file",
        found.fingerprint(),
        [printable(name) for name in found.classes],
        splits["train"],
        splits.get("test"),
        remarks=(f"skipped: {describe_skipped(found.skipped)}",) if found.skipped else (),
        groups=groups.get("train"),
        test_groups=groups.get("test"),
        names=found.names("train"),
    )


def groups_of(parts: Parts) -> dict[str, np.ndarray]:
    """Returns the group of each file, by part: its folder within the class folder, str `(n,)`.

    A file directly in its class folder is a group of its own.

    Raises:
        UsageError: All files of "train" are directly in their class folders.
    """
    groups = {}
    for part, files in parts.files.items():
        inner = [file.relative_to(parts.roots[part]).parts[1:-1] for file in files]
        # No name of a folder can begin with this character.
        alone = [f"\0{part} {row}" for row in range(len(files))]
        names = ["/".join(folders) or own for folders, own in zip(inner, alone, strict=True)]
        groups[part] = np.array(names)
    if all(name.startswith("\0") for name in groups["train"]):
        raise UsageError(
            f"--group-folders: expected folders within the class folders of {parts.path}, one for each "
            "group, e.g. cat/site1/1.png; found none"
        )
    return groups


def class_folders(path: Path) -> list[Path]:
    """Returns the folders in a folder, sorted by name, without the hidden ones.

    Raises:
        RecipeError: The folder cannot be read, or holds a broken link.
    """
    return [entry for entry in _entries(path) if _is_folder(entry)]


def list_files(folder: Path, wanted: Wanted) -> tuple[dict[str, list[Path]], Counter[str]]:
    """Lists the files of each class.

    Args:
        folder: Folder of class folders.
        wanted: Wanted.

    Returns:
        The files of each class folder by its name, and the number of skipped files of each kind. The
        files of a folder are sorted by name and come before those of its subfolders. Links are followed.

    Raises:
        RecipeError: A class folder holds no such files or cannot be read, or too many are skipped.
    """
    read = wanted.suffixes()
    found: dict[str, list[Path]] = {}
    skipped = files_beside(folder, wanted)
    for entry in class_folders(folder):
        left_out: Counter[str] = Counter()
        real = os.path.realpath(entry)
        found[entry.name] = list(_walk(entry, (real,), {real}, read, left_out))
        if not found[entry.name]:
            raise RecipeError(
                f"the class folder {entry} holds no {wanted.noun} ({', '.join(read)}); add some or "
                f"remove the folder{_remedy(left_out)}"
            )
        # A single file, such as a readme, is allowed even in a small class.
        if left_out.total() > 1:
            _check_skipped(entry, left_out, len(found[entry.name]), wanted)
        skipped += left_out
    _check_skipped(folder, skipped, sum(map(len, found.values())), wanted)
    return found, skipped


def files_beside(folder: Path, wanted: Wanted) -> Counter[str]:
    """Counts the files that lie directly in a folder of class folders, and so are not read."""
    files = [entry for entry in _entries(folder) if not _is_folder(entry)]
    known = (*wanted.suffixes(), *wanted.others)
    count = sum(file.suffix.lower() in known for file in files)
    return Counter({f"{wanted.noun} outside of a class folder": count} if count else {})


def describe_skipped(skipped: Counter[str]) -> str:
    """Returns the kinds and their counts as text, e.g. '20 .heic, 3 without suffix'."""
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
        above: Its real path, and those of the folders that led to it.
        seen: Real paths of the folders read for this class; this function adds to them.
        read: Suffixes of the wanted files.
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
