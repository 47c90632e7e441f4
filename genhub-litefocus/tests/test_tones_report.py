"""The metric of tones and its part of the report, on sounds of a run folder."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import genhub
import genhub.testing
from genhub.api import Artifact, GenHubError, Sample
from genhub_litefocus.tones import report, sound, world
from genhub_litefocus.tones.drivers import ToneAccuracy
from genhub_litefocus.tones.recording import read_sound

RATE = sound.RATE
BEEPS, PAIR = "quick middle a beeps", "a steady low c tone over a steady high d tone"


def write(path: Path, waveform: np.ndarray, channels: int = 1, width: int = 2) -> None:
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(RATE)
        pulses = (np.repeat(waveform, channels) * 32767).astype("<i2")
        file.writeframes(pulses.tobytes() if width == 2 else bytes(len(pulses)))


def made(folder: Path, caption: str, variant: str, index: int = 0, cut: bool = False) -> Artifact:
    """Write a sound of a caption; `cut` leaves a tenth of a second out and silences two seconds."""
    scene = world.parse(caption)
    waveform = sound.render([scene], 12.0, np.random.default_rng(0))[0].numpy()
    if cut:
        waveform = np.concatenate([waveform[: 6 * RATE], waveform[6 * RATE + RATE // 10 :]])
        waveform[8 * RATE : 10 * RATE] = 0
    path = f"artifacts/{variant}-{index}.wav"
    write(folder / path, waveform)
    return Artifact(path, "audio", Sample(index, index, caption, variant=variant), "")


def run_of(folder: Path, artifacts: list[Artifact]) -> Any:
    listed = [
        {
            "path": a.path,
            "kind": a.kind,
            "sample": {
                "index": a.sample.index,
                "prompt": a.sample.prompt,
                "variant": a.sample.variant,
            },
        }
        for a in artifacts
    ]
    return SimpleNamespace(folder=folder, manifest={"artifacts": listed})


@pytest.fixture
def compared(tmp_path: Path) -> Any:
    captions = (BEEPS, PAIR)
    artifacts = [made(tmp_path, c, "main", i, cut=True) for i, c in enumerate(captions)]
    artifacts += [made(tmp_path, c, "baseline", i) for i, c in enumerate(captions)]
    return run_of(tmp_path, artifacts)


class TestToneAccuracyAsAPlugin(genhub.testing.MetricTests):
    plugin = "tone-accuracy"


class TestReportAsAPlugin(genhub.testing.HookTests):
    plugin = "tones"


def test_the_metric_gives_joint_first_and_counts_windows(tmp_path: Path) -> None:
    artifacts = [made(tmp_path, BEEPS, "main"), made(tmp_path, BEEPS, "main", 1, cut=True)]
    figures = ToneAccuracy()(run_of(tmp_path, artifacts), artifacts)
    assert next(iter(figures)) == "tone-accuracy/joint"
    assert set(figures) == {
        f"tone-accuracy/{n}" for n in ("joint", "sound", "pitch", "rhythm", "purity")
    }
    assert 0.5 < figures["tone-accuracy/joint"] < 1
    assert ToneAccuracy()(run_of(tmp_path, artifacts), artifacts[:1])["tone-accuracy/joint"] == 1


def test_a_sound_that_cannot_be_judged_is_named(tmp_path: Path) -> None:
    artifact = Artifact("artifacts/x.wav", "audio", Sample(0, 0, "silence"), "")
    for waveform, width, said in (
        (np.zeros(100), 2, "at least 1 s"), (np.zeros(RATE), 1, "8 bits"),
    ):  # fmt: skip
        write(tmp_path / artifact.path, waveform, width=width)
        with pytest.raises(GenHubError, match=f"cannot judge artifacts/x.wav: .*{said}"):
            ToneAccuracy()(run_of(tmp_path, [artifact]), [artifact])
    (tmp_path / artifact.path).write_bytes(b"RIFF")
    with pytest.raises(GenHubError, match="it is no WAV file that can be read"):
        ToneAccuracy()(run_of(tmp_path, [artifact]), [artifact])


def test_channels_are_heard_together(tmp_path: Path) -> None:
    waveform = np.linspace(-0.5, 0.5, RATE)
    write(tmp_path / "a" / "two.wav", waveform, channels=2)
    heard, rate = read_sound(tmp_path / "a" / "two.wav")
    assert rate == RATE and np.abs(heard - waveform).max() < 1e-4


def test_other_captions_are_refused_before_a_run(tmp_path: Path) -> None:
    config = {
        "genhub": 1, "task": "generate", "model": {"source": "tiny:tones"},
        "input": {"prompts": ["silence", "a dog barks"]}, "metrics": ["tone-accuracy"],
        "output": {"dir": str(tmp_path)},
    }  # fmt: skip
    with pytest.raises(
        GenHubError, match="a dog barks' is no caption of the world of tones"
    ) as told:
        genhub.run(config, quiet=True)
    assert told.value.code == "GH305" and not any(tmp_path.iterdir())


def test_the_report_compares_variants(compared: Any) -> None:
    shares, _, *courses = report.genhub_report(compared)
    header, rows = shares.table
    assert header[:3] == ["variant", "windows", "all right"]
    assert [row[0] for row in rows] == ["baseline", "main"]
    assert rows[0][2] == "100.0 %" and rows[0][header.index("noise")] == "-"
    assert float(rows[1][2].split()[0]) < 80
    titles = [section.title for section in courses]
    assert titles == ["Onsets, sample 0", "Pitch, sample 0", "Pitch, sample 1"]
    assert all(set(s.series) == {"baseline", "main"} for s in courses[:2])
    assert set(courses[2].series) == {
        f"{variant}: {pitch}" for variant in ("baseline", "main") for pitch in ("low c", "high d")
    }
    assert all(section.y_range == (-50, 50) and not section.joined for section in courses)


def test_the_report_tells_windows_in_order_and_what_is_wrong_in_them(compared: Any) -> None:
    _, windows, *_ = report.genhub_report(compared)
    rows = windows.table[1]
    assert [(row[0], row[2]) for row in rows] == [
        ("0", "baseline"), ("0", "main"), ("1", "baseline"), ("1", "main"),
    ]  # fmt: skip
    right, wrong = report.RIGHT, report.WRONG
    assert rows[0][3:] == [6 * right, "nothing"]
    assert rows[1][3][4] == wrong and rows[1][3][:2] == 2 * right
    assert "8 s: " in rows[1][4] and "rhythm" in rows[1][4]


def test_the_report_shows_a_seam_as_a_step(compared: Any) -> None:
    onsets = report.genhub_report(compared)[2]
    assert max(abs(late) for _, late in onsets.series["baseline"]) < 2
    main = onsets.series["main"]
    before, after = ([v for t, v in main if low < t < high] for low, high in ((0, 5), (7, 12)))
    assert min(before) - max(after) == pytest.approx(100, abs=5)
    holes = np.diff([time for time, _ in main])
    assert holes.max() > 2  # the silence


def test_runs_of_other_captions_or_media_have_no_such_part(tmp_path: Path) -> None:
    write(tmp_path / "artifacts" / "dog.wav", np.zeros(RATE))
    dog = Artifact("artifacts/dog.wav", "audio", Sample(0, 0, "a dog barks"), "")
    gone = Artifact("artifacts/gone.wav", "audio", Sample(1, 1, "silence"), "")
    picture = Artifact("artifacts/a.png", "image", Sample(2, 2, "silence"), "")
    assert report.genhub_report(run_of(tmp_path, [dog, gone, picture])) is None
    assert report.genhub_report(SimpleNamespace(folder=tmp_path, manifest={})) is None


def test_drivers_and_hook_are_light() -> None:
    heavy = (
        "import sys, genhub_litefocus.tones.drivers, genhub_litefocus.tones.report as r; "
        "r.genhub_report(type('R', (), {'manifest': {}, 'folder': None})); "
        "print({'torch', 'numpy', 'diffusers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_run_of_the_model_is_measured_and_reported(tmp_path: Path) -> None:
    config = {
        "genhub": 1, "task": "generate", "model": {"source": "tiny:tones"},
        "input": {"prompts": ["a steady middle a tone"]}, "metrics": ["tone-accuracy"],
        "sampling": {"steps": 1, "seconds": 2.0}, "output": {"dir": str(tmp_path)},
    }  # fmt: skip
    result = genhub.run(config, quiet=True)
    assert 0 <= result.metrics["main"]["tone-accuracy/joint"] <= 1
    page = result.report.read_text(encoding="utf-8")
    assert "Tones, window by window" in page and "a steady middle a tone" in page
