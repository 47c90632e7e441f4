"""The hook `tones`: how right each sound is over time, for those who cannot listen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genhub.api import Section, hookimpl

if TYPE_CHECKING:
    from genhub_litefocus.tones.judge import Errors, Verdict

__all__ = ["genhub_report"]

MOST_SAMPLES = 8  # whose errors are drawn
MOST_FAULTS = 6  # windows whose faults are told
RIGHT, WRONG = "\N{BLACK CIRCLE}", "\N{WHITE CIRCLE}"
ONSETS, PITCHES = (-50.0, 50.0), (-50.0, 50.0)  # milliseconds and cents that are in view always
ONSETS_TEXT = (
    "Against the evenly spaced times that fit all onsets best. A slope is a rhythm that drifts, a "
    "step a seam, a hole in the row a beep or sweep that is missing."
)
PITCHES_TEXT = (
    "Against the pitch of the caption, by quarters of a second. Beyond 50 cents a tone is nearer "
    "to another note; a hole in the row is a tone that stops."
)


@hookimpl
def genhub_report(run: Any) -> list[Section] | None:
    """Give shares of what is right, verdicts by window, and errors of onsets and pitches."""
    heard = list(_heard(run.manifest.get("artifacts", []), run.folder))
    heard.sort(key=lambda one: (one.sample, one.variant != "baseline", one.variant != "main"))
    return [_shares(heard), _windows(heard), *_courses(heard)] if heard else None


@dataclass(frozen=True)
class _Heard:
    """One sound of a caption of the world, as it is judged."""

    sample: int
    variant: str
    caption: str
    verdicts: Sequence[Verdict]
    errors: Errors


def _heard(artifacts: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[_Heard]:
    """Judge the sounds; those of other captions, or that cannot be judged, are left out."""
    from genhub_litefocus.tones import world

    for artifact in artifacts:
        sample, caption = artifact["sample"], artifact["sample"].get("prompt") or ""
        if artifact["kind"] != "audio":
            continue
        with suppress(ValueError, OSError):
            world.parse(caption)
            yield _judged(folder / artifact["path"], sample, caption)


def _judged(path: Path, sample: Mapping[str, Any], caption: str) -> _Heard:
    from genhub_litefocus.tones.judge import errors, judge
    from genhub_litefocus.tones.recording import read_sound

    waveform, rate = read_sound(path)
    verdicts, course = judge(waveform, caption, rate), errors(waveform, caption, rate)
    return _Heard(sample["index"], sample.get("variant", "main"), caption, verdicts, course)


def _shares(heard: Sequence[_Heard]) -> Section:
    from genhub_litefocus.tones.judge import ATTRIBUTES, shares

    rows = []
    for variant in _variants(heard):
        verdicts = [v for one in heard if one.variant == variant for v in one.verdicts]
        found = shares(verdicts)
        cells = (f"{100 * found[n]:.1f} %" if n in found else "-" for n in ("joint", *ATTRIBUTES))
        rows.append([variant, str(len(verdicts)), *cells])
    text = (
        "Share of windows of two seconds in which all is heard that the caption says, and nothing "
        "else; then each attribute alone, of the windows whose caption has it."
    )
    header = ["variant", "windows", "all right", *ATTRIBUTES]
    return Section("Tones", text, (header, rows), order=13)


def _windows(heard: Sequence[_Heard]) -> Section:
    rows = [
        [str(one.sample), one.caption, one.variant, _marks(one.verdicts), _faults(one.verdicts)]
        for one in heard
    ]
    text = f"One mark for every two seconds: {RIGHT} all is right, {WRONG} something is not."
    header = ["sample", "caption", "variant", "over time", "what is wrong"]
    return Section("Tones, window by window", text, (header, rows), order=14)


def _marks(verdicts: Sequence[Verdict]) -> str:
    return "".join(RIGHT if verdict.joint else WRONG for verdict in verdicts)


def _faults(verdicts: Sequence[Verdict]) -> str:
    """Say what is wrong from which second on, for the first windows that are not right."""
    wrong = [verdict for verdict in verdicts if not verdict.joint]
    told = [
        f"{verdict.begin:g} s: {', '.join(n for n, right in verdict.right.items() if not right)}"
        for verdict in wrong[:MOST_FAULTS]
    ]
    left = len(wrong) - len(told)
    return "; ".join(told + ([f"and {left} more"] if left else [])) or "nothing"


def _courses(heard: Sequence[_Heard]) -> Iterator[Section]:
    """Draw the errors of the first samples over time, all variants of a sample in one figure."""
    for sample in list(dict.fromkeys(one.sample for one in heard))[:MOST_SAMPLES]:
        ours = [one for one in heard if one.sample == sample]
        onsets = {one.variant: one.errors.onset for one in ours}
        pitches = {
            f"{one.variant}: {tone}" if len(one.errors.pitch) > 1 else one.variant: points
            for one in ours
            for tone, points in one.errors.pitch.items()
        }
        of = f"sample {sample}"
        if any(onsets.values()):
            yield Section(
                f"Onsets, {of}", f"{ours[0].caption}. {ONSETS_TEXT}", order=15,
                series=onsets, joined=False,
                axes=("seconds", "onset late by, ms"), y_range=ONSETS,
            )  # fmt: skip
        if any(pitches.values()):
            yield Section(
                f"Pitch, {of}", f"{ours[0].caption}. {PITCHES_TEXT}", order=15,
                series=pitches, joined=False,
                axes=("seconds", "pitch too high by, cents"), y_range=PITCHES,
            )  # fmt: skip


def _variants(heard: Sequence[_Heard]) -> list[str]:
    return list(dict.fromkeys(one.variant for one in heard))
