"""Pictures that say how they were made: a JSON text inside the PNG file, written and read back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from struct import unpack
from typing import Any

from genhub.api import Artifact, GenHubError, Request, Sample
from genhub.execution.folder import replace_file

__all__ = ["NoSink", "PictureSink", "artifact_json", "read_embedded"]

KEYWORD = b"genhub"
FORMAT = 1
MOST_TEXT = 1 << 20  # bytes of embedded text
MOST_CHUNKS = 4096
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class PictureSink:
    """Writes the pictures of one request as PNG files.

    `embed` gives what each file carries, or None; `folder` is the run folder.
    """

    def __init__(self, folder: Path, request: Request, embed: Mapping[int, Any] | None) -> None:
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


class NoSink:
    """Takes what nobody will look at."""

    def write(self, chunk: Any, sample: int = 0) -> None:
        """Drop it."""

    def close(self) -> Sequence[Artifact]:
        """Give nothing."""
        return ()


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    """Write an artifact as the manifest lists it."""
    return {**asdict(artifact), "seconds": round(artifact.seconds, 4)}


def file_name(sample: Sample) -> str:
    """Give a name that sorts by sample, so that the pictures of all variants stand together."""
    variant = "" if sample.variant == "main" else f"-{sample.variant}"
    return f"{sample.index:06d}{variant}.png"


def encode(image: Any, payload: Mapping[str, Any] | None) -> bytes:
    """Give a PNG file that carries `payload`."""
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    if payload is not None:
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        about.add_itxt(KEYWORD.decode(), text, zip=True)
    buffer = BytesIO()
    image.save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def read_embedded(path: Path) -> dict[str, Any]:
    """Read what `encode` put into a PNG file, without decoding the picture.

    Raises GH608 for a file that is no PNG, carries nothing of GenHub, or is damaged.
    """
    try:
        with path.open("rb") as file:
            if file.read(8) != _SIGNATURE:
                raise _bad(path, "it is no PNG file")
            for kind, body in _chunks(file):
                if kind == b"iTXt" and body.startswith(KEYWORD + b"\0"):
                    return _payload(path, body[len(KEYWORD) + 1 :])
    except OSError as error:
        raise _bad(path, f"it cannot be read: {error.strerror}") from error
    raise _bad(path, "it carries no config: it was not made by GenHub, or stripped of its texts")


def _chunks(file: Any) -> Iterator[tuple[bytes, bytes]]:
    """Give the text chunks of a PNG file up to a sensible number and size."""
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind == b"iTXt" and length <= MOST_TEXT:
            yield kind, file.read(length)
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)


def _payload(path: Path, body: bytes) -> dict[str, Any]:
    try:
        compressed = body[0] == 1
        _, _, text = body[2:].split(b"\0", 2)  # language and translated keyword are empty
        if compressed:
            unpacker = zlib.decompressobj()
            text = unpacker.decompress(text, MOST_TEXT)
            if unpacker.unconsumed_tail:
                raise _bad(path, f"its config is larger than {MOST_TEXT} bytes")
        payload = json.loads(text)
    except (IndexError, ValueError, zlib.error, RecursionError) as error:
        raise _bad(path, "its config is damaged") from error
    if not isinstance(payload, dict) or payload.get("genhub") != FORMAT:
        raise _bad(path, "its config is not of this version of GenHub")
    if not isinstance(payload.get("config"), dict):
        raise _bad(path, "its config is damaged")
    return payload


def _bad(path: Path, reason: str) -> GenHubError:
    return GenHubError("GH608", f"{path} cannot be used: {reason}")
