from __future__ import annotations

import importlib.util
import os
import struct
import subprocess
import sys
import wave
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genhub import GenHubError
from genhub.api import Request, Sample
from genhub.execution.artifacts import read_embedded
from genhub.execution.containers import MOST_TEXT
from genhub.execution.sinks import AudioSink, VideoSink, made_of, open_sink

RATE = 8000
PAYLOAD = {"genhub": 1, "config": {"name": '<&> "q" ünï \\ ]]> &amp; 你好 \u202e\n\x00'}, "seed": 3}
REQUEST = Request((Sample(4, 7, "p"), Sample(5, 8, "q", variant="quick")), {})
EMBED = {4: PAYLOAD, 5: {**PAYLOAD, "seed": 4}}
HAS_AV = importlib.util.find_spec("av") is not None
MP4 = pytest.param("mp4", marks=pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed"))
FORMS = ["webp", MP4]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "artifacts").mkdir()
    return tmp_path


def heard(path: Path) -> Any:
    with wave.open(str(path)) as file:
        assert (file.getsampwidth(), file.getframerate()) == (2, RATE)
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return data.reshape(-1, file.getnchannels()).T


def test_sound_in_chunks_is_the_sound_at_once(folder: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (2, 1000)).astype(np.float32)
    sink = AudioSink(folder, REQUEST, EMBED, RATE)
    for chunk in np.array_split(sound, 7, axis=1):
        sink.write(chunk, 0)
        sink.write((chunk[0] * 32767).astype(np.int16), 1)
    stereo, mono = sink.close()
    assert (stereo.path, mono.path) == ("artifacts/000004.wav", "artifacts/000005-quick.wav")
    assert np.array_equal(heard(folder / stereo.path), np.rint(sound * 32767))
    assert np.array_equal(heard(folder / mono.path)[0], (sound[0] * 32767).astype(np.int16))
    assert dict(stereo.info) == {
        "rate": RATE, "channels": 2, "seconds": 0.125, "peak": pytest.approx(abs(sound).max(), 1e-5)
    }  # fmt: skip
    assert stereo.kind == "audio" and stereo.sample is REQUEST.samples[0]


def test_tensors_of_half_precision_are_taken(folder: Path) -> None:
    import torch

    sink = AudioSink(folder, REQUEST, None, RATE)
    sink.write(torch.tensor([0.5, -0.25], dtype=torch.float16))
    assert heard(folder / sink.close()[0].path).tolist() == [[16384, -8192]]


def test_what_is_too_loud_is_clipped_and_told(folder: Path, caplog: Any) -> None:
    sink = AudioSink(folder, REQUEST, None, RATE)
    sink.write(np.array([0.0, 1.5, -2.0, np.nan]))
    made = sink.close()[0]
    assert heard(folder / made.path).tolist() == [[0, 32767, -32767, 0]]
    assert made.info["peak"] == 2 and "sample 4 is louder" in caplog.text


def test_chunks_of_other_channels_are_refused(folder: Path) -> None:
    sink = AudioSink(folder, REQUEST, None, RATE)
    sink.write(np.zeros(4))
    with pytest.raises(ValueError, match="2 channels after 1"):
        sink.write(np.zeros((2, 4)))


def test_a_killed_run_leaves_a_sound_file_with_its_config(folder: Path) -> None:
    code = (
        "import os, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from genhub.api import Request, Sample\n"
        "from genhub.execution.sinks import AudioSink\n"
        "sink = AudioSink(Path(sys.argv[1]), Request((Sample(4, 7, 'p'),), {}),"
        " {4: {'genhub': 1, 'config': {}}}, 8000)\n"
        "sink.write(np.full(800, 0.25)); sink.write(np.full(800, 0.5))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert done.returncode == -9
    path = folder / "artifacts" / "000004.wav"
    assert heard(path).tolist() == [[8192] * 800 + [16384] * 800]
    assert read_embedded(path) == {"genhub": 1, "config": {}}


def test_a_full_disk_leaves_a_readable_file(folder: Path) -> None:
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from genhub.api import Request, Sample\n"
        "from genhub.execution.sinks import AudioSink\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "sink = AudioSink(Path(sys.argv[1]), Request((Sample(4, 7, 'p'),), {}), None, 8000)\n"
        "sink.write(np.full(1000, 0.5))\n"
        "try: sink.write(np.full(4000, 0.5))\n"
        "except OSError: sink.close(); sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert done.returncode == 7
    assert heard(folder / "artifacts" / "000004.wav").tolist() == [[16384] * 1000]


@pytest.mark.parametrize("form", FORMS)
def test_video_is_written_frame_by_frame(folder: Path, form: str) -> None:
    grey = [Image.new("RGB", (33, 21), (i * 25,) * 3) for i in range(10)]
    sink = VideoSink(folder, REQUEST, EMBED, 12.5, form)
    for start in range(0, 10, 5):
        sink.write(grey[start : start + 5], 0)
        sink.write(np.stack([np.asarray(g) for g in grey[start : start + 5]]) / 255, 1)
    one, other = sink.close()
    assert one.path == f"artifacts/000004.{form}" and one.kind == "video"
    assert dict(one.info) == {
        "width": 33, "height": 21, "frames": 10, "fps": 12.5, "seconds": 0.8
    }  # fmt: skip
    for made in (one, other):
        levels, seconds = watched(folder / made.path)
        assert levels == pytest.approx([i * 25 for i in range(10)], abs=6)
        assert seconds == pytest.approx(0.8)
    assert not list((folder / "artifacts").glob(".*"))  # nothing is left beside them


def watched(path: Path) -> tuple[list[float], float]:
    """Give the mean level of every frame, and the length in seconds."""
    if path.suffix == ".mp4":
        import av

        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            assert stream.codec_context.name == "h264" and stream.pix_fmt == "yuv420p"
            frames = [f.to_ndarray(format="rgb24") for f in film.decode(video=0)]
            return [float(f.mean()) for f in frames], float(stream.duration * stream.time_base)
    levels, seconds = [], 0.0
    with Image.open(path) as image:
        for place in range(image.n_frames):
            image.seek(place)
            levels.append(float(np.asarray(image.convert("RGB")).mean()))
            seconds += image.info["duration"] / 1000
    return levels, seconds


@pytest.mark.parametrize("form", FORMS)
def test_equal_frames_give_an_equal_file(folder: Path, form: str) -> None:
    digests = set()
    for _ in range(2):
        sink = VideoSink(folder, REQUEST, EMBED, 8.0, form)
        sink.write(np.random.default_rng(1).random((6, 32, 48, 3)))
        digests.add(sink.close()[0].sha256)
    assert len(digests) == 1


@pytest.mark.skipif(not HAS_AV, reason="PyAV is not installed")
def test_mp4_reaches_the_disk_while_frames_still_come(folder: Path) -> None:
    sink = VideoSink(folder, REQUEST, None, 8.0, "mp4")
    rng = np.random.default_rng(0)
    sizes = []
    for _ in range(4):
        sink.write(rng.integers(0, 256, (60, 64, 64, 3), np.uint8))
        part = next((folder / "artifacts").glob(".*.part"))
        sizes.append(part.stat().st_size)
    assert sizes[1] < sizes[2] < sizes[3] and not list((folder / "artifacts").glob("*.mp4"))
    assert sink.close()[0].info["frames"] == 240


class Paced:
    def __call__(self, fps: int = 7) -> None:
        """Be called as a pipeline is that was trained at several rates."""


@pytest.mark.parametrize(
    ("asked", "call", "pipeline", "expected"),
    [
        (None, {}, SimpleNamespace(), 8),
        (None, {}, Paced(), 7),
        (None, {"fps": 12}, Paced(), 12),
        (24.0, {"fps": 12}, Paced(), 24),
    ],
)
def test_frames_per_second_are_the_config_s_else_the_call_s_else_the_pipeline_s(
    folder: Path, asked: Any, call: Any, pipeline: Any, expected: float
) -> None:
    output = SimpleNamespace(fps=asked, video="webp")
    request = Request(REQUEST.samples, call)
    sink = open_sink("video", folder, request, None, output, pipeline)
    sink.write(np.zeros((2, 8, 8, 3)))
    assert sink.close()[0].info["fps"] == expected


def test_mp4_without_pyav_names_the_way_out(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(GenHubError, match="needs PyAV") as caught:
        VideoSink(folder, REQUEST, None, 8.0, "mp4")
    assert caught.value.code == "GH505" and "genhub-core[video]" in str(caught.value.problems[0])
    sink = VideoSink(folder, REQUEST, None, 8.0, "auto")
    sink.write(np.zeros((2, 8, 8, 3)))
    assert sink.close()[0].path.endswith(".webp")


def carrying(folder: Path, form: str, payload: Any = PAYLOAD) -> Path:
    embed = {4: payload}
    if form == "wav":
        sink: Any = AudioSink(folder, REQUEST, embed, RATE)
        sink.write(np.zeros(5))
    else:
        sink = VideoSink(folder, REQUEST, embed, 8.0, form)
        sink.write(np.zeros((2, 16, 16, 3)))
    return folder / sink.close()[0].path


@pytest.mark.parametrize("form", ["wav", *FORMS])
def test_every_format_carries_its_config(folder: Path, form: str) -> None:
    path = carrying(folder, form)
    assert read_embedded(path) == PAYLOAD
    moved = path.rename(path.with_name("odd.name"))  # told by content, not by name
    assert read_embedded(moved) == PAYLOAD


@pytest.mark.parametrize("form", ["wav", *FORMS])
def test_an_oversized_config_is_refused(folder: Path, form: str) -> None:
    path = carrying(folder, form, {"genhub": 1, "config": {"x": "y" * (MOST_TEXT + 1)}})
    with pytest.raises(GenHubError, match="larger than") as caught:
        read_embedded(path)
    assert caught.value.code == "GH608"


@pytest.mark.parametrize("form", ["wav", *FORMS])
def test_damage_gives_the_config_or_a_refusal(tmp_path: Path, form: str) -> None:
    (tmp_path / "artifacts").mkdir()
    whole = carrying(tmp_path, form).read_bytes()

    @settings(deadline=None)
    @given(cut=st.integers(0, len(whole)), noise=st.binary(min_size=1, max_size=12))
    def damage(cut: int, noise: bytes) -> None:
        for data in (whole[:cut], whole[:cut] + noise + whole[cut + len(noise) :]):
            path = tmp_path / "damaged"
            path.write_bytes(data)
            try:
                found = read_embedded(path)
            except GenHubError as error:
                assert error.code == "GH608"
            else:
                assert found["genhub"] == 1 and isinstance(found["config"], dict)

    damage()


def box(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if size is None else size, name) + content


def riff(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content), name) + content + b"\0\0\0\0"


BIG = 0xFFFFFFFF
HEAD = box(b"ftyp", b"isom\0\0\0\0")
WAVE, WEBP = b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WEBP"
PNG = b"\x89PNG\r\n\x1a\n"
BOMB = zlib.compress(b" " * (64 << 20), 9)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HEAD + box(b"moov", b"", 1) + struct.pack(">Q", 1 << 62), id="mp4-far-box"),
        pytest.param(HEAD + box(b"moov", box(b"udta", b"", BIG)), id="mp4-long-box"),
        pytest.param(HEAD + box(b"free", b"", 2) * 9, id="mp4-box-that-goes-back"),
        pytest.param(HEAD + box(b"free", b"") * 100_000, id="mp4-many-boxes"),
        pytest.param(HEAD + box(b"moov", b"", 0), id="mp4-empty-to-the-end"),
        pytest.param(WAVE + riff(b"LIST", b"INFO" + riff(b"ICMT", b"{}", BIG)), id="wav-long"),
        pytest.param(WAVE + riff(b"LIST", b"INFO", BIG) + riff(b"ICMT", b"{}", BIG), id="wav-list"),
        pytest.param(WAVE + riff(b"junk", b"") * 100_000, id="wav-many-chunks"),
        pytest.param(WEBP + riff(b"XMP ", b"<", BIG), id="webp-long"),
        pytest.param(
            WEBP + riff(b"XMP ", b"<genhub:config>" + b"&amp;" * 200_000), id="webp-no-end"
        ),
        pytest.param(
            WEBP + riff(b"XMP ", b"<genhub:config>[[" + b"[" * 90_000 + b"</genhub:config>"),
            id="webp-deep",
        ),
        pytest.param(PNG + chunk(b"iTXt", b"genhub\0\1\0\0\0" + BOMB), id="png-bomb"),
        pytest.param(PNG + struct.pack(">I4s", BIG, b"iTXt") + b"genhub\0", id="png-long"),
        pytest.param(PNG + chunk(b"tEXt", b"") * 100_000, id="png-many-chunks"),
    ],
)
def test_hostile_files_are_refused_without_effort(folder: Path, content: bytes) -> None:
    path = folder / "hostile"
    path.write_bytes(content)
    read = counted_reads(path)
    with pytest.raises(GenHubError) as caught:
        read_embedded(path)
    assert caught.value.code == "GH608"
    assert read() < MOST_TEXT + 4096 * 16


def counted_reads(path: Path) -> Any:
    """Give a function that tells how many bytes this process has asked of files since."""

    def total() -> int:
        with open("/proc/self/io") as file:
            return int(file.readline().split()[1])

    if not os.path.exists("/proc/self/io"):
        return lambda: 0
    before = total()
    return lambda: total() - before


def test_a_sound_needs_a_known_rate(folder: Path) -> None:
    with pytest.raises(GenHubError, match="does not say its sampling rate") as caught:
        open_sink("audio", folder, REQUEST, None, None, SimpleNamespace())
    assert caught.value.code == "GH305"


def test_what_a_pipeline_does_not_make_is_told() -> None:
    with pytest.raises(GenHubError, match="is taken to make audio") as caught:
        made_of(SimpleNamespace(images=[1]), "audio")
    assert "modality: image" in str(caught.value.problems[0])
