"""Image augmentation in NumPy, so that it runs the same on every backend, with or without TensorFlow.

Each function takes a batch of uint8 images `(n, height, width, channels)` and a NumPy Generator, and
returns a new batch of the same shape and dtype.
"""

import numpy as np


def random_flip(images, random):
    """Mirrors each image left to right with probability 1/2."""
    flipped = random.random(len(images)) < 0.5
    return np.where(flipped[:, None, None, None], images[:, :, ::-1], images)


def random_shift(images, random, pixels, mode="reflect"):
    """Shifts each image by up to `pixels` in both directions.

    Args:
        pixels: Largest shift, in pixels; offsets are uniform integers.
        mode: What fills the border: "reflect" (natural images) or "constant" (0; digits, and the
            padding of He et al. 2015).
    """
    count, height, width, _ = images.shape
    margin = ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0))
    padded = np.pad(images, margin, mode=mode)
    top, left = random.integers(0, 2 * pixels + 1, size=(2, count))
    # A view of every crop of every image; indexing it copies only the one crop chosen of each.
    crops = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    return crops[np.arange(count), top, left].transpose(0, 2, 3, 1)


def random_affine(images, random, degrees=0.0, scale=0.0, pixels=0.0):
    """Rotates, scales and shifts each image with bilinear sampling; outside is 0.

    Args:
        degrees: Largest rotation either way, in degrees.
        scale: Largest relative change of size, e.g. 0.1 for 0.9 to 1.1.
        pixels: Largest shift in either direction, in pixels (not whole ones).
    """
    count, height, width, channels = images.shape
    angle = np.deg2rad(random.uniform(-degrees, degrees, count))
    zoom = 1.0 / (1.0 + random.uniform(-scale, scale, count))
    shift_y, shift_x = random.uniform(-pixels, pixels, (2, count))
    rows, columns = np.mgrid[:height, :width].astype("float32")
    rows -= (height - 1) / 2
    columns -= (width - 1) / 2
    cosine = (zoom * np.cos(angle)).astype("float32")[:, None, None]
    sine = (zoom * np.sin(angle)).astype("float32")[:, None, None]
    y = cosine * rows - sine * columns + ((height - 1) / 2 + shift_y[:, None, None])
    x = sine * rows + cosine * columns + ((width - 1) / 2 + shift_x[:, None, None])
    # One pixel of zeros on each side: whatever falls outside lands there and stays 0.
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = np.clip(y + 1, 0, height + 0.999).astype("float32")
    x = np.clip(x + 1, 0, width + 0.999).astype("float32")
    top, left = y.astype("int32"), x.astype("int32")
    down, right = (y - top)[..., None], (x - left)[..., None]
    flat = padded.reshape(-1, channels)
    index = (np.arange(count)[:, None, None] * (height + 2) + top) * (width + 2) + left
    above = flat[index] * (1 - right) + flat[index + 1] * right
    below = flat[index + width + 2] * (1 - right) + flat[index + width + 3] * right
    return np.rint(above * (1 - down) + below * down).astype("uint8")
