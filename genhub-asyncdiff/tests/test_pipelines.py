"""Real pipelines of diffusers and tiny models of every family, under schedules."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    HeunDiscreteScheduler,
    StableDiffusionAdapterPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    T2IAdapter,
    UNet2DConditionModel,
)
from runs import in_ranks, virtual

from genhub.testing import families
from genhub_asyncdiff.plugin import AsyncDiffConfig

SIZE = 32


def seeded(cls: Any, **config: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cls(**config).eval()


def unet(**changes: Any) -> UNet2DConditionModel:
    return seeded(
        UNet2DConditionModel,
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=12,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **changes,
    )


def vae() -> AutoencoderKL:
    return seeded(
        AutoencoderKL, block_out_channels=(4, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=2, latent_channels=4,
    )  # fmt: skip


def build(cls: Any, model: Any = None, **more: Any) -> Any:
    model = model or unet()
    scheduler = DDIMScheduler(clip_sample=False, steps_offset=1)
    pipe = cls(
        vae=vae(), text_encoder=None, tokenizer=None, unet=model, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False, **more,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def embeds(batch: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    positive, negative = torch.randn(2, batch, 5, 12, generator=generator)
    return {"prompt_embeds": positive, "negative_prompt_embeds": negative}


def picture() -> torch.Tensor:
    return torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(4))


def call(steps: int = 8, batch: int = 1, **more: Any) -> Callable[[Any], torch.Tensor]:
    """Give what runs a pipeline once and gives its latents."""

    def run(pipe: Any) -> torch.Tensor:
        return pipe(
            **embeds(batch), num_inference_steps=steps, output_type="latent",
            generator=torch.Generator().manual_seed(1), **more,
        ).images  # fmt: skip

    return run


def text() -> tuple[Any, Any]:
    return build(StableDiffusionPipeline), call(height=SIZE, width=SIZE)


def second_order() -> tuple[Any, Any]:
    pipe, run = text()
    pipe.scheduler = HeunDiscreteScheduler()
    return pipe, run


def from_picture() -> tuple[Any, Any]:
    return build(StableDiffusionImg2ImgPipeline), call(12, image=picture(), strength=0.75)


def inpainting() -> tuple[Any, Any]:
    pipe = build(StableDiffusionInpaintPipeline, unet(in_channels=9))
    mask = (picture()[:, :1] > 0.5).float()
    return pipe, call(15, image=picture(), mask_image=mask, strength=0.6, height=SIZE, width=SIZE)


def controlled() -> tuple[Any, Any]:
    model = unet()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = ControlNetModel.from_unet(
            model, conditioning_embedding_out_channels=(4, 8)
        ).eval()  # a picture cell per two pixels, as the autoencoder's
        for parameter in net.parameters():  # else its last layers are zeros
            torch.nn.init.normal_(parameter, std=0.1)
    return build(StableDiffusionControlNetPipeline, model, controlnet=net), call(image=picture())


def adapted() -> tuple[Any, Any]:
    adapter = seeded(T2IAdapter, in_channels=3, channels=[8, 16], num_res_blocks=1,
                     downscale_factor=2, adapter_type="full_adapter")  # fmt: skip
    return build(StableDiffusionAdapterPipeline, adapter=adapter), call(
        image=picture(), height=SIZE, width=SIZE
    )


PIPELINES = {
    "text": text,
    "second order": second_order,
    "from a picture": from_picture,
    "inpainting": inpainting,
    "ControlNet": controlled,
    "T2I-Adapter": adapted,
}
SCHEDULES = {
    "stride 1": {"components": 2, "wrap": False},
    "stride 2": {"components": 2, "stride": 2, "warmup": 2},
    "three": {"components": 3, "warmup": 2, "wrap": True},
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", PIPELINES)
def test_ranks_of_a_real_pipeline_give_the_bits_of_one_process(name, schedule):
    config = AsyncDiffConfig(**SCHEDULES[schedule])
    pipe, run = PIPELINES[name]()
    serial = run(pipe)
    with virtual(pipe, config) as engine:
        one = run(pipe)
        assert torch.equal(run(pipe), one)
    assert engine.calls["parallel"] and not torch.equal(one, serial)
    assert torch.equal(run(pipe), serial)
    ranks = in_ranks(pipe, config, run)
    for rank in ranks[0].outputs:
        assert torch.equal(ranks[rank].result, one)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_every_family_is_cut_without_a_word_about_it(family):
    def run(pipe: Any) -> torch.Tensor:
        return pipe(seeds=(1,), steps=6, guidance=3.0)

    config = AsyncDiffConfig(components=2, warmup=2)
    pipe = families.pipeline(family)
    serial = run(pipe)
    with virtual(pipe, AsyncDiffConfig(components=2, warmup=6)):
        assert torch.equal(run(pipe), serial)
    with virtual(pipe, config) as engine:
        one = run(pipe)
    assert engine.calls["parallel"] >= 4
    ranks = in_ranks(pipe, config, run)
    for rank in ranks[0].outputs:
        assert torch.equal(ranks[rank].result, one)


@pytest.mark.parametrize("name", PIPELINES)
def test_only_warm_up_is_the_serial_picture(name):
    pipe, run = PIPELINES[name]()
    serial = run(pipe)
    with virtual(pipe, AsyncDiffConfig(components=2, warmup=100)):
        assert torch.equal(run(pipe), serial)


def test_devices_may_run_in_any_order():
    pipe, run = text()
    config = AsyncDiffConfig(components=3, stride=2, warmup=1)
    made = []
    for order in ((0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)):
        with virtual(pipe, config, order):
            made.append(run(pipe))
    assert torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])


def test_a_free_call_computes_nothing_and_asks_no_controlnet():
    pipe, run = controlled()
    counts = {"parts": 0, "controlnet": 0}

    def count(what: str) -> Any:
        return lambda *_: counts.__setitem__(what, counts[what] + 1)

    inside = pipe.unet.conv_in, pipe.controlnet.conv_in
    handles = [m.register_forward_hook(count(w)) for m, w in zip(inside, counts, strict=True)]
    with virtual(pipe, AsyncDiffConfig(components=1, stride=2, warmup=1)) as engine:
        run(pipe)
    for handle in handles:
        handle.remove()
    assert engine.calls == {"sync": 1, "parallel": 4, "free": 3}
    assert counts == {"parts": 1 + 2 * 4, "controlnet": 1 + 4}  # two devices have the one part


@pytest.mark.parametrize("place", ["callback", "hook"])
def test_an_interrupted_generation_leaves_nothing_behind(place):
    class Stop(Exception):
        pass

    pipe, run = text()
    config = AsyncDiffConfig(components=2, warmup=1)
    serial, before = run(pipe), objects(pipe)
    with virtual(pipe, config):
        fresh = run(pipe)

    def stop(*args: Any, **kwargs: Any) -> Any:
        if args[1] == 3:
            raise Stop
        return kwargs.get("callback_kwargs", args[3] if len(args) > 3 else {})

    with virtual(pipe, config):
        if place == "callback":
            with pytest.raises(Stop):
                call(height=SIZE, width=SIZE, callback_on_step_end=stop)(pipe)
        else:
            calls = iter(range(100))

            def fail(*_: Any) -> None:
                if next(calls) == 5:
                    raise Stop

            handle = pipe.unet.mid_block.register_forward_pre_hook(fail)
            with pytest.raises(Stop):
                run(pipe)
            handle.remove()
        assert torch.equal(run(pipe), fresh)
    assert objects(pipe) == before
    assert torch.equal(run(pipe), serial)


def test_ranks_that_fail_leave_nothing_behind():
    pipe, run = text()
    serial, before = run(pipe), objects(pipe)

    def fail(inner: Any) -> None:
        calls = iter(range(100))
        inner.unet.mid_block.register_forward_pre_hook(lambda *_: 1 / (4 - next(calls)) and None)
        run(inner)

    with pytest.raises(ZeroDivisionError):
        in_ranks(pipe, AsyncDiffConfig(components=2, wrap=False), fail)
    assert objects(pipe) == before
    assert torch.equal(run(pipe), serial)


def objects(pipe: Any) -> dict[str, Any]:
    """Give what every module holds, by name."""
    return {
        f"{name}.{key}": id(value)
        for name, module in pipe.unet.named_modules()
        for key, value in vars(module).items()
        if not key.startswith("_forward") and key != "training"
    } | {key: id(value) for key, value in pipe.unet.state_dict(keep_vars=True).items()}


def test_a_hundred_calls_of_mixed_sizes_need_no_reset_and_leak_nothing():
    pipe = build(StableDiffusionPipeline)
    sizes = [(SIZE, 1), (16, 2), (SIZE, 2), (24, 1)]
    runs = [call(3, batch, height=size, width=size) for size, batch in sizes]
    with virtual(pipe, AsyncDiffConfig(components=2)):
        first = [run(pipe) for run in runs]
        resident = 0.0
        for i in range(100):
            made = runs[i % 4](pipe)
            assert torch.equal(made, first[i % 4])
            if i == 30:
                gc.collect()
                resident = memory()
        gc.collect()
        assert memory() < 1.01 * resident


def memory() -> float:
    """Give the memory of this process, in kB."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("this system does not tell the memory of a process")
    return float(next(x for x in status.read_text().splitlines() if "VmRSS" in x).split()[1])
