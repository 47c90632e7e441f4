"""What else is heard: sound where it is due, noise in its band, and nothing that was not asked for.

Each function gives truth values [frames] of 25 ms, true where it is wrong.
"""

from __future__ import annotations

import numpy as np

from genhub_litefocus.tones.features import HIGHEST, Features, around, lasting
from genhub_litefocus.tones.spectra import AUDIBLE, LOBE, Array
from genhub_litefocus.tones.voices import glide
from genhub_litefocus.tones.world import (
    BANDS,
    PERIODS,
    PITCHES,
    SWEEPS,
    Beeps,
    Noise,
    Scene,
    Sweep,
)

__all__ = ["noise", "purity", "sound"]

BESIDE = 45.0  # hertz around a tone that are the tone's
NEAR = 2 ** (1 / 12)  # and at least so much of a semitone
EXTRA = 0.04  # share of the loudest level from which another tone is heard
HISS = 0.055  # and from which noise is
DIM = 0.25  # share of its usual level from which noise is heard
OTHER = 0.5  # share of the noise that other bands may have
LINE = 0.45  # share of a noise's power from which one frequency is a tone and not chance
EDGE = 3  # frames at either end whose spectra reach beyond the sound


def sound(features: Features, scene: Scene) -> Array:
    """Say where there is sound and should not be, or the other way round."""
    heard = features.loudness > AUDIBLE
    if scene == Scene():
        return lasting(heard, 0.05)
    quiet = 0.1  # seconds from which a pause is none that the caption has
    if scene.ground is None:
        match scene.voice:
            case Beeps(rate=rate):
                quiet = 0.75 * PERIODS[rate]
            case Sweep(rate=rate):
                quiet = 0.15 * SWEEPS[rate] + 0.1
    return lasting(~heard, quiet)


def noise(features: Features, said: Noise) -> Array:
    """Say where noise is lacking in its band, or is heard in another."""
    free = ~_tones(features)
    levels = {band: _level(features, free, band) for band in BANDS}
    own = levels.pop(said.band)
    usual = max(float(np.median(own)), AUDIBLE)
    dim = lasting(around(own**2, 0.1) < (DIM * usual) ** 2, 0.1)
    power = around(own**2, 1.0)
    others = [around(level**2, 1.0) > OTHER**2 * power for level in levels.values()]
    return np.logical_or.reduce([dim, *others])


def purity(features: Features, scene: Scene) -> Array:
    """Say where a tone or a noise is heard that the caption does not have."""
    if scene == Scene():
        return sound(features, scene)
    spectra, known = features.spectra, _tones(features)
    inside = spectra.within(80.0, HIGHEST)
    loudest = float(np.percentile(spectra.power[:, inside].max(1), 95))
    tone, hiss = (max(share**2 * loudest, AUDIBLE**2) for share in (EXTRA, HISS))
    wrong = np.zeros(len(features.times), bool)
    if isinstance(scene.ground, Noise):
        low, high = BANDS[scene.ground.band]
        wrong |= _lines(features, known, scene.ground.band) > tone
        inside &= ~spectra.within(low / NEAR - 30, high * NEAR + 30)
    rest = _within(np.where(known, 0, spectra.power)[:, inside])
    spread = around(rest.sum(1), 1.0) / LOBE > hiss
    return wrong | spread | lasting(around(rest, 0.1).max(1) > tone, 0.1)


def _lines(features: Features, known: Array, band: str) -> Array:
    """Give the power of the tone in the noise of a band, 0 where no frequency stands out."""
    bins = features.spectra.within(*BANDS[band])
    power = around(np.where(known, 0, features.spectra.power)[:, bins], 2.0)
    padded = np.pad(power, ((0, 0), (1, 1)))
    line = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]).max(1)
    return np.where(line > LINE * power.sum(1), line / LOBE, 0)


def _within(values: Array) -> Array:
    """Repeat what is measured within the sound where frames reach beyond it: cut tones splash."""
    inner = values[EDGE:-EDGE]
    return np.concatenate([inner[:1].repeat(EDGE, 0), inner, inner[-1:].repeat(EDGE, 0)])


def _level(features: Features, free: Array, band: str) -> Array:
    """Give the root mean square of a band, from those of its bins that hold no tone."""
    bins = features.spectra.within(*BANDS[band])
    power, counted = features.spectra.power[:, bins], free[:, bins]
    share = np.maximum(counted.mean(1), 0.05)
    return _within(np.sqrt(np.where(counted, power, 0).sum(1) / share / (2 * LOBE)))


def _tones(features: Features) -> Array:
    """Say which bins [frames, bins] hold the tones of the caption."""
    hertz = features.spectra.hertz
    held = np.zeros(features.spectra.power.shape, bool)
    for tone in features.tones:
        held |= _near(hertz, PITCHES[tone.pitch], BESIDE)
    if isinstance(features.scene.voice, Sweep):
        found = glide(features, features.scene.voice)
        moving = _near(hertz, found.hertz[:, None], 2 * BESIDE) & found.heard[:, None]
        padded = np.pad(moving, ((2, 2), (0, 0)))
        for shift in range(5):  # the frames beside it hear its edges
            held |= padded[shift : shift + len(held)]
    return held


def _near(hertz: Array, middle: Array | float, reach: float) -> Array:
    return np.abs(hertz - middle) <= np.maximum(reach, middle * (NEAR**1.5 - 1))
