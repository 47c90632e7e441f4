"""Pipelines of diffusers under every schedule: what is computed, and what is left behind."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import stock
import torch
from runs import in_ranks, virtual
from torch import Tensor
from torch.nn import Module

import genhub
from genhub_asyncdiff.plugin import AsyncDiffConfig

STEPS = 6
SCHEDULES: dict[str, dict[str, Any]] = {
    "stride 1": {"components": 2},
    "stride 2": {"components": 2, "stride": 2, "warmup": 2},
}
CROSSED = ["sd", "sdxl", "controlnet", "adapter", "inpaint"]  # cut with components to spare


@cache
def pipeline(name: str) -> Any:
    """Make a pipeline once: nothing that is attached to it may change it."""
    return stock.PIPELINES[name][0]()


@cache
def serial(name: str) -> Tensor:
    return stock.run(name, pipeline(name), STEPS)


def modules(pipe: Any) -> dict[str, Module]:
    return {
        f"{part}.{path}": module
        for part, whole in vars(pipe).items()
        if isinstance(whole, Module)
        for path, module in whole.named_modules()
    }


def traces(pipe: Any) -> dict[str, Any]:
    """Give all that could stay behind on a pipeline: attributes, hooks, classes, keys."""
    found: dict[str, Any] = {
        path: (type(module), sorted(vars(module)), len(module._forward_pre_hooks))
        for path, module in modules(pipe).items()
    }
    found["keys"] = [
        (part, list(whole.state_dict())) for part, whole in vars(pipe).items()
        if isinstance(whole, Module)
    ]  # fmt: skip
    return found | {"scheduler": type(pipe.scheduler), "parts": sorted(vars(pipe))}


def agree(name: str, **settings: Any) -> Tensor:
    """Hold ranks against one process, bit for bit; gives the latents."""
    pipe, config = pipeline(name), AsyncDiffConfig(**settings)
    with torch.no_grad(), virtual(pipe, config):
        one = stock.run(name, pipe, STEPS)
    made = in_ranks(pipe, config, lambda p: stock.run(name, p, STEPS))
    assert made[0].outputs
    for rank in made[0].outputs:
        assert torch.equal(made[rank].result, one)
    assert one.isfinite().all()
    return one


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", stock.PIPELINES)
def test_ranks_give_the_bits_of_one_process_and_leave_nothing(name, schedule):
    before, untouched = serial(name), traces(pipeline(name))
    made = agree(name, **SCHEDULES[schedule])
    assert not torch.equal(made, before)  # another time of the denoiser's parts
    assert traces(pipeline(name)) == untouched
    assert torch.equal(stock.run(name, pipeline(name), STEPS), before)


@pytest.mark.parametrize("name", stock.PIPELINES)
def test_warm_up_alone_is_serial(name):
    assert torch.equal(agree(name, components=2, warmup=2 * STEPS), serial(name))


@pytest.mark.parametrize(
    "settings",
    [
        {"components": 3, "wrap": True},
        {"components": 2, "extrapolate": 0.5, "warmup": 2},
        {"components": 2, "stride": 2, "stride_mode": "reuse", "wrap": True, "warmup": 2},
        {"components": 2, "time_shift": True, "refresh_every": 2},
    ],
)
@pytest.mark.parametrize("name", CROSSED)
def test_other_schedules_agree_on_pipelines_with_more_than_a_denoiser(name, settings):
    agree(name, **settings)


@pytest.mark.parametrize("mode", ["pipeline", "cfg"])
def test_what_an_adapter_adds_in_place_is_added_once(mode):
    """The residual goes onto a received output, which the next round reads once more."""
    deep = ["mid_block", "up_blocks", "conv_norm_out", "conv_out"]
    settings = {"components": 2, "warmup": 2, "split": [["conv_in", "down_blocks"], deep]}
    pipe = pipeline("adapter")
    with torch.no_grad(), virtual(pipe, AsyncDiffConfig(**settings)):
        one = stock.run("adapter", pipe)
    config = AsyncDiffConfig(**settings, warmup_mode=mode)
    made = in_ranks(pipe, config, lambda p: stock.run("adapter", p))
    for rank in made[0].outputs:
        torch.testing.assert_close(made[rank].result, one, rtol=1e-4, atol=1e-4)
