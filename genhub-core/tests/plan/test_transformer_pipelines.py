"""Facts and attachments of whole Wan and Qwen-Image pipelines, made small and offline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import tiny
import torch

import genhub
import genhub.testing
from genhub.plan import facts_of


def wan_autoencoder() -> Any:
    from diffusers import AutoencoderKLWan

    return tiny.seeded(
        AutoencoderKLWan,
        base_dim=3,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )


def wan_pipeline(first: Any, second: Any = None, boundary: float | None = None) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline

    pipeline = WanPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=wan_autoencoder(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        transformer=first,
        transformer_2=second,
        boundary_ratio=boundary,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def wan_latents(pipeline: Any) -> torch.Tensor:
    text = torch.randn(2, 1, 512, 12, generator=torch.Generator().manual_seed(9))
    return pipeline(
        prompt_embeds=text[0],
        negative_prompt_embeds=text[1],
        height=32,
        width=48,
        num_frames=9,
        num_inference_steps=2,
        output_type="latent",
        generator=torch.Generator().manual_seed(0),
    ).frames


def qwenimage_pipeline() -> Any:
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImagePipeline,
    )

    vae = tiny.seeded(
        AutoencoderKLQwenImage,
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    pipeline = QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        transformer=tiny.qwenimage(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def qwenimage_latents(pipeline: Any) -> torch.Tensor:
    text = torch.randn(2, 1, 5, 12, generator=torch.Generator().manual_seed(9))
    masks = torch.ones(2, 1, 5, dtype=torch.int64)
    return pipeline(
        prompt_embeds=text[0],
        prompt_embeds_mask=masks[0],
        negative_prompt_embeds=text[1],
        negative_prompt_embeds_mask=masks[1],
        height=32,
        width=48,
        num_inference_steps=2,
        output_type="latent",
        generator=torch.Generator().manual_seed(0),
    ).images


PIPELINES: dict[str, tuple[Callable[[], Any], Callable[[Any], torch.Tensor]]] = {
    "wan": (lambda: wan_pipeline(tiny.wan()), wan_latents),
    "wan, two denoisers": (lambda: wan_pipeline(tiny.wan(), tiny.wan(), 0.9), wan_latents),
    "wan, low noise alone": (lambda: wan_pipeline(None, tiny.wan(), 2.0), wan_latents),
    "qwenimage": (qwenimage_pipeline, qwenimage_latents),
}


def first_calls(pipeline: Any, run: Callable[[Any], torch.Tensor]) -> dict[str, dict[str, Any]]:
    """Run a pipeline and keep what each denoiser is first called with."""
    calls: dict[str, dict[str, Any]] = {}
    handles = []
    for name in ("transformer", "transformer_2"):
        if (module := getattr(pipeline, name, None)) is None:
            continue

        def keep(_: Any, args: Any, kwargs: dict[str, Any], name: str = name) -> None:
            assert not args
            calls.setdefault(name, kwargs)

        handles.append(module.register_forward_pre_hook(keep, with_kwargs=True))
    run(pipeline)
    for handle in handles:
        handle.remove()
    return calls


def form(value: Any, but: int | None = None) -> Any:
    """Give shape and kind of number of a tensor, without the axis `but`; else the value."""
    if not isinstance(value, torch.Tensor):
        return value
    shape = [n for i, n in enumerate(value.shape) if i != but]
    return (*shape, value.is_floating_point())


@pytest.mark.parametrize("name", PIPELINES)
def test_example_calls_are_those_of_the_pipeline(name: str) -> None:
    make, run = PIPELINES[name]
    pipeline = make()
    facts = facts_of(pipeline, height=32, width=48, frames=9)

    seen = first_calls(pipeline, run)

    assert facts.probed_by == "meta" and not facts.note
    assert {site.component for site in facts.sites} == set(seen)
    for component, real in seen.items():
        args, kwargs = facts.example_call(component)
        assert not args and kwargs.keys() == real.keys()
        for key, value in kwargs.items():
            but = 1 if key == "encoder_hidden_states" else None  # as long as the prompt
            assert form(value, but) == form(real[key], but), key


@pytest.mark.parametrize("name", PIPELINES)
def test_an_attachment_of_nothing_changes_nothing(name: str) -> None:
    make, run = PIPELINES[name]
    pipeline = make()
    before = run(pipeline)

    with genhub.attach(pipeline, attention=[]):
        during = run(pipeline)

    assert torch.equal(during, before) and torch.equal(run(pipeline), before)


def test_sizes_left_out_are_the_defaults_of_the_pipeline() -> None:
    video = facts_of(wan_pipeline(tiny.wan())).latent
    picture = facts_of(qwenimage_pipeline()).latent

    assert (video.axes, video.shape, video.factor) == ("BCFHW", (1, 4, 21, 60, 104), 8)
    assert (picture.axes, picture.shape, picture.factor) == ("BCHW", (1, 4, 128, 128), 8)


def test_every_cell_of_a_film_attends_to_every_other() -> None:
    facts = facts_of(tiny.wan(), height=64, width=96, frames=9)

    first, second = facts.sites[:2]
    assert (first.kind, first.axis, first.tokens, first.grid) == ("self", "joint", 3 * 24, None)
    assert (second.kind, second.axis, second.context_tokens) == ("cross", "joint", 512)


@pytest.mark.parametrize("family", ["wan", "qwenimage"])
def test_a_tiny_pipeline_calls_once_per_branch_of_guidance(family: str) -> None:
    pipeline = genhub.testing.tiny_pipeline(family)
    branches: list[tuple[str, int]] = []

    def note(__: Any, _: Any, kwargs: dict[str, Any]) -> None:
        branches.append((entered[-1], len(kwargs["hidden_states"])))

    entered: list[str] = []
    plain = pipeline.denoiser.cache_context

    def entering(name: str) -> Any:
        entered.append(name)
        return plain(name)

    pipeline.denoiser.cache_context = entering
    pipeline.denoiser.register_forward_pre_hook(note, with_kwargs=True)
    both = pipeline((1, 2), 2, 3.0)
    one = pipeline((2,), 2, 3.0)

    assert branches == [("cond", 2), ("uncond", 2)] * 2 + [("cond", 1), ("uncond", 1)] * 2
    torch.testing.assert_close(both[1:], one, rtol=1e-4, atol=1e-4)
