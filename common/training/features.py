"""What a frozen network makes of images, computed once: a later training finds it in the cache."""

import contextlib
import hashlib
import sys
import time

import keras
import numpy as np

from common.basics.errors import RecipeError
from common.basics.files import atomic_path, cache_folder
from common.basics.wording import duration
from common.data.progress import progress

BATCH_SIZE = 64
FILES_KEPT = 24
"""Newest files left in the cache folder `features`; 1,280 features of 3,000 photos take 15 MB."""
LONG = 5.0
"""Seconds from which on a person is told how long it took."""


def features(model, images, name):
    """Returns a network's outputs for images, from the cache where they are there.

    Args:
        model: keras.Model of one output, whose weights do not change.
        images: uint8 `(n, height, width, channels)`.
        name: The network in words, with whatever of it is not in its weights: "MobileNetV2 0.35". Its
            weights and the images are told apart by their content.

    Returns:
        float32 `(n, ...)`.
    """
    path = cache_folder() / "features" / f"{_key(model, images, name)}.npy"
    with contextlib.suppress(OSError, ValueError):  # absent or damaged: computed
        held = np.load(path, allow_pickle=False)
        if len(held) == len(images):
            with contextlib.suppress(OSError):  # a cache that can only be read
                path.touch()
            return held
    started = time.perf_counter()
    starts = range(0, len(images), BATCH_SIZE)
    parts = [
        keras.ops.convert_to_numpy(model.predict_on_batch(_batch(images, start)))
        for start in progress(starts, len(starts), f"features, batches of {BATCH_SIZE} images")
    ]
    found = np.concatenate(parts)[: len(images)].astype("float32")
    seconds = time.perf_counter() - started
    if seconds > LONG:
        print(f"features of {len(images):,} images: {duration(seconds)}", flush=True)
    _write(path, found)
    return found


def _batch(images, start):
    # All of one size, the last one filled up: for another the network would be compiled again.
    return images[np.minimum(np.arange(start, start + BATCH_SIZE), len(images) - 1)]


def _write(path, found):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial, partial.open("wb") as file:
            np.save(file, found)
    except (OSError, RecipeError) as error:
        print(f"note: features are computed at every start: {error}", file=sys.stderr)
    # Another worker may be tidying at the same moment.
    with contextlib.suppress(OSError):
        files = path.parent.glob("[!.]*.npy")
        for old in sorted(files, key=lambda each: -each.stat().st_mtime)[FILES_KEPT:]:
            old.unlink()


def _key(model, images, name):
    # The number is raised when the outputs of equal networks change.
    text = f"1 {name} {keras.backend.backend()} {images.shape}"
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    digest.update(np.ascontiguousarray(images))
    return digest.hexdigest()
