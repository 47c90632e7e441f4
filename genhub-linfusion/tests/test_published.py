"""The three published checkpoints, by their layout: shapes on the meta device, no download."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import UNet2DConditionModel

from genhub_linfusion import LinFusionAttention
from genhub_linfusion.published import (
    PUBLISHED,
    LayerShape,
    fingerprint,
    in_published_order,
    parameter_shapes,
    self_attention_layers,
)

SD1 = {"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64}
SD2 = {
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
    "sample_size": 96,
}
SDXL = {
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "sample_size": 128,
}
CONFIGS = {
    "Yuanshi/LinFusion-1-5": SD1,
    "Yuanshi/LinFusion-2-1": SD2,
    "Yuanshi/LinFusion-XL": SDXL,
}


def on_meta(config, **changes):
    with torch.device("meta"):
        return UNet2DConditionModel(**(config | changes))


@pytest.fixture(scope="module", params=PUBLISHED, ids=lambda x: x.hub_id.split("/")[1])
def checkpoint(request):
    return request.param


@pytest.fixture(scope="module")
def denoiser(checkpoint):
    return on_meta(CONFIGS[checkpoint.hub_id])


def test_table_lists_the_layers_of_the_architecture_in_order(checkpoint, denoiser):
    layers = self_attention_layers(denoiser)
    found = [(name, x.query_dim, x.heads) for name, x in layers.items()]
    assert found == [(x.name, x.channels, x.heads) for x in checkpoint.layers]


def test_architecture_is_recognised(checkpoint, denoiser):
    assert fingerprint(denoiser) == checkpoint.hub_id


def test_order_of_a_checkpoint_is_that_of_named_modules(denoiser):
    names = list(self_attention_layers(denoiser))
    assert in_published_order(sorted(names, reverse=True)) == names


def test_linear_layers_have_the_listed_parameters(checkpoint, denoiser):
    layers = self_attention_layers(denoiser)
    for shape in checkpoint.layers:
        layer = LinFusionAttention.from_attention(layers[shape.name], shape.mid_dim, init="empty")
        found = {key: tuple(tensor.shape) for key, tensor in layer.state_dict().items()}
        assert found == parameter_shapes(shape)


@pytest.mark.parametrize(
    ("hub_id", "layers", "tensors", "parameters"),
    [
        ("Yuanshi/LinFusion-1-5", 16, 272, 99_235_520),
        ("Yuanshi/LinFusion-2-1", 16, 272, 99_235_520),
        ("Yuanshi/LinFusion-XL", 70, 1190, 435_480_800),
    ],
)
def test_sizes_are_those_of_the_published_files(hub_id, layers, tensors, parameters):
    (checkpoint,) = (x for x in PUBLISHED if x.hub_id == hub_id)
    shapes = [shape for x in checkpoint.layers for shape in parameter_shapes(x).values()]
    assert len(checkpoint.layers) == layers
    assert len(shapes) == tensors
    assert sum(math.prod(shape) for shape in shapes) == parameters


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (SD1, {"cross_attention_dim": 1024}),
        (SD1, {"attention_head_dim": 4}),
        (SD1, {"layers_per_block": 1}),
        (SDXL, {"transformer_layers_per_block": (1, 2, 4)}),
        (SDXL, {"encoder_hid_dim": 4096, "encoder_hid_dim_type": "text_proj"}),
    ],
    ids=["text_width", "heads", "depth", "fewer_blocks", "own_text_encoder"],
)
def test_other_architectures_are_not_recognised(config, changes):
    assert fingerprint(on_meta(config, **changes)) is None


def test_variants_with_other_input_channels_are_recognised():
    assert fingerprint(on_meta(SD1, in_channels=9)) == "Yuanshi/LinFusion-1-5"


def test_linear_layers_are_recognised_too():
    denoiser = on_meta(SD1)
    for name, attn in self_attention_layers(denoiser).items():
        denoiser.set_submodule(name, LinFusionAttention.from_attention(attn, init="empty"))
    assert fingerprint(denoiser) == "Yuanshi/LinFusion-1-5"


def test_identity_layers_have_no_feature_networks():
    assert len(parameter_shapes(LayerShape("a", 8, 2, -1))) == 5


def test_what_is_no_unet_is_not_recognised():
    assert fingerprint(torch.nn.Linear(2, 2)) is None
