from __future__ import annotations

import base64
import io
import json
import os
import re
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runfolders
from PIL import Image

from genhub.api import Request, Sample
from genhub.execution.sinks import AudioSink, VideoSink
from genhub.report import gallery
from genhub.report.films import embed_film
from genhub.report.media import Room, embed, fit_picture
from genhub.report.page import LIMIT, write_report
from genhub.report.sounds import embed_sound

NOISE = np.random.default_rng(0)
SAMPLE = {"index": 0, "seed": 0, "prompt": "p", "variant": "main"}


def noise_picture(path: Path, side: int) -> None:
    Image.fromarray(NOISE.integers(0, 256, (side, side, 3), np.uint8)).save(path, compress_level=0)


def many(folder: Path, kind: str, file: str, count: int, **info: Any) -> None:
    """List one file as the artifacts of `count` samples, under names of their own."""
    suffix = Path(file).suffix
    entries = []
    for i in range(count):
        path = folder / "artifacts" / f"{i:06d}{suffix}"
        if path.name != Path(file).name:
            os.link(folder / file, path)
        sample = {"index": i, "seed": i, "prompt": f"sample {i}", "variant": "main"}
        entries.append(
            {
                "path": f"artifacts/{path.name}",
                "kind": kind,
                "sample": sample,
                "info": info,
                "sha256": "",
            }
        )
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["artifacts"] += entries
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_300_pictures_of_1024_pixels_are_all_shown_below_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runfolders.write_folder(tmp_path, {})
    noise_picture(tmp_path / "artifacts" / "000000.png", 1024)
    many(tmp_path, "image", "artifacts/000000.png", 300)
    opened: list[Path] = []
    monkeypatch.setattr(gallery, "embed", lambda path, *a: opened.append(path) or embed(path, *a))

    text = write_report(tmp_path).read_text()
    assert len(text) < LIMIT
    assert text.count("<img") == 300 and "cannot be shown" not in text
    assert len(opened) == 300  # each file is read once


def test_long_sounds_are_heard_as_previews_below_the_limit(tmp_path: Path) -> None:
    runfolders.write_folder(tmp_path, {})
    stereo = np.tile(runfolders.tone(1.0, 48_000), (2, 54))  # 10 MB
    sink = AudioSink(tmp_path, Request((Sample(0, 0),), {}), None, 48_000)
    sink.write(stereo)
    assert (tmp_path / sink.close()[0].path).stat().st_size > 10_000_000
    many(tmp_path, "audio", "artifacts/000000.wav", 3)

    text = write_report(tmp_path).read_text()
    assert len(text) < LIMIT
    found = re.findall(r'<audio [^>]*src="data:audio/wav;base64,([^"]+)"', text)
    assert len(found) == 3
    for encoded in found:
        with wave.open(io.BytesIO(base64.b64decode(encoded))) as heard:
            assert heard.getnchannels() == 1 and 8000 <= heard.getframerate() <= 16_000
            assert heard.getnframes() / heard.getframerate() == pytest.approx(54, abs=0.01)
    assert "heard here as one channel" in text and "54.0 s, 48000 Hz, 2 channels" in text


def test_a_sound_with_little_room_is_heard_in_eight_bits(tmp_path: Path) -> None:
    runfolders.write_folder(tmp_path, {})
    rate, seconds = 16_000, 30
    pulses = 0.5 * np.sin(2 * np.pi * 440 * np.arange(seconds * rate) / rate)
    sink = AudioSink(tmp_path, Request((Sample(0, 0),), {}), None, rate)
    sink.write(pulses)
    path = tmp_path / sink.close()[0].path
    sound = embed_sound(path, Room(450_000, 1))
    assert sound is not None and (sound.preview, sound.bits) == (8000, 8)
    held = base64.b64decode((sound.uri or "").partition(",")[2])
    form, channels, heard = struct.unpack("<HHI", held[20:28])
    assert (form, channels, heard) == (7, 1, 8000)
    code = ~np.frombuffer(held[-seconds * heard :], np.uint8)  # as ITU-T G.711 reads it
    size = (((code & 15).astype(int) << 3) + 132 << (code >> 4 & 7).astype(int)) - 132
    decoded = np.where(code & 128, -size, size) / 32768
    expected = pulses.reshape(-1, 2).mean(axis=1)
    assert np.abs(decoded - expected).max() < 0.02
    assert embed_sound(path, Room(200_000, 1)).uri is None


def test_long_sounds_are_drawn_over_the_whole_page(tmp_path: Path) -> None:
    runfolders.write_folder(tmp_path, {})
    widths = {}
    for seconds in (19.0, 40.0):
        sink = AudioSink(tmp_path, Request((Sample(int(seconds), 0),), {}), None, 8000)
        sink.write(runfolders.tone(seconds, 8000))
        sound = embed_sound(tmp_path / sink.close()[0].path, Room(4_000_000, 1))
        assert sound is not None and sound.mel is not None
        with Image.open(io.BytesIO(base64.b64decode(sound.mel.uri.partition(",")[2]))) as image:
            widths[sound.is_long] = (image.width, sound.width, len(sound.envelope.split()))
    assert widths == {False: (480, 480, 960), True: (960, 960, 1920)}


def test_texts_that_take_too_much_leave_less_to_pictures(tmp_path: Path) -> None:
    rows = [["<" * 480] * 20] * 40
    section = {"title": "t", "text": "", "order": 50, "table": [["a"], rows], "pictures": []}
    sites = [{"path": "&" * 480, "kind": "self", "axis": "x", "tokens": 1, "context_tokens": None,
              "channels": 1}] * 1000  # fmt: skip
    runfolders.write_folder(tmp_path, {"sections": [section] * 9, "sites": sites}, "&" * 400_000)
    noise_picture(tmp_path / "artifacts" / "000000.png", 200)
    many(tmp_path, "image", "artifacts/000000.png", 60)

    text = write_report(tmp_path).read_text()
    assert len(text) < LIMIT
    assert "too long for the page" in text and "cut here" in text
    assert text.count("data:image/jpeg") == 60


def test_room_that_one_piece_leaves_is_for_the_others() -> None:
    room = Room(1000, 4)
    assert room.share == 250
    room.take(100)
    assert room.share == 300
    room.take(900)
    assert room.share == 0


def test_a_picture_is_made_as_small_as_its_share() -> None:
    image = Image.fromarray(NOISE.integers(0, 256, (800, 400, 3), np.uint8))
    sizes = {}
    for most in (400_000, 60_000, 15_000):
        picture = fit_picture(image, 192, most)
        assert picture is not None and len(picture.uri) <= most
        assert (picture.width, picture.height) == (144, 288)  # the same place on the page
        with Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))) as small:
            sizes[most] = small.size
    assert sorted(sizes.values()) == sorted(set(sizes.values()))
    assert fit_picture(image, 192, 1000) is None


def test_small_pictures_keep_every_pixel() -> None:
    scene = runfolders.scene(0)
    picture = fit_picture(scene, 192, 100_000)
    assert picture is not None and picture.pixelated and picture.width == 192
    with Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))) as shown:
        assert shown.tobytes() == scene.tobytes()


def test_a_spectrum_is_brightest_where_the_tone_is(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    places = []
    for hertz in (200, 2000, 6000):
        sink = AudioSink(tmp_path, Request((Sample(hertz, 0),), {}), None, 16_000)
        sink.write(0.5 * np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000))
        sound = embed_sound(tmp_path / sink.close()[0].path, Room(10**6, 1))
        assert sound is not None and sound.mel is not None and sound.preview is None
        with Image.open(io.BytesIO(base64.b64decode(sound.mel.uri.partition(",")[2]))) as image:
            rows = np.asarray(image.convert("L")).astype(float).mean(axis=1)
        places.append(1 - rows.argmax() / len(rows))
        points = [float(p.split(",")[1]) for p in sound.envelope.split()]
        assert max(points) == pytest.approx(0.5, abs=0.01) == -min(points)
    # Mel 2595 log10(1 + f/700) as a share of that of 8 kHz.
    assert places == pytest.approx([0.10, 0.535, 0.902], abs=0.03)


@pytest.mark.parametrize("form", ["webp", "mp4"])
def test_a_film_that_is_too_large_is_shown_with_fewer_frames(tmp_path: Path, form: str) -> None:
    if form == "mp4":
        pytest.importorskip("av")
    (tmp_path / "artifacts").mkdir()
    sink = VideoSink(tmp_path, Request((Sample(0, 0),), {}), None, 10.0, form)
    sink.write(NOISE.integers(0, 256, (40, 96, 160, 3), np.uint8))
    made = sink.close()[0]
    film = embed_film(tmp_path / made.path, made.info, Room(260_000, 1))
    assert film is not None and film.preview and film.uri and len(film.uri) < 260_000
    with Image.open(io.BytesIO(base64.b64decode(film.uri.partition(",")[2]))) as shown:
        assert shown.n_frames == 20  # every second one, in the same four seconds
        shown.seek(1)
        shown.load()
        assert shown.info["duration"] == 200
    nothing = embed_film(tmp_path / made.path, made.info, Room(2000, 1))
    assert nothing is not None and nothing.uri is None


@pytest.mark.parametrize("suffix", [".png", ".wav", ".webp", ".mp4"])
@pytest.mark.parametrize("content", [b"", b"RIFF", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"x" * 99])
def test_files_that_a_kill_left_in_pieces_have_a_link_only(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    folder = runfolders.pictures(tmp_path / "run")
    (folder / "artifacts" / f"broken{suffix}").write_bytes(content)
    kind = {".png": "image", ".wav": "audio"}.get(suffix, "video")
    manifest = json.loads((folder / "manifest.json").read_text())
    sample = {**SAMPLE, "index": 77}
    manifest["artifacts"].append(
        {"path": f"artifacts/broken{suffix}", "kind": kind, "sample": sample, "sha256": ""}
    )
    (folder / "manifest.json").write_text(json.dumps(manifest))
    text = write_report(folder).read_text()
    assert text.count("cannot be shown here") == 1 and f'href="artifacts/broken{suffix}"' in text
    assert text.count("data:image/png") == 3
