"""What ranks may do differently: warm-up, guidance, formats on the way, refreshes, weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from networks import GoldenPipeline
from runs import in_ranks, on_rank, virtual
from torch.utils.flop_counter import FlopCounterMode

from genhub.comm import ThreadComm, in_threads
from genhub.comm.replica import replica
from genhub.testing import families
from genhub_asyncdiff.plugin import AsyncDiffConfig
from genhub_asyncdiff.wires import Layout, over_the_wire

STEPS = 8


def pipeline(kind: str = "sd21", dtype: torch.dtype = torch.float64) -> GoldenPipeline:
    return GoldenPipeline(kind, 11, "flow" if kind == "sd3" else "ddim", dtype)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def compare(kind: str, tolerance: float, world: int | None = None, **settings: Any) -> Any:
    """Hold ranks against one process that does the same, and bytes against the plan's."""
    config = AsyncDiffConfig(**settings)
    pipe = pipeline(kind)
    with virtual(pipe, config):
        one = pipe(STEPS)
    made = in_ranks(pipe, config, lambda p: p(STEPS), world)
    for rank in made[0].outputs:
        assert relative(made[rank].result, one) <= tolerance
    if kind != "sd3":  # whose prompt is shorter here than the published text encoders' is
        assert sum(rank.sent for rank in made) == made[0].plan.bytes(STEPS)
    return made


@pytest.mark.parametrize("mode", ["cfg", "pipeline"])
@pytest.mark.parametrize(
    "kind, settings",
    [
        ("sd21", {"components": 2, "warmup": 3}),
        ("sd21", {"components": 3, "warmup": 2, "wrap": False}),
        ("sd21", {"components": 2, "stride": 2, "warmup": 2, "wrap": True}),
        ("sdxl", {"components": 3, "warmup": 1, "wrap": True}),
        ("sd3", {"components": 2, "warmup": 2}),
        ("sd21", {"components": 2, "warmup": 2, "extrapolate": 0.5}),
        ("sd21", {"components": 3, "warmup": 2, "refresh_every": 2}),
    ],
)
def test_cheaper_full_calls_give_the_same(mode, kind, settings):
    compare(kind, 1e-12, warmup_mode=mode, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"components": 1},
        {"components": 1, "stride": 2},
        {"components": 2, "refresh_every": 2},
        {"components": 3, "refresh_every": 1, "wrap": False},
        {"components": 2, "stride": 3, "warmup": 2},
        {"components": 2, "stride": 4, "warmup": 2, "stride_mode": "reuse"},
        {"components": 2, "extrapolate": 1.0, "warmup": 2},
        {"components": 3, "overlap": False},
        {"components": 2, "comm_dtype": "float16"},
        {"components": 2, "comm_dtype": "bfloat16", "extrapolate": 0.5},
        {"components": 2, "comm_dtype": "float8_e4m3fn", "wrap": False},
        {"components": 4, "stride": 2, "stride_mode": "reuse", "wrap": True, "time_shift": True},
    ],
)
def test_ranks_give_the_bits_of_one_process(settings):
    compare("sd21", 0.0, **settings)


def test_refresh_on_demand_is_the_same_on_all_ranks():
    config = AsyncDiffConfig(components=2, refresh_threshold=0.4)
    pipe = pipeline()
    with virtual(pipe, config) as engine:
        one = pipe(STEPS)
    assert engine.calls["sync"] > 1 and engine.calls["parallel"] > 0
    made = in_ranks(pipe, config, lambda p: p(STEPS))
    for rank in made[0].outputs:
        assert torch.equal(made[rank].result, one)
        assert made[rank].engine.calls == engine.calls


def test_refresh_on_demand_is_decided_alike_in_every_mode():
    def calls(mode: str) -> Any:
        config = AsyncDiffConfig(
            components=2, warmup=2, refresh_threshold=0.4, warmup_mode=mode, wrap=False
        )
        return in_ranks(pipeline(), config, lambda p: p(STEPS))[0].engine.calls

    assert calls("cfg") == calls("pipeline") == calls("replicate")


def test_a_prediction_that_is_changed_in_place_is_kept_for_free_calls():
    def double(change: Any) -> torch.Tensor:
        pipe = pipeline()
        pipe.unet.register_forward_hook(lambda m, a, out: (change(out[0]),))
        config = AsyncDiffConfig(components=2, stride=2, anchor="odd", warmup=2)
        with virtual(pipe, config) as engine:
            made = pipe(4)
            assert engine.calls["free"] == 1
            return made

    assert torch.equal(double(lambda eps: eps.mul_(1.5)), double(lambda eps: eps * 1.5))


@pytest.mark.parametrize("settings", [{"components": 2}, {"components": 1, "stride": 2}])
def test_guidance_over_twice_the_ranks_gives_the_same(settings):
    config = AsyncDiffConfig(**settings)
    compare("sd21", 1e-12, world=2 * config.form.world, **settings)


class SkipsLayers(GoldenPipeline):
    """Calls its denoiser a second time without some layers, as skip-layer guidance does."""

    def predict(self, **kwargs: Any) -> torch.Tensor:
        strong = super().predict(**kwargs)
        return strong + 0.1 * (strong - super().predict(**kwargs, skip_layers=[3, 4]))


@pytest.mark.parametrize("mode", ["replicate", "cfg"])
def test_calls_that_skip_layers_are_computed_in_full_on_every_rank(mode):
    config = AsyncDiffConfig(components=3, warmup=2, warmup_mode=mode)
    pipe = SkipsLayers("sd3", 15, "flow")
    with virtual(pipe, config) as engine:
        one = pipe(STEPS)
    assert engine.calls == {"sync": 2 + STEPS, "parallel": STEPS - 2}
    ranks = in_ranks(pipe, config, lambda p: p(STEPS))
    for rank in ranks[0].outputs:
        assert relative(ranks[rank].result, one) < 1e-12


def test_an_attachment_counts_its_calls_by_phase():
    def call(pipe: Any) -> None:
        pipe(STEPS)

    config = AsyncDiffConfig(components=2, stride=2, warmup=2)
    ranks = in_ranks(pipeline(), config, call)
    phases = {"sync": 2, "parallel": 3, "free": 3}
    assert [rank.stats["parallel"]["calls"] for rank in ranks] == [phases] * 3


@pytest.mark.parametrize("family", ["wan", "svd"])  # a call per branch, and both in one
def test_guidance_over_twice_the_ranks_is_right_in_every_generation(family):
    def call(pipe: Any) -> list[torch.Tensor]:
        return [pipe(seeds=(1,), steps=6, guidance=3.0) for _ in range(2)]

    config = AsyncDiffConfig(components=2, warmup=2)
    pipe = families.pipeline(family)
    with virtual(pipe, config):
        one = call(pipe)[0]
    ranks = in_ranks(pipe, config, call, 4)
    for rank in ranks[0].outputs:
        first, second = ranks[rank].result
        assert torch.equal(first, second)
        assert relative(first, one) < 1e-5


def test_guidance_over_twice_the_ranks_halves_the_work_of_each():
    def flops(pipe: Any) -> int:
        with FlopCounterMode(display=False) as counter:
            pipe(STEPS)
        return counter.get_total_flops()

    config = AsyncDiffConfig(components=2)
    half = [rank.result for rank in in_ranks(pipeline(), config, flops, 4)]
    whole = [rank.result for rank in in_ranks(pipeline(), config, flops, 2)]
    assert [2 * work for work in half] == pytest.approx([*whole, *whole], rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 1e-6])
def test_small_numbers_of_16_bits_keep_their_size_in_8(value):
    x = torch.full((2, 3), value, dtype=torch.float16)
    made = over_the_wire(x, Layout.of(x), "float8_e4m3fn")
    assert torch.equal(made, x)


@pytest.mark.parametrize("name", ["float16", "float8_e4m3fn"])
def test_narrow_numbers_take_fewer_bytes_and_stay_close(name):
    wide = compare("sd21", 0.0, components=2)
    narrow = compare("sd21", 0.0, components=2, comm_dtype=name)
    width = {"float16": 2, "float8_e4m3fn": 1}[name]
    assert narrow[0].plan.bytes(STEPS) < wide[0].plan.bytes(STEPS)
    assert narrow[0].plan.per_round() * 8 == wide[0].plan.per_round() * width
    rank = wide[0].outputs[0]
    near = relative(narrow[rank].result, wide[rank].result)
    assert 0 < near < {"float16": 0.02, "float8_e4m3fn": 0.5}[name]


@pytest.mark.parametrize("kind", ["sd21", "sdxl", "sd3"])
def test_ranks_keep_only_their_weights(kind):
    def call(pipe: Any) -> tuple[torch.Tensor, int, int]:
        made = pipe(STEPS)
        held = sum(p.numel() for p in pipe.denoiser.parameters() if p.device.type != "meta")
        return made, held, sum(p.numel() for p in pipe.denoiser.parameters())

    config = AsyncDiffConfig(components=3, warmup_mode="pipeline", shard_weights=True, warmup=2)
    pipe = pipeline(kind)
    before = {name: value.clone() for name, value in pipe.denoiser.state_dict().items()}
    with virtual(pipe, config):
        one = pipe(STEPS)
    made = in_ranks(pipe, config, call)
    for rank, each in enumerate(made):
        result, held, _ = each.result
        cutting = each.plan.first
        assert held <= 1.1 * (cutting.params[each.engine.form.component(rank)] + cutting.replicated)
        assert rank not in each.outputs or relative(result, one) < 1e-12
    assert all(
        torch.equal(value, before[name]) for name, value in pipe.denoiser.state_dict().items()
    )


def test_threads_that_fail_have_their_weights_back():
    config = AsyncDiffConfig(components=2, warmup_mode="pipeline", shard_weights=True)
    pipe = pipeline()
    comms = ThreadComm.group(2, timeout=60)
    twins = [replica(pipe) for _ in comms]

    def fail(inner: Any) -> None:
        inner(STEPS)
        raise RuntimeError("stop")

    errors = in_threads(comms, lambda comm: on_rank(comm, twins[comm.rank], config, fail))
    assert all(isinstance(error, Exception) for error in errors)
    held = dict(pipe.unet.named_parameters())
    for twin in twins:
        assert all(p is held[name] for name, p in twin.unet.named_parameters())
