"""The user's own images: a folder with one folder of images per class."""

import os
from pathlib import Path

import numpy as np

from common.data import cache
from common.data.images import read_image
from common.data.types import OwnArrays, fingerprint_of
from common.errors import RecipeError

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm"),
)


def class_folders(path):
    return sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _list_images(folder):
    """Returns `(class names, {class name: sorted image paths})` of a folder of class folders."""
    found = {}
    for class_folder in class_folders(folder):
        paths = []
        for directory, folders, names in os.walk(class_folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths += [
                Path(directory) / name
                for name in sorted(names)
                if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
            ]
        if not paths:
            raise RecipeError(
                f"the class folder {class_folder} holds no images ({', '.join(IMAGE_SUFFIXES)}); "
                "add some or remove the folder"
            )
        found[class_folder.name] = paths
    return found


def read(path, image_size, channels, reading):
    """Reads a folder of class folders, or the cache of one with the same files.

    Args:
        path: The folder, which may hold train/ and test/.
        image_size: `(height, width)` to resize to.
        channels: 1 or 3, to convert to.
        reading: common.data.types.Reading.

    Returns:
        OwnArrays.

    Raises:
        RecipeError: What is there cannot be used.
    """
    folders = {folder.name: folder for folder in class_folders(path)}
    parts = {"train": path}
    if "train" in folders:
        others = sorted(set(folders) - {"train", "test"})
        if others:
            raise RecipeError(
                f"{path} holds train/, so expected only train/ and test/ beside it, found "
                f"{others[0]}/. Move its images into train/: validation is cut from there"
            )
        parts = folders
    listed = {part: _list_images(folder) for part, folder in parts.items()}
    class_names = sorted(listed["train"])
    unknown = sorted(set(listed.get("test", {})) - set(class_names))
    if unknown:
        raise RecipeError(f"{path}: class '{unknown[0]}' is in test/ and not in train/")
    files = {
        part: [(file, label) for label, name in enumerate(class_names) for file in by_class[name]]
        if part == "train"
        else [
            (file, label)
            for label, name in enumerate(class_names)
            for file in by_class.get(name, [])
        ]
        for part, by_class in listed.items()
    }
    labels = {
        part: np.array([label for _, label in rows], np.int32) for part, rows in files.items()
    }
    fingerprint = fingerprint_of(
        (file.relative_to(path).as_posix(), file) for rows in files.values() for file, _ in rows
    )

    def build(folder):
        for part, rows in files.items():
            images = _read_all([file for file, _ in rows], image_size, channels)
            cache.write_split(folder, part, images, labels[part])
        if "test" not in files:
            cache.write_split(folder, "test", images[:0], labels["train"][:0])
        return {"kind": "image"}

    # Decoding photographs takes minutes where hashing them takes seconds, so the result is kept.
    size = f"{image_size[0]}x{image_size[1]}x{channels}"
    entry = cache.get("own-images", size, fingerprint, build)
    test = entry.split("test") if "test" in files else None
    return OwnArrays("image", fingerprint, class_names, entry.split("train"), test)


def _read_all(files, image_size, channels):
    from concurrent.futures import ThreadPoolExecutor

    images = np.empty((len(files), *image_size, channels), np.uint8)
    # Threads help: Pillow lets go of the interpreter lock while it decodes and resizes.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        read = pool.map(lambda file: read_image(file, image_size, channels), files)
        for row, image in enumerate(read):
            images[row] = image
    return images
