"""Checks that an author's plugin inherits: one pytest class per kind.

    class TestMyKernels(genhub.testing.KernelTests):
        op = "my_operation"

Importing this package imports neither pytest nor torch; a class imports pytest, and torch comes
with the checks that need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub.testing.communicators import CommunicatorTests
    from genhub.testing.kernels import KernelTests
    from genhub.testing.launches import on_processes, on_threads, solo

__all__ = ["CommunicatorTests", "KernelTests", "on_processes", "on_threads", "solo"]

_HOMES = {
    "CommunicatorTests": "communicators",
    "KernelTests": "kernels",
    "on_processes": "launches",
    "on_threads": "launches",
    "solo": "launches",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"genhub.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'genhub.testing' has no attribute '{name}'")
