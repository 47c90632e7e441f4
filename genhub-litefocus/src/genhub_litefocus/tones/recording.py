"""Sounds from the run folder, as the judge takes them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from genhub_litefocus.tones.spectra import Array

__all__ = ["read_sound"]


def read_sound(path: Path) -> tuple[Array, int]:
    """Give the waveform [samples] in -1..1, the mean of all channels, and its rate.

    Raises ValueError for what is no WAV of 16 bits.
    """
    try:
        with wave.open(str(path), "rb") as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            held = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"it is no WAV file that can be read ({error})") from error
    if width != 2:
        raise ValueError(f"it has {8 * width} bits a sample, 16 can be read")
    whole = np.frombuffer(held, "<i2")[: len(held) // 2 // channels * channels]
    return whole.reshape(-1, channels).mean(axis=1, dtype=np.float32) / 32768, rate
