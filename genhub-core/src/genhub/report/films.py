"""Video for the page: the file itself where it fits, else fewer and smaller frames of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from genhub.report.media import Picture, Room, data_uri, fit_picture

__all__ = ["Film", "embed_film"]

SIDES = (320, 224, 160, 112)  # pixels of the longer side of a preview
FRAMES = 32  # of a preview
MOST_READ = 4000  # frames of a file that is looked at
SHOWN = 256  # pixels on the page


@dataclass(frozen=True)
class Film:
    """What the page shows of one video; `uri` is None where nothing fits or can be read."""

    uri: str | None
    plays: bool  # with controls, as MP4; else an animated picture
    still: Picture | None  # its first frame, for print and for those who want no motion
    width: int  # pixels on the page
    height: int
    preview: bool = False  # fewer or smaller frames than the file has


def embed_film(path: Path, about: Mapping[str, Any], room: Room) -> Film | None:
    """Bring an MP4 or WebP into the page; None for what cannot be read.

    `about` holds `frames` and `seconds`, as the artifact does. A preview of an MP4 needs PyAV:
    without it a file that is too large has a link only.
    """
    from PIL import Image

    try:
        film = _of(path, about, room.share)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        film = None
    still = len(film.still.uri) if film and film.still else 0
    room.take(len(film.uri or "") + still if film else 0)
    return film


def _of(path: Path, about: Mapping[str, Any], most: int) -> Film:
    first = next(_frames(path), None)
    still = None if first is None else fit_picture(first, SHOWN, most // 4)
    left = most - (len(still.uri) if still else 0)
    size = (SHOWN, SHOWN * 9 // 16) if first is None else _shown(first)
    is_mp4 = path.suffix.lower() == ".mp4"
    if path.stat().st_size * 4 // 3 + 40 <= left:
        kind = "video/mp4" if is_mp4 else "image/webp"
        return Film(data_uri(kind, path.read_bytes()), is_mp4, still, *size)
    count = min(about.get("frames") or FRAMES, MOST_READ)
    chosen = list(islice(_frames(path), 0, count, -(-count // FRAMES)))
    uri = _preview(chosen, about.get("seconds") or count / FRAMES, left)
    return Film(uri, False, still, *size, preview=True)


def _frames(path: Path) -> Iterator[Any]:
    """Give the frames as PIL images, none of an MP4 where PyAV is not installed."""
    if path.suffix.lower() == ".mp4":
        if importlib.util.find_spec("av") is None:
            return
        import av

        with av.open(str(path)) as file:
            for frame in file.decode(video=0):
                yield _small(frame.to_image())
    else:
        from PIL import Image, ImageSequence

        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                yield _small(frame.convert("RGB"))


def _small(frame: Any) -> Any:
    """Bound what is held in memory."""
    frame.thumbnail((SIDES[0], SIDES[0]))
    return frame


def _shown(frame: Any) -> tuple[int, int]:
    longer = max(frame.size)
    scale = max(1, SHOWN // longer) if longer < SHOWN else SHOWN / longer
    return round(frame.width * scale), round(frame.height * scale)


def _preview(frames: list[Any], seconds: float, most: int) -> str | None:
    for side in SIDES if frames else ():
        for frame in frames:
            frame.thumbnail((side, side))
        buffer = BytesIO()
        frames[0].save(
            buffer, "WEBP", save_all=True, append_images=frames[1:], loop=0, quality=60,
            duration=max(20, round(1000 * seconds / len(frames))),
        )  # fmt: skip
        uri = data_uri("image/webp", buffer.getvalue())
        if len(uri) <= most:
            return uri
    return None
