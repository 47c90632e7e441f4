"""Outputs of small UNets, and of a guided denoising, are those of the published method."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from diffusers import DDIMScheduler
from golden_unets import audioldm1, audioldm2, golden, relative

import genhub

BLOCK = {"type": "litefocus", "sampler": "reference", "decode": "pipeline"}


def seen_indices(attached):
    """Give, in order of execution, the tokens that sites of the last call drew."""
    return [
        processor.indices for processor in attached.driver("litefocus").focus["unet"].processors
    ]


@pytest.fixture(scope="module")
def unet():
    return audioldm2(fill_seed=100)


@pytest.mark.parametrize("name", ["unet_even", "unet_odd", "unet_same_only"])
def test_audioldm2_unet_gives_the_published_output(unet, name):
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
        with genhub.attach(unet, [block], modality="audio") as attached:
            torch.manual_seed(said["rng_seed"])
            made = unet(data["sample"], data["timestep"], **call).sample
            drawn = seen_indices(attached)
            paths = [p.path for p in attached.driver("litefocus").focus["unet"].processors]
    assert paths == said["call_order"]
    if block.get("cross_frequency", True):
        assert torch.equal(torch.stack(drawn), data["indices"].long())
    assert relative(made, data["out_litefocus"]) < 1e-5


def test_audioldm_unet_gives_the_published_output():
    said, data = golden("audioldm1")
    unet = audioldm1(said["model_config"], said["fill_seed"])
    call = {"encoder_hidden_states": None, "class_labels": data["class_labels"]}
    with torch.no_grad(), genhub.attach(unet, [BLOCK], modality="audio") as attached:
        torch.manual_seed(said["rng_seed"])
        made = unet(data["sample"], data["timestep"], **call).sample
        assert torch.equal(torch.stack(seen_indices(attached)), data["indices"].long())
    assert relative(made, data["out_litefocus"]) < 1e-5


def test_a_guided_denoising_ends_in_the_published_latents_from_the_seed_alone(unet):
    said, data = golden("ddim")
    config = {k: v for k, v in said["scheduler"].items() if not k.startswith("_")}
    pipeline = SimpleNamespace(unet=unet, scheduler=DDIMScheduler(**config))
    block = {**BLOCK, "seed": said["rng_seed"]}
    with torch.no_grad(), genhub.attach(pipeline, [block]):
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
    assert relative(latents, data["out_latents"]) < 1e-5
