"""Activations that wait for the whole length: in memory while they are few, else in files.

A `Stream` is written once, block by block along time, and read in any blocks. It knows mean and
variance of each channel over the whole length as soon as it is written.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["MEMORY", "Stream", "Workspace", "widened"]

MEMORY = 64 * 2**20  # bytes of activations that stay in memory, all streams together


class Stream(ABC):
    """Frames [B, C, T, F] that are written in order and then read in any blocks."""

    def __init__(self, frames: int, like: Tensor) -> None:
        self.frames = frames
        self.batch, self.channels, _, self.bins = like.shape
        self.dtype, self.device = like.dtype, like.device
        self._written = 0
        self._mean = torch.zeros(self.batch, self.channels, dtype=torch.float64)
        self._squares = torch.zeros_like(self._mean)  # summed squares of distances to the mean

    @property
    def frame_bytes(self) -> int:
        """Give the bytes of one frame of the whole batch."""
        return self.batch * self.channels * self.bins * self.dtype.itemsize

    def append(self, block: Tensor) -> None:
        """Write the next frames [B, C, t, F]."""
        self._put(self._written, block.permute(2, 0, 1, 3).contiguous())
        self._count(block)
        self._written += block.shape[2]

    def read(self, start: int, stop: int) -> Tensor:
        """Give the frames [start, stop) as [B, C, stop - start, F]."""
        return self._get(start, stop).permute(1, 2, 0, 3)

    def moments(self, groups: int) -> tuple[Tensor, Tensor]:
        """Give mean and variance [B, groups] over time, bins and the channels of each group."""
        mean = self._mean.unflatten(1, (groups, -1))
        inside = self._squares.unflatten(1, (groups, -1)) / (self._written * self.bins)
        return mean.mean(2), inside.mean(2) + mean.var(2, correction=0)

    @abstractmethod
    def close(self) -> None:
        """Give up what the frames take."""

    def _count(self, block: Tensor) -> None:
        """Merge the moments of a block into those so far (Chan, Golub and LeVeque, 1979)."""
        variance, mean = torch.var_mean(widened(block), dim=(2, 3), correction=0)
        variance, mean = variance.cpu().double(), mean.cpu().double()
        before, here = self._written * self.bins, block.shape[2] * self.bins
        away = mean - self._mean
        self._mean += away * here / (before + here)
        self._squares += variance * here + away.square() * before * here / (before + here)

    @abstractmethod
    def _put(self, start: int, rows: Tensor) -> None:
        """Keep frames [t, B, C, F] at their place."""

    @abstractmethod
    def _get(self, start: int, stop: int) -> Tensor:
        """Give frames as [t, B, C, F]."""


class _InMemory(Stream):
    def __init__(self, frames: int, like: Tensor) -> None:
        super().__init__(frames, like)
        shape = (frames, self.batch, self.channels, self.bins)
        self._rows = torch.empty(shape, dtype=like.dtype, device=like.device)

    def _put(self, start: int, rows: Tensor) -> None:
        self._rows[start : start + len(rows)] = rows

    def _get(self, start: int, stop: int) -> Tensor:
        return self._rows[start:stop]

    def close(self) -> None:
        self._rows = self._rows[:0].clone()


class _OnDisk(Stream):
    def __init__(self, frames: int, like: Tensor, folder: Path) -> None:
        super().__init__(frames, like)
        _check_room(folder, frames * self.frame_bytes)
        # Without a name: whatever ends the process, the system takes the space back.
        self._file: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def _put(self, start: int, rows: Tensor) -> None:
        self._file.seek(start * self.frame_bytes)
        self._file.write(rows.cpu().flatten().view(torch.uint8).numpy())

    def _get(self, start: int, stop: int) -> Tensor:
        rows = torch.empty((stop - start, self.batch, self.channels, self.bins), dtype=self.dtype)
        self._file.seek(start * self.frame_bytes)
        self._file.readinto(rows.flatten().view(torch.uint8).numpy())
        return rows.to(self.device)

    def close(self) -> None:
        self._file.close()


def widened(block: Tensor) -> Tensor:
    """Give a block in a precision that sums can be taken in: float32 at least."""
    return block if block.dtype == torch.float64 else block.float()


class Workspace:
    """Makes streams, and gives up all of them on leaving the `with` block.

    `folder` is where files go (None: the system's folder for temporary files, which the
    environment variable TMPDIR moves); `memory` bytes of all streams together (None: `MEMORY`)
    stay in memory.
    """

    def __init__(self, folder: str | Path | None = None, memory: int | None = None) -> None:
        self._folder = Path(tempfile.gettempdir() if folder is None else folder)
        self._memory = MEMORY if memory is None else memory
        self._open: list[Stream] = []

    def store(self, blocks: Iterable[Tensor], frames: int) -> Stream:
        """Write blocks [B, C, t, F] of `frames` frames in all.

        Raises OSError where the folder has too little room.
        """
        made: Stream | None = None
        for block in blocks:
            made = self._new(frames, block) if made is None else made
            made.append(block)
        if made is None:
            raise ValueError("there is nothing to store: the input has no frame")
        return made

    def drop(self, stream: Stream) -> None:
        """Give up one stream that nobody will read again."""
        stream.close()
        self._open.remove(stream)

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exc: object) -> None:
        while self._open:
            self._open.pop().close()

    def _new(self, frames: int, like: Tensor) -> Stream:
        taken = sum(s.frames * s.frame_bytes for s in self._open if isinstance(s, _InMemory))
        _, channels, _, bins = like.shape
        size = frames * len(like) * channels * bins * like.element_size()
        fits = taken + size <= self._memory
        made = _InMemory(frames, like) if fits else _OnDisk(frames, like, self._folder)
        self._open.append(made)
        return made


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"decoding needs {size / 2**30:.2f} GiB in {folder}, which has {free / 2**30:.2f} GiB "
            "free: set the environment variable TMPDIR to a folder with more room",
        )
