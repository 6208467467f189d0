"""The outputs of a frozen network for images, computed once: a later training finds them in a cache."""

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
"""If it took more seconds than these, a person is told how long."""


def features(model: keras.Model, images: np.ndarray, name: str) -> np.ndarray:
    """Returns a network's outputs for images, from the cache if it has them.

    The cache knows them by the content of the weights and of the images, and by the name.

    Args:
        model: Network with one output, whose weights do not change.
        images: uint8 `(n, height, width, channels)`.
        name: The network in words, e.g. "MobileNetV2 0.35". Networks with equal weights that compute
            different things need different names.

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
    # The last batch is filled up: for another size the network would be compiled again.
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
