"""Full-size denoisers on meta, in half precision, and one call of each, batch 1."""

from __future__ import annotations

from functools import cache
from typing import Any

import diffusers
import torch

from genhub_asyncdiff.graph import Graph, trace_units

_UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
}
_CROSS = {
    "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
}
_WIDE = {"attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True}
_DIT = {"joint_attention_dim": 4096, "in_channels": 16, "out_channels": 16}

# name: class, config
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "sd15": (
        "UNet2DConditionModel",
        _UNET | _CROSS | {"sample_size": 64, "attention_head_dim": 8},
    ),
    "sd21": (
        "UNet2DConditionModel",
        _UNET | _CROSS | _WIDE | {"sample_size": 96, "cross_attention_dim": 1024},
    ),
    "sdxl": (
        "UNet2DConditionModel",
        _UNET
        | {
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", *["CrossAttnDownBlock2D"] * 2),
            "up_block_types": (*["CrossAttnUpBlock2D"] * 2, "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "use_linear_projection": True,
            "cross_attention_dim": 2048,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
    ),
    "upscaler": (
        "UNet2DConditionModel",
        _UNET
        | {
            "sample_size": 128,
            "in_channels": 7,
            "block_out_channels": (256, 512, 512, 1024),
            "down_block_types": ("DownBlock2D", *["CrossAttnDownBlock2D"] * 3),
            "up_block_types": (*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"),
            "only_cross_attention": (True, True, True, False),
            "attention_head_dim": 8,
            "use_linear_projection": True,
            "cross_attention_dim": 1024,
            "num_class_embeds": 1000,
        },
    ),
    "svd": ("UNetSpatioTemporalConditionModel", {"num_frames": 25}),
    "motion": (
        "UNetMotionModel",
        _UNET
        | {
            "down_block_types": (*["CrossAttnDownBlockMotion"] * 3, "DownBlockMotion"),
            "up_block_types": ("UpBlockMotion", *["CrossAttnUpBlockMotion"] * 3),
            "sample_size": 64,
            "num_attention_heads": 8,
            "use_motion_mid_block": True,
        },
    ),
    "sd3": (
        "SD3Transformer2DModel",
        _DIT
        | {
            "sample_size": 128,
            "num_layers": 24,
            "num_attention_heads": 24,
            "caption_projection_dim": 1536,
            "pooled_projection_dim": 2048,
            "pos_embed_max_size": 192,
        },
    ),
    "flux": ("FluxTransformer2DModel", {"guidance_embeds": True}),
    "wan": (
        "WanTransformer3DModel",
        {"num_layers": 4, "num_attention_heads": 2, "attention_head_dim": 16, "ffn_dim": 64}
        | {"text_dim": 12, "freq_dim": 16, "cross_attn_norm": True},
    ),
    "qwenimage": (
        "QwenImageTransformer2DModel",
        {"num_layers": 4, "num_attention_heads": 2, "attention_head_dim": 16}
        | {"joint_attention_dim": 12, "axes_dims_rope": (4, 6, 6)},
    ),
}


def build(name: str, **changes: Any) -> Any:
    """Make a denoiser without memory."""
    cls, config = CONFIGS[name]
    with torch.device("meta"):
        model = getattr(diffusers, cls)(**config | changes)
    return model.half().to("meta").eval()


def _half(*shape: int) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.float16, device="meta")


def call(name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give `(args, kwargs)` of one call, as the architecture's pipeline makes it."""
    t = torch.empty((), dtype=torch.int64, device="meta")
    plain: dict[str, Any] = {"return_dict": False}
    if name in _UNETS:
        sample, text, more = _UNETS[name]
        return (_half(*sample), t), {"encoder_hidden_states": _half(*text)} | plain | {
            key: value() for key, value in more.items()
        }
    return (), {key: value() for key, value in _TRANSFORMERS[name].items()} | plain


_UNETS: dict[str, Any] = {
    "sd15": ((1, 4, 64, 64), (1, 77, 768), {}),
    "sd21": ((1, 4, 96, 96), (1, 77, 1024), {}),
    "sdxl": (
        (1, 4, 128, 128),
        (1, 77, 2048),
        {
            "added_cond_kwargs": lambda: {
                "text_embeds": _half(1, 1280),
                "time_ids": _half(1, 6),
            }
        },
    ),
    "upscaler": (
        (1, 7, 128, 128),
        (1, 77, 1024),
        {"class_labels": lambda: torch.empty((1,), dtype=torch.int64, device="meta")},
    ),
    "svd": ((1, 25, 8, 72, 128), (1, 1, 1024), {"added_time_ids": lambda: _half(1, 3)}),
    "motion": ((1, 4, 16, 64, 64), (16, 77, 768), {}),
}
_TRANSFORMERS: dict[str, Any] = {
    "sd3": {
        "hidden_states": lambda: _half(1, 16, 128, 128),
        "timestep": lambda: _half(1),
        "encoder_hidden_states": lambda: _half(1, 154, 4096),
        "pooled_projections": lambda: _half(1, 2048),
    },
    "flux": {
        "hidden_states": lambda: _half(1, 4096, 64),
        "timestep": lambda: _half(1),
        "guidance": lambda: _half(1),
        "pooled_projections": lambda: _half(1, 768),
        "encoder_hidden_states": lambda: _half(1, 512, 4096),
        "txt_ids": lambda: _half(512, 3),
        "img_ids": lambda: _half(4096, 3),
    },
    "wan": {
        "hidden_states": lambda: _half(1, 16, 2, 8, 8),
        "timestep": lambda: _half(1),
        "encoder_hidden_states": lambda: _half(1, 7, 12),
    },
    "qwenimage": {
        "hidden_states": lambda: _half(1, 16, 64),
        "timestep": lambda: _half(1),
        "encoder_hidden_states": lambda: _half(1, 7, 12),
        "encoder_hidden_states_mask": lambda: torch.ones((1, 7), dtype=torch.bool, device="meta"),
        "img_shapes": lambda: [[(1, 4, 4)]],
    },
}


@cache
def traced(name: str) -> Graph:
    """Give the graph of an architecture's units."""
    denoiser = build(name)
    return trace_units(denoiser, *call(name))
