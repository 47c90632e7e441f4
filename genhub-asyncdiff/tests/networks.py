"""The networks, inputs and loop that the golden data were made with: see golden/README.md."""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    PNDMScheduler,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)

GOLDEN = Path(__file__).with_name("golden")

_SD = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": (*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3),
    "block_out_channels": (16, 32, 32, 32),
    "layers_per_block": 2,
    "cross_attention_dim": 16,
    "attention_head_dim": 8,
    "norm_num_groups": 8,
}
_SDXL = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (16, 32, 32),
    "layers_per_block": 2,
    "cross_attention_dim": 16,
    "attention_head_dim": (2, 4, 4),
    "norm_num_groups": 8,
    "transformer_layers_per_block": (1, 1, 2),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 64,
}
_SD3 = {
    "sample_size": 8,
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 24,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": 16,
    "caption_projection_dim": 16,
    "pooled_projection_dim": 16,
    "pos_embed_max_size": 16,
}
_BASE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
GUIDANCE = 3.0


@cache
def cases() -> dict[str, Any]:
    """Give what golden/cases.json says of each case."""
    return json.loads((GOLDEN / "cases.json").read_text())["cases"]


@cache
def components() -> dict[str, list[list[str]]]:
    """Give the module names of each component, by kind and number."""
    return json.loads((GOLDEN / "cases.json").read_text())["components"]


@cache
def latents() -> dict[str, np.ndarray]:
    """Give all golden arrays."""
    with np.load(GOLDEN / "latents.npz", allow_pickle=False) as data:
        return {key: data[key] for key in data.files}


def drawn(seed: int, tag: str, *shape: int) -> torch.Tensor:
    """Draw what the golden recipe draws for a tag."""
    rng = np.random.default_rng([seed, zlib.crc32(tag.encode())])
    return torch.from_numpy(rng.standard_normal(shape))


def denoiser(kind: str, seed: int) -> torch.nn.Module:
    """Build a network of the golden data, in float64."""
    cls, config = {
        "sdxl": (UNet2DConditionModel, _SDXL),
        "sd3": (SD3Transformer2DModel, _SD3),
    }.get(kind, (UNet2DConditionModel, _SD))
    with torch.random.fork_rng(devices=[]):
        model = cls(**config).eval().double()
    state = model.state_dict()
    for key, value in state.items():
        if not value.is_floating_point():
            continue
        z = drawn(seed, key, *value.shape)
        if value.ndim >= 2:
            value.copy_(z / np.sqrt(np.prod(value.shape[1:])))
        elif key.endswith("weight"):
            value.copy_(1 + 0.1 * z)
        else:
            value.copy_(0.05 * z)
    return model


def scheduler(name: str) -> Any:
    """Build a scheduler of the golden data."""
    return {
        "ddim": lambda: DDIMScheduler(
            clip_sample=False, set_alpha_to_one=False, steps_offset=1, **_BASE
        ),
        "euler": lambda: EulerDiscreteScheduler(
            timestep_spacing="leading", steps_offset=1, **_BASE
        ),
        "dpmpp2m": lambda: DPMSolverMultistepScheduler(
            algorithm_type="dpmsolver++", solver_order=2, **_BASE
        ),
        "pndm": lambda: PNDMScheduler(skip_prk_steps=True, steps_offset=1, **_BASE),
        "flow": lambda: FlowMatchEulerDiscreteScheduler(shift=3.0),
    }[name]()


class GoldenPipeline:
    """The loop of the golden data; gives the latents after every step, [calls, 4, 8, 8]."""

    def __init__(self, kind: str, seed: int, sched: str, dtype: torch.dtype = torch.float64):
        self.kind, self.seed = kind, seed
        model = denoiser(kind, seed).to(dtype)
        setattr(self, "transformer" if kind == "sd3" else "unet", model)
        self.scheduler = scheduler(sched)
        self.device = torch.device("cpu")
        self.dtype = dtype
        self.vae_scale_factor = 8
        self.noise: torch.Generator | None = None  # of schedulers that draw some

    @property
    def denoiser(self) -> torch.nn.Module:
        return self.transformer if self.kind == "sd3" else self.unet

    def predict(self, **kwargs: Any) -> torch.Tensor:
        """Call the transformer."""
        return self.transformer(**kwargs, return_dict=False)[0]

    @torch.no_grad()
    def __call__(self, steps: int, batch: int = 1) -> torch.Tensor:
        def draw(tag: str, *shape: int) -> torch.Tensor:
            return drawn(self.seed, tag, *shape).to(self.dtype)

        x = torch.cat([draw("latent", 1, 4, 8, 8)] * batch)
        prompt = torch.cat([p.repeat(batch, 1, 1) for p in draw("prompt", 2, 5, 16).chunk(2)])
        pooled = torch.cat([p.repeat(batch, 1) for p in draw("pooled", 2, 16).chunk(2)])
        self.scheduler.set_timesteps(steps)
        x = x * getattr(self.scheduler, "init_noise_sigma", 1.0)
        after = []
        for t in self.scheduler.timesteps:
            both = torch.cat([x, x])
            if self.kind == "sd3":
                eps = self.predict(
                    hidden_states=both,
                    timestep=t.expand(2 * batch),
                    encoder_hidden_states=prompt,
                    pooled_projections=pooled,
                )
            else:
                added = {}
                if self.kind == "sdxl":
                    ids = torch.tensor([[64, 64, 0, 0, 64, 64]] * 2 * batch, dtype=self.dtype)
                    added = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": ids}}
                both = self.scheduler.scale_model_input(both, t)
                eps = self.unet(both, t, encoder_hidden_states=prompt, return_dict=False, **added)[
                    0
                ]
            u, c = eps.chunk(2)
            drawn_by = {} if self.noise is None else {"generator": self.noise}
            x = self.scheduler.step(u + GUIDANCE * (c - u), t, x, return_dict=False, **drawn_by)[0]
            after.append(x[0])
        return torch.stack(after)
