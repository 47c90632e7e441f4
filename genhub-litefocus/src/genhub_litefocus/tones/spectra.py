"""What is heard in a waveform: levels of frequencies over time, pitches, bursts, loudness.

Everything is measured on short spectra; nothing is learned. Times are seconds, levels amplitudes
of the sinusoid that would be as strong, full scale being 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    *("AUDIBLE", "FRAME", "LOBE", "LOWEST_RATE", "Spectra", "Track"),
    *("bursts", "cents", "pitch_track", "spectra"),
]

Array: TypeAlias = NDArray[Any]

FRAME = 0.025  # seconds between frames
LOWEST_RATE = 12_500  # samples a second: what is heard reaches 6 kHz
AUDIBLE = 0.005  # amplitude, 46 dB below full scale
PITCHED = (100.0, 4000.0)  # hertz in which pitches are sought
TONAL = 0.3  # smallest share of a frame's power that one tone holds, for the frame to have a pitch
BLOCK = 1024  # frames that are transformed at once
LOBE = 1.5  # a sinusoid's power summed over its bins, by that of its top bin (Hann)


def cents(hertz: Any, than: Any) -> Any:
    """Give how much higher a frequency is than another, in hundredths of a semitone."""
    return 1200 * np.log2(np.asarray(hertz) / than)


@dataclass(frozen=True)
class Track:
    """The strongest tone of some range over time: [frames] each."""

    hertz: Array
    level: Array


@dataclass(frozen=True)
class Spectra:
    """Power [frames, bins] of a waveform around every multiple of `hop` seconds."""

    power: Array
    hop: float  # seconds
    width: float  # hertz between bins

    @cached_property
    def times(self) -> Array:
        """Give the middle of each frame in seconds."""
        return np.arange(len(self.power)) * self.hop

    @cached_property
    def hertz(self) -> Array:
        """Give the frequency of each bin."""
        return np.arange(self.power.shape[1]) * self.width

    def within(self, low: float, high: float) -> Array:
        """Say which bins [bins] lie in a range of frequencies."""
        return (self.hertz >= low) & (self.hertz <= high)

    def loudness(self, bins: Array | None = None) -> Array:
        """Give the root mean square [frames] of the sound in some of the bins."""
        chosen = self.power if bins is None else self.power[:, bins]
        return np.sqrt(chosen.sum(1) / LOBE / 2)

    def track(self, low: float, high: float) -> Track:
        """Follow the strongest peak between two frequencies.

        Top and place of a peak are those of the parabola through the logarithms of its bin and the
        two beside it. Where the strongest bin is no peak the level is 0.
        """
        first = max(1, int(np.ceil(low / self.width)))
        last = min(self.power.shape[1] - 2, int(np.floor(high / self.width)))
        top = first + self.power[:, first : last + 1].argmax(1)
        rows = np.arange(len(top))
        around = [np.log(self.power[rows, top + off] + 1e-20) for off in (-1, 0, 1)]
        left, middle, right = around
        bend = np.minimum(left - 2 * middle + right, -1e-6)
        off = np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
        level = np.exp(0.5 * (middle - 0.25 * (left - right) * off))
        peak = (middle >= left) & (middle >= right)
        return Track((top + off) * self.width, np.where(peak, level, 0.0))


def spectra(waveform: Array, rate: int, *, window: int, hop: int) -> Spectra:
    """Give power spectra of a waveform [samples], `window` and `hop` in samples (Hann)."""
    padded = np.pad(np.asarray(waveform, np.float32), window // 2, mode="reflect")
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.empty((len(frames), window // 2 + 1), np.float32)
    for begin in range(0, len(frames), BLOCK):
        found = np.fft.rfft(frames[begin : begin + BLOCK] * hann)
        power[begin : begin + BLOCK] = found.real**2 + found.imag**2
    return Spectra(power * (4 / window) ** 2, hop / rate, rate / window)


def pitch_track(waveform: Array, rate: int) -> Track:
    """Give the pitch in hertz every 25 ms, NaN where nothing or no tone is heard.

    On a pure tone it is right within 10 cents.
    """
    found = spectra(waveform, rate, window=2 * _samples(0.064, rate), hop=round(FRAME * rate))
    track = found.track(*PITCHED)
    tonal = track.level**2 > TONAL * found.power.sum(1) / LOBE
    heard = (track.level > AUDIBLE) & tonal
    return Track(np.where(heard, track.hertz, np.nan), np.where(heard, track.level, 0.0))


def bursts(level: Array, hop: float, threshold: Array) -> tuple[Array, Array]:
    """Give the times at which a level rises above a threshold, and at which it falls below it.

    Between samples the crossing is interpolated. Dips by less than a third of the threshold end
    no burst.
    """
    above, under = level >= threshold, level < threshold * 2 / 3
    marks = np.where(above, 1, np.where(under, -1, 0))
    last = np.maximum.accumulate(np.where(marks != 0, np.arange(len(marks)), 0))
    state = marks[last] > 0
    turns = np.flatnonzero(state[1:] != state[:-1])
    return (
        np.array([_crossing(level, threshold, i, hop) for i in turns if state[i + 1]]),
        np.array([_crossing(level, threshold, i, hop) for i in turns if not state[i + 1]]),
    )


def _crossing(level: Array, threshold: Array, before: int, hop: float) -> float:
    """Give when the level passed its threshold, at or before the step from `before` on."""
    at = before
    rising = level[before + 1] >= threshold[before + 1]
    while not rising and at > 0 and level[at] < threshold[at]:
        at -= 1  # a fall was known for one only when it was deep
    here, there = level[at] - threshold[at], level[at + 1] - threshold[at + 1]
    return float((at + np.clip(here / (here - there + 1e-12), 0, 1)) * hop)


def _samples(seconds: float, rate: int) -> int:
    """Give the power of two that is nearest to a time in samples."""
    return int(2 ** np.round(np.log2(seconds * rate)))
