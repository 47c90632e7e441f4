"""The picture that tiny:tones paints, and its inverse in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genhub_litefocus.tones import mel, sound, world
from genhub_litefocus.tones.pipeline import MelSynthesiser


def _waves(caption: str, seconds: float = 4.0) -> torch.Tensor:
    return sound.render([world.parse(caption)], seconds, np.random.default_rng(3))


def _strongest(waveform: torch.Tensor) -> float:
    """Give the frequency of the strongest of all sinusoids, in hertz, to a third of one."""
    middle = waveform[0, 8000:56000]
    spectrum = torch.fft.rfft(middle * torch.hann_window(len(middle))).abs()
    return int(spectrum.argmax()) * sound.RATE / len(middle)


@pytest.mark.parametrize("pitch", world.PITCHES)
def test_a_tone_keeps_pitch_and_loudness(pitch: str) -> None:
    waves = _waves(f"a steady {pitch} tone")
    back = mel.synthesise(mel.analyse(waves))
    assert back.shape == waves.shape
    cents = 1200 * np.log2(_strongest(back) / world.PITCHES[pitch])
    assert abs(cents) < 7  # half of the way between two oscillators
    decibels = 20 * torch.log10(back[:, 8000:56000].abs().max() / waves.abs().max())
    assert abs(float(decibels)) < 0.5


def test_silence_stays_silent() -> None:
    picture = mel.analyse(torch.zeros(1, 16000))
    assert bool((picture == -1).all())
    assert bool((mel.synthesise(picture) == 0).all())


def test_a_band_of_amplitude_one_is_painted_as_full_scale() -> None:
    time = torch.arange(32000).double() / sound.RATE
    for band in (10, 30, 50):
        hertz = float(mel.band_hertz(torch.tensor(float(band))))
        picture = mel.analyse(torch.sin(2 * torch.pi * hertz * time).float()[None])
        assert float(picture[0, 20, band]) == pytest.approx(1.0, abs=0.02)


def test_noise_stays_in_its_band() -> None:
    for band, (low, high) in world.BANDS.items():
        back = mel.synthesise(mel.analyse(_waves(f"{band} noise")))[0]
        power = torch.fft.rfft(back).abs().square()
        hertz = torch.fft.rfftfreq(len(back), 1 / sound.RATE)
        inside = power[(hertz > low * 0.8) & (hertz < high * 1.2)].sum() / power.sum()
        assert float(inside) > 0.95


@pytest.mark.parametrize("cut", [1, 37, 159])
def test_pieces_are_the_sound_that_is_made_at_once(cut: int) -> None:
    picture = mel.analyse(_waves("fast rising sweeps over low noise"))
    whole = mel.synthesise(picture)
    first = mel.synthesise(picture[:, :cut], following=picture[:, cut : cut + 1])
    rest = mel.synthesise(picture[:, cut:], start=cut)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, rtol=0, atol=1e-6)


def test_the_synthesiser_stays_exact_in_half_precision_pipelines() -> None:
    picture = mel.analyse(_waves("quick low a beeps", 2.0))
    halved = MelSynthesiser().to(torch.float16)
    torch.testing.assert_close(halved(picture), MelSynthesiser()(picture))
