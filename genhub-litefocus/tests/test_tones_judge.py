"""The judge of tones: right sounds pass, wrong ones fail where they are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from genhub_litefocus.tones import mel, sound, world
from genhub_litefocus.tones.features import Features
from genhub_litefocus.tones.judge import errors, judge, shares, tone_accuracy
from genhub_litefocus.tones.spectra import pitch_track
from genhub_litefocus.tones.voices import beats

RATE = sound.RATE
SECONDS = 12.0
STEADY, BEEPS = "a steady middle a tone", "quick middle a beeps"
SWEEPS, NOISE = "fast rising sweeps", "low noise"
OVER_NOISE, OVER_TONE = (
    "quick low c beeps over high noise",
    "fast high b beeps over a steady low c tone",
)
EVERY = (STEADY, BEEPS, SWEEPS, NOISE, OVER_NOISE, OVER_TONE)


def rendered(caption: str, seconds: float = SECONDS, painted: bool = False) -> np.ndarray:
    """Render a caption, as a mel picture of it sounds if `painted`."""
    made = sound.render([world.parse(caption)], seconds, np.random.default_rng(3))
    return (mel.synthesise(mel.analyse(made)) if painted else made)[0].numpy()


def tone(hertz: float, level: float, seconds: float = SECONDS) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def faults(waveform: np.ndarray, caption: str) -> dict[int, list[str]]:
    """Give what is wrong by the second in which a window begins."""
    return {
        int(verdict.begin): [name for name, right in verdict.right.items() if not right]
        for verdict in judge(waveform, caption, RATE)
        if not verdict.joint
    }


def bent(waveform: np.ndarray, *cents: float) -> np.ndarray:
    """Play a sound faster: by so many cents at the begin and at the end."""
    speed = 2 ** (np.linspace(cents[0], cents[-1], len(waveform)) / 1200)
    places = np.cumsum(speed)
    return np.interp(places[places < len(waveform) - 1], np.arange(len(waveform)), waveform)


@pytest.mark.parametrize("painted", [False, True])
def test_what_is_rendered_is_right(painted: bool) -> None:
    lot, rng, verdicts = random.Random(11), np.random.default_rng(11), []
    for _ in range(60):
        scene = world.sample(lot)
        made = sound.render([scene], 9.6, rng)
        made = mel.synthesise(mel.analyse(made)) if painted else made
        verdicts += judge(made[0].numpy(), world.caption(scene), RATE)
    found = shares(verdicts)
    assert found["joint"] >= (0.97 if painted else 0.99)
    assert len(verdicts) == 60 * 5 and len(found) == 7


@pytest.mark.parametrize("caption", [*EVERY, "silence"])
def test_long_sounds_are_right_to_their_end(caption: str) -> None:
    assert faults(rendered(caption, 40.0), caption) == {}


@pytest.mark.parametrize(
    ("caption", "heard", "wrong"),
    [
        (STEADY, "a steady middle b tone", "pitch"),
        (STEADY, "a steady low a tone", "pitch"),
        (STEADY, BEEPS, "pitch"),
        (STEADY, "silence", "sound"),
        (STEADY, f"{STEADY} over middle noise", "purity"),
        (STEADY, f"{STEADY} over a steady low d tone", "purity"),
        (BEEPS, "fast middle a beeps", "rhythm"),
        (BEEPS, "slow middle a beeps", "rhythm"),
        ("fast middle a beeps", BEEPS, "rhythm"),
        (BEEPS, STEADY, "rhythm"),
        (BEEPS, f"{BEEPS} over low noise", "purity"),
        (f"{BEEPS} over low noise", BEEPS, "noise"),
        (f"{BEEPS} over low noise", f"{BEEPS} over high noise", "noise"),
        (f"{BEEPS} over a steady low d tone", BEEPS, "pitch"),
        (f"{BEEPS} over a steady low d tone", f"{BEEPS} over a steady low e tone", "pitch"),
        (SWEEPS, "fast falling sweeps", "sweep"),
        (SWEEPS, "slow rising sweeps", "sweep"),
        ("slow falling sweeps", "fast falling sweeps", "sweep"),
        (SWEEPS, STEADY, "sweep"),
        (NOISE, "middle noise", "noise"),
        ("high noise", NOISE, "noise"),
        (NOISE, "silence", "noise"),
        ("silence", NOISE, "sound"),
        ("silence", STEADY, "purity"),
        ("middle noise", f"{STEADY} over middle noise", "purity"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("painted", [False, True])
def test_another_sound_is_wrong_in_every_window(
    caption: str, heard: str, wrong: str, painted: bool
) -> None:
    found = faults(rendered(heard, painted=painted), caption)
    assert list(found) == [0, 2, 4, 6, 8, 10]
    assert all(wrong in names for names in found.values())


@pytest.mark.parametrize("caption", [STEADY, BEEPS, OVER_NOISE, OVER_TONE])
def test_a_semitone_too_high_is_wrong(caption: str) -> None:
    assert len(faults(bent(rendered(caption), 100), caption)) >= 4


@pytest.mark.parametrize("caption", EVERY)
def test_a_seam_is_wrong_where_it_is(caption: str) -> None:
    made = rendered(caption)
    loud = np.abs(made[: 8 * RATE]).reshape(-1, RATE // 100).max(1) > 0.02
    begin = 6.4 + 0.01 * int(loud[640:].argmax())
    made[int(begin * RATE) : int((begin + 0.2) * RATE)] = 0
    assert list(faults(made, caption)) == [6]


@pytest.mark.parametrize("caption", EVERY)
def test_a_half_that_is_silent_is_wrong(caption: str) -> None:
    made = rendered(caption)
    made[6 * RATE :] = 0
    assert {6, 8, 10} <= set(faults(made, caption)) <= {4, 6, 8, 10}  # a beep may be cut off


@pytest.mark.parametrize("caption", [STEADY, BEEPS, SWEEPS, OVER_NOISE, OVER_TONE])
@pytest.mark.parametrize("hertz", [150.0, 785.0, 1480.0])
def test_a_tone_that_nobody_asked_for_is_impure(caption: str, hertz: float) -> None:
    found = faults(rendered(caption) + tone(hertz, 0.05), caption)
    assert sum("purity" in names for names in found.values()) >= 5


@pytest.mark.parametrize(("band", "hertz"), [("low", 350.0), ("middle", 1000.0), ("high", 4000.0)])
def test_a_tone_as_strong_as_the_noise_around_it_is_impure(band: str, hertz: float) -> None:
    caption = f"{band} noise"
    found = faults(rendered(caption, painted=True) + tone(hertz, 0.15), caption)
    assert sum("purity" in names for names in found.values()) >= 5


def test_a_short_extra_beep_is_impure_where_it_is() -> None:
    made = rendered(BEEPS)
    made[5 * RATE : 5 * RATE + 3200] += tone(2500, 0.05, 0.2)
    assert faults(made, BEEPS) == {4: ["purity"]}


def test_a_missing_beep_and_one_too_many_break_the_rhythm_where_they_are() -> None:
    made = rendered(BEEPS)
    onset = int(
        beats(Features(made, RATE, world.parse(BEEPS)), world.Beeps("middle a", "quick")).onsets[6]
        * RATE
    )
    without, twice = made.copy(), made.copy()
    without[onset - 1600 : onset + 8000] = 0
    twice[onset + 8000 : onset + 10_400] += tone(880, 0.3, 0.15)
    begin = int(onset / RATE // 2 * 2)
    assert "rhythm" in faults(without, BEEPS)[begin]
    assert "rhythm" in faults(twice, BEEPS)[begin]
    assert max(len(faults(without, BEEPS)), len(faults(twice, BEEPS))) <= 2


def test_a_slow_drift_is_wrong_from_where_it_leaves_the_pitch() -> None:
    found = faults(bent(rendered(STEADY, 20.0), 0, 120), STEADY)
    assert 0 not in found and 4 not in found and {10, 12, 14, 16} <= set(found)


@pytest.mark.parametrize("hertz", [261.6, 440.3, 1000.0, 1975.5, 2637.0])
def test_the_pitch_of_a_pure_tone_is_known_within_ten_cents(hertz: float) -> None:
    heard = pitch_track(tone(hertz, 0.2, 2.0), RATE)
    assert len(heard.hertz) == 81 and np.isfinite(heard.hertz).all()
    assert 1200 * np.abs(np.log2(heard.hertz[3:-3] / hertz)).max() < 10
    assert heard.level[3:-3] == pytest.approx(0.2, rel=0.05)


def test_silence_and_noise_have_no_pitch() -> None:
    assert np.isnan(pitch_track(np.zeros(RATE), RATE).hertz).all()
    assert np.isnan(pitch_track(rendered("high noise"), RATE).hertz).mean() > 0.95


@pytest.mark.parametrize("painted", [False, True])
def test_onsets_are_known_within_ten_milliseconds(painted: bool) -> None:
    made = rendered(BEEPS, painted=painted)
    loud = np.abs(rendered(BEEPS)) > 0.1
    silent = np.flatnonzero(np.diff(np.concatenate([[0], np.flatnonzero(loud)])) > 0.2 * RATE)
    truth = np.flatnonzero(loud)[silent] / RATE
    found = beats(Features(made, RATE, world.parse(BEEPS)), world.Beeps("middle a", "quick")).onsets
    assert len(found) == len(truth) and np.abs(found - truth).max() < 0.01


def test_errors_show_a_seam_as_a_step_and_a_drift_as_a_slope() -> None:
    made = rendered(BEEPS)
    even = errors(made, BEEPS, RATE)
    assert len(even.onset) == 15 and max(abs(late) for _, late in even.onset) < 2
    cut = np.concatenate([made[: 6 * RATE], made[6 * RATE + RATE // 10 :]])
    late = dict(errors(cut, BEEPS, RATE).onset)
    before = [value for time, value in late.items() if time < 5.5]
    after = [value for time, value in late.items() if time > 6.5]
    assert min(before) - max(after) == pytest.approx(100, abs=5)
    drifting = errors(bent(made, 0, 40), BEEPS, RATE)
    (points,) = drifting.pitch.values()
    assert points[0][1] == pytest.approx(0, abs=3) and points[-1][1] == pytest.approx(39, abs=3)
    lateness = [value for _, value in drifting.onset]
    assert lateness == sorted(lateness, reverse=True) and lateness[0] - lateness[-1] > 100


def test_sweeps_and_two_tones_have_errors_of_their_own() -> None:
    sweeps = errors(rendered(SWEEPS), SWEEPS, RATE)
    assert not sweeps.pitch and max(abs(late) for _, late in sweeps.onset) < 30
    both = errors(rendered(OVER_TONE), OVER_TONE, RATE)
    assert set(both.pitch) == {"high b", "low c"}
    assert all(abs(off) < 10 for points in both.pitch.values() for _, off in points)
    nothing = errors(rendered("silence"), "silence", RATE)
    assert not nothing.onset and not nothing.pitch


def test_accuracy_counts_windows_and_leaves_out_what_no_caption_has() -> None:
    sounds = [rendered(STEADY), rendered("a steady middle b tone")]
    found = tone_accuracy(sounds, [STEADY, STEADY], RATE)
    assert found == {"joint": 0.5, "sound": 1.0, "pitch": 0.5, "purity": 0.5}
    assert next(iter(found)) == "joint"


def test_the_last_window_is_part_of_the_one_before_where_it_is_short() -> None:
    ends = {6.5: 3, 7.0: 4, 1.0: 1, 2.9: 1}
    for seconds, count in ends.items():
        verdicts = judge(rendered(STEADY, seconds), STEADY, RATE)
        assert len(verdicts) == count and verdicts[-1].end == pytest.approx(seconds)
        assert all(verdict.joint for verdict in verdicts)


@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_other_rates_are_judged_alike(rate: int) -> None:
    places = np.arange(round(SECONDS * rate)) * RATE / rate
    made = rendered(BEEPS)
    other = np.interp(places, np.arange(len(made)), made)
    assert all(verdict.joint for verdict in judge(other, BEEPS, rate))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: judge(np.zeros(RATE), "a dog barks", RATE), "is no caption of the world of tones"),
        (lambda: judge(np.zeros(RATE // 2), STEADY, RATE), r"of at least 1 s, got shape \(8000,\)"),
        (lambda: judge(np.zeros((2, RATE)), STEADY, RATE), r"got shape \(2, 16000\)"),
        (lambda: judge(np.zeros(RATE), STEADY, 8000), "8000 samples a second cannot be judged"),
        (lambda: tone_accuracy([np.zeros(RATE)], [], RATE), "got 1 sounds and 0 captions"),
        (lambda: tone_accuracy([], [], RATE), "at least one"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_told_in_a_sentence(call: Callable[[], None], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
