"""Scenes as sound: waveforms of a batch of scenes, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genhub_litefocus.tones.world import (
    BANDS,
    GAP,
    PERIODS,
    PITCHES,
    SWEEP,
    SWEEPS,
    Beeps,
    Noise,
    Scene,
    Steady,
    Sweep,
)

__all__ = ["RATE", "render"]

RATE = 16_000  # samples a second
EDGE = 0.012  # seconds in which a beep rises and falls
LOUDEST = 0.4  # amplitude of a voice


def render(
    scenes: Sequence[Scene], seconds: float, rng: np.random.Generator, device: str = "cpu"
) -> Tensor:
    """Give waveforms [B, samples] in -1..1; `rng` draws where in its period each scene begins.

    Loudness varies by 3 dB; grounds are softer than voices.
    """
    time = torch.arange(round(seconds * RATE), device=device, dtype=torch.float64) / RATE
    made = [_one(scene, time, rng) for scene in scenes]
    return torch.stack(made)


def _one(scene: Scene, time: Tensor, rng: np.random.Generator) -> Tensor:
    loud, shift, phase, softer = rng.uniform(0.7, 1.0), *rng.uniform(0, 1, 3)
    level = LOUDEST * loud
    made = torch.zeros(len(time), device=time.device)
    match scene.voice:
        case Steady(pitch):
            made = level * _tone(PITCHES[pitch], time, phase)
        case Beeps(pitch, rate):
            place = (time / PERIODS[rate] + shift) % 1
            made = level * _gate(place, 0.5, PERIODS[rate]) * _tone(PITCHES[pitch], time, phase)
        case Sweep(direction, rate):
            made = level * _glide(time, SWEEPS[rate], shift, rising=direction == "rising")
    match scene.ground:
        case Noise(band):
            alone = scene.voice is None
            made = made + level * (0.5 if alone else 0.12 + 0.08 * softer) * _noise(band, time, rng)
        case Steady(pitch):
            made = made + level * (0.25 + 0.15 * softer) * _tone(PITCHES[pitch], time, 1 - phase)
    return made


def _tone(hertz: float, time: Tensor, phase: float) -> Tensor:
    return torch.sin(2 * math.pi * ((hertz * time + phase) % 1)).float()


def _gate(place: Tensor, on: float, period: float) -> Tensor:
    """Open for the share `on` of each period, with edges that do not click."""
    edge = EDGE / period
    rise = (place / edge).clamp(0, 1)
    fall = ((on - place) / edge).clamp(0, 1)
    return torch.sin(math.pi / 2 * torch.minimum(rise, fall)).square().float()


def _glide(time: Tensor, period: float, shift: float, *, rising: bool) -> Tensor:
    place = (time / period + shift) % 1
    share = (place / (1 - GAP)).clamp(max=1)
    low, high = SWEEP
    hertz = low * (high / low) ** (share if rising else 1 - share)
    phase = torch.cumsum(hertz / RATE, 0) % 1
    return _gate(place, 1 - GAP, period) * torch.sin(2 * math.pi * phase).float()


def _noise(band: str, time: Tensor, rng: np.random.Generator) -> Tensor:
    """Give white noise of RMS 1/2, of which only one band is left."""
    generator = torch.Generator(device=time.device).manual_seed(int(rng.integers(2**62)))
    spectrum = torch.fft.rfft(torch.randn(len(time), device=time.device, generator=generator))
    hertz = torch.fft.rfftfreq(len(time), 1 / RATE, device=time.device)
    low, high = BANDS[band]
    left = torch.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), len(time))
    return 0.5 * left / left.square().mean().sqrt()
