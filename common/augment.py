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
    shift_y, shift_x = random.uniform(-pixels, pixels, (2, count)).astype("float32")[..., None]
    rows, columns = np.mgrid[:height, :width].astype("float32").reshape(2, -1)
    rows -= (height - 1) / 2
    columns -= (width - 1) / 2
    cosine = (zoom * np.cos(angle)).astype("float32")[:, None]
    sine = (zoom * np.sin(angle)).astype("float32")[:, None]
    # One pixel of zeros on each side: whatever falls outside lands there and stays 0. From here on in
    # place and in single precision: this runs for every batch.
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(-1, channels)
    y = cosine * rows - sine * columns
    y += shift_y + np.float32((height + 1) / 2)
    x = sine * rows + cosine * columns
    x += shift_x + np.float32((width + 1) / 2)
    np.clip(y, 0, height + 0.999, out=y)
    np.clip(x, 0, width + 0.999, out=x)
    index, left = y.astype("int32"), x.astype("int32")
    y -= index
    x -= left
    index += np.arange(count, dtype="int32")[:, None] * (height + 2)
    index *= width + 2
    index += left
    below = index + (width + 2)
    result = np.empty((count, height * width, channels), "uint8")
    for channel in range(channels):
        values = np.ascontiguousarray(padded[:, channel])
        above = _between(values, index, x)
        above += (_between(values, below, x) - above) * y
        above += 0.5  # The cast cuts off: this rounds.
        result[..., channel] = above
    return result.reshape(images.shape)


def _between(values, index, share):
    """Returns values[index] and values[index + 1], mixed by the second one's share."""
    first = values.take(index).astype("float32")
    second = values.take(index + 1).astype("float32")
    second -= first
    second *= share
    first += second
    return first
