"""Describe the attention sites of a denoiser from its architecture and what a probe saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log2
from typing import TYPE_CHECKING, Any, Literal

from genhub.api import Site

if TYPE_CHECKING:
    from torch.nn import Module

    from genhub.plan.observe import Seen

__all__ = ["Lattice", "sites_of"]

Lattice = tuple[int, int] | None  # rows, cols of the latent; None = not known

# Modules that attend over frames, by the words that every temporal module's path has.
_TEMPORAL = frozenset(
    ("motion_modules", "temp_attentions", "temporal_transformer_blocks", "transformer_in")
)
_Stage = Literal["down", "mid", "up", "blocks"]
_STAGES: Mapping[str, _Stage] = {
    "down_blocks": "down",
    "transformer_in": "down",
    "mid_block": "mid",
    "up_blocks": "up",
}


def sites_of(
    component: str,
    module: Module,
    paths: Iterable[str],
    seen: Mapping[str, Seen],
    *,
    latent: Lattice = None,
    patch: int = 0,
) -> list[Site]:
    """List the sites at `paths` in order of execution, those that were never called last.

    `latent` is rows and columns at this run's size; `patch` says how many cells of it one token of
    a transformer covers along one side (0: a UNet, whose levels follow from its feature maps).
    """
    sites = [
        _site(component, path, module.get_submodule(path), seen.get(path), latent, patch)
        for path in paths
    ]
    return sorted(sites, key=lambda site: site.index if site.index >= 0 else len(sites))


def _site(
    component: str, path: str, attn: Any, seen: Seen | None, latent: Lattice, patch: int
) -> Site:
    stage: _Stage = _STAGES.get(path.split(".", 1)[0], "blocks")
    heads = int(attn.heads)
    inner = int(getattr(attn, "inner_dim", 0) or heads * getattr(attn, "head_dim", 0))
    if seen is None:
        return Site(
            path=f"{component}.{path}",
            component=component,
            kind="cross" if getattr(attn, "is_cross_attention", False) else "self",
            axis="temporal" if _TEMPORAL & set(path.split(".")) else "spatial",
            stage=stage,
            index=-1,
            channels=int(getattr(attn, "query_dim", inner)),
            heads=heads,
            head_dim=inner // heads,
            tokens=None,
            context_tokens=None,
        )
    picture = _patches(latent, patch) if patch else seen.picture
    axis = _axis(path, attn, seen, picture if patch else None)
    level = None
    if latent is not None and picture is not None:
        level = max(0, round(log2(latent[0] / picture[0])))
    whole = picture is not None and picture[0] * picture[1] == seen.tokens
    return Site(
        path=f"{component}.{path}",
        component=component,
        kind="self" if seen.context is None else "cross",
        axis=axis,
        stage=stage,
        index=seen.index,
        channels=seen.channels,
        heads=heads,
        head_dim=inner // heads,
        tokens=seen.tokens,
        context_tokens=seen.context,
        level=level,
        grid=picture if whole and axis != "temporal" else None,
    )


def _patches(latent: Lattice, patch: int) -> Lattice:
    return None if latent is None else (latent[0] // patch, latent[1] // patch)


def _axis(
    path: str, attn: Any, seen: Seen, patches: Lattice
) -> Literal["spatial", "temporal", "joint"]:
    """Tell what the tokens are: cells, frames, or cells with text (MMDiT) or of all frames."""
    if _TEMPORAL & set(path.split(".")):
        return "temporal"
    in_transformer = path.split(".", 1)[0] not in _STAGES
    attends_to_text_too = getattr(attn, "add_k_proj", None) is not None and seen.context is not None
    more_than_a_picture = patches is not None and seen.tokens > patches[0] * patches[1]
    if in_transformer and (attends_to_text_too or more_than_a_picture):
        return "joint"
    return "spatial"
