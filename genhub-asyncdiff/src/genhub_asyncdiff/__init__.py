"""Asynchronous model parallelism for any diffusers denoiser (AsyncDiff, NeurIPS 2024).

Names are imported on first use: importing the package loads neither torch nor diffusers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub_asyncdiff.plugin import AsyncDiffConfig
    from genhub_asyncdiff.schedule import Form
    from genhub_asyncdiff.simulation import simulate

__all__ = ["AsyncDiffConfig", "Form", "simulate"]

_HOMES = {"AsyncDiffConfig": "plugin", "Form": "schedule", "simulate": "simulation"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
