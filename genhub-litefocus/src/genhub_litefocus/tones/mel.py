"""The time-frequency picture that tiny:tones paints, and its inverse in closed form.

64 bands, a semitone apart, 40 frames a second: decibels of the sinusoid that would sound as strong,
mapped so that -1 is silence and 1 is full scale. The inverse needs no training and no iteration:
every peak of a frame sounds on the nearest of a bank of fixed oscillators, whose amplitudes run
straight from frame to frame. Oscillators know the absolute time, so sound that is made piece by
piece is the sound that is made at once.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from genhub_litefocus.tones.sound import RATE

__all__ = ["BANDS", "HOP", "analyse", "band_hertz", "synthesise"]

BANDS = 64
HOP = 400  # samples from frame to frame
WINDOW = 1024
LOWEST = 440.0 * 2 ** (-13 / 12)  # hertz of band 0; the highest is 7.9 kHz
SILENCE = -70.0  # decibels below full scale that are painted as -1
HEARD = -52.0  # decibels from which a peak sounds
FINE = 8  # oscillators per band


def band_hertz(band: Tensor) -> Tensor:
    """Give the frequency of a band, or of a place between bands."""
    return LOWEST * 2 ** (band / 12)


def analyse(waveform: Tensor) -> Tensor:
    """Give the picture [B, frames, 64] in -1..1 of waveforms [B, samples]; one frame per hop."""
    window = torch.hann_window(WINDOW, device=waveform.device)
    spectrum = torch.stft(
        waveform.float(), WINDOW, HOP, window=window, center=True, pad_mode="reflect",
        return_complex=True,
    )  # fmt: skip
    power = spectrum.abs().square()[..., : waveform.shape[-1] // HOP]
    energy = (_filters().to(waveform.device) @ power).transpose(1, 2)
    level = 10 * torch.log10(energy.clamp(min=1e-12))
    return (2 * (1 - level / SILENCE) - 1).clamp(-1, 1)


def synthesise(picture: Tensor, following: Tensor | None = None, start: int = 0) -> Tensor:
    """Give the waveform [B, frames * HOP] of a picture [B, frames, 64] in -1..1.

    `start` is the number of frames before this piece, `following` [B, 1, 64] the frame after it
    (None at the end, where the last one stays).
    """
    following = picture[:, -1:] if following is None else following
    strength = _strengths(torch.cat([picture, following], 1).float())
    frames = torch.arange(start, start + picture.shape[1], device=picture.device)
    hertz = band_hertz(
        torch.arange(BANDS * FINE, device=picture.device, dtype=torch.float64) / FINE
    )
    begun = frames[:, None].double() * HOP / RATE * hertz + _golden(len(hertz)).to(hertz)
    inside = torch.arange(HOP, device=picture.device).double() / RATE * hertz[:, None]
    turn, small = 2 * math.pi * (begun % 1), 2 * math.pi * inside
    cosine, sine = turn.cos().float(), turn.sin().float()
    here, there = strength[:, :-1], strength[:, 1:]
    rising = torch.linspace(0, 1, HOP + 1, device=picture.device)[:-1]

    def sounding(amplitude: Tensor) -> Tensor:
        # cos(a + b) = cos a cos b - sin a sin b: two products instead of a cosine per sample
        first = (amplitude * cosine) @ small.cos().float()
        return first - (amplitude * sine) @ small.sin().float()

    return (sounding(here) * (1 - rising) + sounding(there) * rising).flatten(1)


def _strengths(picture: Tensor) -> Tensor:
    """Give amplitudes [B, frames, 64 * FINE]: each peak on the oscillator next to its top.

    The top of a peak is that of the parabola through its band and the two beside it.
    """
    level = SILENCE * (1 - (picture.clamp(-1, 1) + 1) / 2)  # decibels
    padded = F.pad(level, (1, 1), value=SILENCE)
    left, right = padded[..., :-2], padded[..., 2:]
    peak = (level > left) & (level >= right) & (level > HEARD)
    bend = (left - 2 * level + right).clamp(max=-1e-3)
    off = (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
    top = level - 0.25 * (left - right) * off
    bands = torch.arange(BANDS, device=picture.device)
    place = ((bands + off) * FINE).round().long().clamp(0, BANDS * FINE - 1)
    amplitude = torch.where(peak, 10 ** (top / 20), torch.zeros_like(top))
    fine = picture.new_zeros(*picture.shape[:-1], BANDS * FINE)
    return fine.scatter_add(-1, place, amplitude)


def _golden(count: int) -> Tensor:
    """Spread the oscillators' phases, so that they do not all begin together."""
    return (torch.arange(count, dtype=torch.float64) * 0.6180339887498949) % 1


@cache
def _filters() -> Tensor:
    """Give the bands' weights [64, bins] of a power spectrum: triangles over semitones.

    Low bands are no narrower than what the window resolves. A sinusoid of amplitude 1 in the middle
    of a band has energy 1 there.
    """
    hertz = torch.fft.rfftfreq(WINDOW, 1 / RATE).double()
    centre = band_hertz(torch.arange(BANDS).double())
    half = (centre * (2 ** (1 / 12) - 1)).clamp(min=1.5 * RATE / WINDOW)
    weights = (1 - (hertz - centre[:, None]).abs() / half[:, None]).clamp(min=0)
    time = torch.arange(WINDOW).double() / RATE
    pure = torch.cos(2 * math.pi * centre[:, None] * time) * torch.hann_window(WINDOW).double()
    power = torch.fft.rfft(pure).abs().square()
    return (weights / (weights * power).sum(1, keepdim=True)).float()
