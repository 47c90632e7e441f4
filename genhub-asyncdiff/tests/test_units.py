"""Units are found without knowing the model, and parts are as large as one owner allows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from architectures import CONFIGS, build, call, traced
from diffusers import PixArtTransformer2DModel, UNet2DConditionModel
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import denoiser
from torch.utils._pytree import tree_map_only
from toynet import PATHS, ToyNet

from genhub.testing.families import FAMILIES
from genhub_asyncdiff import plan
from genhub_asyncdiff.graph import trace, trace_units
from genhub_asyncdiff.units import collapse, find_units, parameters_outside

COUNTS = {
    **{"sd15": 47, "sd21": 47, "sdxl": 127, "upscaler": 47, "svd": 47, "motion": 68},
    **{"sd3": 26, "flux": 59, "wan": 5, "qwenimage": 6},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_has_its_units_and_each_is_called_once(name):
    assert len(traced(name).units) == COUNTS[name]


@pytest.mark.parametrize("name", ["sd15", "sd21", "sdxl", "svd", "motion", "sd3", "flux"])
def test_units_hold_nearly_all_multiply_adds(name):
    graph = traced(name)
    inside = sum(unit.flops for unit in graph.units)
    assert round(inside / (inside + graph.replicated_flops), 4) >= 0.9997


@pytest.mark.parametrize("name", CONFIGS)
def test_units_and_what_every_rank_has_are_all_parameters(name):
    model, graph = build(name), traced(name)
    total = sum(p.numel() for p in model.parameters())
    assert sum(unit.params for unit in graph.units) + graph.replicated_params == total
    outside = {path.split(".")[0] for path in parameters_outside(model, find_units(model))}
    assert outside <= {
        *("time_embedding", "add_embedding", "class_embedding", "time_text_embed"),
        *("context_embedder", "x_embedder", "pos_embed", "patch_embedding"),
        *("condition_embedder", "scale_shift_table", "img_in", "txt_in", "txt_norm"),
    }


def test_a_stack_of_several_attention_blocks_is_opened_and_one_of_a_single_block_is_not():
    units = find_units(build("sdxl"))
    stack = "down_blocks.2.attentions.0"
    assert f"{stack}.transformer_blocks.9" in units
    assert {f"{stack}.norm", f"{stack}.proj_in", f"{stack}.proj_out"} <= set(units)
    assert "down_blocks.1.attentions.0" in find_units(build("sd15"))


def test_blocks_of_every_kind_are_opened_and_a_stack_over_frames_is_a_unit():
    model = UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(32, 64),
        norm_num_groups=8,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=12,
    )
    units = find_units(model)
    assert {"down_blocks.0.resnets.0", "mid_block.attentions.0", "up_blocks.1.resnets.1"} <= {
        *units
    }
    assert "transformer_in" in find_units(FAMILIES["unet3d"]())


def test_embeddings_under_names_that_nobody_listed_are_no_units():
    model = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=3,
        cross_attention_dim=16,
        caption_channels=12,
        sample_size=8,
        use_additional_conditions=False,
    )
    example = (
        (torch.ones(1, 4, 8, 8),),
        {
            "encoder_hidden_states": torch.ones(1, 7, 12),
            "timestep": torch.ones(1),
            "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
            "return_dict": False,
        },
    )
    on_meta = tree_map_only(torch.Tensor, lambda x: x.to("meta"), example)
    facts = SimpleNamespace(example_call=lambda component: on_meta)
    assert "adaln_single" in find_units(model)
    for graph in (trace_units(model, *example), plan.traced(facts, "transformer", model)):
        assert [unit.path for unit in graph.units] == [
            *(f"transformer_blocks.{i}" for i in range(3)),
            "proj_out",
        ]


def test_the_largest_modules_of_one_owner_are_parts():
    model = denoiser("sd15", 1)
    owner = {
        path: int(path.startswith(("up_blocks.2.att", "up_blocks.3", "conv_norm_out", "conv_out")))
        for path in find_units(model)
    }
    parts = collapse(model, owner)
    assert parts == {
        **{"conv_in": 0, "down_blocks.0": 0, "down_blocks.1": 0, "down_blocks.2": 0},
        **{"down_blocks.3": 0, "mid_block": 0, "up_blocks.0": 0, "up_blocks.1": 0},
        **{f"up_blocks.2.resnets.{i}": 0 for i in range(3)},
        **{f"up_blocks.2.attentions.{i}": 1 for i in range(3)},
        "up_blocks.2.upsamplers.0": 0,
        **{"up_blocks.3": 1, "conv_norm_out": 1, "conv_out": 1},
    }


def test_a_denoiser_of_one_owner_stays_open():
    model = denoiser("sd3", 1)
    parts = collapse(model, dict.fromkeys(find_units(model), 0))
    assert set(parts) == set(find_units(model))


def test_a_module_with_a_parameter_outside_its_units_stays_open():
    model = ToyNet()
    owner = dict.fromkeys(PATHS, 0) | {"down.first": 0, "down.second": 0, "up.merge": 0}
    for path in ("down", "up"):
        del owner[path]
    assert "down" in collapse(model, owner)
    model.down.scale = model.bias
    parts = collapse(model, owner)
    assert "down" not in parts
    assert {"down.first", "down.second", "up"} <= set(parts)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=47, max_size=47))
def test_parts_are_disjoint_and_hold_the_same_units_with_the_same_owners(owners):
    model = build("sd15")
    owner = dict(zip(find_units(model), owners, strict=True))
    parts = collapse(model, owner)
    for path, of in owner.items():
        (around,) = [part for part in parts if f"{path}.".startswith(f"{part}.")]
        assert parts[around] == of


def test_parts_read_of_each_other_no_more_than_units_do():
    model, graph = build("sd15"), traced("sd15")
    owners = [min(2, i // 16) for i in range(47)]
    parts = collapse(model, {u.path: o for u, o in zip(graph.units, owners, strict=True)})
    larger = trace(model, *call("sd15"), list(parts))
    assert len(larger.units) < len(graph.units)
    assert sum(u.flops for u in larger.units) == sum(u.flops for u in graph.units)
    assert len(larger.cut([parts[u.path] for u in larger.units])) == len(graph.cut(owners))
