"""Judge sounds against captions without any network: is what is said heard, and nothing else?

A sound is judged in windows of two seconds, each attribute of its caption alone: `sound` (there is
sound where it is due and none where it is not), `pitch` (steady tones and beeps, within 50 cents),
`rhythm` (beeps as far apart as they should be, none missing, none too many), `sweep` (direction
and rate), `noise` (in its band and no other), `purity` (no tone that was not asked for).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from genhub_litefocus.tones import background, voices
from genhub_litefocus.tones.features import SHORTEST, Features, strength
from genhub_litefocus.tones.spectra import Array, cents
from genhub_litefocus.tones.world import PITCHES, Beeps, Noise, Scene, Steady, Sweep, parse

__all__ = [
    "ATTRIBUTES",
    "WINDOW",
    "Errors",
    "Verdict",
    "errors",
    "judge",
    "shares",
    "tone_accuracy",
]

WINDOW = 2.0  # seconds
QUARTER = 0.25  # seconds
ATTRIBUTES = ("sound", "pitch", "rhythm", "sweep", "noise", "purity")


@dataclass(frozen=True)
class Verdict:
    """What is right in one window of a sound; `right` has the attributes that its caption has."""

    begin: float
    end: float
    right: dict[str, bool]

    @property
    def joint(self) -> bool:
        """Say whether everything is right."""
        return all(self.right.values())


def judge(waveform: Array, caption: str, rate: int) -> list[Verdict]:
    """Give the verdict on each window of a waveform [samples].

    What is left at the end is a window of its own from one second on, and part of the last one
    below. Raises ValueError for a caption that `world.parse` does not know, for less than one
    second, and for a rate below 12.5 kHz.
    """
    scene = parse(caption)
    features = Features(np.asarray(waveform), rate, scene)
    wrong = dict(_faults(features, scene))
    verdicts = []
    for begin, end in _windows(features.seconds):
        inside = (features.times >= begin) & (
            features.times < (np.inf if end == features.seconds else end)
        )
        right = {name: not found[inside].any() for name, found in wrong.items()}
        verdicts.append(Verdict(begin, end, right))
    return verdicts


def _faults(features: Features, scene: Scene) -> Iterator[tuple[str, Array]]:
    """Give each attribute that the caption has, with where [frames] it is wrong."""
    yield "sound", background.sound(features, scene)
    if features.tones:
        yield (
            "pitch",
            np.logical_or.reduce([voices.pitch(features, tone) for tone in features.tones]),
        )
    match scene.voice:
        case Beeps() as beeps:
            yield "rhythm", voices.rhythm(features, beeps)
        case Sweep() as sweep:
            yield "sweep", voices.sweep(features, sweep)
    if isinstance(scene.ground, Noise):
        yield "noise", background.noise(features, scene.ground)
    yield "purity", background.purity(features, scene)


def _windows(seconds: float) -> list[tuple[float, float]]:
    count = max(1, int((seconds + WINDOW - SHORTEST) / WINDOW))
    begins = [place * WINDOW for place in range(count)]
    return [*pairwise(begins), (begins[-1], seconds)]


def tone_accuracy(sounds: Sequence[Array], captions: Sequence[str], rate: int) -> dict[str, float]:
    """Give the share of windows that are right: `joint` in all, then each attribute alone.

    An attribute that no caption has is left out. Raises ValueError when there is not one caption
    per sound, or none at all, and where `judge` does.
    """
    if len(sounds) != len(captions) or not captions:
        raise ValueError(
            f"tone_accuracy needs one caption per sound and at least one; got {len(sounds)} "
            f"sounds and {len(captions)} captions"
        )
    return shares(
        verdict
        for sound, caption in zip(sounds, captions, strict=True)
        for verdict in judge(sound, caption, rate)
    )


def shares(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Give the share of verdicts that are right: `joint` in all, then each attribute alone."""
    listed = list(verdicts)
    found = {"joint": [verdict.joint for verdict in listed]}
    for name in ATTRIBUTES:
        found[name] = [verdict.right[name] for verdict in listed if name in verdict.right]
    return {name: sum(right) / len(right) for name, right in found.items() if right}


@dataclass(frozen=True)
class Errors:
    """How far a sound is off its caption, over time: pairs (seconds, error).

    `onset` in milliseconds, later being positive, against the evenly spaced times that fit all
    onsets best: a rhythm that drifts is a slope, one that jumps a step. `pitch` in cents, by tone.
    """

    onset: list[tuple[float, float]]
    pitch: dict[str, list[tuple[float, float]]]


def errors(waveform: Array, caption: str, rate: int) -> Errors:
    """Measure onsets (of beeps, and of sweeps as whole runs) and pitches against a caption.

    Pitches are medians of quarters of a second. Raises ValueError as `judge` does.
    """
    scene = parse(caption)
    features = Features(np.asarray(waveform), rate, scene)
    onset: list[tuple[float, float]] = []
    match scene.voice:
        case Beeps() as beeps:
            onset = voices.onset_errors(features, beeps)
        case Sweep() as sweep:
            onset = voices.run_errors(features, sweep)
    return Errors(onset, {tone.pitch: _pitch_errors(features, tone) for tone in features.tones})


def _pitch_errors(features: Features, tone: Steady | Beeps) -> list[tuple[float, float]]:
    track = features.track(tone)
    there = track.level >= voices.STEADY_PART * strength(track.level)
    off = cents(track.hertz, PITCHES[tone.pitch])
    points = []
    for begin in np.arange(0, features.seconds, QUARTER):
        inside = there & (features.times >= begin) & (features.times < begin + QUARTER)
        if inside.any():
            points.append((float(begin + QUARTER / 2), float(np.median(off[inside]))))
    return points
