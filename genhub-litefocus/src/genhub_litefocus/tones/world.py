"""The sounds that tiny:tones knows, and their captions, both ways; imports no torch.

A scene has a voice (a steady tone, beeps, or sweeps) or none, and a ground (noise in one band, or a
steady tone) or none. Nothing at all is silence.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Literal

__all__ = [
    *("BANDS", "GAP", "PERIODS", "PITCHES", "SWEEP", "SWEEPS"),
    *("Beeps", "Noise", "Scene", "Steady", "Sweep"),
    *("caption", "parse", "sample", "words"),
]

NOTES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}  # semitones above c
REGISTERS = ("low", "middle", "high")  # octaves from c4, c5, c6 on
PITCHES = {  # hertz, by register and note
    f"{register} {note}": 440.0 * 2 ** ((semitone - 9) / 12 + octave)
    for octave, register in enumerate(REGISTERS)
    for note, semitone in NOTES.items()
}
BANDS = {"low": (220.0, 550.0), "middle": (700.0, 1700.0), "high": (2400.0, 6000.0)}  # of noise
PERIODS = {"slow": 1.6, "quick": 0.8, "fast": 0.4}  # seconds from beep to beep
SWEEPS = {"slow": 3.2, "fast": 1.6}  # seconds from sweep to sweep
GAP = 0.1  # share of the time between sweeps that is silent
SWEEP = (330.0, 2640.0)  # hertz that every sweep runs through

Rate = Literal["slow", "quick", "fast"]


@dataclass(frozen=True)
class Steady:
    """A tone without end."""

    pitch: str


@dataclass(frozen=True)
class Beeps:
    """Short tones, evenly spaced: on for half of each period."""

    pitch: str
    rate: str


@dataclass(frozen=True)
class Sweep:
    """Glides over three octaves, one after the other."""

    direction: str
    rate: str


@dataclass(frozen=True)
class Noise:
    """Steady noise in one of three bands."""

    band: str


@dataclass(frozen=True)
class Scene:
    """What one caption says."""

    voice: Steady | Beeps | Sweep | None = None
    ground: Noise | Steady | None = None


_PITCH = f"(?:{'|'.join(REGISTERS)}) (?:{'|'.join(NOTES)})"
_FORMS = {
    Steady: re.compile(f"a steady (?P<pitch>{_PITCH}) tone"),
    Beeps: re.compile(f"(?P<rate>{'|'.join(PERIODS)}) (?P<pitch>{_PITCH}) beeps"),
    Sweep: re.compile(f"(?P<rate>{'|'.join(SWEEPS)}) (?P<direction>rising|falling) sweeps"),
    Noise: re.compile(f"(?P<band>{'|'.join(BANDS)}) noise"),
}
FORMS = (
    "'a steady {low|middle|high} {c..b} tone', '{slow|quick|fast} {low|middle|high} {c..b} beeps', "
    "'{slow|fast} {rising|falling} sweeps', '{low|middle|high} noise', one of the first three "
    "'over' noise or a steady tone, or 'silence'"
)


def caption(scene: Scene) -> str:
    """Say what a scene is; `parse` reads it back."""
    parts = [_say(part) for part in (scene.voice, scene.ground) if part is not None]
    return " over ".join(parts) or "silence"


def _say(part: Steady | Beeps | Sweep | Noise) -> str:
    match part:
        case Steady(pitch):
            return f"a steady {pitch} tone"
        case Beeps(pitch, rate):
            return f"{rate} {pitch} beeps"
        case Sweep(direction, rate):
            return f"{rate} {direction} sweeps"
        case Noise(band):
            return f"{band} noise"


def parse(text: str) -> Scene:
    """Read a caption; ValueError says which sentences there are."""
    said = " ".join(text.lower().split())
    if said == "silence":
        return Scene()
    parts = [_read(part) for part in said.split(" over ")]
    match parts:
        case [Noise() as ground]:
            return Scene(None, ground)
        case [(Steady() | Beeps() | Sweep()) as voice]:
            return Scene(voice)
        case [(Steady() | Beeps() | Sweep()) as voice, (Noise() | Steady()) as ground]:
            return Scene(voice, ground)
    raise ValueError(f"'{text}' is no caption of the world of tones: write {FORMS}")


def _read(text: str) -> Steady | Beeps | Sweep | Noise | None:
    for form, pattern in _FORMS.items():
        found = pattern.fullmatch(text)
        if found:
            return form(**found.groupdict())
    return None


def sample(lot: random.Random) -> Scene:
    """Draw a scene: one in twenty is silent, half of those that sound have a ground."""
    if lot.random() < 0.05:
        return Scene()
    kind = lot.choices(("steady", "beeps", "sweep", None), (3, 5, 2, 1.5))[0]
    voice = None if kind is None else _voice(kind, lot)
    if voice is None:
        return Scene(None, Noise(lot.choice(list(BANDS))))
    if lot.random() < 0.5:
        return Scene(voice)
    if isinstance(voice, Sweep) or lot.random() < 0.6:
        return Scene(voice, Noise(lot.choice(list(BANDS))))
    return Scene(voice, Steady(_apart(voice.pitch, lot)))


def _voice(kind: str, lot: random.Random) -> Steady | Beeps | Sweep:
    if kind == "steady":
        return Steady(lot.choice(list(PITCHES)))
    if kind == "beeps":
        return Beeps(lot.choice(list(PITCHES)), lot.choice(list(PERIODS)))
    return Sweep(lot.choice(("rising", "falling")), lot.choice(list(SWEEPS)))


def _apart(pitch: str, lot: random.Random) -> str:
    """Draw a pitch of another register: two tones that an ear and a judge can tell apart."""
    register = pitch.split()[0]
    return lot.choice([other for other in PITCHES if not other.startswith(register)])


def words() -> list[str]:
    """List every word that a caption can hold."""
    listed = [*NOTES, *REGISTERS, *PERIODS, *SWEEPS, *BANDS, "rising", "falling"]
    return sorted({*listed, "a", "steady", "tone", "beeps", "sweeps", "noise", "over", "silence"})
