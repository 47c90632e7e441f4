"""Whole denoisers with and without LiteFocus: AudioLDM2 as published, with random weights."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from diffusers.pipelines.audioldm2 import AudioLDM2UNet2DConditionModel
from torch import nn

import genhub

__all__ = ["compare_unets"]

PUBLISHED: dict[str, Any] = {
    "sample_size": 256,
    "in_channels": 8,
    "out_channels": 8,
    "block_out_channels": (128, 256, 384, 640),
    "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 3),
    "up_block_types": (*("CrossAttnUpBlock2D",) * 3, "UpBlock2D"),
    "cross_attention_dim": ([None, 768, 1024],) * 4,
    "attention_head_dim": 8,
    "layers_per_block": 2,
}
NARROW = {"block_out_channels": (16, 32, 48, 64), "norm_num_groups": 8, "attention_head_dim": 4}
LATENT_FRAMES_PER_SECOND, FREQ_BINS = 25.6, 16
# What the project promises: (seconds, levels) to the least ratio.
TARGETS = {(40, "first"): 1.4, (80, "first"): 1.8}


def compare_unets(quick: bool, device: str) -> list[dict[str, object]]:
    """Time one forward pass with SDPA and with LiteFocus in turn; guidance on a GPU only."""
    unet = denoiser(quick).to(device)
    if device == "cuda":
        unet = unet.bfloat16()
    plan = {1: 1} if quick else {40: 3, 80: 3}
    if device == "cuda":
        plan = {10: 3, 80: 3, 320: 3}
    return [row for seconds, rounds in plan.items() for row in compare(unet, seconds, rounds)]


def denoiser(narrow: bool) -> nn.Module:
    """Build the UNet of AudioLDM2, or one with few channels."""
    torch.manual_seed(0)
    return AudioLDM2UNet2DConditionModel(**(PUBLISHED | (NARROW if narrow else {}))).eval()


def compare(unet: nn.Module, seconds: int, rounds: int) -> list[dict[str, object]]:
    """Give the times of one length: full attention, then LiteFocus by levels and band."""
    parameter = next(unet.parameters())
    batch = 1 if parameter.device.type == "cpu" else 2
    frames = round(seconds * LATENT_FRAMES_PER_SECOND)
    like = {"device": parameter.device, "dtype": parameter.dtype}
    call = {
        "sample": torch.randn(batch, 8, frames, FREQ_BINS, **like),
        "timestep": torch.tensor([500], device=parameter.device),
        "encoder_hidden_states": torch.randn(batch, 8, 768, **like),
        "encoder_hidden_states_1": torch.randn(batch, 20, 1024, **like),
    }
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, block in ATTACHED.items():
            taken.setdefault(name, []).append(spent(unet, call, seconds, block))
    rows = []
    for name, times in taken.items():
        ratios = [full / ours for full, ours in zip(taken[SDPA], times, strict=True)]
        rows.append(
            {
                "seconds": seconds,
                "attention": name,
                "batch": batch,
                "seconds of a forward": round(statistics.median(times), 3),
                "of SDPA's speed": round(statistics.median(ratios), 2),
                "at least": TARGETS.get((seconds, name)),
            }
        )
    return rows


SDPA = "SDPA full"
ATTACHED: dict[str, dict[str, Any] | None] = {
    SDPA: None,
    "first": {"where": {"level": "first"}},
    "all": {"where": {"level": "all"}},
    "all, banded": {"where": {"level": "all"}, "time_window": 256, "max_compensation": 256},
}


def spent(
    unet: nn.Module, call: dict[str, Any], seconds: int, block: dict[str, Any] | None
) -> float:
    """Time one forward pass: CPU time of the thread, or wall time of the GPU."""
    if block is None:
        return timed(unet, call)
    mixer = {"type": "litefocus", "decode": "pipeline", **block}
    with genhub.attach(unet, attention=[mixer], modality="audio", seconds=seconds):
        return timed(unet, call)


def timed(unet: nn.Module, call: dict[str, Any]) -> float:
    """Run once and give the seconds."""
    if call["sample"].device.type == "cpu":
        begin = time.thread_time()
        unet(**call)
        return time.thread_time() - begin
    unet(**call)
    torch.cuda.synchronize()
    begin = time.perf_counter()
    unet(**call)
    torch.cuda.synchronize()
    return time.perf_counter() - begin
