"""Repairs of published pipelines: what raises without them, and what they leave when undone."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import shapes_of_families as shapes
import small_pipelines
import torch
from diffusers.models.attention_processor import Attention
from diffusers.pipelines.audioldm2 import AudioLDM2UNet2DConditionModel
from transformers import GPT2LMHeadModel, GPT2Model

import genhub
from genhub_litefocus import repair_pipeline

BLOCK = {"type": "litefocus", "decode": "pipeline"}

PUBLISHED = {
    "block_out_channels": (128, 256, 384, 640),
    "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 3),
    "up_block_types": (*("CrossAttnUpBlock2D",) * 3, "UpBlock2D"),
    "cross_attention_dim": ([None, 768, 1024],) * 4,
    "in_channels": 8,
    "out_channels": 8,
    "sample_size": 256,
}


def sound(pipe):
    generator = torch.Generator().manual_seed(0)
    return pipe("rain", num_inference_steps=2, audio_length_in_s=0.5, generator=generator).audios


@pytest.fixture(scope="module")
def broken():
    return small_pipelines.audioldm2(gpt2="plain")


@pytest.mark.parametrize("name", ["audioldm2", "musicldm"])
def test_attaching_repairs_what_raises_and_detach_undoes_it(name, broken, caplog):
    pipe = broken if name == "audioldm2" else small_pipelines.musicldm()
    parts, written = dict(pipe.components), dict(pipe.config)
    with pytest.raises(AttributeError):
        sound(pipe)
    caplog.set_level("INFO", logger="genhub")
    with genhub.attach(pipe, [BLOCK]) as attached:
        assert np.isfinite(sound(pipe)).all()
        assert (
            f"litefocus: repaired: {attached.driver('litefocus').repairs[0]}" in attached.report()
        )
        assert f"repaired {type(pipe).__name__}:" in caplog.text
    assert all(pipe.components[key] is part for key, part in parts.items())
    assert dict(pipe.config) == written
    assert "get_text_features" not in vars(pipe.text_encoder)
    with pytest.raises(AttributeError):
        sound(pipe)


def test_repairing_twice_does_nothing_more():
    pipe = small_pipelines.audioldm2(gpt2="plain")
    inside = pipe.language_model
    assert len(repair_pipeline(pipe)) == 1
    repaired = pipe.language_model
    assert repair_pipeline(pipe) == [] and pipe.language_model is repaired
    assert isinstance(repaired, GPT2LMHeadModel) and repaired.transformer is inside
    with genhub.attach(pipe, [BLOCK]) as attached:
        assert attached.driver("litefocus").repairs == []
    assert pipe.language_model is repaired
    music = small_pipelines.musicldm()
    assert len(repair_pipeline(music)) == 1 and repair_pipeline(music) == []


def test_the_repaired_language_model_gives_the_same_embeddings(broken):
    inside = broken.language_model
    assert type(inside) is GPT2Model
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    twin = SimpleNamespace(language_model=inside)
    repair_pipeline(twin)
    with torch.no_grad():
        wanted = inside(inputs_embeds=x).last_hidden_state
        states = twin.language_model(inputs_embeds=x, output_hidden_states=True).hidden_states
    assert torch.equal(states[-1], wanted)
    assert not any(p.is_meta for p in twin.language_model.parameters())


def test_a_copied_text_encoder_uses_its_own_weights():
    pipe = small_pipelines.musicldm()
    repair_pipeline(pipe)
    twin = copy.deepcopy(pipe.text_encoder)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
        ids = torch.tensor([[5, 6, 7]])
        assert not twin.get_text_features(ids).any()
        assert pipe.text_encoder.get_text_features(ids).any()


def test_healthy_pipelines_need_no_repair():
    for pipe in (small_pipelines.audioldm2(), small_pipelines.audioldm(), shapes.tango()):
        assert repair_pipeline(pipe, repair_heads=True) == []


def test_repaired_heads_are_those_of_a_model_built_as_its_authors_did():
    with torch.device("meta"):
        as_published = AudioLDM2UNet2DConditionModel(**PUBLISHED, attention_head_dim=8)
        as_trained = AudioLDM2UNet2DConditionModel(**PUBLISHED, attention_head_dim=(4, 8, 12, 20))
    before = heads(as_published)
    (told,) = repair_pipeline(SimpleNamespace(unet=as_published), repair_heads=True)
    assert heads(as_published) == heads(as_trained) != before
    assert told.startswith("66 attention modules")  # all but the 30 of level 1
    assert repair_pipeline(SimpleNamespace(unet=as_published), repair_heads=True) == []
    assert repair_pipeline(SimpleNamespace(unet=as_trained), repair_heads=True) == []


def heads(unet):
    attentions = ((n, m) for n, m in unet.named_modules() if isinstance(m, Attention))
    return {name: (attn.heads, round(attn.scale, 6)) for name, attn in attentions}


def test_heads_that_need_no_repair_are_told(caplog):
    pipe = small_pipelines.audioldm2()
    with genhub.attach(pipe, [BLOCK | {"repair_heads": True}]):
        assert "repair_heads has nothing to repair: AudioLDM2Pipeline has no" in caplog.text


@pytest.mark.parametrize("asked", [False, True])
def test_heads_are_repaired_only_where_asked_and_restored(asked):
    with torch.device("meta"):
        unet = AudioLDM2UNet2DConditionModel(**PUBLISHED, attention_head_dim=8)
    before = heads(unet)
    block = {**BLOCK, "repair_heads": asked, "where": {"level": "all"}}
    with genhub.attach(unet, [block], modality="audio") as attached:
        assert (heads(unet) != before) is asked
        processors = attached.driver("litefocus").focus["unet"].processors
        assert {p.head_dim for p in processors} == ({32} if asked else {32, 48, 80})
        assert ("heads of 32 channels" in attached.report()) is asked
    assert heads(unet) == before


@pytest.mark.parametrize(
    "make", [lambda: small_pipelines.audioldm2(gpt2="plain"), small_pipelines.musicldm]
)
def test_a_run_repairs_its_baseline_too_and_leaves_the_pipeline_as_it_was(make, tmp_path):
    config = {
        "genhub": 1,
        "attention": [BLOCK],
        "input": {"prompts": ["rain"]},
        "sampling": {"steps": 2, "seconds": 0.5},
        "compare": ["baseline"],
        "output": {"dir": str(tmp_path)},
    }
    pipe = make()
    parts = dict(pipe.components)
    run = genhub.run(config, pipeline=pipe, quiet=True)
    assert sorted(a.sample.variant for a in run.artifacts) == ["baseline", "main"]
    variants = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))["variants"]
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    for name, said in (("main", "litefocus: repaired: "), ("baseline", "repaired: ")):
        (note,) = variants[name]["notes"]
        assert note.startswith(said) and note in page
    assert all(pipe.components[key] is part for key, part in parts.items())
    assert "get_text_features" not in vars(pipe.text_encoder)
