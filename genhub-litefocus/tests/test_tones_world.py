"""Captions and scenes of the world of tones, and the sound that is made of them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genhub_litefocus.tones import mel, sound, world
from genhub_litefocus.tones.spectra import pitch_track


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_captions_say_what_a_scene_is_and_are_read_back(seed: int) -> None:
    scene = world.sample(random.Random(seed))
    said = world.caption(scene)
    assert world.parse(said) == scene
    assert world.parse(f"  {said.upper()} ") == scene
    assert set(said.split()) <= set(world.words())


def test_samples_hold_every_kind_of_scene() -> None:
    lot = random.Random(1)
    seen = {(type(s.voice), type(s.ground)) for s in (world.sample(lot) for _ in range(500))}
    nothing, tone, noise = type(None), world.Steady, world.Noise
    assert seen == {
        (nothing, nothing), (nothing, noise),
        *((voice, ground) for voice in (tone, world.Beeps) for ground in (nothing, noise, tone)),
        (world.Sweep, nothing), (world.Sweep, noise),
    }  # fmt: skip


@pytest.mark.parametrize(
    "said",
    ["", "a dog barks", "low noise over low noise", "fast beeps", "silence over low noise",
     "a steady middle h tone", "low noise over a steady low c tone"],
)  # fmt: skip
def test_other_sentences_are_refused_with_those_that_there_are(said: str) -> None:
    with pytest.raises(ValueError, match="is no caption of the world of tones: write 'a steady"):
        world.parse(said)


def test_pitches_are_those_of_a_piano() -> None:
    assert world.PITCHES["middle a"] == 880.0 and world.PITCHES["low a"] == 440.0
    assert world.PITCHES["low c"] == pytest.approx(261.63, abs=0.01)
    assert world.PITCHES["high b"] == pytest.approx(1975.53, abs=0.01)


def test_equal_seeds_render_equal_sounds_and_others_begin_elsewhere() -> None:
    scenes = [world.parse("quick low c beeps over high noise")]
    once, twice, other = (
        sound.render(scenes, 2.0, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert once.shape == (1, 32_000) and once.dtype == torch.float32
    assert torch.equal(once, twice) and not torch.allclose(once, other)
    assert once.abs().max() <= 1


def test_noise_lies_in_its_band_alone() -> None:
    for band, (low, high) in world.BANDS.items():
        made = sound.render([world.parse(f"{band} noise")], 2.0, np.random.default_rng(0))
        power = torch.fft.rfft(made[0]).abs().square()
        hertz = torch.fft.rfftfreq(made.shape[1], 1 / sound.RATE)
        inside = power[(hertz >= low) & (hertz <= high)].sum()
        assert inside / power.sum() > 0.999


def test_the_mel_picture_gives_pitches_back_within_a_sixteenth_of_a_semitone() -> None:
    for pitch in ("low c", "middle f", "high b"):
        scene = world.parse(f"a steady {pitch} tone")
        made = sound.render([scene], 2.0, np.random.default_rng(0))
        again = mel.synthesise(mel.analyse(made))[0].numpy()
        heard = pitch_track(again, sound.RATE).hertz[4:-4]
        assert 1200 * np.abs(np.log2(heard / world.PITCHES[pitch])).max() < 7


def test_sound_made_in_pieces_is_the_sound_made_at_once() -> None:
    scene = world.parse("fast middle c beeps over high noise")
    picture = mel.analyse(sound.render([scene], 2.0, np.random.default_rng(0)))
    whole = mel.synthesise(picture)
    first = mel.synthesise(picture[:, :37], following=picture[:, 37:38])
    rest = mel.synthesise(picture[:, 37:], start=37)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-5)


def test_silence_is_painted_black_and_sounds_like_nothing() -> None:
    picture = mel.analyse(sound.render([world.Scene()], 1.0, np.random.default_rng(0)))
    assert picture.shape == (1, 40, 64) and (picture == -1).all()
    assert (mel.synthesise(picture) == 0).all()
