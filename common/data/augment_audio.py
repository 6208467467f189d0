"""Augmentation of sound in NumPy, so that it runs the same on every backend.

Each `random_...` function takes a batch of clips, float32 `(n, samples)`, and a generator of random
numbers, and returns a new batch of the same shape and dtype.
"""

import numpy as np


def random_speed(
    waves: np.ndarray, random: np.random.Generator, speed: float = 0.0, shift: float = 0.0
) -> np.ndarray:
    """Plays each clip faster or slower, and earlier or later. Its pitch changes with the speed.

    Values between two samples are interpolated linearly. Outside of the clip there is silence.

    Args:
        speed: Largest change of speed, in [0, 1): with 0.1, factors lie between 1 / 1.1 and 1.1.
        shift: Largest shift either way, in samples.
    """
    count, samples = waves.shape
    factor = np.exp(random.uniform(-1, 1, (count, 1)) * np.log1p(speed))
    later = random.uniform(-shift, shift, (count, 1))
    middle = (samples - 1) / 2
    # Where each sample comes from. The padded clip below begins with a sample of silence.
    place = (np.arange(samples) - middle) * factor + (middle + 1 - later)
    np.clip(place, 0, samples + 0.999, out=place)
    left = place.astype(np.int32)
    share = (place - left).astype(np.float32)
    padded = np.pad(waves, ((0, 0), (1, 2)))
    rows = np.arange(count)[:, None]
    return padded[rows, left] * (1 - share) + padded[rows, left + 1] * share


def random_noise(waves: np.ndarray, random: np.random.Generator, noise: float) -> np.ndarray:
    """Adds white noise to each clip, at a random level.

    Args:
        noise: Largest standard deviation of the noise, as a share of the clip's loudest sample; positive.
            The level is drawn between a hundredth of it and all of it, uniformly in the logarithm.
    """
    level = noise * np.exp(random.uniform(-np.log(100), 0, (len(waves), 1)))
    level = (level * np.abs(waves).max(axis=1, keepdims=True)).astype(np.float32)
    return waves + level * random.standard_normal(waves.shape, dtype=np.float32)
