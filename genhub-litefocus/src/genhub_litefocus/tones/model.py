"""The parts of tiny:tones: what is built, and how the finished folder is written and read."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn

from genhub.shapes import checkpoint, denoiser, export, tokenizer
from genhub_litefocus.tones import world
from genhub_litefocus.tones.pipeline import MelSynthesiser, TonesPipeline

__all__ = ["ROWS", "assemble", "build_autoencoder", "build_denoiser", "describe", "load", "write"]

ROWS = 96  # of the latent of 9.6 seconds


def build_autoencoder(channels: int) -> AutoencoderTiny:
    """Build the untrained autoencoder of mel pictures: a quarter of the size both ways."""
    return AutoencoderTiny(
        in_channels=1,
        out_channels=1,
        encoder_block_out_channels=(channels,) * 3,
        decoder_block_out_channels=(channels,) * 3,
        num_encoder_blocks=(0, 2, 2),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=4,
        scaling_factor=1.0,
    )


def build_denoiser(channels: tuple[int, ...], heads: tuple[int, ...]) -> nn.ModuleDict:
    """Build the untrained UNet and text encoder; five self-attentions are at the finest level.

    The caption reaches the UNet twice, by cross-attention and pooled into the time embedding.
    """
    unet = UNet2DConditionModel(
        sample_size=ROWS,
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=heads,  # the number of heads, by an old misnomer of the class
        cross_attention_dim=64,
        norm_num_groups=8,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )
    text = denoiser.build_text_encoder(tokenizer.vocabulary(world.words()))
    return nn.ModuleDict({"text": text, "unet": unet})


def assemble(vae: nn.Module, parts: nn.ModuleDict) -> TonesPipeline:
    """Wrap the parts, unchanged and not copied, in their pipeline."""
    words = tokenizer.build(world.words())
    sampler = denoiser.build_scheduler()
    made = TonesPipeline(vae, parts["text"], words, parts["unet"], sampler, MelSynthesiser())
    made.set_progress_bar_config(disable=True)
    return made


def write(folder: Path, vae: nn.Module, parts: nn.ModuleDict, record: dict[str, Any]) -> None:
    """Write a Stable Diffusion folder in half precision, with training record and model card."""
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    made = assemble(vae, parts)
    halves = {name: copy.deepcopy(getattr(made, name)).to("cpu", torch.float16)
              for name in ("vae", "text_encoder", "unet")}  # fmt: skip
    StableDiffusionPipeline(
        **halves, tokenizer=made.tokenizer, scheduler=made.scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(new, safe_serialization=True)  # fmt: skip
    export.publish_names(new / "text_encoder" / "model.safetensors")
    describe(new, record)
    checkpoint.replace_folder(new, folder)


def describe(folder: Path, record: dict[str, Any]) -> None:
    """Write the training record and the model card of a folder."""
    (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "README.md").write_text(_card(record))


def load(folder: Path, dtype: torch.dtype) -> TonesPipeline:
    """Read what `write` wrote."""
    stock = StableDiffusionPipeline.from_pretrained(
        str(folder), dtype=dtype, use_safetensors=True, local_files_only=True
    )
    parts = {name: part for name, part in stock.components.items() if part is not None}
    return TonesPipeline(**parts, vocoder=MelSynthesiser())


def _card(record: dict[str, Any]) -> str:
    figures = "\n".join(f"| {name} | {value:.3g} |" for name, value in record["figures"].items())
    minutes = sum(record["seconds"].values()) / 60
    return CARD.format(
        figures=figures, minutes=minutes, machine=record["machine"], forms=world.FORMS,
        note=record.get("note", ""),
    )  # fmt: skip


CARD = """---
license: cc0-1.0
library_name: diffusers
pipeline_tag: text-to-audio
---
# tiny:tones

A text-to-audio diffusion model small enough to ship with the code it tests: steady tones, beeps,
sweeps, noise bands, silence. It is a Stable Diffusion folder whose pictures are mel spectrograms
(latents [B, 4, T, 16], ten frames a second); sound comes from them in closed form.

```python
from genhub_litefocus.tones import model

pipeline = model.load(FOLDER, torch.float32)
pipeline("quick high a beeps over low noise", audio_length_in_s=9.6).audios
```

Captions: {forms}.

The training sounds are computed by a program; nothing was downloaded. `python -m
genhub_litefocus.train_tones --out DIR` reproduces the training from nothing (this run took
{minutes:.0f} minutes on {machine}); `training.json` holds the recipe, the curves and the versions.
{note} Weights are CC0.

| measured (accuracy: share of windows of 2 s that sound as their caption says) | |
| --- | --- |
{figures}
"""
