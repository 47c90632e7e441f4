"""Outputs of small UNets, and of a guided denoising, are those of the published method."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler
from golden_unets import audioldm1, audioldm2, golden, relative

import genhub
from genhub_litefocus.kernels.drivers import RowsKernel, TritonKernel

KERNELS = ["rows", "merge", "dense"]
BLOCK = {"type": "litefocus", "sampler": "reference", "decode": "pipeline"}


def processors_of(attached):
    """Give the processors in order of execution."""
    return attached.driver("litefocus").focus["unet"].processors


def drawn_by(processors):
    """Give the tokens [calls, K] that the last call of the UNet drew."""
    return torch.stack([processor.indices for processor in processors])


def computed_by(processors):
    """Name the kernels that the last call of the UNet used."""
    return {type(p.kernel).__name__.removesuffix("Kernel").lower() for p in processors}


def using(kernel):
    return {"kernels": {"focus_attention": kernel}}


@pytest.fixture(scope="module")
def unet():
    return audioldm2(fill_seed=100)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ["unet_even", "unet_odd", "unet_same_only"])
def test_audioldm2_unet_gives_the_published_output(unet, name, kernel):
    said, data = golden(name)
    assert said["fill_seed"] == 100
    call = {
        "encoder_hidden_states": data["encoder_hidden_states"],
        "encoder_hidden_states_1": data["encoder_hidden_states_1"],
    }
    block = {**BLOCK, **said["config"]}
    with torch.no_grad():
        full = unet(data["sample"], data["timestep"], **call).sample
        assert relative(full, data["out_full"]) < 1e-5
        with genhub.attach(unet, [block], modality="audio", **using(kernel)) as attached:
            torch.manual_seed(said["rng_seed"])
            made = unet(data["sample"], data["timestep"], **call).sample
            processors = processors_of(attached)
    assert [processor.path for processor in processors] == said["call_order"]
    assert computed_by(processors) == {kernel}
    if block.get("cross_frequency", True):
        assert torch.equal(drawn_by(processors), data["indices"].long())
    assert relative(made, data["out_litefocus"]) < 1e-5


def audioldm_case():
    """Give the small first-generation UNet, what the file says, its arrays, and the call."""
    said, data = golden("audioldm1")
    unet = audioldm1(said["model_config"], said["fill_seed"])
    call = {"encoder_hidden_states": None, "class_labels": data["class_labels"]}
    return unet, said, data, call


@pytest.mark.parametrize("kernel", KERNELS)
def test_audioldm_unet_gives_the_published_output(kernel):
    unet, said, data, call = audioldm_case()
    attaching = genhub.attach(unet, [BLOCK], modality="audio", **using(kernel))
    with torch.no_grad(), attaching as attached:
        torch.manual_seed(said["rng_seed"])
        made = unet(data["sample"], data["timestep"], **call).sample
        processors = processors_of(attached)
    assert computed_by(processors) == {kernel}
    assert torch.equal(drawn_by(processors), data["indices"].long())
    assert relative(made, data["out_litefocus"]) < 1e-5


@pytest.mark.skipif(not TritonKernel.interpreted, reason="needs Triton's interpreter")
def test_the_interpreted_triton_kernel_gives_the_published_output():
    unet, said, data, call = audioldm_case()
    attaching = genhub.attach(unet, [BLOCK], modality="audio", **using("triton"))
    with torch.no_grad(), attaching as attached:
        processors = processors_of(attached)
        for processor in processors[1:-1]:  # interpreted, all ten sites would take a minute
            processor.chosen = RowsKernel()
        torch.manual_seed(said["rng_seed"])
        made = unet(data["sample"], data["timestep"], **call).sample
    assert [type(p.kernel) for p in (processors[0], processors[-1])] == [TritonKernel] * 2
    assert relative(made, data["out_litefocus"]) < 1e-5


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_guided_denoising_ends_in_the_published_latents_from_the_seed_alone(unet, kernel):
    said, data = golden("ddim")
    config = {k: v for k, v in said["scheduler"].items() if not k.startswith("_")}
    pipeline = SimpleNamespace(unet=unet, scheduler=DDIMScheduler(**config))
    block = {**BLOCK, "seed": said["rng_seed"]}
    with torch.no_grad(), genhub.attach(pipeline, [block], **using(kernel)) as attached:
        pipeline.scheduler.set_timesteps(said["steps"])
        latents = data["latents"]
        for t in pipeline.scheduler.timesteps:
            noise = unet(
                torch.cat([latents] * 2), t, encoder_hidden_states=data["encoder_hidden_states"],
                encoder_hidden_states_1=data["encoder_hidden_states_1"],
            ).sample  # fmt: skip
            uncond, cond = noise.chunk(2)
            guided = uncond + said["guidance_scale"] * (cond - uncond)
            latents = pipeline.scheduler.step(guided, t, latents, eta=0.0).prev_sample
        processors = processors_of(attached)
    assert computed_by(processors) == {kernel}
    assert relative(latents, data["out_latents"]) < 1e-5
