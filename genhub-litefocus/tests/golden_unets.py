"""The UNets of the golden data, filled by the recipe of its README, and its arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.pipelines.audioldm2 import AudioLDM2UNet2DConditionModel

FOLDER = Path(__file__).with_name("golden")

AUDIOLDM2 = {
    "sample_size": 64,
    "in_channels": 8,
    "out_channels": 8,
    "block_out_channels": (32, 64, 96, 160),
    "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 3),
    "up_block_types": (*("CrossAttnUpBlock2D",) * 3, "UpBlock2D"),
    "cross_attention_dim": ([None, 24, 40],) * 4,
    "layers_per_block": 2,
    "attention_head_dim": (4, 8, 12, 20),
}


def golden(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what a file says of its case, and its arrays."""
    said = json.loads((FOLDER / f"{name}.json").read_text())
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as arrays:
        return said, {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def audioldm2(fill_seed: int, **changes: Any) -> AudioLDM2UNet2DConditionModel:
    """Make the small AudioLDM2 UNet of the golden data."""
    return filled(AudioLDM2UNet2DConditionModel(**AUDIOLDM2 | changes), fill_seed)


def audioldm1(config: dict[str, Any], fill_seed: int) -> UNet2DConditionModel:
    """Make the small first-generation UNet."""
    return filled(UNet2DConditionModel(**config), fill_seed)


def filled(model: Any, fill_seed: int) -> Any:
    """Fill every weight by the recipe of the README."""
    state = model.state_dict()
    for place, name in enumerate(sorted(state)):
        shape = tuple(state[name].shape)
        w = np.random.RandomState(fill_seed + place).standard_normal(shape)
        if len(shape) > 1:
            w = w / np.sqrt(np.prod(shape[1:]))
        else:
            w = 1 + 0.1 * w if name.endswith("weight") else 0.05 * w
        state[name] = torch.from_numpy(w.astype(np.float32))
    model.load_state_dict(state)
    return model.eval()


def relative(made: torch.Tensor, wanted: torch.Tensor) -> float:
    """Give the relative L2 error."""
    return float((made - wanted).norm() / wanted.norm())
