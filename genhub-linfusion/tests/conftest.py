"""Golden data, the tiny UNet that it was made with, and one thread for all tests."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor

from genhub_linfusion import weights
from genhub_linfusion.layer import LinFusionAttention
from genhub_linfusion.published import self_attention_layers

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, Tensor]]:
    """Read a golden array file by its name without suffix."""

    def read(name: str) -> dict[str, Tensor]:
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}

    return read


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    return GOLDEN


@pytest.fixture
def unet() -> UNet2DConditionModel:
    """The tiny UNet of the golden data: softmax attention, float32, eval mode."""
    model = UNet2DConditionModel(**json.loads((GOLDEN / "unet_config.json").read_text()))
    model.load_state_dict(load_file(GOLDEN / "unet_fp16.safetensors"))
    return model.float().eval()


@pytest.fixture
def linear_unet(unet) -> UNet2DConditionModel:
    """A copy of that UNet whose seven self-attention layers are the golden linear ones."""
    unet, checkpoint = copy.deepcopy(unet), weights.load(GOLDEN / "linfusion")
    for name, attn in self_attention_layers(unet).items():
        layer = LinFusionAttention.from_attention(attn, checkpoint.mid_dim(name), init="empty")
        unet.set_submodule(name, layer)
    checkpoint.load_into(self_attention_layers(unet))
    return unet
