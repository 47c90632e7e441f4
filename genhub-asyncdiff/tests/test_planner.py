"""Predictions: bounds of the paper's cost model, what is recommended, and measured splits."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from networks import GoldenPipeline
from runs import in_ranks, virtual

import genhub
from genhub_asyncdiff.advice import recommended
from genhub_asyncdiff.plan import make_plan, traced
from genhub_asyncdiff.planner import Link, Machine, choices, predict, recommended_warmup
from genhub_asyncdiff.plugin import AsyncDiffConfig
from genhub_asyncdiff.profile import Profile, example_batch, profile
from genhub_asyncdiff.schedule import Form
from genhub_asyncdiff.split import Split

# Bounds for T = 50 and balanced components, from the cost model; warm-up 1, 3, 5, 7, 9, 11.
BOUNDS = {
    (2, 1): (1.96, 1.89, 1.82, 1.75, 1.69, 1.64),
    (3, 1): (2.88, 2.68, 2.50, 2.34, 2.21, 2.08),
    (4, 1): (3.77, 3.39, 3.08, 2.82, 2.60, 2.41),
    (2, 2): (3.70, 3.33, 3.03, 2.78, 2.56, 2.38),
    (3, 2): (5.36, 4.55, 3.95, 3.49, 3.13, 2.83),
}
FREE = Link(0.0, 1e30)


@pytest.fixture(scope="module")
def graph() -> Any:
    pipe = GoldenPipeline("sd21", 11, "ddim")
    with genhub.attach(pipe) as attached:
        return traced(attached.context.facts, "unet", pipe.unet)


def even(graph: Any, n: int) -> tuple[Split, Profile]:
    """Give n runs of units, and times with which they are balanced exactly."""
    order = [unit.path for unit in graph.units]
    ends = [len(order) * i // n for i in range(n + 1)]
    runs = [tuple(order[a:b]) for a, b in itertools.pairwise(ends)]
    times = tuple(1 / n / len(run) for run in runs for _ in run)
    return Split(tuple(runs), False, "given"), Profile(times, sum(times))


@pytest.mark.parametrize("case", BOUNDS)
def test_latency_without_transfers_is_the_bound_of_the_cost_model(graph, case):
    n, stride = case
    split, times = even(graph, n)
    machine = Machine(graph, times, FREE, 2)
    for warmup, bound in zip((1, 3, 5, 7, 9, 11), BOUNDS[case], strict=True):
        choice = predict(machine, Form(n, stride, warmup=warmup), split, 50)
        assert choice.speedup == pytest.approx(bound, abs=0.006)


def test_a_plans_speedup_is_the_bound_for_its_shares(graph):
    pipe = GoldenPipeline("sd21", 11, "ddim")
    with genhub.attach(pipe) as attached:
        ctx = attached.context
        config = AsyncDiffConfig(components=2, stride=2, warmup=5)
        plan = make_plan(config, ctx.facts, ctx.denoisers, guidance_split=False)
        top = max(plan.first.shares)
        assert plan.speedup() == pytest.approx(50 / (5 + 23 * top))
        halves = AsyncDiffConfig(components=2, stride=2, warmup=5, warmup_mode="cfg")
        plan = make_plan(halves, ctx.facts, ctx.denoisers, guidance_split=True)
        assert plan.speedup() == pytest.approx(2 * 50 / (2.5 + 23 * top))


def test_four_devices_split_guidance_before_they_cut_deeper(graph):
    times = Profile(
        tuple(u.flops / 1e9 for u in graph.units), sum(u.flops for u in graph.units) / 1e9
    )
    machine = Machine(graph, times, FREE, 2)
    found = choices(machine, 4, 50, guidance=True, warmup=1)
    near = [choice for choice in found if choice.form.stride == 1]
    assert (near[0].form.components, near[0].cfg) == (2, True)
    deeper = next(c for c in near if c.form.components == 4)
    assert near[0].speedup > deeper.speedup and near[0].age < deeper.age
    assert any((c.form.components, c.form.stride) == (3, 2) for c in found)
    assert next(c for c in found if c.split is None).exact
    assert all(c.devices <= 4 for c in found)
    assert not any(c.cfg for c in choices(machine, 4, 50, guidance=False))


def test_slow_links_cost_more_where_more_is_sent(graph):
    split, times = even(graph, 2)
    form = Form(2, warmup=1)
    fast, slow = (
        predict(Machine(graph, times, Link(0.0, width), 2), form, split, 50)
        for width in (1e12, 1e4)
    )
    assert slow.seconds > fast.seconds and slow.bytes == fast.bytes > 0
    assert slow.age == fast.age


@pytest.mark.parametrize("guidance", [False, True])
def test_one_device_is_recommended_where_the_link_eats_the_gain(graph, guidance):
    _, times = even(graph, 2)
    machine = Machine(graph, times, Link(10.0, 1e4), 2)
    assert recommended(choices(machine, 4, 50, guidance=guidance), 50) is None


def test_more_calls_begin_with_more_full_ones():
    assert [recommended_warmup(Form(2), steps) for steps in (2, 10, 20, 50)] == [1, 1, 2, 5]
    assert recommended_warmup(Form(2, 2), 50) == 10


def test_units_are_timed_by_what_they_compute():
    pipe = GoldenPipeline("sd21", 11, "ddim")
    with genhub.attach(pipe) as attached:
        call = attached.context.facts.example_call("unet")
    args, kwargs = example_batch(call, 4, "cpu", torch.float64)
    assert args[0].shape[0] == kwargs["encoder_hidden_states"].shape[0] == 4
    times = profile(pipe.unet, args, kwargs, ["conv_in", "mid_block"])
    assert len(times.units) == 2 and min(times.units) > 0
    assert times.whole > 0 and not pipe.unet.conv_in._forward_hooks


def test_ranks_that_split_by_time_agree_on_rank_0s_figures():
    pipe = GoldenPipeline("sd21", 11, "ddim")
    config = AsyncDiffConfig(components=2, split_metric="time")
    ranks = in_ranks(pipe, config, lambda p: p(6))
    cuttings = [rank.engine.cuttings["unet"] for rank in ranks]
    assert cuttings[0] == cuttings[1]
    lists = [list(names) for names in cuttings[0].split.components]
    with virtual(pipe, AsyncDiffConfig(components=2, split=lists)):
        one = pipe(6)
    for rank in ranks[0].outputs:
        assert torch.equal(ranks[rank].result, one)


def test_a_timeline_shows_who_reads_what():
    pipe = GoldenPipeline("sd21", 11, "ddim")
    config = AsyncDiffConfig(components=2, stride=2, warmup=1, wrap=False)
    with genhub.attach(pipe) as attached:
        ctx = attached.context
        text = make_plan(config, ctx.facts, ctx.denoisers, guidance_split=False).timeline()
    assert text.splitlines()[:5] == [
        "call      0     1          2       3          4       5          6",
        "rank 0    full  A1(;t2)    -       A3(;t4)    -       A5(;t6)    -",
        "rank 1    full  B1(A0;t2)  -       B3(A1;t4)  -       B5(A3;t6)  -",
        "rank 2    full  B1(A0)     -       B3(A1)     -       B5(A3)     -",
        "eps from  all   rank 2     rank 1  rank 2     rank 1  rank 2     rank 1",
    ]
