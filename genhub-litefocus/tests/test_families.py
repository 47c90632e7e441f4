"""Every family of mel UNets: which attentions are sparse, at even and odd lengths."""

from __future__ import annotations

import pytest
import shapes_of_families as shapes
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import genhub

PLAIN = {"type": "litefocus", "decode": "pipeline"}

# name: (UNet, its block, rows and cols, sparse calls at the first level and at all)
FAMILIES = {
    "audioldm2": (shapes.audioldm2, {}, (40, 16), 20, 64),
    "audioldm2 odd": (shapes.audioldm2, {}, (53, 16), 20, 64),
    "audioldm2 large": (lambda: shapes.audioldm2((None, 6, 10, None), 2), {}, (13, 16), 60, 192),
    "audioldm2 speech": (lambda: shapes.audioldm2((None, 6)), {}, (27, 16), 15, 48),
    "audioldm2 48 kHz": (lambda: shapes.audioldm2((None, 6)), {}, (27, 32), 15, 48),
    "audioldm": (shapes.audioldm, {}, (51, 16), 10, 32),
    "tango": (shapes.tango, {}, (37, 16), 5, 16),
    "auffusion": (shapes.auffusion, {"layout": "ft"}, (32, 37), 5, 16),
}


def counted(unet, kernel_calls):
    """Let the attached processors note the arguments of their kernels."""
    for processor in unet.attn_processors.values():
        if hasattr(processor, "chosen"):
            kernel = processor.chosen

            def noting(q, k, v, indices, *, _kernel=kernel, **attrs):
                kernel_calls.append((q.shape[2], attrs["freq_bins"], indices.shape[0]))
                return _kernel(q, k, v, indices, **attrs)

            noting.supports = kernel.supports
            processor.chosen = noting


@pytest.mark.parametrize("name", FAMILIES)
def test_a_forward_has_the_published_number_of_sparse_calls(name):
    make, block, size, first, every = FAMILIES[name]
    unet, levels = make(), 4
    modality = "auto" if block else "audio"
    for where, wanted in (({}, first), ({"where": {"level": "all"}}, every)):
        calls = []
        with genhub.attach(unet, [PLAIN | block | where], modality=modality):
            counted(unet, calls)
            shapes.call(unet, *size)
        assert len(calls) == wanted
        bins = size[0] if block else size[1]
        frames = size[1] if block else size[0]
        grids = {-(-frames // 2**i) * -(-bins // 2**i): -(-bins // 2**i) for i in range(levels)}
        assert all(grids[tokens] == freq_bins for tokens, freq_bins, _ in calls)
        assert all(drawn == int(tokens * 0.1) for tokens, _, drawn in calls)


@pytest.mark.parametrize("name", ["audioldm2", "audioldm", "tango", "auffusion"])
def test_lengths_that_were_not_planned_for_are_served(name):
    make, block, size, *_ = FAMILIES[name]
    unet = make()
    with genhub.attach(unet, [PLAIN | block], modality="auto" if block else "audio") as attached:
        for frames in (8, 21, 33):
            rows, cols = (size[0], frames) if block else (frames, size[1])
            made = shapes.call(unet, rows, cols)
            assert made.shape[-2:] == (rows, cols) and torch.isfinite(made).all()
        facts = attached.driver("litefocus").report(next(iter(attached._built.values())))
    level = 1 if "audioldm" in name else 0
    assert {row["T"] for row in facts} == {-(-33 // 2**level)}
    assert {row["calls"] for row in facts} == {3}


@pytest.mark.parametrize("name", ["audioldm2", "audioldm", "tango", "auffusion"])
def test_all_keys_once_are_full_attention(name):
    make, block, size, *_ = FAMILIES[name]
    unet = make()
    full = shapes.call(unet, *size)
    everything = {"sparse_ratio": 1.0, "duplicates": "union", "where": {"level": "all"}}
    with genhub.attach(unet, [PLAIN | block | everything], modality="auto" if block else "audio"):
        torch.testing.assert_close(shapes.call(unet, *size), full, atol=2e-5, rtol=1e-4)


def test_time_first_and_frequency_first_are_the_same_operator():
    unet = shapes.auffusion()
    for module in unet.modules():  # turn every convolution's kernel round
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.transpose(2, 3).contiguous()
    turned, plain = unet, shapes.auffusion()
    plain.load_state_dict(turned.state_dict())
    for module in plain.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.transpose(2, 3).contiguous()
    alone = PLAIN | {"cross_frequency": False, "where": {"level": "all"}}
    draw = torch.Generator().manual_seed(0)
    sample, text = torch.randn(1, 4, 16, 24, generator=draw), torch.randn(1, 5, 6, generator=draw)
    with torch.no_grad():
        with genhub.attach(plain, [alone | {"layout": "ft"}]):
            first = plain(sample, torch.tensor(7), text).sample
        with genhub.attach(turned, [alone | {"layout": "tf"}]):
            other = turned(sample.transpose(2, 3), torch.tensor(7), text).sample
    torch.testing.assert_close(other.transpose(2, 3), first, atol=1e-5, rtol=1e-4)


def test_costs_are_what_torch_counts():
    unet = shapes.audioldm2()
    counter = FlopCounterMode(display=False, depth=None)
    with genhub.attach(unet, [PLAIN], modality="audio") as attached:
        rows, cols = attached.context.facts.latent.shape[-2:]
        costs = attached.costs()
        with counter, sdpa_kernel(SDPBackend.MATH):  # the only one whose products are counted
            shapes.call(unet, rows, cols)
        sites = attached.plan.claims[0].sites
    counts = counter.get_flop_counts()
    assert len(sites) == 20
    for site in sites:
        ran = sum(counts[f"AudioLDM2UNet2DConditionModel.{site.module_path}"].values())
        assert costs[site.path].flops == ran
