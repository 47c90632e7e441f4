"""What the published checkpoints look like: their layers, their parameters, whom they fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from diffusers.models.attention_processor import Attention
from torch import nn

from genhub_linfusion.layer import LinFusionAttention, ineligible

__all__ = [
    "PUBLISHED",
    "LayerShape",
    "PublishedCheckpoint",
    "fingerprint",
    "in_published_order",
    "parameter_shapes",
    "self_attention_layers",
]


@dataclass(frozen=True)
class LayerShape:
    """One attention layer: its name within the denoiser and its widths."""

    name: str
    channels: int
    heads: int
    mid_dim: int | None = None  # None = channels, -1 = no feature network


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A checkpoint on the hub and the architecture it belongs to."""

    hub_id: str
    cross_attention_dim: int
    layers: tuple[LayerShape, ...]


def parameter_shapes(layer: LayerShape) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter of a layer, by its published name."""
    c, m = layer.channels, layer.channels if layer.mid_dim is None else layer.mid_dim
    shapes: dict[str, tuple[int, ...]] = {f"to_{x}.weight": (c, c) for x in "qkv"}
    shapes |= {"to_out.0.weight": (c, c), "to_out.0.bias": (c,)}
    if layer.mid_dim == -1:
        return shapes
    for x in "qk":
        shapes |= {f"to_{x}_.0.weight": (m, c), f"to_{x}_.0.bias": (m,)}
        shapes |= {f"to_{x}_.1.weight": (m,), f"to_{x}_.1.bias": (m,)}
        shapes |= {f"to_{x}_.3.weight": (c, m), f"to_{x}_.3.bias": (c,)}
    return shapes


def in_published_order(names: Iterable[str]) -> list[str]:
    """Sort layer names as checkpoints do: in the order of a UNet's `named_modules()`.

    That is down, up, then mid, numbers counted as numbers; not the order of execution.
    """
    stages = ("down_blocks", "up_blocks", "mid_block")

    def place(name: str) -> tuple[int, list[tuple[int, str]]]:
        stage = name.split(".")[0]
        pieces = re.split(r"(\d+)", name)
        natural = [(int(p), "") if p.isdigit() else (-1, p) for p in pieces]
        return stages.index(stage) if stage in stages else len(stages), natural

    return sorted(names, key=place)


def self_attention_layers(denoiser: nn.Module) -> dict[str, Attention]:
    """Return the spatial self-attention layers that can become linear, or are already.

    In the order of `named_modules()`, which is that of checkpoints, not of execution.

    Temporal layers of motion modules are left out: checkpoints know nothing of time.
    """
    return {
        name: module
        for name, module in denoiser.named_modules()
        if name.endswith(".attn1")
        and "motion_modules" not in name
        and (isinstance(module, LinFusionAttention) or ineligible(module) is None)
    }


def fingerprint(denoiser: nn.Module) -> str | None:
    """Return the hub id of the published checkpoint made for this architecture, or None.

    Compares the width of the text embedding and every layer's name, channels and heads. Models
    that share a shape cannot be told apart: a model trained from nothing in the shape of SDXL
    matches too. Weights are not looked at, and may be on the meta device.
    """
    config = getattr(denoiser, "config", {})
    # A projected text encoder of its own (Kolors): same layers, different model.
    if config.get("encoder_hid_dim") is not None:
        return None
    found = {(name, x.query_dim, x.heads) for name, x in self_attention_layers(denoiser).items()}
    for checkpoint in PUBLISHED:
        listed = {(x.name, x.channels, x.heads) for x in checkpoint.layers}
        if config.get("cross_attention_dim") == checkpoint.cross_attention_dim and found == listed:
            return checkpoint.hub_id
    return None


def _stage(prefix: str, channels: int, attentions: int, depth: int) -> Iterator[tuple[str, int]]:
    for a in range(attentions):
        for t in range(depth):
            yield f"{prefix}.attentions.{a}.transformer_blocks.{t}.attn1", channels


def _sd_layers(heads: tuple[int, int, int]) -> tuple[LayerShape, ...]:
    """List the layers of Stable Diffusion 1 and 2; `heads` from the widest resolution down."""
    widths = (320, 640, 1280)
    layers = [x for i, c in enumerate(widths) for x in _stage(f"down_blocks.{i}", c, 2, 1)]
    layers += [x for i in (1, 2, 3) for x in _stage(f"up_blocks.{i}", widths[3 - i], 3, 1)]
    layers += _stage("mid_block", 1280, 1, 1)
    return tuple(LayerShape(name, c, heads[widths.index(c)]) for name, c in layers)


def _sdxl_layers() -> tuple[LayerShape, ...]:
    """List the layers of Stable Diffusion XL: heads of 64, feature networks of c / 16."""
    layers = [
        *_stage("down_blocks.1", 640, 2, 2),
        *_stage("down_blocks.2", 1280, 2, 10),
        *_stage("up_blocks.0", 1280, 3, 10),
        *_stage("up_blocks.1", 640, 3, 2),
        *_stage("mid_block", 1280, 1, 10),
    ]
    return tuple(LayerShape(name, c, c // 64, c // 16) for name, c in layers)


PUBLISHED = (
    PublishedCheckpoint("Yuanshi/LinFusion-1-5", 768, _sd_layers((8, 8, 8))),
    PublishedCheckpoint("Yuanshi/LinFusion-2-1", 1024, _sd_layers((5, 10, 20))),
    PublishedCheckpoint("Yuanshi/LinFusion-XL", 2048, _sdxl_layers()),
)
