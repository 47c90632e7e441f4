"""Films of a game: MP4 with PyAV, animated WebP or GIF with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from genhub_cprocgen.errors import OptionError

__all__ = ["Recording", "recording_of"]


class Recording(Protocol):
    """A film under way."""

    def add(self, frame: np.ndarray) -> None:
        """Append a frame, uint8 [H, W, 3], with even sides."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def recording_of(path: Path, fps: int) -> Recording:
    """Begin a film in the format of the path's ending; raises OptionError."""
    suffix = path.suffix.lower()
    if suffix not in (".mp4", ".webp", ".gif"):
        raise OptionError(f"a film is written as .mp4, .webp or .gif, got {str(path)!r}")
    if not path.parent.is_dir():
        raise OptionError(f"there is no folder {path.parent} to write {path.name} into")
    try:
        return _Mp4(path, fps) if suffix == ".mp4" else _Animation(path, fps)
    except ImportError as error:
        needed = "PyAV: pip install av" if suffix == ".mp4" else "Pillow: pip install pillow"
        raise OptionError(f"a film as {suffix} needs {needed} ({error})") from None


class _Mp4:
    """Encodes every frame at once."""

    def __init__(self, path: Path, fps: int) -> None:
        import av

        self._av = av
        self._file: Any = av.open(str(path), "w", options={"movflags": "faststart"})
        self._stream = self._file.add_stream("libx264", rate=fps, options={"crf": "18"})
        self._stream.pix_fmt = "yuv420p"
        self._begun = False

    def add(self, frame: np.ndarray) -> None:
        if not self._begun:
            self._stream.height, self._stream.width = frame.shape[:2]
            self._begun = True
        for packet in self._stream.encode(self._av.VideoFrame.from_ndarray(frame, format="rgb24")):
            self._file.mux(packet)

    def close(self) -> None:
        for packet in self._stream.encode():
            self._file.mux(packet)
        self._file.close()


class _Animation:
    """Holds all frames until the end, as these formats need them."""

    def __init__(self, path: Path, fps: int) -> None:
        from PIL import Image

        self._image, self._path, self._duration = Image, path, round(1000 / fps)
        self._frames: list[Any] = []

    def add(self, frame: np.ndarray) -> None:
        self._frames.append(self._image.fromarray(frame))

    def close(self) -> None:
        if self._frames:
            first, *rest = self._frames
            first.save(
                self._path, save_all=True, append_images=rest, duration=self._duration, loop=0
            )
