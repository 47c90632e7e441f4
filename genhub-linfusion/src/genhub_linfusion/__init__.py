"""Linear-complexity self-attention for diffusion UNets (LinFusion, arXiv 2409.02097).

Names are imported on first use: importing the package loads neither torch nor diffusers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genhub_linfusion.attention import (
        LinearState,
        apply_state,
        linear_attention,
        linear_state,
        merge,
    )
    from genhub_linfusion.layer import LinFusionAttention

__all__ = [
    "LinFusionAttention",
    "LinearState",
    "apply_state",
    "linear_attention",
    "linear_state",
    "merge",
]

_HOMES = {
    "LinFusionAttention": "layer",
    "LinearState": "attention",
    "apply_state": "attention",
    "linear_attention": "attention",
    "linear_state": "attention",
    "merge": "attention",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
