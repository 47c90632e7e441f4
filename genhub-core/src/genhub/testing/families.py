"""Tiny denoisers with random weights, one per family, each in a pipeline of the simplest kind."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import torch
from diffusers import (
    AudioLDM2UNet2DConditionModel,
    DDIMScheduler,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
    UNet3DConditionModel,
    UNetMotionModel,
    UNetSpatioTemporalConditionModel,
    WanTransformer3DModel,
)
from torch import Tensor
from torch.nn import Parameter

from genhub.api import Facts
from genhub.plan.facts import denoisers_of, facts_of
from genhub.plan.observe import Architecture
from genhub.plan.probe import family_of
from genhub.plan.size import Asked, fit

__all__ = ["FAMILIES", "TinyPipeline", "facts", "pipeline", "seeded", "twin"]

_UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "block_out_channels": (8, 16),
    "cross_attention_dim": 12,
}
_CROSS = {
    "attention_head_dim": 2,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
_UNCOND = 10_000  # what is drawn from seed + 10,000 stands for the empty prompt
_TWO_CALLS = ("wan", "qwenimage")  # whose pipelines call once per branch of guidance
_SHARED = ("txt_ids", "img_ids")  # arguments that all samples of a batch have in common


def seeded(cls: Any, **config: Any) -> Any:
    """Make a model whose random weights are the same at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cls(**config).eval()


def unet2d(**changes: Any) -> UNet2DConditionModel:
    """Make a denoiser like Stable Diffusion's, at two levels."""
    return seeded(UNet2DConditionModel, **(_UNET | _CROSS | changes))


def unet3d() -> UNet3DConditionModel:
    """Make a denoiser with temporal layers inside its blocks."""
    blocks = {
        "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
        "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
    }
    return seeded(UNet3DConditionModel, attention_head_dim=4, **(_UNET | blocks))


def motion() -> UNetMotionModel:
    """Make a picture denoiser with motion modules, as AnimateDiff's."""
    blocks = {
        "down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"),
        "up_block_types": ("UpBlockMotion", "CrossAttnUpBlockMotion"),
    }
    return seeded(
        UNetMotionModel, motion_num_attention_heads=2, num_attention_heads=2, **(_UNET | blocks)
    )


def svd() -> UNetSpatioTemporalConditionModel:
    """Make a denoiser of Stable Video Diffusion: half of its input is the conditioning picture."""
    blocks = {
        "in_channels": 8,
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    }
    own = {key: value for key, value in _UNET.items() if key != "norm_num_groups"}
    return seeded(
        UNetSpatioTemporalConditionModel,
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
        num_attention_heads=(2, 4),
        num_frames=3,
        **(own | blocks),
    )


def audioldm() -> UNet2DConditionModel:
    """Make a mel denoiser whose prompt is a class embedding; its attn2 attend to themselves."""
    return unet2d(
        cross_attention_dim=(8, 16),
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=10,
        class_embeddings_concat=True,
    )


def audioldm2() -> AudioLDM2UNet2DConditionModel:
    """Make a mel denoiser with two attentions to different texts."""
    widths = {"cross_attention_dim": ((None, 10, 12), (None, 10, 12))}
    return seeded(AudioLDM2UNet2DConditionModel, **(_UNET | _CROSS | widths))


def sd3() -> SD3Transformer2DModel:
    """Make a transformer that attends to picture and text at once."""
    return seeded(
        SD3Transformer2DModel,
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=4,
        num_attention_heads=2,
        joint_attention_dim=12,
        caption_projection_dim=8,
        pooled_projection_dim=10,
        pos_embed_max_size=16,
        dual_attention_layers=(0,),
    )


def flux(**changes: Any) -> FluxTransformer2DModel:
    """Make a transformer with double and single stream blocks."""
    return seeded(
        FluxTransformer2DModel,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        pooled_projection_dim=10,
        axes_dims_rope=(2, 2, 4),
        **changes,
    )


def wan(**changes: Any) -> WanTransformer3DModel:
    """Make a video transformer: one attention to all cells of all frames, one to the text."""
    sizes = {"in_channels": 4, "out_channels": 4, "num_layers": 2, "num_attention_heads": 2}
    widths = {"attention_head_dim": 12, "text_dim": 12, "freq_dim": 8, "ffn_dim": 16}
    return seeded(WanTransformer3DModel, **(sizes | widths | {"rope_max_seq_len": 64} | changes))


def qwenimage() -> QwenImageTransformer2DModel:
    """Make a transformer of two streams, picture and text, that attend together."""
    return seeded(
        QwenImageTransformer2DModel,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        axes_dims_rope=(2, 2, 4),
    )


FAMILIES: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        "unet2d": unet2d,
        "unet3d": unet3d,
        "motion": motion,
        "svd": svd,
        "audioldm": audioldm,
        "audioldm2": audioldm2,
        "sd3": sd3,
        "flux": flux,
        "wan": wan,
        "qwenimage": qwenimage,
    }
)


class TinyPipeline:
    """A denoiser and a scheduler, looped: no text encoder, no autoencoder.

    Guidance doubles the batch, or calls the denoiser twice where pipelines of its family do.

    Inputs of a sample are drawn from its seed, so that a batch is its samples, one per row.
    """

    vae_scale_factor = 8
    vae_scale_factor_temporal = 1
    default_sample_size = 8

    def __init__(self, denoiser: Any) -> None:
        ((word, _),) = denoisers_of(denoiser).items()
        setattr(self, word, denoiser)
        self.scheduler = DDIMScheduler(clip_sample=False)

    @property
    def denoiser(self) -> Any:
        """Give the one denoiser."""
        return next(iter(denoisers_of(self).values()))

    def __call__(
        self,
        seeds: Sequence[int] = (1,),
        steps: int = 2,
        guidance: float = 1.0,
        num_frames: int = 3,
    ) -> Tensor:
        """Give the last latents of samples drawn from `seeds`, one per row."""
        return list(self.stepwise(seeds, steps, guidance))[-1]

    def stepwise(
        self, seeds: Sequence[int] = (1,), steps: int = 2, guidance: float = 1.0
    ) -> Iterator[Tensor]:
        """Give the latents after each step, so that two generations can take turns."""
        self.do_classifier_free_guidance = guidance > 1
        args, kwargs = self._inputs(seeds)
        start = args[0] if args else kwargs["hidden_states"]
        if self.do_classifier_free_guidance:
            _, without = self._inputs([seed + _UNCOND for seed in seeds])
        self.scheduler.set_timesteps(steps)
        x: Any = None
        for t in self.scheduler.timesteps:
            sample = start if x is None else _behind(x, start)
            if self.do_classifier_free_guidance:
                cond, uncond = self._branches(sample, t, kwargs, without)
                noise = uncond + guidance * (cond - uncond)
            else:
                noise = self._noise(sample, t, kwargs)
            before = _front(sample, noise)
            x = self.scheduler.step(noise, t, before, return_dict=False)[0]
            yield x

    def _branches(
        self, sample: Tensor, t: Tensor, kwargs: dict[str, Any], without: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Give the noise with and without the prompt."""
        family = family_of(self.denoiser)
        if family is not None and family.name in _TWO_CALLS:
            with self.denoiser.cache_context("cond"):
                cond = self._noise(sample, t, kwargs)
            with self.denoiser.cache_context("uncond"):
                return cond, self._noise(sample, t, without)
        both = self._noise(torch.cat([sample] * 2), t, _batch([without, kwargs]))
        uncond, cond = both.chunk(2)
        return cond, uncond

    def _noise(self, sample: Tensor, t: Tensor, kwargs: dict[str, Any]) -> Tensor:
        with torch.no_grad():
            if "hidden_states" not in kwargs:
                return self.denoiser(sample, t, **kwargs)[0]
            now = {"hidden_states": sample, "timestep": t.expand(len(sample)).to(sample)}
            return self.denoiser(**(kwargs | now))[0]

    def _inputs(self, seeds: Sequence[int]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        denoiser = self.denoiser
        family = family_of(denoiser)
        if family is None:
            raise TypeError(f"{type(denoiser).__name__} is of no known family")
        size = fit(self, denoiser, family, Asked()).size
        args, kwargs = family.example(denoiser.config, size, denoiser.dtype)
        rows = [_drawn((args[:1], kwargs), torch.Generator().manual_seed(seed)) for seed in seeds]
        return _batch([row[0] for row in rows]), _batch([row[1] for row in rows])


def pipeline(name: str) -> TinyPipeline:
    """Give a pipeline of a family; nobody else holds it."""
    return TinyPipeline(_replica(_made(name).denoiser))


@lru_cache(maxsize=len(FAMILIES))
def facts(name: str) -> Facts:
    """Give what the host knows of a family's pipeline."""
    return facts_of(_made(name))


@lru_cache(maxsize=len(FAMILIES))
def twin(name: str) -> Any:
    """Give a family's denoiser on meta, as `accepts` may meet it."""
    return Architecture.of(_made(name).denoiser).on_meta()


@lru_cache(maxsize=len(FAMILIES))
def _made(name: str) -> TinyPipeline:
    return TinyPipeline(FAMILIES[name]())


def _replica(module: Any) -> Any:
    """Copy a denoiser as deep as its tensors and processors; `deepcopy` takes 20 times as long."""
    made = copy.copy(module)
    vars(made).update({k: copy.copy(v) for k, v in vars(module).items() if isinstance(v, dict)})
    for name, inner in module._modules.items():
        made._modules[name] = None if inner is None else _replica(inner)
    for name, tensor in module._parameters.items():
        made._parameters[name] = None if tensor is None else Parameter(tensor.detach().clone())
    for name, tensor in module._buffers.items():
        made._buffers[name] = None if tensor is None else tensor.clone()
    if "processor" in vars(module):
        made.processor = copy.copy(module.processor)
    return made


def _behind(x: Tensor, start: Tensor) -> Tensor:
    """Add to latents what the denoiser sees beside them: SVD's conditioning picture."""
    return x if x.shape == start.shape else torch.cat([x, start[:, :, x.shape[2] :]], 2)


def _front(sample: Tensor, noise: Tensor) -> Tensor:
    return sample if sample.shape == noise.shape else sample[:, :, : noise.shape[2]]


def _drawn(value: Any, generator: torch.Generator) -> Any:
    """Replace meta tensors by random ones, whole numbers by ones."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            return torch.randn(value.shape, generator=generator).to(value.dtype)
        return torch.ones(value.shape, dtype=value.dtype)
    if isinstance(value, dict):
        common = {key: torch.Generator().manual_seed(0) for key in _SHARED}
        return {key: _drawn(held, common.get(key, generator)) for key, held in value.items()}
    if isinstance(value, tuple):
        return tuple(_drawn(held, generator) for held in value)
    return value


def _batch(rows: Sequence[Any], key: str = "") -> Any:
    """Put samples into one batch, row by row."""
    first = rows[0]
    if isinstance(first, Tensor) and first.ndim and key not in _SHARED:
        return torch.cat(list(rows))
    if isinstance(first, dict):
        return {name: _batch([row[name] for row in rows], name) for name in first}
    if isinstance(first, list):  # QwenImage's shapes of pictures
        return [one for row in rows for one in row]
    if isinstance(first, tuple):
        return tuple(_batch([row[i] for row in rows]) for i in range(len(first)))
    return first
