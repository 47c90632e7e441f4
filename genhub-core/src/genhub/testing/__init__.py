"""Checks that an author's plugin inherits: one pytest class per kind.

Importing this package imports neither pytest nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub.testing.communicators import CommunicatorTests
    from genhub.testing.launches import on_processes, on_threads, solo

__all__ = [
    "CommunicatorTests",
    "on_processes",
    "on_threads",
    "solo",
]

_HOMES = {
    "CommunicatorTests": "communicators",
    "on_processes": "launches",
    "on_threads": "launches",
    "solo": "launches",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"genhub.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'genhub.testing' has no attribute '{name}'")
