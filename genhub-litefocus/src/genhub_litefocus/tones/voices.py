"""What is wrong with the voices of a sound: pitches, rhythm of beeps, sweeps.

Each function gives truth values [frames] of 25 ms, true where it is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from genhub_litefocus.tones.features import Features, Tone, around, lasting, strength
from genhub_litefocus.tones.spectra import FRAME, Array, bursts, cents
from genhub_litefocus.tones.world import (
    GAP,
    PERIODS,
    PITCHES,
    SWEEP,
    SWEEPS,
    Beeps,
    Steady,
    Sweep,
)

__all__ = [
    *("STEADY_PART", "Beats", "Glide", "beats", "glide"),
    *("onset_errors", "pitch", "rhythm", "run_errors", "sweep"),
]

OFF_PITCH = 50.0  # cents
SOUNDING = 0.3  # share of its usual level from which a voice sounds
STEADY_PART = 0.7  # and above which it is between its edges, which have other frequencies
STRETCH = 0.1  # share of a period by which beeps and sweeps may be early or late
LENGTHS = (0.3, 0.7)  # shares of a period between which a beep is on
CLICK = 0.03  # seconds up to which a dip ends no beep
CUT = 0.04  # seconds at either end in which an onset may be that of the sound itself
OFF_PLACE = 0.05  # share of a period by which a glide may be off its line
GLIDES = (250.0, 3500.0)  # hertz in which glides are followed


def pitch(features: Features, tone: Tone) -> Array:
    """Say where a tone is lacking, or more than 50 cents off."""
    track = features.track(tone)
    usual = strength(track.level)
    off = np.abs(cents(track.hertz, PITCHES[tone.pitch])) > OFF_PITCH
    match tone:
        case Steady():
            there = track.level >= SOUNDING * usual
            return lasting(~there, 0.1) | lasting(there & off, 0.1)
        case Beeps(rate=rate):
            there = track.level >= STEADY_PART * usual
            return lasting(~there, 1.2 * PERIODS[rate]) | lasting(there & off, 2 * FRAME)


@dataclass(frozen=True)
class Beats:
    """When beeps begin and end, in seconds."""

    onsets: Array
    ends: Array


def beats(features: Features, beeps: Beeps) -> Beats:
    """Find the beeps of a pitch: above half of the level that the loudest near them have."""
    quick = features.quick
    low, high = features.reach(beeps)
    bins = quick.within(low - quick.width / 2, high + quick.width / 2)
    level = np.sqrt(quick.power[:, bins].max(1))
    block = round(PERIODS[beeps.rate] / quick.hop)
    peaks = np.maximum.reduceat(level, np.arange(0, len(level), block))
    beside = np.pad(peaks, 1, mode="edge")
    near = np.maximum.reduce([beside[:-2], beside[1:-1], beside[2:]]).repeat(block)[: len(level)]
    threshold = 0.5 * np.maximum(near, strength(level) / 2)
    onsets, ends = bursts(level, quick.hop, threshold)
    healed = [e for e in ends if np.any((onsets > e) & (onsets < e + CLICK))]
    ends = np.setdiff1d(ends, healed)
    onsets = np.array([o for o in onsets if not np.any((o - CLICK < healed) & (healed < o))])
    inside = (onsets > CUT) & (onsets < features.seconds - CUT)
    return Beats(onsets[inside], ends[ends > CUT])


def rhythm(features: Features, beeps: Beeps) -> Array:
    """Say where a beep is missing, early, late, too short or too long."""
    found, period, end = beats(features, beeps), PERIODS[beeps.rate], features.seconds
    if not len(found.onsets):
        return np.ones(len(features.times), bool)
    longest, shortest = (1 + STRETCH) * period, (1 - STRETCH) * period
    onsets = found.onsets
    faults = [(0.0, onsets[0] - period)] if onsets[0] > longest + CUT else []
    for here, after in pairwise(onsets):
        if after - here > longest:
            faults.append((here + period, after))
        elif after - here < shortest:
            faults.append((after, after))
    if end - onsets[-1] > longest + CUT:
        faults.append((onsets[-1] + period, end))
    return _marked(features, faults + _lengths(found, period, end))


def onset_errors(features: Features, beeps: Beeps) -> list[tuple[float, float]]:
    """Give (seconds, milliseconds late) of each beep against the even beat that fits best."""
    onsets, period = beats(features, beeps).onsets, PERIODS[beeps.rate]
    if not len(onsets):
        return []
    count = np.concatenate([[0], np.cumsum(np.round(np.diff(onsets) / period))])
    late = onsets - count * period
    return _points(onsets, 1000 * (late - np.median(late)))


def _lengths(found: Beats, period: float, end: float) -> list[tuple[float, float]]:
    """List beeps that are too short or too long; one that is cut off can be too long only."""
    least, most = (share * period for share in LENGTHS)
    faults = []
    for begin in found.onsets:
        later = found.ends[found.ends > begin]
        close = float(later[0]) if len(later) else end
        if close - begin > most or (len(later) and close - begin < least):
            faults.append((float(begin), close))
    if len(found.ends) and found.ends[0] < found.onsets[0] and found.ends[0] > most:
        faults.append((0.0, float(found.ends[0])))
    return faults


def _marked(features: Features, faults: list[tuple[float, float]]) -> Array:
    wrong = np.zeros(len(features.times), bool)
    for begin, end in faults:
        first = min(round(begin / FRAME), len(wrong) - 1)
        wrong[first : max(first, round(end / FRAME)) + 1] = True
    return wrong


@dataclass(frozen=True)
class Glide:
    """Sweeps by frame: is one heard, and how far ahead of an even run is it, in periods?

    `ahead` is the place in the period that a pitch stands for, less the time that has passed.
    """

    heard: Array
    hertz: Array
    ahead: Array


def glide(features: Features, said: Sweep) -> Glide:
    """Follow the sweeps of a sound."""
    track = features.spectra.track(*GLIDES)
    heard = track.level >= SOUNDING * strength(track.level)
    share = np.log(track.hertz / SWEEP[0]) / np.log(SWEEP[1] / SWEEP[0])
    place = (share if said.direction == "rising" else 1 - share) * (1 - GAP)
    return Glide(heard, track.hertz, (place - features.times / SWEEPS[said.rate]) % 1)


def sweep(features: Features, said: Sweep) -> Array:
    """Say where a sweep is lacking, or does not run as it should."""
    found, period = glide(features, said), SWEEPS[said.rate]
    turn = np.where(found.heard, np.exp(2j * np.pi * found.ahead), 0)
    near = around(turn, period)
    off = _wrapped(found.ahead - np.angle(near) / (2 * np.pi))
    strays = found.heard & (np.abs(off) > OFF_PLACE)
    place = (np.angle(near) / (2 * np.pi) + features.times / period) % 1
    due = (place > 0.06) & (place < 0.94 - GAP)
    lag = round(period / FRAME / 2)
    early, late = np.roll(near, lag), np.roll(near, -lag)
    drift = np.abs(np.angle(late * early.conj())) / (2 * np.pi) > STRETCH
    drift[:lag], drift[len(drift) - lag :] = False, False
    return lasting(strays, 0.1) | lasting(due & ~found.heard, 0.1) | lasting(drift, 0.1)


def run_errors(features: Features, said: Sweep) -> list[tuple[float, float]]:
    """Give (seconds, milliseconds late) of sweeps, by quarters of their period."""
    found, period = glide(features, said), SWEEPS[said.rate]
    quarter = np.floor(features.times / period * 4).astype(int)
    times, turns = [], []
    for place in np.unique(quarter[found.heard]):
        inside = found.heard & (quarter == place)
        times.append(features.times[inside].mean())
        turns.append(np.angle(np.exp(2j * np.pi * found.ahead[inside]).mean()) / (2 * np.pi))
    if not times:
        return []
    late = -period * np.unwrap(turns, period=1)
    return _points(np.array(times), 1000 * (late - np.median(late)))


def _points(times: Array, values: Array) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(times, values, strict=True)]


def _wrapped(turns: Array) -> Array:
    return (turns + 0.5) % 1 - 0.5
