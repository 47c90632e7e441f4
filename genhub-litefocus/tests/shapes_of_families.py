"""UNets with the structure of published families, small or on meta, and attached to."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.pipelines.audioldm2 import AudioLDM2UNet2DConditionModel

_DOWN = ("DownBlock2D", *("CrossAttnDownBlock2D",) * 3)
_UP = (*("CrossAttnUpBlock2D",) * 3, "UpBlock2D")
_ALL_DOWN = (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D")
_ALL_UP = ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3)

_FOUR = {
    "block_out_channels": (8, 16, 24, 32),
    "norm_num_groups": 4,
    "layers_per_block": 2,
    "attention_head_dim": 2,
    "sample_size": 256,
}
_EIGHT = {"in_channels": 8, "out_channels": 8}


def audioldm2(cross: tuple[int | None, ...] = (None, 6, 10), depth: int = 1) -> Any:
    """Make an AudioLDM2 UNet of four levels, one transformer per entry of `cross`."""
    return AudioLDM2UNet2DConditionModel(
        **_FOUR, **_EIGHT, down_block_types=_DOWN, up_block_types=_UP,
        cross_attention_dim=([*cross],) * 4, transformer_layers_per_block=depth,
    ).eval()  # fmt: skip


def audioldm() -> Any:
    """Make a UNet of AudioLDM and MusicLDM: cross_attention_dim are its own widths."""
    return UNet2DConditionModel(
        **_FOUR, **_EIGHT, down_block_types=_DOWN, up_block_types=_UP,
        cross_attention_dim=_FOUR["block_out_channels"], class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=12, class_embeddings_concat=True,
    ).eval()  # fmt: skip


def tango() -> Any:
    """Make a Stable Diffusion UNet over [B, 8, 256, 16]: time first, attention at level 0 too."""
    return UNet2DConditionModel(
        **_FOUR, **_EIGHT, down_block_types=_ALL_DOWN, up_block_types=_ALL_UP,
        cross_attention_dim=6,
    ).eval()  # fmt: skip


def auffusion() -> Any:
    """Make a Stable Diffusion UNet over [B, 4, 32, T]: frequency first."""
    return UNet2DConditionModel(
        **_FOUR, in_channels=4, out_channels=4, down_block_types=_ALL_DOWN,
        up_block_types=_ALL_UP, cross_attention_dim=6,
    ).eval()  # fmt: skip


def call(unet: Any, rows: int, cols: int, *, batch: int = 1, t: int = 7, seed: int = 3) -> Any:
    """Call a UNet as its pipeline does, with noise of this size."""
    draw = torch.Generator().manual_seed(seed)
    config = unet.config
    given: dict[str, Any] = {"encoder_hidden_states": torch.randn(batch, 5, 6, generator=draw)}
    if config.get("class_embeddings_concat"):
        labels = torch.randn(batch, 12, generator=draw)
        given = {"encoder_hidden_states": None, "class_labels": labels}
    elif len(config.cross_attention_dim[0]) > 2 if is_audioldm2(unet) else False:
        given["encoder_hidden_states_1"] = torch.randn(batch, 4, 10, generator=draw)
    sample = torch.randn(batch, config.in_channels, rows, cols, generator=draw)
    with torch.no_grad():
        return unet(sample, torch.tensor(t), **given).sample


def is_audioldm2(unet: Any) -> bool:
    """Say whether it is called with two encoded prompts."""
    return type(unet).__name__ == "AudioLDM2UNet2DConditionModel"
