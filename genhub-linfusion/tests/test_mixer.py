"""The mixer through the host: what attach puts in place, what it loads, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

import genhub
from genhub.api import GenHubError
from genhub_linfusion.layer import LinFusionAttention


def _call(unet, io):
    with torch.no_grad():
        return unet(
            io["noisy"], io["timesteps"], encoder_hidden_states=io["encoder_hidden_states"]
        ).sample


def _block(folder: Path, **fields):
    return {"type": "linfusion", "checkpoint": str(folder / "linfusion"), **fields}


def test_attached_to_a_unet_it_reproduces_the_published_output(unet, golden, golden_folder):
    io = golden("unet_io")
    with genhub.attach(unet, attention=[_block(golden_folder)]) as attached:
        torch.testing.assert_close(_call(unet, io), io["out_linfusion"], atol=2e-5, rtol=0)
        report = attached.report()
    assert report.count("LinFusion") + report.count("linfusion") >= 7


def test_detach_restores_identical_objects_and_bits(unet, golden, golden_folder):
    io = golden("unet_io")
    before, modules = _call(unet, io), dict(unet.named_modules())
    with genhub.attach(unet, attention=[_block(golden_folder)]):
        assert not torch.equal(_call(unet, io), before)
    assert torch.equal(_call(unet, io), before)
    after = dict(unet.named_modules())
    assert modules.keys() == after.keys()
    assert all(after[name] is module for name, module in modules.items())


def test_saved_weights_load_to_the_same_output(unet, golden, golden_folder, tmp_path):
    io = golden("unet_io")
    with genhub.attach(unet, attention=[_block(golden_folder)]) as attached:
        first = _call(unet, io)
        attached.save(tmp_path)
    again = {"type": "linfusion", "checkpoint": str(tmp_path)}
    with genhub.attach(unet, attention=[again]):
        assert torch.equal(_call(unet, io), first)


def test_where_narrows_to_some_layers(unet, golden_folder):
    block = _block(golden_folder, where={"stage": "down", "kind": "self"})
    with genhub.attach(unet, attention=[block]):
        linear = [n for n, m in unet.named_modules() if isinstance(m, LinFusionAttention)]
    assert linear and all(name.startswith("down_blocks") for name in linear)


def test_without_checkpoint_the_layer_starts_from_the_models_projections(unet):
    original = unet.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn1")
    with genhub.attach(unet, attention=[{"type": "linfusion", "checkpoint": None}]):
        layer = unet.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn1")
        assert torch.equal(layer.to_q.weight, original.to_q.weight)
        assert torch.equal(layer.to_out[0].weight, original.to_out[0].weight)
        assert layer.to_q.weight is not original.to_q.weight


def test_an_unknown_architecture_asks_for_weights(unet):
    with pytest.raises(GenHubError) as caught:
        genhub.attach(unet, attention=[{"type": "linfusion"}])
    assert caught.value.code == "GH305"
    assert "checkpoint" in str(caught.value) and "distill" in str(caught.value)


def test_a_known_architecture_whose_weights_are_not_here_names_the_line_to_write(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768, attention_head_dim=8
        )
    from genhub_linfusion import checkpoints

    with pytest.raises(GenHubError) as caught:
        checkpoints.find("auto", None, unet)
    assert caught.value.code == "GH503"
    assert "attention.checkpoint: Yuanshi/LinFusion-1-5" in str(caught.value)


def test_a_hub_id_while_offline_says_that_the_hub_may_not_be_asked(unet, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    block = {"type": "linfusion", "checkpoint": "nobody/none-here"}
    with pytest.raises(GenHubError) as caught:
        genhub.attach(unet, attention=[block], offline=True)
    assert caught.value.code == "GH503"
    assert "may not be asked" in str(caught.value) and "model.offline" in str(caught.value)


def test_a_revision_without_a_hub_id_is_refused(unet, golden_folder):
    with pytest.raises(GenHubError) as caught:
        genhub.attach(unet, attention=[_block(golden_folder, revision="main")])
    assert "attention.revision is 'main'" in str(caught.value)


@pytest.mark.parametrize(("value", "mid"), [(None, None), (-1, -1), (3, 3), ("c/16", 2)])
def test_projection_mid_dim_takes_every_documented_value(unet, value, mid):
    block = {"type": "linfusion", "checkpoint": None, "projection_mid_dim": value}
    with genhub.attach(unet, attention=[block]) as attached:
        layer = attached.driver("linfusion").layers[
            "mid_block.attentions.0.transformer_blocks.0.attn1"
        ]
        assert layer.mid_dim == mid


@pytest.mark.parametrize("value", [0, -2, "c/8"])
def test_other_values_of_projection_mid_dim_are_refused(unet, value):
    block = {"type": "linfusion", "checkpoint": None, "projection_mid_dim": value}
    with pytest.raises(GenHubError) as caught:
        genhub.attach(unet, attention=[block])
    assert caught.value.code in ("GH302", "GH303", "GH305")
    assert "projection_mid_dim" in str(caught.value)


def test_a_path_that_does_not_exist_is_named(unet):
    with pytest.raises(GenHubError) as caught:
        genhub.attach(unet, attention=[{"type": "linfusion", "checkpoint": "./nowhere"}])
    assert "./nowhere" in str(caught.value)


def test_a_checkpoint_of_another_model_lists_every_mismatch(unet, golden_folder):
    config = {**unet.config, "block_out_channels": (16, 48)}
    other = UNet2DConditionModel.from_config(config)
    with pytest.raises(GenHubError) as caught:
        genhub.attach(other, attention=[_block(golden_folder)])
    assert str(caught.value).count("32 channels in the checkpoint, 48 in the model") >= 2


def test_adapters_that_would_be_lost_are_refused(unet, golden_folder):
    unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q", "to_k"]))
    with pytest.raises(GenHubError) as caught:
        genhub.attach(unet, attention=[_block(golden_folder)])
    assert "adapters" in str(caught.value)


def test_adapters_loaded_after_attaching_train_the_linear_layers(unet, golden, golden_folder):
    io = golden("unet_io")
    with genhub.attach(unet, attention=[_block(golden_folder)]):
        before = _call(unet, io)
        unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False))
        assert not torch.equal(_call(unet, io), before)
        unet.disable_adapters()
        torch.testing.assert_close(_call(unet, io), before)
        unet.delete_adapters("default")


@pytest.mark.parametrize("width", [None, -1, "c/16", 5])
def test_costs_are_what_torch_counts_of_the_equation(unet, width):
    block = {"type": "linfusion", "checkpoint": None, "projection_mid_dim": width}
    kernels = {"linear_attention": "reference"}
    counter = FlopCounterMode(display=False, depth=None)
    with genhub.attach(unet, attention=[block], kernels=kernels) as attached:
        facts, costs = attached.context.facts, attached.costs()
        text = torch.zeros(1, 4, unet.config.cross_attention_dim)
        with counter, torch.no_grad():
            unet(torch.zeros(facts.latent.shape), 1, encoder_hidden_states=text)
        held = {s: unet.get_submodule(s.module_path) for c in attached.plan.claims for s in c.sites}
    counts = counter.get_flop_counts()
    assert len(held) == 7
    for site, layer in held.items():
        ran = sum(counts[f"UNet2DConditionModel.{site.module_path}"].values())
        assert costs[site.path].flops == ran
        assert costs[site.path].params == sum(p.numel() for p in layer.parameters())
