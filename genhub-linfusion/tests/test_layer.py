"""One layer: golden data, how it is built from softmax attention, masks, perturbed guidance."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from diffusers.models.attention_processor import (
    Attention,
    AttnProcessor,
    AttnProcessor2_0,
    CustomDiffusionAttnProcessor,
    PAGCFGIdentitySelfAttnProcessor2_0,
    PAGIdentitySelfAttnProcessor2_0,
    SlicedAttnProcessor,
)
from torch.testing import assert_close

from genhub_linfusion import LinearState, LinFusionAttention, apply_state, linear_state, merge
from genhub_linfusion.layer import ineligible
from genhub_linfusion.processor import LinFusionAttnProcessor

CASES = ("full", "lowrank", "noproj", "d80", "cross")


def part(data, prefix):
    return {k.removeprefix(prefix): v for k, v in data.items() if k.startswith(prefix)}


def golden_layer(data, case):
    channels, heads, mid = data[f"{case}.meta"].tolist()
    layer = LinFusionAttention(channels, heads, None if mid == -2 else mid)
    layer.load_state_dict(part(data, f"{case}.sd."))
    return layer.eval()


def softmax_layer(channels=16, heads=2, **options):
    return Attention(channels, heads=heads, dim_head=channels // heads, **options).eval()


def random_layer(mid_dim=None):
    layer = LinFusionAttention.from_attention(softmax_layer(), mid_dim, init="random")
    return layer.requires_grad_(False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_golden_outputs(golden, case, dtype):
    data = golden("layers")
    layer = golden_layer(data, case).to(dtype)
    context = data[f"{case}.e"].to(dtype) if case == "cross" else None
    out = layer(data[f"{case}.x"].to(dtype), encoder_hidden_states=context)
    expected = data["cross.y_consistent" if case == "cross" else f"{case}.y"]
    atol = 2e-6 if dtype == torch.float32 else 1e-12
    assert_close(out.double(), expected, rtol=0, atol=atol * expected.abs().max().item())


def test_golden_shards_merge_to_the_whole(golden):
    data = golden("sharded")
    layer = LinFusionAttention(32, 4)
    layer.load_state_dict(part(data, "sd."))

    def heads(x):
        return x.unflatten(-1, (4, 8))

    x = data["x"]
    k, v = heads(layer.to_k(x + layer.to_k_(x))), heads(layer.to_v(x))
    states = [linear_state(*kv) for kv in zip(k.split(12, 1), v.split(12, 1), strict=True)]
    for ours, theirs in zip(states, data["states"], strict=True):
        packed = torch.cat([ours.s, ours.k_mean.unsqueeze(-1)], dim=-1).flatten(0, 1)
        assert_close(packed, theirs, rtol=0, atol=1e-5)
    given = [
        LinearState(s[..., :8], s[..., 8], torch.full((2,), 12.0))
        for s in data["states"].unflatten(1, (2, 4))
    ]
    attended = apply_state(heads(layer.to_q(x + layer.to_q_(x))), merge(given))
    out = layer.to_out[0](attended.flatten(2))
    assert_close(out, data["y_sync"], rtol=0, atol=1e-5)
    assert_close(layer(x), data["y_single"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("mid_dim", "tensors"), [(None, 17), (3, 17), (-1, 5)])
def test_copied_layer_starts_with_the_queries_and_keys_of_the_original(mid_dim, tensors):
    attn, x = softmax_layer(), torch.randn(2, 9, 16)
    layer = LinFusionAttention.from_attention(attn, mid_dim)
    assert len(layer.state_dict()) == tensors
    for ours, theirs, network in (
        (layer.to_q, attn.to_q, layer.to_q_),
        (layer.to_k, attn.to_k, layer.to_k_),
    ):
        assert torch.equal(ours(x + network(x)), theirs(x))
    assert torch.equal(layer.to_v.weight, attn.to_v.weight)
    assert torch.equal(layer.to_out[0].bias, attn.to_out[0].bias)


def test_building_leaves_the_original_alone_and_shares_nothing():
    attn = softmax_layer().half().requires_grad_(False)
    before = copy.deepcopy(attn.state_dict())
    layer = LinFusionAttention.from_attention(attn)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1)
    assert type(attn) is Attention
    assert isinstance(attn.processor, AttnProcessor2_0)
    assert attn.state_dict().keys() == before.keys()
    assert all(torch.equal(x, before[key]) for key, x in attn.state_dict().items())
    assert {p.dtype for p in layer.parameters()} == {torch.float16}
    assert not any(p.requires_grad for p in layer.parameters())
    assert not layer.training


def test_random_start_differs_from_the_original():
    attn = softmax_layer()
    layer = LinFusionAttention.from_attention(attn, init="random")
    assert not torch.equal(layer.to_q.weight, attn.to_q.weight)
    assert layer.to_q_[3].weight.any()


def test_empty_layer_waits_on_the_meta_device():
    layer = LinFusionAttention.from_attention(softmax_layer(), init="empty")
    assert all(p.is_meta for p in layer.parameters())


@pytest.mark.parametrize(
    ("attn", "reason"),
    [
        (torch.nn.Linear(2, 2), "it is a Linear, not diffusers' Attention"),
        (LinFusionAttention(16, 2), "it is linear attention already"),
        (softmax_layer(cross_attention_dim=8), "it is cross-attention"),
        (softmax_layer(added_kv_proj_dim=8), "added key and value projections"),
        (softmax_layer(norm_num_groups=4), "it normalises its input"),
        (softmax_layer(qk_norm="layer_norm"), "it normalises queries and keys"),
        (softmax_layer(residual_connection=True), "it adds a residual"),
        (softmax_layer(bias=True), "to_q has a bias"),
        (softmax_layer(out_bias=False), r"to_out.0 has no bias"),
        (Attention(16, heads=4, dim_head=8), "its width changes inside, from 16 to 32"),
    ],
)
def test_other_kinds_of_attention_are_refused_with_the_reason(attn, reason):
    assert reason in ineligible(attn)
    with pytest.raises(ValueError, match=reason):
        LinFusionAttention.from_attention(attn)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 3), "10 channels cannot be split into 3 heads"),
        ((8, 2, 0), "projection_mid_dim is 0"),
        ((8, 2, -2), "projection_mid_dim is -2"),
    ],
)
def test_impossible_widths_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LinFusionAttention(*arguments)


def test_unknown_start_and_wrong_input_are_refused():
    with pytest.raises(ValueError, match="init is 'teacher': choose one of copy, random, empty"):
        LinFusionAttention.from_attention(softmax_layer(), init="teacher")
    with pytest.raises(ValueError, match=r"hidden_states has shape \(1, 5, 8\): expected"):
        random_layer()(torch.randn(1, 5, 8))


def test_key_padding_masks_are_honoured_and_others_refused():
    layer, x = random_layer(), torch.randn(2, 9, 16)
    mask = torch.zeros(2, 1, 9)
    mask[:, :, 6:] = -10000.0
    out = layer(x, attention_mask=mask)
    assert_close(out[:, :6], layer(x[:, :6]))
    with pytest.raises(ValueError, match="key-padding mask"):
        layer(x, attention_mask=torch.zeros(2, 9, 9))


@pytest.mark.parametrize(
    ("processor", "parts"),
    [(PAGIdentitySelfAttnProcessor2_0(), 2), (PAGCFGIdentitySelfAttnProcessor2_0(), 3)],
)
def test_perturbed_part_of_the_batch_skips_attention(processor, parts):
    layer, x = random_layer(), torch.randn(2 * parts, 9, 16)
    plain = layer(x)
    mask = torch.zeros(2 * parts, 1, 9)
    layer.processor = processor  # as diffusers' PAG pipelines do
    out = layer(x, attention_mask=mask)
    assert_close(out[:-2], plain[:-2])
    assert_close(out[-2:], layer.to_out[0](layer.to_v(x[-2:])))
    layer.set_processor(AttnProcessor2_0())
    assert torch.equal(layer(x), plain)


@pytest.mark.parametrize(
    "processor",
    [LinFusionAttnProcessor(), AttnProcessor(), AttnProcessor2_0(), SlicedAttnProcessor(1)],
)
def test_softmax_processors_change_nothing(processor):
    layer, x = random_layer(), torch.randn(2, 9, 16)
    before = layer(x)
    layer.set_processor(processor)
    assert type(layer.get_processor()) is LinFusionAttnProcessor
    assert torch.equal(layer(x), before)


def test_unknown_processor_is_ignored_with_a_warning_or_refused_when_strict(caplog):
    layer, x = random_layer(), torch.randn(2, 9, 16)
    before, processor = layer(x), CustomDiffusionAttnProcessor(hidden_size=16)
    layer.set_processor(processor)
    assert "CustomDiffusionAttnProcessor cannot run on a linear attention layer" in caplog.text
    assert torch.equal(layer(x), before)
    layer.strict = True
    with pytest.raises(ValueError, match="detach LinFusion before setting it"):
        layer.set_processor(processor)


def test_arguments_for_cross_attention_are_ignored_and_unknown_ones_named(caplog):
    layer, x = random_layer(), torch.randn(2, 9, 16)
    expected = layer(x)
    assert torch.equal(layer(x, ip_adapter_masks=[torch.ones(1)]), expected)
    assert not caplog.records
    assert torch.equal(layer(x, sharpness=2), expected)
    assert "['sharpness']" in caplog.text


def test_the_marker_says_how_to_use_it():
    with pytest.raises(TypeError, match="call the LinFusionAttention layer itself"):
        LinFusionAttnProcessor()(random_layer(), torch.randn(1, 3, 16))


def test_copies_and_pickles_compute_the_same():
    layer, x = random_layer(mid_dim=3), torch.randn(1, 9, 16)
    for clone in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(clone(x), layer(x))
        assert type(clone.processor) is LinFusionAttnProcessor
        assert clone.to_q.weight.data_ptr() != layer.to_q.weight.data_ptr()


def test_own_kernel_is_used():
    def kernel(q, k, v, **options):
        assert options == {"eps": 1e-4, "mask": None, "layout": "bnhd"}
        return torch.zeros_like(q)

    layer = LinFusionAttention(16, 2, kernel=kernel)
    out = layer(torch.randn(1, 4, 16))
    assert torch.equal(out, layer.to_out[0].bias.expand_as(out))
