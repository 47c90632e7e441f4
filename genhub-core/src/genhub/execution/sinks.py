"""Where generated media go: pictures as PNG, sound as WAV, video as MP4 or animated WebP."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import file_digest, sha256
from inspect import signature
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING, Any

from genhub.api import Artifact, GenHubError, Request, Sample, Sink
from genhub.execution.artifacts import encode, file_name, json_text
from genhub.execution.containers import xmp_packet
from genhub.execution.folder import replace_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AudioSink", "NoSink", "PictureSink", "VideoSink", "made_of", "open_sink"]

FPS = 8.0  # frames per second where neither config nor model says
RESULTS = {"image": "images", "audio": "audios", "video": "frames"}  # of a pipeline's output

Embed = Mapping[int, Mapping[str, Any]] | None  # what the file of each sample carries

log = logging.getLogger("genhub")


def open_sink(
    kind: str, folder: Path, request: Request, embed: Embed, output: Any, pipeline: Any
) -> Sink:
    """Open a sink for media of one kind, in the format that `output` asks for.

    Raises GH305 where the model does not say its sampling rate, GH505 where MP4 is asked for and
    cannot be encoded here.
    """
    if kind == "audio":
        return AudioSink(folder, request, embed, _rate_of(pipeline))
    if kind == "video":
        return VideoSink(
            folder, request, embed, output.fps or _fps_of(pipeline, request), output.video
        )
    return PictureSink(folder, request, embed)


def made_of(result: Any, kind: str) -> list[Any]:
    """Take from a pipeline's output what it made, one entry per sample; raises GH305."""
    made = getattr(result, RESULTS[kind], None)
    if made is None:
        others = [other for other, name in RESULTS.items() if hasattr(result, name)]
        raise GenHubError(
            "GH305",
            f"the model is taken to make {kind}, and its pipeline gave a "
            f"{type(result).__name__}, which has no {RESULTS[kind]}",
            hint=f"say model: {{modality: {others[0]}}}" if others else "",
        )
    return list(made)


class PictureSink:
    """Writes the pictures of one request as PNG files.

    `embed` gives what each file carries, or None; `folder` is the run folder.
    """

    def __init__(self, folder: Path, request: Request, embed: Embed) -> None:
        self._folder = folder
        self._request = request
        self._embed = embed
        self._made: list[Artifact] = []

    def write(self, chunk: Any, sample: int = 0) -> None:
        """Take the picture (PIL) of the `sample`-th sample of the request."""
        of = self._request.samples[sample]
        payload = None if self._embed is None else self._embed[of.index]
        path = f"artifacts/{file_name(of)}"
        png = encode(chunk, payload)
        info = {"width": chunk.width, "height": chunk.height}
        # Listed before it is written: an interruption in between leaves no file without an entry.
        self._made.append(Artifact(path, "image", of, sha256(png).hexdigest(), info=info))
        replace_file(self._folder / path, png)

    def close(self) -> Sequence[Artifact]:
        """Give the artifacts in order of writing; every file is complete already."""
        return tuple(a for a in self._made if (self._folder / a.path).exists())


class AudioSink:
    """Writes sound as it is made, as WAV files of 16 bits; a run that is killed leaves them sound.

    Chunks are arrays [T] or [channels, T]: float in -1..1, or int16. `rate` is in samples a second.
    """

    def __init__(self, folder: Path, request: Request, embed: Embed, rate: int) -> None:
        self._folder, self._request, self._embed, self._rate = folder, request, embed, rate
        self._open: dict[int, _Wav] = {}

    def write(self, chunk: Any, sample: int = 0) -> None:
        """Append a chunk to the `sample`-th sample of the request."""
        values, peak = _pulses(chunk)
        if sample not in self._open:
            of = self._request.samples[sample]
            text = b"" if self._embed is None else json_text(self._embed[of.index])
            path = self._folder / "artifacts" / file_name(of, ".wav")
            self._open[sample] = _Wav(path, self._rate, values.shape[1], text)
        self._open[sample].append(values, peak)

    def close(self) -> Sequence[Artifact]:
        """Finish the files and give their artifacts."""
        artifacts = []
        for sample, wav in self._open.items():
            wav.close()
            info = {
                "rate": self._rate,
                "channels": wav.channels,
                "seconds": round(wav.count / self._rate, 6),
                "peak": round(wav.peak, 6),
            }
            of = self._request.samples[sample]
            artifacts.append(_artifact(wav.path, "audio", of, info))
            if wav.peak > 1:
                log.warning("sample %d is louder than a WAV holds and was clipped", of.index)
        return tuple(artifacts)


class _Wav:
    """One WAV file under way, whose head is right after every chunk."""

    def __init__(self, path: Path, rate: int, channels: int, text: bytes) -> None:
        self.path, self.channels = path, channels
        self.count, self.peak = 0, 0.0
        self._rate, self._text = rate, text
        self._file = path.open("wb", buffering=0)  # nothing is left behind when the disk is full
        self._write_head()

    def append(self, values: NDArray[np.int16], peak: float) -> None:
        if values.shape[1] != self.channels:
            raise ValueError(f"{values.shape[1]} channels after {self.channels} in {self.path}")
        _write_all(self._file, values.astype("<i2", copy=False).tobytes())
        self.count += len(values)
        self.peak = max(self.peak, peak)
        self._write_head()

    def close(self) -> None:
        self._file.close()

    def _write_head(self) -> None:
        """Write all before the pulses, and stand behind them again."""
        width = 2 * self.channels
        size = min(self.count * width, 0xFFFFFF00 - len(self._text))  # players read on to the end
        form = pack("<HHIIHH", 1, self.channels, self._rate, self._rate * width, width, 16)
        body = b"WAVE" + _chunk(b"fmt ", form)
        if self._text:
            body += _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", self._text + b"\0"))
        body += b"data" + pack("<I", size)
        self._file.seek(0)
        _write_all(self._file, b"RIFF" + pack("<I", len(body) + size) + body)
        self._file.seek(0, os.SEEK_END)


class VideoSink:
    """Writes video frame by frame: MP4 (H.264) as it is made, or an animated WebP at the end.

    Chunks are PIL images, lists of them, or arrays [F, H, W, 3]: float in 0..1, or uint8. WebP
    needs all frames at once: they are held in memory until `close`.
    """

    def __init__(
        self, folder: Path, request: Request, embed: Embed, fps: float, form: str = "auto"
    ) -> None:
        can_mp4 = _encodes_h264()
        if form == "mp4" and not can_mp4:
            raise GenHubError(
                "GH505",
                "output.video: mp4 needs PyAV with the encoder libx264, which is not installed",
                hint='pip install "genhub-core[video]", or say output: {video: webp}',
            )
        self._folder, self._request, self._embed, self._fps = folder, request, embed, fps
        self._form = ("mp4" if can_mp4 else "webp") if form == "auto" else form
        self._open: dict[int, _Mp4 | _WebP] = {}

    def write(self, chunk: Any, sample: int = 0) -> None:
        """Append frames to the `sample`-th sample of the request."""
        if sample not in self._open:
            of = self._request.samples[sample]
            text = b"" if self._embed is None else json_text(self._embed[of.index])
            path = self._folder / "artifacts" / file_name(of, f".{self._form}")
            self._open[sample] = (_Mp4 if self._form == "mp4" else _WebP)(path, self._fps, text)
        for frame in _frames(chunk):
            self._open[sample].append(frame)

    def close(self) -> Sequence[Artifact]:
        """Finish the files and give their artifacts."""
        artifacts = []
        for sample, film in self._open.items():
            if film.count:
                film.close()
                info = {
                    "width": film.size[0],
                    "height": film.size[1],
                    "frames": film.count,
                    "fps": self._fps,
                    "seconds": round(film.count / self._fps, 6),
                }
                of = self._request.samples[sample]
                artifacts.append(_artifact(film.path, "video", of, info))
        return tuple(artifacts)


class _WebP:
    """An animated WebP, encoded when all frames are there."""

    def __init__(self, path: Path, fps: float, text: bytes) -> None:
        self.path, self.count, self.size = path, 0, (0, 0)
        self._fps, self._text = fps, text
        self._frames: list[Any] = []

    def append(self, frame: NDArray[np.uint8]) -> None:
        from PIL import Image

        self._frames.append(Image.fromarray(frame))
        self.count, self.size = self.count + 1, self._frames[0].size

    def close(self) -> None:
        # Durations are whole milliseconds: rounding their sums keeps a long film in time.
        ends = [round(1000 * i / self._fps) for i in range(self.count + 1)]
        durations = [end - begin for begin, end in pairwise(ends)]
        buffer = BytesIO()
        self._frames[0].save(
            buffer, "WEBP", save_all=True, append_images=self._frames[1:], loop=0, quality=90,
            duration=durations, xmp=xmp_packet(self._text) if self._text else b"",
        )  # fmt: skip
        replace_file(self.path, buffer.getvalue())


class _Mp4:
    """An MP4 file that is encoded frame by frame, and named when it is whole."""

    def __init__(self, path: Path, fps: float, text: bytes) -> None:
        import av

        self.path, self.count, self.size = path, 0, (0, 0)
        self._part = path.with_name(f".{path.name}.part")
        self._fps = fps
        # The head comes first, for players; bitexact: the same frames give the same file.
        options = {"movflags": "faststart", "fflags": "+bitexact"}
        self._file = av.open(str(self._part), "w", format="mp4", options=options)
        if text:
            self._file.metadata["comment"] = text.decode()

    def append(self, frame: NDArray[np.uint8]) -> None:
        import av
        import numpy as np

        if not self.count:
            self.size = (frame.shape[1], frame.shape[0])
            self._stream = self._new_stream()
        odd = [(0, side % 2) for side in frame.shape[:2]]  # H.264 takes even sides only
        even = np.pad(frame, [*odd, (0, 0)], mode="edge")
        for packet in self._stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
            self._file.mux(packet)
        self.count += 1

    def close(self) -> None:
        try:
            for packet in self._stream.encode():
                self._file.mux(packet)
            self._file.close()
            os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)

    def _new_stream(self) -> Any:
        from fractions import Fraction

        rate = Fraction(self._fps).limit_denominator(1001)
        stream = self._file.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height = (side + side % 2 for side in self.size)
        stream.pix_fmt = "yuv420p"
        return stream


def _artifact(path: Path, kind: Any, of: Sample, info: Mapping[str, Any]) -> Artifact:
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return Artifact(f"artifacts/{path.name}", kind, of, digest, info=info)


def _array(chunk: Any) -> NDArray[Any]:
    import numpy as np

    if hasattr(chunk, "detach"):  # a tensor, perhaps of another device and of half precision
        chunk = chunk.detach().cpu()
        chunk = chunk.float() if chunk.is_floating_point() else chunk
    return np.asarray(chunk)


def _pulses(chunk: Any) -> tuple[NDArray[np.int16], float]:
    """Give [T, channels] as int16, and the largest amplitude where 1 is full scale."""
    import numpy as np

    values = np.atleast_2d(_array(chunk)).T
    if values.dtype == np.int16:
        return values, float(np.abs(values.astype(np.float32)).max(initial=0)) / 32768
    values = np.nan_to_num(values.astype(np.float32))
    peak = float(np.abs(values).max(initial=0))
    return np.rint(np.clip(values, -1, 1) * 32767).astype(np.int16), peak


def _frames(chunk: Any) -> Iterator[NDArray[np.uint8]]:
    """Give frame after frame [H, W, 3]."""
    import numpy as np

    if isinstance(chunk, list | tuple):
        for one in chunk:
            yield from _frames(one)
        return
    if hasattr(chunk, "convert"):
        yield np.asarray(chunk.convert("RGB"))
        return
    values = _array(chunk)
    if values.dtype != np.uint8:
        values = np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)
    yield from values if values.ndim == 4 else values[None]


def _rate_of(pipeline: Any) -> int:
    """Find the sampling rate in the config of what makes the waveform."""
    for part in ("vocoder", "vae", "unet"):
        about = getattr(getattr(pipeline, part, None), "config", None)
        for name in ("sampling_rate", "sample_rate"):
            if rate := getattr(about, name, None):
                return int(rate)
    raise GenHubError(
        "GH305",
        f"{type(pipeline).__name__} does not say its sampling rate: the configs of its vocoder, "
        "vae and unet have none",
        hint="add sampling_rate to config.json of the model's vocoder",
    )


def _fps_of(pipeline: Any, request: Request) -> float:
    """Give the frame rate that a call names, or a pipeline's call for itself, else `FPS`."""
    if pipeline is None:
        return float(request.call.get("fps", FPS))
    known = signature(type(pipeline).__call__).parameters.get("fps")
    return float(request.call.get("fps") or (known.default if known is not None else FPS))


def _encodes_h264() -> bool:
    if importlib.util.find_spec("av") is None:
        return False
    import av

    return "libx264" in av.codecs_available


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _write_all(file: Any, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


class NoSink:
    """Takes what nobody will look at."""

    def write(self, chunk: Any, sample: int = 0) -> None:
        """Drop it."""

    def close(self) -> Sequence[Artifact]:
        """Give nothing."""
        return ()
