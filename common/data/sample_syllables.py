"""Generated syllables: ten "words" of two vowels each, spoken by five voices.

They are not speech but a buzz with two gliding resonances. They have what a network must cope with: each
voice has its own pitch and vocal tract, each take its own tempo, loudness and noise.
"""

import numpy as np

RATE = 8000
SAMPLES = 8000
TAKES = 8
VOICES = {"amber": (210, 1.15), "basil": (110, 0.95), "cedar": (150, 1.0), "dune": (90, 0.9)}
VOICES |= {"ember": (250, 1.22)}
"""For each voice: its pitch in hertz, and the factor of its resonances over those of VOWELS."""
VOWELS = {"a": (730, 1090), "i": (270, 2290), "u": (300, 870), "e": (530, 1840), "o": (570, 840)}
"""For each vowel: the two lowest resonances of a man's voice in hertz (Peterson & Barney 1952)."""
WORDS = ("ai", "au", "ia", "iu", "ua", "ui", "eo", "oe", "ae", "ou")


def generate(seed: int, takes: int = TAKES) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns syllables: every voice says every word `takes` times.

    Args:
        seed: Seed of the takes, 0 to 2**32 - 1.
        takes: Number of takes.

    Returns:
        Clips, int16 `(n, 8000)` at 8,000 samples a second; labels, int32 `(n,)`, indices into WORDS; and
        names of files in the form of the real set, e.g. "3_amber_0.wav".
    """
    random = np.random.RandomState(seed)
    clips, labels, names = [], [], []
    for voice, (pitch, tract) in VOICES.items():
        for label, word in enumerate(WORDS):
            for take in range(takes):
                clips.append(_syllable(word, pitch, tract, random))
                labels.append(label)
                names.append(f"{label}_{voice}_{take}.wav")
    return np.stack(clips), np.array(labels, np.int32), names


def _syllable(word, pitch, tract, random):
    length = random.randint(2000, 4000)
    glide = np.linspace(0, 1, length) ** random.uniform(0.7, 1.4)
    hertz = pitch * random.uniform(0.9, 1.1) * (1 + random.uniform(-0.15, 0.05) * glide)
    phase = np.cumsum(2 * np.pi * hertz / RATE)
    first, last = (np.array(VOWELS[vowel]) * tract * random.uniform(0.95, 1.05) for vowel in word)
    wave = np.zeros(length)
    for harmonic in range(1, int(RATE / 2 / hertz.max())):
        frequency = harmonic * hertz
        gain = 1 / harmonic
        for low, high in zip(first, last, strict=True):
            distance = (frequency - low - (high - low) * glide) / 90
            gain = gain + 3 / (1 + distance**2)
        wave += gain * np.sin(harmonic * phase)
    wave *= np.sin(np.pi * np.linspace(0, 1, length)) ** 0.5
    clip = np.zeros(SAMPLES)
    start = random.randint(0, SAMPLES - length + 1)
    clip[start : start + length] = wave / np.abs(wave).max()
    clip = random.uniform(0.1, 0.9) * clip + random.normal(0, random.uniform(1e-4, 1e-2), SAMPLES)
    return np.round(np.clip(clip, -1, 1) * (2**15 - 1)).astype(np.int16)
