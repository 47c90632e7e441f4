"""The published runs, in float64: one process, and ranks as threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import GoldenPipeline, cases, components, latents
from runs import in_ranks, virtual

from genhub_asyncdiff.plugin import AsyncDiffConfig

FROZEN = "upscaler_n2_s1_w1_ddim"  # a unit inside another one: its list cannot be given


def config_of(name: str, **changes) -> AsyncDiffConfig:
    case = cases()[name]
    lists = components()[f"{case['kind']}_n{case['n']}"]
    return AsyncDiffConfig(
        **{
            "components": case["n"],
            "stride": case["stride"],
            "warmup": case["warm"],
            "time_shift": case.get("shift", False),
            "anchor": "odd" if case["stride"] == 2 else "warmup",
            "split": lists,
        }
        | changes
    )


def pipeline_of(name: str, dtype=torch.float64) -> GoldenPipeline:
    case = cases()[name]
    return GoldenPipeline(case["kind"], case["seed"], case["sched"], dtype)


def expected(name: str) -> np.ndarray:
    key = "two_eval" if cases()[name]["stride"] == 2 else "ref"
    return latents()[f"{key}/{name}"]


def gap(made, golden) -> float:
    return float(np.abs(made.numpy() - golden).max() / np.abs(golden).max())


@pytest.mark.parametrize("name", [name for name in cases() if name != FROZEN])
def test_every_form_gives_the_golden_latents(name):
    case = cases()[name]
    config = config_of(name)
    pipe = pipeline_of(name)
    serial = pipe(case["T"])
    assert gap(serial, latents()[case["serial"]]) < 1e-9
    with virtual(pipe, config):
        one = pipe(case["T"])
        assert torch.equal(pipe(case["T"]), one)
    assert gap(one, expected(name)) < 1e-9
    assert torch.equal(pipe(case["T"]), serial)
    for made in in_ranks(pipe, config, lambda p: p(case["T"])):
        rank = made.engine.comm.rank
        if rank in made.outputs:
            assert torch.equal(made.result, one)
        assert torch.equal(made.again, made.result)
