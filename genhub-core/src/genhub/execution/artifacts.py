"""What a run writes about a file of results, beside it and inside it; and reading it back."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from genhub.api import Artifact, GenHubError, Sample
from genhub.execution.containers import KEYWORD, MOST_TEXT, Oversized, find_text

__all__ = ["SUFFIXES", "artifact_json", "encode", "file_name", "json_text", "read_embedded"]

FORMAT = 1
SUFFIXES = (".png", ".wav", ".webp", ".mp4")  # of files that carry their config


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    """Write an artifact as the manifest lists it."""
    return {**asdict(artifact), "seconds": round(artifact.seconds, 4)}


def file_name(sample: Sample, suffix: str = ".png") -> str:
    """Give a name that sorts by sample, so that the files of all variants stand together."""
    variant = "" if sample.variant == "main" else f"-{sample.variant}"
    return f"{sample.index:06d}{variant}{suffix}"


def json_text(payload: Mapping[str, Any]) -> bytes:
    """Write what a file carries."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def encode(image: Any, payload: Mapping[str, Any] | None) -> bytes:
    """Give a PNG file that carries `payload`."""
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    if payload is not None:
        about.add_itxt(KEYWORD.decode(), json_text(payload).decode(), zip=True)
    buffer = BytesIO()
    image.save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def read_embedded(path: Path) -> dict[str, Any]:
    """Read what a PNG, WAV, WebP or MP4 file of a run carries, without decoding its media.

    Raises GH608 for a file of another kind, one that carries nothing of GenHub, or is damaged.
    """
    try:
        with path.open("rb") as file:
            text = find_text(file)
    except OSError as error:
        raise _bad(path, f"it cannot be read: {error.strerror}") from error
    except LookupError as error:
        raise _bad(path, "it is no PNG, WAV, WebP or MP4 file") from error
    except Oversized as error:
        raise _bad(path, f"its config is larger than {MOST_TEXT} bytes") from error
    except (ValueError, zlib.error, struct.error) as error:
        raise _bad(path, "its config is damaged") from error
    if text is None:
        raise _bad(
            path, "it carries no config: it was not made by GenHub, or stripped of its texts"
        )
    return _payload(path, text)


def _payload(path: Path, text: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad(path, "its config is damaged") from error
    if not isinstance(payload, dict) or payload.get("genhub") != FORMAT:
        raise _bad(path, "its config is not of this version of GenHub")
    if not isinstance(payload.get("config"), dict):
        raise _bad(path, "its config is damaged")
    return payload


def _bad(path: Path, reason: str) -> GenHubError:
    return GenHubError("GH608", f"{path} cannot be used: {reason}")
