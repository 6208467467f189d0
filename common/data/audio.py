"""Reading WAV files and bringing clips to one rate and length."""

import math
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np

from common.basics.errors import RecipeError

WAV_SUFFIXES = (".wav", ".wave")

LONGEST = 600
"""Longest file that is read, in seconds. A longer one is not a clip of a word."""


def read_wave(path: str | Path | BinaryIO, rate: int, samples: int) -> np.ndarray:
    """Reads a WAV file.

    Its samples may be whole numbers of 8, 16, 24 or 32 bits (PCM), or floating point. Channels are
    averaged. Other rates are resampled (`scipy.signal.resample_poly`).

    Args:
        path: The file, or an open binary file.
        rate: Samples per second of the result.
        samples: Length of the result; see `fitted`.

    Returns:
        float32 `(samples,)`; full scale is [-1, 1].

    Raises:
        RecipeError: The file is absent, damaged, empty, in another format, or longer than LONGEST.
    """
    wave, found = _decoded(path)
    if found != rate:
        from scipy.signal import resample_poly

        common = math.gcd(rate, found)
        wave = resample_poly(wave, rate // common, found // common)
    return fitted(wave, samples)


def _decoded(path):
    """Returns the samples of a file, float32 `(n,)`, channels averaged, and its sampling rate."""
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            # Other programs add chunks, e.g. names of songs, which SciPy warns of.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, held = wavfile.read(path)
    except FileNotFoundError as error:
        raise RecipeError(f"no sound file at {path}") from error
    except MemoryError:
        raise
    except Exception as error:  # Damaged files raise ValueError, struct.error, EOFError and others.
        raise RecipeError(
            f"cannot read the sound file {path}: {str(error) or type(error).__name__}; it is damaged, or "
            "not a WAV file with PCM or floating-point samples. Replace it, or convert it, e.g. by "
            "`ffmpeg -i FILE -c:a pcm_s16le OUT.wav`"
        ) from error
    if not held.size:
        raise RecipeError(f"the sound file {path} holds no samples; remove it")
    if rate < 1 or len(held) > LONGEST * rate:
        raise RecipeError(
            f"the sound file {path} lasts {len(held) / max(rate, 1):,.0f} s at {rate:,} Hz; at most "
            f"{LONGEST} s are read: cut it into clips"
        )
    if held.dtype == np.uint8:
        held = (held.astype(np.float32) - 128) / 128
    elif held.dtype.kind == "i":
        # SciPy returns 24 bits as the upper bits of 32.
        held = held.astype(np.float64) / -float(np.iinfo(held.dtype).min)
    if not np.isfinite(held).all():
        raise RecipeError(
            f"the sound file {path} holds samples that are NaN or infinite; repair it"
        )
    if held.ndim > 1:
        held = held.mean(axis=1)
    return held.astype(np.float32), rate


def fitted(wave: np.ndarray, samples: int) -> np.ndarray:
    """Returns a clip of a given length.

    A shorter clip gets silence on both sides, an odd sample at the end. A longer one is cut to the
    stretch with the most energy, the first if several have as much.

    Args:
        wave: `(n,)`, n at least 1; int16, or floating point with full scale [-1, 1].
        samples: Length of the result.

    Returns:
        float32 `(samples,)`.
    """
    wave = np.asarray(wave)
    wave = wave.astype(np.float32) / (2**15 if wave.dtype.kind == "i" else 1)
    if len(wave) > samples:
        energy = np.cumsum(np.concatenate([[0], wave.astype(np.float64) ** 2]))
        start = int(np.argmax(energy[samples:] - energy[:-samples]))
        return wave[start : start + samples]
    clip = np.zeros(samples, np.float32)
    start = (samples - len(wave)) // 2
    clip[start : start + len(wave)] = wave
    return clip


def picture(wave: np.ndarray, height: int = 48) -> np.ndarray:
    """Draws a spectrogram: time runs to the right, frequency upwards.

    The loudest value is white; 50 decibels and more below it is black.

    Args:
        wave: float32 `(samples,)`.
        height: Height in pixels, one for each band of frequencies.

    Returns:
        uint8 `(height, width)`; the width is about `samples / height`.
    """
    from scipy.signal import ShortTimeFFT

    transform = ShortTimeFFT(np.hanning(2 * height), hop=height, fs=1)
    decibels = 20 * np.log10(np.abs(transform.stft(np.asarray(wave, np.float64))) + 1e-9)
    levels = (decibels[:height] - decibels.max() + 50) / 50
    return (255 * np.clip(levels[::-1], 0, 1)).astype(np.uint8)
