"""The user's own .npz files: arrays of images or texts, checked before they are used."""

import collections
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.basics import arrays
from common.basics.errors import RecipeError
from common.data import depth, remarks
from common.data.types import OwnArrays, Split, fingerprint_of

KEYS_EXPECTED = "x and y, or x_train, y_train, x_test and y_test (and class_names if you like)"
_KEYS = ("x", "y", "x_train", "y_train", "x_test", "y_test", "class_names")


def read(
    path: Path,
    image_size: Sequence[int] | None = None,
    value_range: Sequence[float] | None = None,
) -> OwnArrays:
    """Reads and checks an .npz file.

    Args:
        path: The file.
        image_size: `(height, width)` that images will be resized to, named in a remark.
        value_range: `(low, high)`: the values that become black and white, for images that are not
            uint8; None: the range of their type.

    Returns:
        Images are uint8 `(n, h, w, c)` in their own size, texts are str.

    Raises:
        RecipeError: The file is damaged, holds pickled objects, lacks keys, or its arrays do not fit.
    """
    found, held = _load(path)
    pairs = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
    if "x" in held and "y" in held:
        pairs = {"train": ("x", "y")}
    missing = [key for pair in pairs.values() for key in pair if key not in held]
    if missing:
        raise RecipeError(
            f"{path}: expected {KEYS_EXPECTED}; {missing[0]} is missing, found "
            f"{', '.join(found) or 'nothing'}"
        )
    kinds: dict[str, str] = {}
    inputs: dict[str, np.ndarray] = {}
    labels: dict[str, np.ndarray] = {}
    for part, (x_key, y_key) in pairs.items():
        kinds[part], inputs[part] = _inputs(path, x_key, held[x_key])
        labels[part] = _labels(path, y_key, held[y_key], len(inputs[part]), x_key)
    if len(set(kinds.values())) > 1:
        raise RecipeError(f"{path}: x_train holds {kinds['train']}s and x_test {kinds['test']}s")
    class_names, labels = _classes(path, held.get("class_names"), labels)
    fingerprint = fingerprint_of([(path.suffix, path)])
    reading: dict[str, Any] = {}
    lines: list[str] = []
    if kinds["train"] == "image":
        inputs, range_used, lines = _to_8_bits(path, inputs, pairs, image_size, value_range)
        if range_used is not None:
            reading = {"value_range": list(range_used)}
            if range_used != (0, 1):
                # The same file, but read into other pixels.
                fingerprint = hashlib.sha256(f"{fingerprint} {range_used}".encode()).hexdigest()
    splits = {part: Split(inputs[part], labels[part]) for part in pairs}
    return OwnArrays(
        kinds["train"],
        fingerprint,
        class_names,
        splits["train"],
        splits.get("test"),
        reading=reading,
        remarks=tuple(lines),
        names=[f"{pairs['train'][0]}[{row}]" for row in range(len(splits["train"]))],
    )


def _load(path):
    try:
        with open(path, "rb") as file:
            if file.read(6) == b"\x93NUMPY":
                raise RecipeError(f"{path} is a single array, not .npz; expected {KEYS_EXPECTED}")
        found = arrays.names(path)
        return found, arrays.read(path, [key for key in found if key in _KEYS])
    except (OSError, ValueError) as error:
        if str(error) == arrays.PICKLED:
            raise RecipeError(
                f"{path} cannot be read: {error}. Save plain arrays: images as uint8, texts as "
                "np.array(list_of_str)"
            ) from error
        raise RecipeError(
            f"{path} cannot be read as .npz: {error}; it is damaged, cut short or of another format, "
            "so save it again"
        ) from error


def _inputs(path, key, x):
    if x.dtype.kind in "US":
        if x.ndim != 1:
            raise RecipeError(f"{path}: texts in {key} must have shape (n,), got {x.shape}")
        texts = np.empty(len(x), object)
        try:
            texts[:] = [text.decode("utf-8") if x.dtype.kind == "S" else str(text) for text in x]
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path}: {key} is not UTF-8 text: {error}") from error
        empty = [row for row, text in enumerate(texts) if not text.strip()]
        if empty:
            raise RecipeError(f"{path}: {key}[{empty[0]}] is an empty text; remove it")
        return "text", texts
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[3] not in (1, 3) or 0 in x.shape[1:3]:
        raise RecipeError(
            f"{path}: {key} must be images (n, height, width) or (n, height, width, 1 or 3), or "
            f"texts (n,); got shape {x.shape}, dtype {x.dtype}"
        )
    if x.dtype.kind not in "fiu":
        raise RecipeError(f"{path}: {key} must be uint8 or float in 0..1, got dtype {x.dtype}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise RecipeError(
            f"{path}: {key} holds pixels that are NaN or infinite; repair or drop them"
        )
    return "image", x


def _to_8_bits(path, inputs, pairs, image_size, value_range):
    """Returns the images as uint8, the range of values used (None: bytes), and lines for a person."""
    sizes = collections.Counter()
    for x in inputs.values():
        sizes[x.shape[2], x.shape[1]] += len(x)
    lines = [remarks.sizes(sizes, image_size)] if image_size else []
    used, scaled = {}, {}
    for part, x in inputs.items():  # Train comes first: its values determine the number of bits.
        if x.dtype == np.uint8 or not x.size:
            scaled[part] = x.astype(np.uint8)
            continue
        whole = x.dtype.kind != "f"
        found = value_range
        if found is None:
            what = f"{path}: {pairs[part][0]} has dtype {x.dtype}"
            by_type = depth.default_range(x.min(), x.max(), whole, what)
            found = used.get(whole, by_type)
        used.setdefault(whole, tuple(found))
        scaled[part] = depth.to_8_bits(x, found)
        if whole and found == (0, 255) and value_range is None:
            continue  # Values of 8 bits in a larger type.
        lines.append(
            f"pixels of {pairs[part][0]}: {x.dtype}, {depth.describe(x.min(), x.max(), found)}"
        )
    if value_range is not None and not used:
        lines.append("--value-range changes nothing: all pixels have 8 bits")
    used = [found for found in used.values() if value_range is not None or found != (0, 255)]
    return scaled, next(iter(used), None), lines


def _labels(path, key, y, count, x_key):
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]  # The CIFAR-10 arrays of Keras have this shape.
    if y.dtype.kind not in "iu":
        raise RecipeError(
            f"{path}: labels in {key} must be integers, got dtype {y.dtype}; names of the classes "
            "go into class_names"
        )
    if y.ndim != 1 or len(y) != count:
        raise RecipeError(
            f"{path}: {key} must have one label per example of {x_key}, shape ({count},); "
            f"got {y.shape}"
        )
    return y


def _classes(path, names, labels):
    """Returns the class names, and the labels as int32 indices into them."""
    present = np.unique(labels["train"])
    if names is None:
        class_names = [str(value) for value in present]
    else:
        if names.ndim != 1 or names.dtype.kind not in "US":
            raise RecipeError(f"{path}: class_names must be an array of strings (k,)")
        class_names = [str(name) for name in names.astype("U")]
        if not np.array_equal(present, np.arange(len(class_names))):
            raise RecipeError(
                f"{path}: class_names lists {len(class_names)} classes, so labels must be 0 to "
                f"{len(class_names) - 1} and each occur in train; found {present[:20].tolist()}"
            )
        if len(set(class_names)) < len(class_names):
            raise RecipeError(f"{path}: class_names holds a name twice")
    for part, y in labels.items():
        unknown = np.setdiff1d(y, present)
        if len(unknown):
            raise RecipeError(f"{path}: label {unknown[0]} in y_{part} does not occur in y_train")
    indices = {part: np.searchsorted(present, y).astype(np.int32) for part, y in labels.items()}
    return class_names, indices
