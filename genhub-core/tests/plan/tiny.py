"""Tiny random denoisers beside those of `genhub.testing`, and a pipeline around one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

from genhub.testing import families
from genhub.testing.families import audioldm, flux, qwenimage, sd3, seeded, unet3d, wan
from genhub.testing.families import unet2d as sd

__all__ = [
    "FAMILIES", "UNet2DConditionModel", "audioldm", "flux", "latents", "latents_of", "qwenimage",
    "sd", "sd3", "sd_three_levels", "seeded", "stable_diffusion", "unet3d", "wan",
]  # fmt: skip


def sd_three_levels() -> UNet2DConditionModel:
    return sd(
        sample_size=16,
        block_out_channels=(8, 16, 16),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )


def text_embedding() -> UNet2DConditionModel:
    return sd(addition_embed_type="text", addition_embed_type_num_heads=2)


def sdxl() -> UNet2DConditionModel:
    return sd(
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 10,
        transformer_layers_per_block=(1, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


FAMILIES: dict[str, Callable[[], Any]] = {
    **families.FAMILIES,
    "unet2d text": text_embedding,
    "unet2d xl": sdxl,
    "flux guided": lambda: flux(guidance_embeds=True),
    "wan pictures": lambda: wan(in_channels=8, image_dim=10, added_kv_proj_dim=24),
}


def stable_diffusion(scheduler: Any = None, unet: Any = None) -> Any:
    """A Stable Diffusion pipeline that is called with prompt embeddings."""
    from diffusers import StableDiffusionPipeline

    vae = seeded(
        AutoencoderKL,
        block_out_channels=(4, 4),
        norm_num_groups=2,
        latent_channels=4,
        sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        unet=unet or sd(),
        text_encoder=None,
        tokenizer=None,
        scheduler=scheduler or DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def latents(pipeline: Any, steps: int = 3, guidance: float = 3.0) -> torch.Tensor:
    """Run the pipeline from fixed embeddings and give its last latents."""
    return latents_of(pipeline, torch.float32, steps, guidance)


def latents_of(
    pipeline: Any, dtype: torch.dtype, steps: int = 3, guidance: float = 3.0
) -> torch.Tensor:
    embeds = torch.randn(2, 1, 6, 12, generator=torch.Generator().manual_seed(99)).to(dtype)
    return pipeline(
        prompt_embeds=embeds[0],
        negative_prompt_embeds=embeds[1],
        num_inference_steps=steps,
        guidance_scale=guidance,
        output_type="latent",
        generator=torch.Generator().manual_seed(0),
    ).images
