"""Pipelines of diffusers under every schedule: what is computed, and what is left behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import stock
import torch
from runs import in_ranks, on_rank, virtual
from torch import Tensor
from torch.nn import Module

from genhub.api import PeerLost
from genhub.comm import ThreadComm, in_threads
from genhub.comm.replica import replica
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
    with virtual(pipeline(name), AsyncDiffConfig(components=2, warmup=2 * STEPS)):
        assert torch.equal(stock.run(name, pipeline(name), STEPS), serial(name))


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


class Stop(Exception):
    """What a user's callback or hook raises."""


def stop_in_callback(pipe: Any) -> None:
    def callback(pipe: Any, step: int, *_: Any) -> Any:
        if step == 3:
            raise Stop
        return {}

    stock.run("sd", pipe, callback_on_step_end=callback)


def stop_in_hook(pipe: Any) -> None:
    calls = []

    def hook(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 4:
            raise Stop

    handle = pipe.unet.mid_block.register_forward_hook(hook)
    try:
        stock.run("sd", pipe)
    finally:
        handle.remove()


STOPS = {"callback": stop_in_callback, "hook": stop_in_hook}


@pytest.mark.parametrize("stop", STOPS)
def test_ranks_that_raise_leave_nothing_on_their_pipelines(stop):
    serial("sd")  # a first call sets attributes of the pipeline
    pipes = [replica(pipeline("sd")) for _ in range(2)]
    untouched = [traces(pipe) for pipe in pipes]
    config = AsyncDiffConfig(components=2)

    def rank(comm: ThreadComm) -> None:
        on_rank(comm, pipes[comm.rank], config, STOPS[stop])

    made = in_threads(ThreadComm.group(2, timeout=20), rank)
    kinds = {type(error) for error in made}
    assert Stop in kinds and kinds <= {Stop, PeerLost}  # in the midst of a call, whoever is first
    assert [traces(pipe) for pipe in pipes] == untouched
    assert all(torch.equal(stock.run("sd", pipe), serial("sd")) for pipe in pipes)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("stop", STOPS)
def test_a_run_after_one_that_was_stopped_is_like_a_fresh_one(stop, schedule):
    pipe, config = pipeline("sd"), AsyncDiffConfig(**SCHEDULES[schedule])
    with torch.no_grad(), virtual(pipe, config):
        fresh = stock.run("sd", pipe)
        with pytest.raises(Stop):
            STOPS[stop](pipe)
        assert torch.equal(stock.run("sd", pipe), fresh)


def test_ranks_stopped_between_steps_go_on_afresh():
    def twice(pipe: Any) -> Tensor:
        with pytest.raises(Stop):
            stop_in_callback(pipe)
        return stock.run("sd", pipe)

    config = AsyncDiffConfig(components=2)
    made = in_ranks(pipeline("sd"), config, twice)
    expected = agree("sd", components=2)
    assert all(torch.equal(made[rank].result, expected) for rank in made[0].outputs)


@contextmanager
def inputs(module: Module) -> Iterator[list[Any]]:
    """Keep the first argument of every call of a module."""
    seen: list[Any] = []
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        yield seen
    finally:
        handle.remove()


def times_at_stride_2(t: list[int]) -> list[int]:
    """Give the times of two full calls and of all devices in every round after them."""
    found = t[:2]
    for r in range(2, len(t), 2):
        last = t[min(r + 1, len(t) - 1)]
        found += [last, last, t[r]]
    return found


def times_of(module: Module, call: Callable[[], Any]) -> list[int]:
    """Give the timesteps that the embedding of time is given."""
    with torch.no_grad(), inputs(module) as seen:
        call()
    return [int(x.reshape(-1)[0]) for x in seen]


@pytest.mark.parametrize("name", ["sd", "sd pndm", "sd heun", "img2img", "inpaint"])
def test_a_round_computes_at_the_times_of_the_steps_that_are_really_taken(name):
    pipe, embedding = pipeline(name), pipeline(name).unet.time_proj
    t = times_of(embedding, lambda: stock.run(name, pipe, 10))
    with virtual(pipe, AsyncDiffConfig(**SCHEDULES["stride 2"])):
        seen = times_of(embedding, lambda: stock.run(name, pipe, 10))
    assert seen == times_at_stride_2(t)


def test_a_second_denoiser_warms_up_and_goes_on_at_its_own_times():
    pipe, config = pipeline("wan twice"), AsyncDiffConfig(**SCHEDULES["stride 2"])
    embedding = pipe.transformer_2.condition_embedder.timesteps_proj
    t = times_of(embedding, lambda: stock.run("wan twice", pipe, 20))[::2]  # of one branch
    assert 6 < len(t) < 20
    with virtual(pipe, config):
        seen = times_of(embedding, lambda: stock.run("wan twice", pipe, 20))
    assert sorted(seen) == sorted(2 * times_at_stride_2(t))


def without_guidance_from_the_middle(pipe: Any) -> Tensor:
    """Halve the batch in a callback, as the documentation of diffusers shows."""

    def callback(pipe: Any, step: int, _: Any, given: dict[str, Any]) -> dict[str, Any]:
        if step == 3:
            pipe._guidance_scale = 0.0
            given["prompt_embeds"] = given["prompt_embeds"].chunk(2)[-1]
        return given

    watched = {"callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
    return stock.run("sd", pipe, 10, callback_on_step_end=callback, **watched)


def test_guidance_that_ends_in_the_middle_warms_up_anew():
    pipe, config = pipeline("sd"), AsyncDiffConfig(**SCHEDULES["stride 2"])
    embedding = pipe.unet.time_proj
    t = times_of(embedding, lambda: without_guidance_from_the_middle(pipe))
    with virtual(pipe, config):
        seen = times_of(embedding, lambda: without_guidance_from_the_middle(pipe))
        one = without_guidance_from_the_middle(pipe)
    first = [*t[:2], t[3], t[3], t[2]]
    assert seen == first + times_at_stride_2(t[4:])
    made = in_ranks(pipe, config, without_guidance_from_the_middle)
    assert all(torch.equal(made[rank].result, one) for rank in made[0].outputs)


@pytest.mark.parametrize("name", ["img2img", "sd pndm"])
def test_a_time_shift_takes_the_step_before(name):
    pipe, embedding = pipeline(name), pipeline(name).unet.time_proj
    t = times_of(embedding, lambda: stock.run(name, pipe, 10))
    with virtual(pipe, AsyncDiffConfig(components=2, time_shift=True, warmup=2)):
        seen = times_of(embedding, lambda: stock.run(name, pipe, 10))
    assert seen == [*t[:2], *(x for x in t[1:-1] for _ in range(2))]


def counted(pick: Callable[[Any], Module]) -> Callable[[Any], int]:
    """Give what counts, on a rank, the calls of a module in one generation."""

    def call(pipe: Any) -> int:
        with inputs(pick(pipe)) as seen:
            stock.run("controlnet", pipe)
        return len(seen)

    return call


def test_free_calls_run_neither_denoiser_nor_controlnet():
    """Two full calls and two rounds make six steps."""
    config = AsyncDiffConfig(**SCHEDULES["stride 2"])
    pipe = pipeline("controlnet")
    with torch.no_grad():
        assert counted(lambda p: p.controlnet.conv_in)(pipe) == STEPS
    for pick in (lambda p: p.controlnet.conv_in, lambda p: p.unet.time_proj):
        made = in_ranks(pipe, config, counted(pick))
        assert [rank.result for rank in made] == [4] * 3


def test_guidance_that_ends_before_a_free_call_asks_the_controlnet_again():
    def call(pipe: Any) -> Tensor:
        def callback(pipe: Any, step: int, _: Any, given: dict[str, Any]) -> dict[str, Any]:
            if step == 2:  # the first call of a round; the next one would be free
                pipe._guidance_scale = 0.0
                given["prompt_embeds"] = given["prompt_embeds"].chunk(2)[-1]
                given["image"] = given["image"].chunk(2)[-1]
            return given

        watched = {"callback_on_step_end_tensor_inputs": ["prompt_embeds", "image"]}
        with inputs(pipe.unet.mid_block) as seen:
            made = stock.run("controlnet", pipe, callback_on_step_end=callback, **watched)
        assert made.shape == (1, 4, 8, 8) and seen[-1].shape[0] == 1
        return made

    pipe = pipeline("controlnet")
    with torch.no_grad(), virtual(pipe, AsyncDiffConfig(**SCHEDULES["stride 2"])):
        assert call(pipe).isfinite().all()


SIZES = [{}, {"num_images_per_prompt": 2}, {"width": 24}, {"guidance_scale": 1.0}]


def in_all_sizes(pipe: Any) -> list[Tensor]:
    return [stock.run("sd", pipe, **size) for size in (*SIZES, SIZES[0])]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_size_batch_and_guidance_may_change_between_runs(schedule):
    pipe, config = pipeline("sd"), AsyncDiffConfig(**SCHEDULES[schedule])
    fresh = []
    for size in SIZES:
        with torch.no_grad(), virtual(pipe, config):
            fresh.append(stock.run("sd", pipe, **size))
    expected = [*fresh, fresh[0]]
    made = in_ranks(pipe, config, in_all_sizes)
    for rank in made[0].outputs:
        assert all(map(torch.equal, made[rank].result, expected))


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tensors() -> int:
    gc.collect()
    return sum(issubclass(type(x), Tensor) for x in gc.get_objects())


def kept_by(pipe: Any, calls: int, count: Callable[[], int]) -> tuple[int, int]:
    """Run in changing sizes; gives `count()` after a fifth of the calls and after all."""
    before = 0
    for i in range(calls):
        stock.run("sd", pipe, 3, **SIZES[i % len(SIZES)])
        if i == calls // 5 - 1:
            before = count()
    return before, count()


def test_a_hundred_calls_of_mixed_size_keep_no_memory():
    made = in_ranks(
        pipeline("sd"), AsyncDiffConfig(components=2), lambda p: kept_by(p, 100, resident)
    )
    for rank in made:
        before, after = rank.result
        assert after < 1.01 * before


def test_calls_of_mixed_size_keep_no_tensor():
    pipe = pipeline("sd")
    with torch.no_grad(), virtual(pipe, AsyncDiffConfig(components=2)):
        before, after = kept_by(pipe, 40, tensors)
    assert after == before


@pytest.mark.parametrize("name", ["sd", "controlnet", "svd", "wan"])
def test_pipelines_run_where_ranks_keep_only_their_weights(name):
    """The pipeline still knows its device, which it may ask of the denoiser's first weight."""
    settings = {"components": 2, "warmup": 2, "wrap": False}
    pipe = pipeline(name)
    with torch.no_grad(), virtual(pipe, AsyncDiffConfig(**settings)):
        one = stock.run(name, pipe)
    config = AsyncDiffConfig(**settings, warmup_mode="pipeline", shard_weights=True)

    def run(pipe: Any) -> Tensor:
        denoiser = pipe.components.get("unet") or pipe.transformer
        assert denoiser.device.type == "cpu"
        assert sum(p.is_meta for p in denoiser.parameters()) > 10
        return stock.run(name, pipe)

    made = in_ranks(pipe, config, run)
    for rank in made[0].outputs:
        torch.testing.assert_close(made[rank].result, one, rtol=1e-4, atol=1e-4)
    assert torch.equal(stock.run(name, pipe), serial(name))
