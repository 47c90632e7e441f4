"""What users are told: worlds, splits, schedules, unequal ranks, rivals."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler
from diffusers.hooks import HookRegistry, ModelHook
from networks import GoldenPipeline, components
from pydantic import ValidationError
from runs import in_ranks, on_rank, virtual

import genhub
from genhub.api import GenHubError
from genhub.comm import ThreadComm, in_threads
from genhub.comm.replica import replica
from genhub.testing import families
from genhub_asyncdiff.plugin import AsyncDiffConfig

CONFIG = AsyncDiffConfig(components=2)


@pytest.fixture
def pipe() -> GoldenPipeline:
    return GoldenPipeline("sd21", 11, "ddim")


def said(error: Any) -> str:
    problem = error.problems[0]
    return f"{problem.code}: {problem.message}; {problem.hint}"


def attach(pipe: Any, world: int = 2, **settings: Any) -> str:
    """Attach on one of several ranks and give what is said; the pipeline stays as it was."""
    before = dict(vars(pipe.denoiser))
    with pytest.raises(GenHubError) as raised:
        block = {"type": "asyncdiff", **settings}
        genhub.attach(pipe, parallel=block, comm=ThreadComm.group(world)[0])
    assert vars(pipe.denoiser).keys() == before.keys()
    return said(raised.value)


@pytest.mark.parametrize(
    "world, settings, words",
    [
        (2, {"components": 3, "stride": 2}, ["needs 4", "2"]),
        (3, {"components": 2}, ["uses 2 ranks, or 4", "this run has 3", "launch.processes"]),
        (4, {"components": 2, "cfg_parallel": False}, ["needs", "2"]),
        (2, {"components": 2, "cfg_parallel": True}, ["needs 4"]),
    ],
)
def test_a_wrong_number_of_ranks_names_the_right_one(pipe, world, settings, words):
    message = attach(pipe, world, **settings)
    assert message.startswith("GH406")
    assert all(word in message for word in words), message


def lists(*changes: Any) -> list[list[str]]:
    made = [list(names) for names in components()["sd21_n2"]]
    for change in changes:
        change(made)
    return made


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s[0].remove("mid_block"), ["no list has mid_block.resnets.0"]),
        (lambda s: s[1].append("up_blocks.0.resnets.1"), ["up_blocks.0.resnets.1", "list 0"]),
        (lambda s: s[1].append("up_block.0"), ["up_block.0", "did you mean 'up_blocks.0'"]),
        (lambda s: s.reverse(), ["conv_out", "output"]),
        (lambda s: s[0].append("time_embedding"), ["time_embedding"]),
    ],
)
def test_a_wrong_split_says_which_module_is_wrong(pipe, change, words):
    message = attach(pipe, components=2, split=lists(change))
    assert message.startswith("GH4")
    assert all(word in message for word in words), message


def test_more_components_than_units_are_refused(pipe):
    pipe = GoldenPipeline("sd3", 15, "flow")
    pipe.transformer.transformer_blocks = pipe.transformer.transformer_blocks[:1]
    assert "components cannot be made of" in attach(pipe, 8, components=8)


def test_a_split_that_is_not_published_names_those_that_are(pipe):
    message = attach(pipe, components=2, split="published")
    assert "UNet2DConditionModel" in message and "Stable Diffusion XL" in message


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"shard_weights": True}, ["warmup_mode: pipeline", "replicate"]),
        ({"anchor": "odd", "stride": 3}, ["anchor: odd", "3"]),
        ({"components": 3, "split": [["a"], ["b"]]}, ["2 lists", "3 components"]),
        ({"components": 1, "warmup_mode": "cfg"}, ["two ranks"]),
        ({"split": "published", "split_metric": "time"}, ["split_metric"]),
        ({"components": 9}, ["less than or equal to 8"]),
        ({"warmup": 0}, ["greater than or equal to 1"]),
    ],
)
def test_settings_that_contradict_are_refused_before_anything_is_loaded(settings, words):
    with pytest.raises(ValidationError) as raised:
        AsyncDiffConfig(**settings)
    assert all(word in str(raised.value) for word in words), str(raised.value)


def test_a_bare_denoiser_has_no_timesteps(pipe):
    def call(unet: Any) -> Any:
        return unet(torch.zeros(1, 4, 8, 8).double(), 1, torch.zeros(1, 5, 16).double())

    with pytest.raises(GenHubError) as raised:
        in_ranks(pipe.unet, CONFIG, call)
    assert "attach to the pipeline" in said(raised.value)


def test_timesteps_that_are_not_the_schedulers_are_refused_where_others_take_their_place():
    class Strange(GoldenPipeline):
        """Gives its denoiser times of its own."""

    strange = Strange("sd3", 15, "flow")
    config = AsyncDiffConfig(components=2, stride=2)
    handle = strange.transformer.register_forward_pre_hook(
        lambda m, a, k: (a, k | {"timestep": 0.5 * k["timestep"] + 1}), with_kwargs=True
    )
    with virtual(strange, config), pytest.raises(GenHubError) as raised:
        strange(8)
    handle.remove()
    assert "Strange" in said(raised.value) and "stride: 1" in said(raised.value)


def test_ranks_that_denoise_different_noise_are_told(pipe):
    def rank(comm: Any) -> Any:
        mine = replica(pipe)
        mine.seed = 11 + comm.rank
        return on_rank(comm, mine, CONFIG, lambda p: p(8))

    errors = in_threads(ThreadComm.group(2, timeout=60), rank)
    assert all("GH609" in str(error) for error in errors)
    assert "what the denoiser is given" in str(errors[0])


def test_ranks_with_other_weights_are_told(pipe):
    def rank(comm: Any) -> Any:
        mine = GoldenPipeline("sd21", 11 + comm.rank, "ddim")
        return on_rank(comm, mine, CONFIG, lambda p: p(8))

    errors = in_threads(ThreadComm.group(2, timeout=60), rank)
    assert all("GH609" in str(error) and "weights of unet" in str(error) for error in errors)


def test_defaults_that_processes_list_in_another_order_are_no_difference(pipe):
    def rank(comm: Any) -> Any:
        mine = replica(pipe)
        names = ["act_fn", "dropout", "norm_eps"]
        defaults = names if comm.rank else names[::-1]
        mine.unet.register_to_config(_use_default_values=defaults)
        return on_rank(comm, mine, CONFIG, lambda p: p(8))

    ranks = in_threads(ThreadComm.group(2, timeout=60), rank)
    assert [rank.engine.calls["sync"] for rank in ranks] == [1, 1]


def test_a_scheduler_that_draws_different_noise_on_each_rank_is_told(pipe):
    pipe.scheduler = EulerAncestralDiscreteScheduler.from_config(pipe.scheduler.config)

    def rank(comm: Any) -> Any:
        mine = replica(pipe)
        mine.noise = torch.Generator().manual_seed(comm.rank)
        return on_rank(comm, mine, CONFIG, lambda p: p(8))

    errors = in_threads(ThreadComm.group(2, timeout=60), rank)
    assert all("GH609" in str(error) for error in errors)
    assert "generator" in str(errors[0])


def test_weights_that_come_and_go_are_told(pipe):
    pipe.unet.mid_block.to("meta")
    comm = ThreadComm.group(1)[0]
    with pytest.raises(GenHubError) as raised:
        genhub.attach(pipe, parallel={"type": "asyncdiff", "components": 1}, comm=comm)
    assert "weights of unet" in said(raised.value) and "offload" in said(raised.value)


def test_warm_up_by_halves_says_that_a_call_per_branch_has_none(caplog):
    config = AsyncDiffConfig(components=2, warmup=2, warmup_mode="cfg")
    with caplog.at_level(logging.WARNING, logger="genhub"):
        in_ranks(families.pipeline("wan"), config, lambda p: p(seeds=(1,), steps=4, guidance=3.0))
    assert sum("has no halves" in record.getMessage() for record in caplog.records) == 1


def test_another_hook_that_skips_blocks_is_named(pipe):
    class Rival(ModelHook):
        pass

    block = pipe.unet.down_blocks[0]
    HookRegistry.check_if_exists_or_initialize(block).register_hook(Rival(), "fbc_block_hook")
    comms = ThreadComm.group(2, timeout=60)
    twins = [pipe, replica(pipe)]
    errors = in_threads(comms, lambda comm: on_rank(comm, twins[comm.rank], CONFIG, lambda p: p(8)))
    assert "fbc_block_hook" in str(errors[0]) and "unet.down_blocks.0" in str(errors[0])


@pytest.mark.parametrize(
    "settings, steps, words",
    [
        ({"components": 2}, 4, "4 calls are few"),
        ({"components": 2, "warmup": 8}, 8, "all 8 calls are warm-up"),
        ({"components": 2, "stride": 2, "anchor": "odd", "warmup": 2}, 12, "repeats"),
        ({"components": 2, "split": [["conv_in"], ["down_blocks", "mid_block", "up_blocks",
                                                  "conv_norm_out", "conv_out"]]}, 12, "unevenly"),
    ],
)  # fmt: skip
def test_what_spoils_a_run_is_a_warning(pipe, caplog, settings, steps, words):
    with caplog.at_level(logging.WARNING, logger="genhub"):
        in_ranks(pipe, AsyncDiffConfig(**settings), lambda p: p(steps))
    assert sum(words in record.getMessage() for record in caplog.records) == 1
