"""Linear layers inside diffusers: what its models and pipelines do to attention layers."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from diffusers.models.attention_processor import AttnProcessor, SlicedAttnProcessor
from safetensors.torch import load_file
from torch.testing import assert_close

from genhub_linfusion.processor import LinFusionAttnProcessor
from genhub_linfusion.published import self_attention_layers


@pytest.fixture(scope="module")
def inputs(golden):
    io = golden("unet_io")
    return io["noisy"], io["timesteps"], io["encoder_hidden_states"]


def output(unet, inputs):
    with torch.no_grad():
        return unet(*inputs).sample


def recreate_as_ip_adapter_does(unet):
    unet.set_attn_processor({name: p.__class__() for name, p in unet.attn_processors.items()})


def fuse_and_unfuse(unet):
    unet.fuse_qkv_projections()
    unet.unfuse_qkv_projections()


@pytest.mark.parametrize(
    "change",
    [
        lambda unet: unet.set_attn_processor(AttnProcessor()),
        lambda unet: unet.set_attn_processor(SlicedAttnProcessor(2)),
        lambda unet: unet.set_attn_processor(unet.attn_processors),
        lambda unet: unet.set_default_attn_processor(),
        lambda unet: unet.set_attention_slice("auto"),
        lambda unet: unet.set_attention_slice("max"),
        lambda unet: unet.fuse_qkv_projections(),
        fuse_and_unfuse,
        recreate_as_ip_adapter_does,
    ],
    ids=[
        "set_attn_processor",
        "sliced_processor",
        "processors_put_back",
        "set_default_attn_processor",
        "attention_slicing",
        "attention_slicing_max",
        "fuse_qkv_projections",
        "unfuse_qkv_projections",
        "ip_adapter_loading",
    ],
)
def test_layers_stay_linear_and_gain_no_weights(linear_unet, inputs, change):
    before, keys = output(linear_unet, inputs), linear_unet.state_dict().keys()
    change(linear_unet)
    assert_close(output(linear_unet, inputs), before)
    gained = linear_unet.state_dict().keys() - keys
    assert not [key for key in gained if ".attn1." in key]
    for layer in self_attention_layers(linear_unet).values():
        assert type(layer.get_processor()) is LinFusionAttnProcessor


def test_xformers_switch_leaves_linear_layers_alone(linear_unet, inputs):
    before = output(linear_unet, inputs)
    for layer in self_attention_layers(linear_unet).values():
        layer.set_use_memory_efficient_attention_xformers(True)
        layer.set_use_memory_efficient_attention_xformers(False)
    assert torch.equal(output(linear_unet, inputs), before)


def test_saved_unet_holds_the_linear_weights_under_their_names(linear_unet, tmp_path):
    linear_unet.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "diffusion_pytorch_model.safetensors")
    for name, layer in self_attention_layers(linear_unet).items():
        assert {key for key in saved if key.startswith(f"{name}.")} == {
            f"{name}.{key}" for key in layer.state_dict()
        }


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_compute_the_same_and_share_nothing(linear_unet, inputs, clone):
    other = clone(linear_unet)
    assert torch.equal(output(other, inputs), output(linear_unet, inputs))
    addresses = {p.data_ptr() for p in linear_unet.parameters()}
    assert not addresses & {p.data_ptr() for p in other.parameters()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_unet_stays_near_float32(linear_unet, inputs, golden, dtype):
    sample, timesteps, text = inputs
    out = output(linear_unet.to(dtype), (sample.to(dtype), timesteps, text.to(dtype)))
    assert out.dtype == dtype
    expected = golden("unet_io")["out_linfusion"]
    assert (out - expected).norm() / expected.norm() < (0.005 if dtype == torch.float16 else 0.03)


def test_layerwise_casting_stores_narrow_and_computes_wide(linear_unet, inputs):
    before = output(linear_unet, inputs)
    linear_unet.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    layer = next(iter(self_attention_layers(linear_unet).values()))
    assert layer.to_q.weight.dtype == torch.bfloat16
    after = output(linear_unet, inputs)
    assert (after - before).norm() / before.norm() < 0.03


def test_unet_compiles_to_one_graph(linear_unet, inputs):
    before = output(linear_unet, inputs)
    # No dynamic sizes: diffusers' convolutions and upsampling decide by them.
    compiled = torch.compile(linear_unet, backend="aot_eager", fullgraph=True)
    assert_close(output(compiled, inputs), before, rtol=0, atol=2e-5)


def test_temporal_and_text_conditioned_layers_are_not_candidates():
    motion = UNetMotionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        num_attention_heads=2,
        motion_num_attention_heads=2,
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
    )
    names = list(self_attention_layers(motion))
    assert names
    assert not [name for name in names if "motion_modules" in name]
    upscaler = UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=2,
        only_cross_attention=(True, False),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )
    names = list(self_attention_layers(upscaler))
    assert names
    assert not [name for name in names if name.startswith(("down_blocks.0", "up_blocks.1"))]
