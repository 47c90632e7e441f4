"""Which tokens are drawn when, and what a copy, a compiled or a saved model does."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace

import peft
import pytest
import shapes_of_families as shapes
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch._dynamo.testing import CompileCounter

import genhub
from genhub.api import PluginConfig
from genhub_litefocus import LiteFocus, LiteFocusConfig, focus_indices
from genhub_litefocus.kernels.drivers import DenseKernel
from genhub_litefocus.processor import FocusProcessor

PLAIN = {"type": "litefocus", "decode": "pipeline"}


@pytest.fixture
def unet():
    return shapes.audioldm2((None, 6))


def attached_to(model, *blocks, seed=0, **fields):
    chosen = blocks or ({**PLAIN, **fields},)
    return genhub.attach(model, list(chosen), modality="audio", seed=seed)


def drawn(attached):
    """Give the tokens that each site sees, by path, as they are now."""
    processors = attached.driver("litefocus").focus["unet"].processors
    return {p.path: p.indices.clone() for p in processors}


def denoised(unet, attached, steps=3):
    """Drive a scheduler and note what is drawn at each step."""
    scheduler, notes = attached.pipeline.scheduler, []
    scheduler.set_timesteps(steps)
    sample = torch.zeros(1, 8, 9, 16)
    for t in scheduler.timesteps:
        shapes.call(unet, 9, 16, t=int(t))
        notes.append(drawn(attached))
        scheduler.step(sample, t, sample)
    return notes


@pytest.mark.parametrize("resample", ["call", "step", "run"])
def test_tokens_change_as_often_as_resample_says(unet, resample):
    pipeline = SimpleNamespace(unet=unet, scheduler=DDIMScheduler())
    with attached_to(pipeline, resample=resample) as attached:
        steps = denoised(unet, attached)
        again = denoised(unet, attached)
    per_step = [{tuple(one.tolist()) for one in step.values()} for step in steps]
    assert [len(sets) for sets in per_step] == ([15] * 3 if resample == "call" else [1] * 3)
    assert len(set().union(*per_step)) == {"call": 45, "step": 3, "run": 1}[resample]
    for one, other in zip(steps, again, strict=True):
        assert all(torch.equal(one[path], other[path]) for path in one)


def test_draws_are_a_function_of_seed_step_and_module(unet):
    pipeline = SimpleNamespace(unet=unet, scheduler=DDIMScheduler())
    with attached_to(pipeline, seed=0, sampler="stratified") as attached:
        notes = denoised(unet, attached)
        seed = attached.context.generator("litefocus").initial_seed()
    path = "up_blocks.2.attentions.3.transformer_blocks.0.attn1"
    for step, note in enumerate(notes):
        wanted = focus_indices(5, 8, 4, sampler="stratified", seed=seed, key=(step, path))
        assert torch.equal(note[path], wanted)


def test_without_scheduler_the_timestep_takes_the_place_of_the_step(unet):
    with attached_to(unet) as attached:
        shapes.call(unet, 9, 16, t=7)
        first = drawn(attached)
        shapes.call(unet, 9, 16, t=5)
        assert any(not torch.equal(first[path], now) for path, now in drawn(attached).items())
        shapes.call(unet, 9, 16, t=7)
        assert all(torch.equal(first[path], now) for path, now in drawn(attached).items())


def test_buffers_are_written_in_place_while_sizes_stay(unet):
    with attached_to(unet) as attached:
        processors = attached.driver("litefocus").focus["unet"].processors
        shapes.call(unet, 9, 16, t=7)
        before = [p.indices.data_ptr() for p in processors]
        shapes.call(unet, 9, 16, t=5)
        assert [p.indices.data_ptr() for p in processors] == before
        shapes.call(unet, 21, 16, t=5)
        assert {p.indices.shape[0] for p in processors} == {int(11 * 8 * 0.1)}


def test_given_tokens_are_taken(unet):
    with attached_to(unet, sampler="given", indices=[3, 0, 17]) as attached:
        shapes.call(unet, 9, 16)
        assert all(now.tolist() == [3, 0, 17] for now in drawn(attached).values())


def test_max_compensation_bounds_what_is_drawn(unet):
    with attached_to(unet, max_compensation=2) as attached:
        shapes.call(unet, 9, 16)
        assert all(now.shape == (2,) for now in drawn(attached).values())


def test_same_row_alone_needs_no_draw(unet):
    with attached_to(unet, cross_frequency=False) as attached:
        shapes.call(unet, 9, 16)
        assert all(p.indices is None for p in attached.driver("litefocus").focus["unet"].processors)


@pytest.mark.parametrize("block", [{"time_window": 5}, {"time_window": 99}])
def test_a_window_of_the_whole_length_changes_nothing(unet, block):
    with attached_to(unet):
        whole = shapes.call(unet, 9, 16)
    with attached_to(unet, **block):
        torch.testing.assert_close(shapes.call(unet, 9, 16), whole, atol=1e-6, rtol=1e-5)
    with attached_to(unet, time_window=1):
        assert not torch.allclose(shapes.call(unet, 9, 16), whole, atol=1e-4)


def test_a_config_or_a_driver_is_attached_as_its_block_is(unet):
    fields = {"sparse_ratio": 0.2, "decode": "pipeline"}
    config, made = LiteFocusConfig(**fields), []
    for given in ({"type": "litefocus", **fields}, config, LiteFocus(config)):
        with genhub.attach(unet, [given], modality="audio"):
            made.append(shapes.call(unet, 9, 16))
    assert torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])
    with (
        pytest.raises(genhub.GenHubError, match="no installed attention mixer has the config"),
    ):
        genhub.attach(unet, [PluginConfig()], modality="audio")


@pytest.mark.parametrize("how", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_of_an_attached_model_computes_with_its_own_weights(unet, how):
    with attached_to(unet):
        before = shapes.call(unet, 9, 16)
        twin = how(unet)
        assert torch.equal(shapes.call(twin, 9, 16), before)
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.mul_(1.1)
        changed = shapes.call(twin, 9, 16)
        assert not torch.allclose(changed, before)
        assert shapes.call(twin, 13, 16).shape[-2] == 13  # it follows lengths by itself
        assert torch.equal(shapes.call(unet, 9, 16), before)
    assert torch.equal(shapes.call(twin, 9, 16), changed)


def test_a_saved_model_is_the_plain_model(unet, tmp_path):
    plain, keys = shapes.call(unet, 9, 16), set(unet.state_dict())
    with attached_to(unet):
        assert set(unet.state_dict()) == keys
        unet.save_pretrained(tmp_path)
    again = type(unet).from_pretrained(tmp_path)
    torch.testing.assert_close(shapes.call(again, 9, 16), plain)


def test_adapters_load_train_and_leave_while_it_is_attached():
    unet = shapes.tango()
    with attached_to(unet):
        before = shapes.call(unet, 9, 16)
        lora = peft.LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False)
        unet.add_adapter(lora)
        assert not torch.allclose(shapes.call(unet, 9, 16), before)
        text = torch.ones(1, 3, 6)
        unet(torch.ones(1, 8, 9, 16), 7, encoder_hidden_states=text).sample.sum().backward()
        grads = [p.grad for n, p in unet.named_parameters() if "lora_A" in n and "attn1.to_q" in n]
        assert grads and all(g is not None and g.abs().sum() > 0 for g in grads)
        unet.delete_adapters("default")
        torch.testing.assert_close(shapes.call(unet, 9, 16), before)


@pytest.mark.parametrize("when", ["before", "after", "in place"])
def test_it_compiles_to_one_graph(when):
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16), norm_num_groups=4, layers_per_block=1, attention_head_dim=2,
        cross_attention_dim=6, sample_size=16,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()  # fmt: skip
    pipeline = SimpleNamespace(unet=unet)

    def run(t):
        with torch.no_grad():
            text = torch.ones(1, 3, 6)
            return pipeline.unet(torch.ones(1, 4, 9, 8), torch.tensor(t), text).sample

    with attached_to(pipeline):
        eager = [run(t) for t in (7, 5)]
    torch._dynamo.reset()
    counter = CompileCounter()
    if when == "before":
        pipeline.unet = torch.compile(pipeline.unet, backend=counter, fullgraph=True)
    with attached_to(pipeline):
        if when == "after":
            pipeline.unet = torch.compile(pipeline.unet, backend=counter, fullgraph=True)
        if when == "in place":
            pipeline.unet.compile(backend=counter, fullgraph=True)
        made = [run(t) for t in (7, 5)]
    assert counter.frame_count == 1
    for one, other in zip(made, eager, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert not torch.equal(made[0], made[1])


def test_every_step_of_diffusers_own_processor_is_kept():
    torch.manual_seed(0)
    attn = Attention(
        query_dim=32, heads=2, dim_head=16, norm_num_groups=4, spatial_norm_dim=4, bias=True,
        qk_norm="layer_norm", residual_connection=True, rescale_output_factor=1.5,
    ).eval()  # fmt: skip
    picture, temb = torch.randn(2, 32, 6, 4), torch.randn(2, 4, 6, 4)
    wanted = attn(picture, temb=temb)
    with attached_to(shapes.audioldm2((None, 6)), duplicates="union", sparse_ratio=1.0) as attached:
        settings = attached.driver("litefocus").focus["unet"].settings
    built = FocusProcessor(attn, "attn", 0, settings, DenseKernel())
    attn.set_processor(built)
    built.active, built.frames, built.freq_bins = True, 6, 4
    built.indices = torch.arange(24)
    torch.testing.assert_close(attn(picture, temb=temb), wanted)
