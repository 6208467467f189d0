"""Augmentation of sound in NumPy: a function of the clips and a generator, the same on every backend.

Each `random_...` function takes a batch of clips, float32 `(n, samples)`, and a NumPy Generator, and
returns a new batch of the same shape and dtype.
"""

import numpy as np


def random_speed(waves, random, speed=0.0, shift=0.0):
    """Plays each clip faster or slower, and earlier or later; pitch and resonances move with the speed.

    Samples between two are interpolated linearly; outside of the clip is silence.

    Args:
        speed: Largest change of speed either way, as a share in [0, 1): 0.1 for 1 / 1.1 to 1.1 times.
        shift: Largest shift either way, in samples.
    """
    count, samples = waves.shape
    factor = np.exp(random.uniform(-1, 1, count) * np.log1p(speed))[:, None]
    later = random.uniform(-shift, shift, count)[:, None]
    middle = (samples - 1) / 2
    # Where each sample comes from, in a clip with a sample of silence at each end.
    place = (np.arange(samples) - middle) * factor + (middle + 1 - later)
    np.clip(place, 0, samples + 0.999, out=place)
    left = place.astype(np.int32)
    share = (place - left).astype(np.float32)
    padded = np.pad(waves, ((0, 0), (1, 2)))
    rows = np.arange(count)[:, None]
    return padded[rows, left] * (1 - share) + padded[rows, left + 1] * share


def random_noise(waves, random, noise):
    """Adds white noise, of a level of its own to each clip.

    Args:
        noise: Largest standard deviation, as a share of the clip's loudest sample, positive; the least
            is a hundredth of it, and the logarithm is uniform.
    """
    level = noise * np.exp(random.uniform(-np.log(100), 0, (len(waves), 1)))
    level = (level * np.abs(waves).max(axis=1, keepdims=True)).astype(np.float32)
    return waves + level * random.standard_normal(waves.shape, dtype=np.float32)
