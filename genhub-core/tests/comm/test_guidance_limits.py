from __future__ import annotations

import copy
import inspect
import pickle
from contextlib import nullcontext
from types import SimpleNamespace

import guided
import pytest
import tiny
import torch

from genhub.api import GenHubError, GuidanceSplit
from genhub.comm import ThreadComm, in_threads
from genhub.comm.replica import replica
from genhub.plan import attach, facts_of

CFG = {"type": "cfg-parallel"}


def on_two(function, timeout=20.0):
    """Give what two rank threads return; raise what the first of them raised."""
    outcomes = in_threads(ThreadComm.group(2, "cpu", timeout), function)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


def split_in_two(denoiser, call):
    """Give what `call(denoiser)` returns on two ranks that split a bare denoiser."""

    @torch.no_grad()
    def rank(comm):
        mine = replica(denoiser)
        clock = SimpleNamespace(step=0, call=0, branch=None)
        context = SimpleNamespace(pipeline=mine, denoisers={"unet": mine}, clock=clock)
        with GuidanceSplit(context, comm):
            output = call(mine)
        return output, sum(comm.sent.values())

    return on_two(rank)


def guided_call(denoiser):
    """Give arguments for two branches of one latent, after the denoiser's example call."""
    word = "transformer" if "Transformer" in type(denoiser).__name__ else "unet"
    args, kwargs = facts_of(denoiser).example_call(word)
    draw = torch.Generator().manual_seed(3)

    def filled(x, name=""):
        if isinstance(x, dict):
            return {inner: filled(value, inner) for inner, value in x.items()}
        if not isinstance(x, torch.Tensor):
            return x
        if not x.is_floating_point():
            return torch.full((2, *x.shape[1:]) if x.ndim else (), 1)
        rows = 1 if name in ("img_ids", "txt_ids") else 2
        drawn = torch.rand(x.shape[0] * rows, *x.shape[1:], generator=draw)
        return drawn.chunk(2)[0].repeat(2, *[1] * (x.ndim - 1)) if name in LATENT else drawn

    named = {name: filled(x, name) for name, x in kwargs.items()}
    return [filled(x, "sample" if i == 0 else "") for i, x in enumerate(args)], named


LATENT = ("sample", "hidden_states")


@pytest.mark.parametrize("family", tiny.FAMILIES)
@torch.no_grad()
def test_every_family_gives_both_ranks_what_one_process_computes(family):
    denoiser = tiny.FAMILIES[family]()
    args, kwargs = guided_call(denoiser)
    alone = denoiser(*args, **kwargs)[0]

    ranks = split_in_two(denoiser, lambda mine: mine(*args, **kwargs)[0])

    for output, sent in ranks:
        assert torch.equal(output, ranks[0][0]) and output.shape == alone.shape
        assert torch.allclose(output, alone, rtol=1e-4, atol=1e-5)
        assert sent == output.numel() * output.element_size() // 2
    assert not torch.equal(*alone.chunk(2))


def small_call(denoiser, batch=2, **more):
    draw = torch.Generator().manual_seed(4)
    sample = torch.randn(1, 4, 8, 8, generator=draw).repeat(batch, 1, 1, 1)
    text = torch.randn(batch, 6, 12, generator=draw)
    return denoiser(sample, 7, encoder_hidden_states=text, **more)


@torch.no_grad()
def test_outputs_keep_the_form_that_the_denoiser_gives_them():
    unet = tiny.sd()
    alone = small_call(unet)

    def both(mine):
        return small_call(mine), small_call(mine, return_dict=False)

    for (output, plain), _ in split_in_two(unet, both):
        assert type(output) is type(alone) and type(plain) is tuple
        assert torch.equal(output.sample, plain[0])
        assert torch.allclose(plain[0], alone.sample, atol=1e-5)


@torch.no_grad()
def test_residuals_of_a_controlnet_are_halved_and_a_short_timestep_is_not():
    unet = tiny.sd()
    sizes = [(8, 8), (8, 8), (8, 4), (16, 4)]
    more = {
        "down_block_additional_residuals": tuple(torch.rand(2, c, n, n) for c, n in sizes),
        "mid_block_additional_residual": torch.rand(2, 16, 4, 4),
    }
    seen = []

    def call(mine):
        for inner in (mine.mid_block, mine.time_proj):
            inner.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[0]))
        return mine(latents, torch.tensor([7]), encoder_hidden_states=text, **more)[0]

    latents, text = torch.rand(1, 4, 8, 8).repeat(2, 1, 1, 1), torch.rand(2, 6, 12)
    alone = unet(latents, torch.tensor([7]), encoder_hidden_states=text, **more)[0]
    for output, _ in split_in_two(unet, call):
        assert torch.allclose(output, alone, atol=1e-5)
    assert seen == [1] * 4


def wrong(pipeline, call):
    """Give the errors of two ranks that attach and call."""

    def rank(comm):
        mine = replica(pipeline)
        with attach(mine, parallel=CFG, comm=comm):
            call(mine, comm)

    return in_threads(ThreadComm.group(2, "cpu", 20.0), rank)


def assert_all(errors, code, *said):
    for error in errors:
        assert isinstance(error, GenHubError) and error.code == code, error
        assert all(part in str(error) for part in said), error


def test_without_guidance_nothing_is_generated():
    pipeline = tiny.stable_diffusion()
    ran = []
    pipeline.unet.conv_in.register_forward_hook(lambda *_: ran.append(1))
    errors = wrong(pipeline, lambda mine, comm: tiny.latents(mine, guidance=1.0))
    assert_all(errors, "GH408", "StableDiffusionPipeline runs without guidance")
    assert ran == []


def test_without_guidance_separate_calls_are_refused_too():
    errors = wrong(guided.wan("float32"), lambda m, comm: guided.wan_latents(m, guidance_scale=1.0))
    assert_all(errors, "GH408", "WanPipeline runs without guidance")


def test_a_batch_of_two_different_latents_is_no_guidance():
    latents, text = torch.randn(2, 4, 8, 8), torch.zeros(2, 6, 12)
    errors = wrong(tiny.sd(), lambda m, comm: m(latents, 7, encoder_hidden_states=text))
    assert_all(errors, "GH408", "UNet2DConditionModel runs without guidance")


def test_an_odd_batch_is_no_guidance():
    errors = wrong(tiny.sd(), lambda unet, comm: small_call(unet, batch=3))
    assert_all(errors, "GH408", "runs without guidance")


def test_more_than_two_branches_are_refused():
    pipeline = tiny.stable_diffusion()
    pipeline.do_perturbed_attention_guidance = True
    assert_all(wrong(pipeline, lambda m, comm: tiny.latents(m)), "GH407", "more than two branches")


def test_ranks_that_denoise_different_latents_are_told_so():
    errors = wrong(
        tiny.stable_diffusion(),
        lambda mine, comm: mine(
            prompt_embeds=torch.zeros(1, 6, 12),
            negative_prompt_embeds=torch.ones(1, 6, 12),
            num_inference_steps=1,
            guidance_scale=3.0,
            output_type="latent",
            generator=torch.Generator().manual_seed(comm.rank),
        ),
    )
    assert_all(errors, "GH609", "what the denoiser is given", "rank 0 has", "rank 1 has")


def test_a_step_that_ran_one_branch_only_is_no_guidance():
    class Mute(type(guided.wan("float32"))):
        do_classifier_free_guidance = None  # as in pipelines that do not say

    def call(mine, comm):
        mine.__class__ = Mute
        guided.wan_latents(mine, guidance_scale=1.0)

    errors = wrong(guided.wan("float32"), call)
    assert_all(errors, "GH408", "Mute runs without guidance")


class Branches(torch.nn.Module):
    """A denoiser that is called once per guidance branch."""

    def __init__(self):
        super().__init__()
        self.map = torch.nn.Linear(4, 4)
        self.config = {}
        self.dtype = torch.float32

    def cache_context(self, name):
        return nullcontext()

    def forward(self, hidden_states, scale):
        return (self.map(hidden_states) * scale,)


def branch(model, name, scale, x):
    with model.cache_context(name):
        return model(hidden_states=x, scale=scale)[0]


def branches_of_two(steps):
    torch.manual_seed(0)
    model = Branches()
    x = torch.randn(3, 4)

    @torch.no_grad()
    def rank(comm):
        mine = replica(model)
        with attach(mine, parallel=CFG, comm=comm):
            for _ in range(3):
                result = steps(mine, x)
        return result

    return steps(model, x), in_threads(ThreadComm.group(2, "cpu", 20.0), rank)


def test_views_taken_before_the_other_branch_ran_see_its_values():
    def views(model, x):
        with torch.no_grad():
            cond = branch(model, "cond", 2.0, x)[:, 1:].unsqueeze(0)
            uncond = branch(model, "uncond", 3.0, x)[:, 1:].unsqueeze(0)
            return uncond + 3 * (cond - uncond)

    alone, ranks = branches_of_two(views)
    assert torch.equal(ranks[0], alone) and torch.equal(ranks[1], alone)


@pytest.mark.parametrize("order", [("cond", "uncond"), ("uncond", "cond")])
def test_reading_one_branch_before_the_other_ran_is_an_error_not_a_wrong_picture(order):
    def eager(model, x):
        with torch.no_grad():
            first = -branch(model, order[0], 2.0, x)
            return first + branch(model, order[1], 3.0, x)

    _, ranks = branches_of_two(eager)
    reader = ranks[0] if order[0] == "cond" else ranks[1]
    assert_all([reader], "GH407", "Branches reads one guidance branch before it runs the other")


def test_a_branch_that_never_comes_is_an_error():
    def lonely(model, x):
        with torch.no_grad():
            return branch(model, "cond", 2.0, x)

    _, ranks = branches_of_two(lonely)
    assert_all(ranks, "GH408", "runs without guidance")


def test_a_third_branch_is_an_error():
    def three(model, x):
        with torch.no_grad():
            return branch(model, "uncond_stg", 2.0, x)

    _, ranks = branches_of_two(three)
    assert_all(ranks, "GH407", "a third guidance branch, 'uncond_stg'")


def test_guidance_built_into_the_model_is_known_before_anything_runs():
    unet = tiny.sd(time_cond_proj_dim=8)
    with pytest.raises(GenHubError, match=r"GH408.*guidance is built into unet"):
        attach(unet, parallel=CFG, comm=ThreadComm.group(2)[0])


def test_one_process_is_too_few():
    with pytest.raises(GenHubError, match=r"GH406.*'cfg-parallel' needs 2 processes, 1 available"):
        attach(tiny.sd(), parallel=CFG)


def test_a_detached_denoiser_is_as_it_was_and_copies_are_ordinary():
    pipeline = tiny.stable_diffusion()
    before = dict(vars(pipeline.unet))
    signature = inspect.signature(pipeline.unet.forward)
    attached = attach(pipeline, parallel=CFG, comm=ThreadComm.group(2)[0])
    assert inspect.signature(pipeline.unet.forward) == signature
    twins = copy.deepcopy(pipeline.unet), pickle.loads(pickle.dumps(pipeline.unet))
    attached.detach()

    assert vars(pipeline.unet) == before
    for twin in twins:
        assert twin.forward.__self__ is twin
        assert torch.equal(small_call(twin)[0], small_call(pipeline.unet)[0])


def test_what_was_put_over_the_forward_later_stays():
    unet = tiny.sd()
    attached = attach(unet, parallel=CFG, comm=ThreadComm.group(2)[0])
    split = unet.forward
    unet.forward = lambda *args, **kwargs: split(*args, **kwargs)
    over = unet.forward
    attached.detach()

    assert unet.forward is over
    assert torch.equal(small_call(unet)[0], small_call(tiny.sd())[0])


class Small(torch.nn.Module):
    """A denoiser whose forward is one graph."""

    def __init__(self):
        super().__init__()
        self.map = torch.nn.Linear(4, 4)

    def forward(self, sample, text):
        return (self.map(sample) * text,)


@pytest.mark.parametrize("how", ["wrapped before", "in place after"])
def test_the_forward_of_a_compiled_denoiser_is_split_and_stays_compiled(how):
    torch.compiler.reset()
    x, text, graphs = torch.rand(1, 4).repeat(2, 1), torch.rand(2, 1), []

    def backend(graph, inputs):
        graphs.append([tuple(x.shape) for x in inputs])
        return graph.forward

    model = Small()
    called = torch.compile(model, backend=backend) if how == "wrapped before" else model

    @torch.no_grad()
    def rank(comm):
        clock = SimpleNamespace(step=0, call=0, branch=None)
        context = SimpleNamespace(pipeline=model, denoisers={"unet": called}, clock=clock)
        with GuidanceSplit(context, comm):
            if how == "in place after":
                model.compile(backend=backend)
            return called(x, text)[0], called(x, text)[0]

    @torch.no_grad()
    def peer(comm):
        clock = SimpleNamespace(step=0, call=0, branch=None)
        other = replica(Small())
        other.load_state_dict(model.state_dict())
        with GuidanceSplit(SimpleNamespace(pipeline=0, denoisers={"": other}, clock=clock), comm):
            return other(x, text)[0], other(x, text)[0]

    for outputs in on_two(lambda comm: (rank, peer)[comm.rank](comm)):
        for output in outputs:
            assert torch.allclose(output, Small.forward(model, x, text)[0])
    assert graphs and all((1, 4) in shapes and (2, 4) not in shapes for shapes in graphs)


def test_replicas_share_tensors_and_nothing_that_is_changed_by_a_call():
    pipeline = tiny.stable_diffusion()
    twin = replica(pipeline)

    assert type(twin) is type(pipeline) and twin is not pipeline
    assert twin.unet is not pipeline.unet and twin.vae is not pipeline.vae
    assert twin.scheduler is not pipeline.scheduler
    pairs = zip(twin.unet.parameters(), pipeline.unet.parameters(), strict=True)
    assert all(mine is theirs for mine, theirs in pairs)
    assert twin.unet.conv_in is not pipeline.unet.conv_in
    assert torch.equal(tiny.latents(twin), tiny.latents(pipeline))
    assert twin.unet in twin.components.values()


def test_an_offloaded_pipeline_has_no_replicas():
    pipeline = tiny.stable_diffusion()
    pipeline.unet._hf_hook = object()
    with pytest.raises(GenHubError, match=r"GH407.*unet is offloaded"):
        replica(pipeline)
