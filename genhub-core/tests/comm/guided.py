"""Guided generations that one process, two threads and two processes make alike."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import tiny
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    StableDiffusion3Pipeline,
    WanPipeline,
    WanTransformer3DModel,
)

from genhub.comm.replica import replica
from genhub.models.shapes import Shapes
from genhub.plan import attach

STEPS = 3
DTYPES = {"float32": torch.float32, "float64": torch.float64}
_loading = threading.Lock()


@cache
def shapes(dtype: str) -> Any:
    pipeline = Shapes().load(DTYPES[dtype], "cpu")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@cache
def sd3(dtype: str) -> Any:
    pipeline = StableDiffusion3Pipeline(
        transformer=tiny.sd3().to(DTYPES[dtype]),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=None,
        **dict.fromkeys(["text_encoder", "text_encoder_2", "text_encoder_3"]),
        **dict.fromkeys(["tokenizer", "tokenizer_2", "tokenizer_3"]),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@cache
def wan(dtype: str) -> Any:
    transformer = tiny.seeded(
        WanTransformer3DModel,
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=12,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        rope_max_seq_len=32,
    )
    pipeline = WanPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=None,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        transformer=transformer.to(DTYPES[dtype]),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def shapes_latents(pipeline: Any, prompts: tuple[str, ...] = ("a red circle",), **call: Any) -> Any:
    return pipeline(
        list(prompts),
        num_inference_steps=STEPS,
        output_type="latent",
        generator=[torch.Generator().manual_seed(7 + i) for i in range(len(prompts))],
        **call,
    ).images


def sd3_latents(pipeline: Any, **call: Any) -> Any:
    draw = torch.Generator().manual_seed(5)
    kind = pipeline.transformer.dtype
    text = torch.randn(2, 1, 6, 12, generator=draw).to(kind)
    pooled = torch.randn(2, 1, 10, generator=draw).to(kind)
    return pipeline(
        prompt_embeds=text[0],
        negative_prompt_embeds=text[1],
        pooled_prompt_embeds=pooled[0],
        negative_pooled_prompt_embeds=pooled[1],
        height=64,
        width=64,
        num_inference_steps=STEPS,
        output_type="latent",
        generator=torch.Generator().manual_seed(7),
        **call,
    ).images


def wan_latents(pipeline: Any, **call: Any) -> Any:
    text = torch.randn(2, 1, 6, 12, generator=torch.Generator().manual_seed(5))
    text = text.to(pipeline.transformer.dtype)
    return pipeline(
        prompt_embeds=text[0],
        negative_prompt_embeds=text[1],
        height=64,
        width=64,
        num_frames=5,
        num_inference_steps=STEPS,
        output_type="latent",
        generator=torch.Generator().manual_seed(7),
        **call,
    ).frames


PIPELINES = {
    "shapes": (shapes, shapes_latents),
    "sd3": (sd3, sd3_latents),
    "wan": (wan, wan_latents),
}
SIZES = {"wan": {"height": 64, "width": 64, "frames": 5}}  # where they are not the pipeline's own


def alone(name: str, dtype: str) -> torch.Tensor:
    build, latents = PIPELINES[name]
    return latents(build(dtype))


def split_over_ranks(comm: Any) -> dict[Any, Any]:
    """Generate with every pipeline in every dtype; give latents, bytes sent, bytes planned."""
    made: dict[Any, Any] = {}
    for name, (build, latents) in PIPELINES.items():
        for dtype in DTYPES:
            with _loading:
                twin = replica(build(dtype))
            comm.sent.clear()
            parallel, size = {"type": "cfg-parallel"}, SIZES.get(name, {})
            with attach(twin, parallel=parallel, comm=comm, **size) as attached:
                made[name, dtype] = latents(twin)
                planned = attached.plan.parallel.bytes(STEPS)
            made[name, dtype, "bytes"] = (sum(comm.sent.values()), planned)
            made[name, dtype, "again"] = latents(twin)
    return made
