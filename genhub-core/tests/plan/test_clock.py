from __future__ import annotations

import copy
import pickle
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import drivers
import pytest
import tiny
import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2DiscreteScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
)

from genhub.plan import attach
from genhub.plan.clock import Clock, Ticker


def watched(pipeline, registries):
    attached = attach(pipeline, [{"type": "watch"}], registries=registries)
    return attached, attached.driver("watch").calls


@pytest.mark.parametrize("guidance", [0.0, 3.0])
def test_one_call_per_step_with_and_without_guidance(guidance, registries):
    pipeline = tiny.stable_diffusion()
    attached, calls = watched(pipeline, registries)

    tiny.latents(pipeline, steps=4, guidance=guidance)

    times = [float(t) for t in pipeline.scheduler.timesteps]
    assert calls == [(step, 4, 0, None, times[step]) for step in range(4)]
    assert attached.driver("watch").inside == times
    assert attached.context.clock.step == 3


@pytest.mark.parametrize("cls", [HeunDiscreteScheduler, KDPM2DiscreteScheduler])
def test_evaluations_of_one_step_are_its_calls(cls, registries):
    pipeline = tiny.stable_diffusion(cls())
    attached, calls = watched(pipeline, registries)
    ends = []

    with attached.listening(ends.append):
        tiny.latents(pipeline, steps=3)

    assert [call[:3] for call in calls] == [(0, 3, 0), (0, 3, 1), (1, 3, 0), (1, 3, 1), (2, 3, 0)]
    assert [(end.index, end.steps) for end in ends] == [(0, 3), (1, 3), (2, 3)]
    times = [float(t) for t in pipeline.scheduler.timesteps]
    told = attached.driver("watch").evaluations
    assert told == [(i, 5, times[i]) for i in range(5)]


def test_pseudo_linear_multistep_counts_its_extra_step(registries):
    pipeline = tiny.stable_diffusion(PNDMScheduler(skip_prk_steps=True, steps_offset=1))
    _, calls = watched(pipeline, registries)

    tiny.latents(pipeline, steps=5)

    assert [call[:3] for call in calls] == [(step, 6, 0) for step in range(6)]


@pytest.mark.parametrize("cls", [DDIMScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler])
def test_image_to_image_counts_the_steps_it_runs(cls, registries):
    components = tiny.stable_diffusion(cls()).components
    pipeline = StableDiffusionImg2ImgPipeline(**components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    attached, calls = watched(pipeline, registries)

    pipeline(
        image=torch.zeros(1, 3, 16, 16),
        prompt_embeds=torch.zeros(1, 6, 12),
        negative_prompt_embeds=torch.zeros(1, 6, 12),
        strength=0.5,
        num_inference_steps=6,
        output_type="latent",
        generator=torch.Generator().manual_seed(0),
    )

    assert sorted({call[:2] for call in calls}) == [(0, 3), (1, 3), (2, 3)]
    told, last = attached.driver("watch").evaluations, float(pipeline.scheduler.timesteps[-1])
    assert [number for number, _, _ in told] == list(range(len(calls)))
    assert told[-1] == (len(calls) - 1, len(calls), last)
    assert [time for _, _, time in told] == [call[4] for call in calls]


def test_every_generation_starts_anew_also_after_a_failed_one(registries):
    pipeline = tiny.stable_diffusion()
    attached, calls = watched(pipeline, registries)
    tiny.latents(pipeline, steps=2)

    def interrupted(end):
        raise KeyboardInterrupt

    with attached.listening(interrupted), pytest.raises(KeyboardInterrupt):
        tiny.latents(pipeline, steps=4)
    calls.clear()
    tiny.latents(pipeline, steps=3)

    assert [call[:3] for call in calls] == [(0, 3, 0), (1, 3, 0), (2, 3, 0)]
    assert attached.driver("watch").resets == 3


def test_several_calls_of_one_step_are_numbered(registries):
    pipeline = tiny.stable_diffusion()
    _, calls = watched(pipeline, registries)
    scheduler, x, text = pipeline.scheduler, torch.zeros(1, 4, 8, 8), torch.zeros(1, 6, 12)

    scheduler.set_timesteps(2)
    with torch.no_grad():
        for t in scheduler.timesteps:
            pipeline.unet(x, t, encoder_hidden_states=text)
            noise = pipeline.unet(sample=x, timestep=t, encoder_hidden_states=text).sample
            x = scheduler.step(noise, t, x, return_dict=False)[0]

    assert [call[:3] for call in calls] == [(0, 2, 0), (0, 2, 1), (1, 2, 0), (1, 2, 1)]
    assert calls[0][4] == calls[1][4] == float(scheduler.timesteps[0])


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, copy.copy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_copy_of_the_scheduler_moves_no_clock_and_steps_only_itself(duplicate, registries):
    pipeline = tiny.stable_diffusion(EulerDiscreteScheduler())
    attached, _ = watched(pipeline, registries)
    pipeline.scheduler.set_timesteps(4)
    twin = duplicate(pipeline.scheduler)
    ends = []

    with attached.listening(ends.append):
        x, t = torch.ones(1, 4, 8, 8), twin.timesteps[0]
        twin.scale_model_input(x, t)
        twin.step(x, t, x)
        twin.set_timesteps(9)
        assert ends == [] and pipeline.scheduler.step_index is None
        assert attached.driver("watch").resets == 1
        pipeline.scheduler.step(x, t, x)
        assert len(ends) == 1 and pipeline.scheduler.step_index == 1

    assert type(twin) is EulerDiscreteScheduler and twin.step_index is None
    assert len(pipeline.scheduler.timesteps) == 4


def test_a_copy_under_nested_attachments_is_ordinary_too(registries):
    pipeline = tiny.stable_diffusion()
    with attach(pipeline, [{"type": "watch"}], registries=registries):
        with attach(pipeline, [{"type": "gain", "where": {"stage": "up", "kind": "self"}}],
                    registries=registries):  # fmt: skip
            assert type(copy.deepcopy(pipeline.scheduler)) is DDIMScheduler
            tiny.latents(pipeline)
        assert type(pipeline.scheduler) is not DDIMScheduler


def test_a_copied_pipeline_runs_without_moving_the_clock(registries):
    pipeline = tiny.stable_diffusion()
    attached, calls = watched(pipeline, registries)
    twin = copy.deepcopy(pipeline)

    same = tiny.latents(twin)

    assert calls == [] and attached.driver("watch").resets == 0
    assert type(twin.scheduler) is DDIMScheduler
    assert torch.equal(tiny.latents(pipeline), same)
    assert len(calls) == 3


def test_the_scheduler_looks_like_itself(registries, tmp_path):
    import inspect

    pipeline = tiny.stable_diffusion()
    signature = inspect.signature(pipeline.scheduler.step)
    with attach(pipeline, [{"type": "watch"}], registries=registries):
        scheduler = pipeline.scheduler
        assert isinstance(scheduler, DDIMScheduler)
        assert type(scheduler).__name__ == "DDIMScheduler"
        assert inspect.signature(scheduler.step) == signature
        assert "step" not in vars(scheduler) and "set_timesteps" not in vars(scheduler)
        scheduler.save_pretrained(tmp_path)
        assert type(DDIMScheduler.from_config(scheduler.config)) is DDIMScheduler
    assert type(DDIMScheduler.from_pretrained(tmp_path)) is DDIMScheduler


def test_time_is_one_tensor_updated_in_place_even_under_inference_mode(registries):
    pipeline = tiny.stable_diffusion()
    attached, calls = watched(pipeline, registries)
    time = attached.context.clock.t

    with torch.inference_mode():
        tiny.latents(pipeline, steps=2)
    tiny.latents(pipeline, steps=2)

    assert attached.context.clock.t is time and time.shape == ()
    assert [call[4] for call in calls[:2]] == [call[4] for call in calls[2:]]


def test_listeners_get_each_step_with_its_time_and_latents(registries):
    pipeline = tiny.stable_diffusion()
    attached, _ = watched(pipeline, registries)
    ends = []

    with attached.listening(ends.append):
        last = tiny.latents(pipeline, steps=3)
    tiny.latents(pipeline, steps=3)

    assert [end.index for end in ends] == [0, 1, 2]
    assert all(end.seconds > 0 for end in ends)
    assert torch.equal(ends[-1].latents, last)
    assert not any(torch.equal(a.latents, b.latents) for a, b in pairwise(ends))


def test_branches_are_those_that_the_pipeline_names(registries):
    transformer = tiny.flux()
    attached = attach(transformer, [{"type": "watch", "where": {}}], registries=registries)
    args, kwargs = attached.context.facts.example_call("transformer")
    real = {
        key: torch.zeros(value.shape) if isinstance(value, torch.Tensor) else value
        for key, value in kwargs.items()
    }

    with torch.no_grad():
        for branch in ("cond", "uncond"):
            with transformer.cache_context(branch):
                transformer(*args, **real)
        transformer(*args, **real)

    assert [call[3] for call in attached.driver("watch").calls] == ["cond", "uncond", None]
    twin = copy.deepcopy(transformer)
    with twin.cache_context("cond"):
        assert attached.context.clock.branch is None
    attached.detach()
    assert "cache_context" not in vars(transformer)


@pytest.mark.parametrize("when", ["before", "after", "in place"])
def test_a_compiled_denoiser_reads_the_clock_and_is_compiled_once(when):
    from torch._dynamo.testing import CompileCounter

    class Timed(drivers.Gain):
        def build(self, site, attn, ctx):
            clock, softmax = ctx.clock, drivers.AttnProcessor2_0()

            class Timing:
                def __call__(self, attn, *args, **kwargs):
                    return softmax(attn, *args, **kwargs) * clock.t

            return Timing()

    plain, pipeline = tiny.stable_diffusion(), tiny.stable_diffusion()
    mixer = Timed(drivers.GainConfig())
    with attach(plain, [mixer]):
        expected = tiny.latents(plain, steps=4)
    torch._dynamo.reset()
    counter = CompileCounter()
    if when == "before":
        pipeline.unet = torch.compile(pipeline.unet, backend=counter, fullgraph=True)
    with attach(pipeline, [mixer]) as attached:
        if when == "after":
            pipeline.unet = torch.compile(pipeline.unet, backend=counter, fullgraph=True)
        if when == "in place":
            pipeline.unet.compile(backend=counter, fullgraph=True)
        made = tiny.latents(pipeline, steps=4)
        assert attached.context.clock.step == 3

    assert counter.frame_count == 1
    torch.testing.assert_close(made, expected)


def test_a_denoiser_without_scheduler_counts_calls(registries):
    unet = tiny.sd()
    with attach(unet, [{"type": "watch"}], registries=registries) as attached, torch.no_grad():
        for t in (5, 7.0):
            unet(torch.zeros(1, 4, 8, 8), t, torch.zeros(1, 6, 12))

        assert attached.driver("watch").calls == [(0, 1, 0, None, 5.0), (0, 1, 1, None, 7.0)]


def test_a_denoiser_that_moved_gets_a_tensor_where_it_is():
    clock = Clock()
    first = clock.t

    clock.set_time(7, torch.device("cpu"))
    assert clock.t is first and float(first) == 7.0
    clock.set_time(torch.tensor([5, 5]), torch.device("cpu"))
    clock.set_time(None, torch.device("cpu"))
    assert clock.t is first and float(first) == 5.0
    clock.set_time(3, torch.device("meta"))
    assert clock.t.device.type == "meta" and float(first) == 5.0


def test_what_is_copied_with_a_processor_goes_on_reading_its_run(registries):
    attached, _ = watched(tiny.stable_diffusion(), registries)
    context = attached.context

    assert copy.deepcopy(context) is context
    assert copy.deepcopy(context.clock) is context.clock
    attached.detach()


def test_branches_are_told_from_a_method_of_the_models_own(registries):
    flux = tiny.flux()
    named = []

    @contextmanager
    def own(name):
        named.append((name, attached.context.clock.branch))
        yield

    flux.cache_context = own
    attached = attach(flux)
    with flux.cache_context("cond"):
        assert attached.context.clock.branch == "cond"
    attached.detach()

    assert named == [("cond", "cond")]
    assert flux.cache_context is own


def test_a_denoiser_called_without_tensors_counts_all_the_same(registries):
    class Silent(torch.nn.Module):
        def forward(self, **kwargs):
            return None

    pipeline = SimpleNamespace(unet=Silent(), scheduler=None)
    calls = []
    ticker = Ticker(Clock(), pipeline, {"unet": pipeline.unet}, lambda: calls.append(1), list)
    ticker.start()
    pipeline.unet()
    pipeline.unet()
    ticker.stop()
    pipeline.unet()

    assert (len(calls), ticker.clock.call, float(ticker.clock.t)) == (2, 1, 0.0)
