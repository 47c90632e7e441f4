"""Pipelines of diffusers, made small and offline: random weights, prompts given as embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import diffusers
import torch
from torch import Tensor

from genhub.testing import families
from genhub.testing.families import seeded, unet2d

__all__ = ["PIPELINES", "run", "stable_diffusion"]

_NONE = ("text_encoder", "tokenizer", "feature_extractor")
_SAFE = {"safety_checker": None, "requires_safety_checker": False}
_SIZE = 16


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def autoencoder(cls: str = "AutoencoderKL", **changes: Any) -> Any:
    """Make an autoencoder of factor 2."""
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "block_out_channels": (4, 4)}
    if cls == "AutoencoderKL":
        blocks |= {"up_block_types": ("UpDecoderBlock2D",) * 2, "norm_num_groups": 2}
    else:
        blocks |= {"block_out_channels": (32, 32)}
    return seeded(getattr(diffusers, cls), latent_channels=4, **(blocks | changes))


def film_autoencoder(cls: str) -> Any:
    sizes = {"z_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    scale = {"latents_mean": [0.0] * 4, "latents_std": [1.0] * 4}
    times = {"temperal_downsample": [False, True, True]}
    base = 3 if cls == "AutoencoderKLWan" else 4
    return seeded(getattr(diffusers, cls), base_dim=base, **sizes, **scale, **times)


def ddim() -> Any:
    return diffusers.DDIMScheduler(clip_sample=False, steps_offset=1)


def pndm() -> Any:
    return diffusers.PNDMScheduler(skip_prk_steps=True, steps_offset=1)


def heun() -> Any:
    return diffusers.HeunDiscreteScheduler(steps_offset=1)


def quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stable_diffusion(
    cls: str = "StableDiffusionPipeline", scheduler: Any = None, **more: Any
) -> Any:
    """Make a pipeline of Stable Diffusion's parts."""
    parts = dict.fromkeys(_NONE) | _SAFE | {"unet": unet2d(layers_per_block=2)} | more
    return quiet(getattr(diffusers, cls)(vae=autoencoder(), scheduler=scheduler or ddim(), **parts))


def sdxl() -> Any:
    unet = unet2d(
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 10,
        transformer_layers_per_block=(1, 2),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    empty = dict.fromkeys((*_NONE[:2], "text_encoder_2", "tokenizer_2"))
    return quiet(
        diffusers.StableDiffusionXLPipeline(
            vae=autoencoder(), unet=unet, scheduler=diffusers.EulerDiscreteScheduler(), **empty
        )
    )


def controlled() -> Any:
    unet = unet2d(layers_per_block=2)
    net = diffusers.ControlNetModel.from_unet(unet, conditioning_channels=3)
    net.controlnet_cond_embedding = seeded(
        type(net.controlnet_cond_embedding),
        conditioning_embedding_channels=8,
        block_out_channels=(4, 8),
    )
    for i, weight in enumerate(net.parameters()):  # what it gives begins as nothing
        if not weight.any():
            weight.data = random(i, *weight.shape) / 4
    return stable_diffusion("StableDiffusionControlNetPipeline", unet=unet, controlnet=net.eval())


def adapted() -> Any:
    sizes = {"channels": [8, 16], "num_res_blocks": 1, "downscale_factor": 2}
    adapter = seeded(diffusers.T2IAdapter, in_channels=3, **sizes)
    return stable_diffusion("StableDiffusionAdapterPipeline", adapter=adapter)


def svd() -> Any:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    looks = CLIPVisionConfig(
        hidden_size=8, intermediate_size=8, projection_dim=12, num_hidden_layers=1,
        num_attention_heads=2, image_size=_SIZE, patch_size=8,
    )  # fmt: skip
    return quiet(
        diffusers.StableVideoDiffusionPipeline(
            vae=autoencoder("AutoencoderKLTemporalDecoder"),
            image_encoder=seeded(CLIPVisionModelWithProjection, config=looks),
            unet=families.svd(),
            scheduler=diffusers.EulerDiscreteScheduler(
                prediction_type="v_prediction", timestep_type="continuous",
                use_karras_sigmas=True, sigma_min=0.002, sigma_max=70.0,
            ),
            feature_extractor=CLIPImageProcessor(),
        )
    )  # fmt: skip


def animatediff() -> Any:
    return quiet(
        diffusers.AnimateDiffPipeline(
            vae=autoencoder(), text_encoder=None, tokenizer=None, unet=families.motion(),
            motion_adapter=None, scheduler=ddim(),
        )
    )  # fmt: skip


def flowing(cls: str, **parts: Any) -> Any:
    """Make a pipeline around a transformer."""
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    return quiet(getattr(diffusers, cls)(scheduler=scheduler, **parts))


def sd3() -> Any:
    empty = {f"{part}{n}": None for part in _NONE[:2] for n in ("", "_2", "_3")}
    return flowing(
        "StableDiffusion3Pipeline", transformer=families.sd3(), vae=autoencoder(), **empty
    )


def flux() -> Any:
    empty = {f"{part}{n}": None for part in _NONE[:2] for n in ("", "_2")}
    return flowing("FluxPipeline", transformer=families.flux(), vae=autoencoder(), **empty)


def wan(second: Any = None, boundary: float | None = None) -> Any:
    return flowing(
        "WanPipeline", transformer=families.wan(), transformer_2=second, boundary_ratio=boundary,
        vae=film_autoencoder("AutoencoderKLWan"), text_encoder=None, tokenizer=None,
    )  # fmt: skip


def qwenimage() -> Any:
    return flowing(
        "QwenImagePipeline", transformer=families.qwenimage(), text_encoder=None, tokenizer=None,
        vae=film_autoencoder("AutoencoderKLQwenImage"),
    )  # fmt: skip


def text(tokens: int = 6, pooled: bool = False, negative: bool = True) -> dict[str, Tensor]:
    both = random(99, 2, 1, tokens, 12)
    found = {"prompt_embeds": both[0], "negative_prompt_embeds": both[1]}
    if pooled:
        pools = random(98, 2, 1, 10)
        found |= {"pooled_prompt_embeds": pools[0], "negative_pooled_prompt_embeds": pools[1]}
    return found


def picture(seed: int = 5) -> Tensor:
    return random(seed, 1, 3, _SIZE, _SIZE).sigmoid()


_PICTURE = {"image": picture(), "strength": 0.6}
_MASK = {"mask_image": (picture(6)[:, :1] > 0.5).float()}
_MASKS = {
    "prompt_embeds_mask": torch.ones(1, 5, dtype=torch.int64),
    "negative_prompt_embeds_mask": torch.ones(1, 5, dtype=torch.int64),
}
_SIZED = {"height": _SIZE, "width": _SIZE}

# name: what makes the pipeline, what its call is given
PIPELINES: Mapping[str, tuple[Callable[[], Any], Mapping[str, Any]]] = MappingProxyType(
    {
        "sd": (stable_diffusion, text()),
        "sd pndm": (lambda: stable_diffusion(scheduler=pndm()), text()),
        "sd heun": (lambda: stable_diffusion(scheduler=heun()), text()),
        "sdxl": (sdxl, text(pooled=True)),
        "controlnet": (controlled, text() | {"image": picture()}),
        "adapter": (adapted, text() | {"image": picture()} | _SIZED),
        "img2img": (
            lambda: stable_diffusion("StableDiffusionImg2ImgPipeline"),
            text() | _PICTURE,
        ),
        "inpaint": (
            lambda: stable_diffusion("StableDiffusionInpaintPipeline"),
            text() | _PICTURE | _MASK | _SIZED,
        ),
        "inpaint, nine channels": (
            lambda: stable_diffusion(
                "StableDiffusionInpaintPipeline", unet=unet2d(layers_per_block=2, in_channels=9)
            ),
            text() | _PICTURE | _MASK | _SIZED,
        ),
        "svd": (svd, {"image": picture(), "num_frames": 3} | _SIZED),
        "animatediff": (animatediff, text() | {"num_frames": 3} | _SIZED),
        "sd3": (sd3, text(pooled=True) | _SIZED),
        "flux": (flux, text(pooled=True) | {"true_cfg_scale": 3.0} | _SIZED),
        "wan": (wan, text(512) | {"height": 32, "width": 48, "num_frames": 5}),
        "wan twice": (
            lambda: wan(families.wan(), 0.6),
            text(512) | {"height": 32, "width": 48, "num_frames": 5},
        ),
        "qwenimage": (qwenimage, text(5) | _MASKS | {"height": 32, "width": 48}),
    }
)


def run(name: str, pipeline: Any, steps: int = 6, **more: Any) -> Tensor:
    """Generate latents, always from the same noise."""
    given = PIPELINES[name][1]
    generator = torch.Generator().manual_seed(0)
    call = {"num_inference_steps": steps, "output_type": "latent", "generator": generator}
    made = pipeline(**(call | dict(given) | more))
    return made[0] if isinstance(made[0], Tensor) else torch.stack(list(made[0]))
