"""See what code does behind its caller's back: files it writes, addresses it asks for, dice."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Deeds", "dice", "reseed", "watching"]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod")
_FROM_TO = ("os.rename", "os.symlink", "os.link")  # what comes into being is the second
_CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_watchers: list[Deeds] = []


@dataclass
class Deeds:
    """What was seen while the block ran; `writes` leaves out the folders that were allowed."""

    allowed: tuple[str, ...]
    writes: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        """Take down one audit event of the interpreter; asking for the network is refused."""
        if (event == "open" and _writes(args)) or event in _CHANGES:
            path = args[1] if event in _FROM_TO else args[0]
            if isinstance(path, str | bytes | os.PathLike):
                self._written(os.path.realpath(os.fsdecode(path)))
        elif event in _CALLS:
            address = args[1] if event in ("socket.connect", "socket.sendto") else args[0]
            if not isinstance(address, str | bytes) or event.startswith("socket.get"):
                self.calls.append(str(address))
                raise OSError("no network while a plugin is checked")

    def _written(self, path: str) -> None:
        if "__pycache__" not in path and not path.startswith(self.allowed):
            self.writes.append(path)


@contextmanager
def watching(*folders: Path) -> Iterator[Deeds]:
    """Record writes outside `folders` and caches, and refuse the network, while the block runs."""
    caches = [os.environ.get(name) for name in ("XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME")]
    allowed = [*map(str, folders), str(Path.home() / ".cache"), os.devnull, *filter(None, caches)]
    deeds = Deeds(tuple(map(os.path.realpath, allowed)))
    if not _installed:
        sys.addaudithook(_audit)  # cannot be taken away again, so there is one
        _installed.append(True)
    _watchers.append(deeds)
    try:
        yield deeds
    finally:
        _watchers.remove(deeds)


def dice() -> dict[str, Any]:
    """Give the state of every generator that a process shares, by the name of its module."""
    states: dict[str, Any] = {"random": random.getstate()}
    if torch := sys.modules.get("torch"):
        states["torch"] = torch.get_rng_state().tolist()
    if numpy := sys.modules.get("numpy"):
        name, keys, *rest = numpy.random.get_state(legacy=True)
        states["numpy.random"] = (name, keys.tolist(), *rest)
    return states


def reseed() -> None:
    """Put the shared generators at one and the same place."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


_installed: list[bool] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    for deeds in _watchers:
        deeds.note(event, args)


def _writes(args: tuple[Any, ...]) -> bool:
    _, mode, flags = args
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(isinstance(flags, int) and flags & _WRITING)
