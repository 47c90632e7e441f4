"""One sound and its scene, measured once for all that is asked about it.

What is wrong is said per frame of 25 ms: arrays [frames] of truth values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from genhub_litefocus.tones.spectra import (
    AUDIBLE,
    FRAME,
    LOWEST_RATE,
    Array,
    Spectra,
    Track,
    spectra,
)
from genhub_litefocus.tones.world import PITCHES, Beeps, Scene, Steady, Sweep

__all__ = ["SHORTEST", "Features", "Tone", "around", "lasting", "strength"]

Tone: TypeAlias = Steady | Beeps

SHORTEST = 1.0  # seconds that can be judged
REACH = 2 ** (2.5 / 12)  # how far from its pitch a tone is still looked for
HIGHEST = 7500.0  # hertz


@dataclass(frozen=True, eq=False)
class Features:
    """A waveform [samples] and what its caption says."""

    waveform: Array
    rate: int
    scene: Scene

    def __post_init__(self) -> None:
        if self.waveform.ndim != 1 or len(self.waveform) < SHORTEST * self.rate:
            raise ValueError(
                f"a sound to be judged must be [samples] of at least {SHORTEST:g} s, got shape "
                f"{self.waveform.shape} at {self.rate} Hz"
            )
        if self.rate < LOWEST_RATE:
            raise ValueError(
                f"the world of tones reaches {HIGHEST:g} Hz: a sound of {self.rate} samples a "
                f"second cannot be judged, give at least {LOWEST_RATE}"
            )

    @property
    def seconds(self) -> float:
        """Give the length of the sound."""
        return len(self.waveform) / self.rate

    @cached_property
    def spectra(self) -> Spectra:
        """Give spectra every 25 ms: over 128 ms, or over 64 ms where sweeps move meanwhile."""
        window = 0.064 if isinstance(self.scene.voice, Sweep) else 0.128
        samples = 2 * round(window * self.rate / 2)
        return spectra(self.waveform, self.rate, window=samples, hop=round(FRAME * self.rate))

    @property
    def times(self) -> Array:
        """Give the middle of each frame in seconds."""
        return self.spectra.times

    @cached_property
    def quick(self) -> Spectra:
        """Give spectra over 32 ms every 5 ms: when something begins and ends."""
        samples = 2 * round(0.016 * self.rate)
        return spectra(self.waveform, self.rate, window=samples, hop=round(0.005 * self.rate))

    @cached_property
    def loudness(self) -> Array:
        """Give the root mean square of the 25 ms around each frame."""
        hop = round(FRAME * self.rate)
        padded = np.pad(self.waveform.astype(np.float64) ** 2, (hop // 2, hop))
        count = len(self.times)
        blocks = np.pad(padded, (0, max(0, count * hop - len(padded))))[: count * hop]
        return np.sqrt(blocks.reshape(count, hop).mean(1))

    @property
    def tones(self) -> list[Tone]:
        """List the tones of the caption that have one pitch."""
        return [p for p in (self.scene.voice, self.scene.ground) if isinstance(p, Steady | Beeps)]

    def reach(self, tone: Tone) -> tuple[float, float]:
        """Give the range in which a tone is looked for: it ends halfway to another one."""
        own = PITCHES[tone.pitch]
        low, high = own / REACH, own * REACH
        for other in (PITCHES[t.pitch] for t in self.tones if t is not tone):
            between = float(np.sqrt(own * other))
            low, high = (max(low, between), high) if other < own else (low, min(high, between))
        return low, high

    def track(self, tone: Tone) -> Track:
        """Follow a tone around the pitch that it should have."""
        return self.spectra.track(*self.reach(tone))


def lasting(wrong: Array, seconds: float) -> Array:
    """Keep only what lasts: runs of frames that are at least so long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], wrong.astype(np.int8), [0]])))
    kept = np.zeros(len(wrong), bool)
    for begin, end in edges.reshape(-1, 2):
        if (end - begin) * FRAME >= seconds - 1e-9:
            kept[begin:end] = True
    return kept


def around(values: Array, seconds: float) -> Array:
    """Give the mean over so many seconds around each frame [frames, ...], fewer at the ends."""
    half = max(0, round(seconds / FRAME / 2))
    total = values.cumsum(0, np.result_type(values, np.float64))
    total = np.concatenate([np.zeros_like(total[:1]), total])
    at = np.arange(len(values))
    begin, end = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    count = (end - begin).reshape(-1, *[1] * (values.ndim - 1))
    return (total[end] - total[begin]) / count


def strength(level: Array) -> float:
    """Give the level of a voice while it sounds."""
    return max(float(np.percentile(level, 90)), 2 * AUDIBLE)
