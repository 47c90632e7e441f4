"""Tiny models of every family, cut without a word about them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from networks import GoldenPipeline
from runs import in_ranks, virtual

from genhub.testing import families
from genhub_asyncdiff.plugin import AsyncDiffConfig


def run(pipe: Any) -> torch.Tensor:
    return pipe(seeds=(1,), steps=6, guidance=3.0)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_every_family_is_cut_without_a_word_about_it(family):
    pipe = families.pipeline(family)
    serial = run(pipe)
    with virtual(pipe, AsyncDiffConfig(components=2, warmup=6)):
        assert torch.equal(run(pipe), serial)
    config = AsyncDiffConfig(components=2, warmup=2)
    with virtual(pipe, config) as engine:
        one = run(pipe)
    assert engine.calls["parallel"] >= 4
    ranks = in_ranks(pipe, config, run)
    for rank in ranks[0].outputs:
        assert torch.equal(ranks[rank].result, one)


def test_devices_may_be_computed_in_any_order():
    pipe = families.pipeline("unet2d")
    config = AsyncDiffConfig(components=3, stride=2, warmup=1)
    made = []
    for order in ((0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)):
        with virtual(pipe, config, order):
            made.append(run(pipe))
    assert torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])


def test_a_compiled_denoiser_is_cut_like_the_one_inside():
    config = AsyncDiffConfig(components=2, warmup=2)
    pipe = GoldenPipeline("sd21", 11, "ddim")
    with virtual(pipe, config):
        one = pipe(6)
    pipe.unet = torch.compile(pipe.unet, backend="eager")
    with virtual(pipe, config) as engine:
        assert torch.equal(pipe(6), one)
    assert engine.calls == {"sync": 2, "parallel": 4}
