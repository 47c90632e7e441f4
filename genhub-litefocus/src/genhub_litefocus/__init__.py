"""Sparse attention for long audio (LiteFocus, arXiv 2407.10468), and decoding in bounded memory.

Names are imported on first use: importing the package loads neither torch nor diffusers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub_litefocus.attention import litefocus_attention
    from genhub_litefocus.decoding import stream_audio
    from genhub_litefocus.estimate import estimate
    from genhub_litefocus.indices import focus_indices
    from genhub_litefocus.plugin import LiteFocus, LiteFocusConfig
    from genhub_litefocus.repair import repair_pipeline

__all__ = [
    "LiteFocus",
    "LiteFocusConfig",
    "estimate",
    "focus_indices",
    "litefocus_attention",
    "repair_pipeline",
    "stream_audio",
]

_HOMES = {
    "LiteFocus": "plugin",
    "LiteFocusConfig": "plugin",
    "estimate": "estimate",
    "focus_indices": "indices",
    "litefocus_attention": "attention",
    "repair_pipeline": "repair",
    "stream_audio": "decoding",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
