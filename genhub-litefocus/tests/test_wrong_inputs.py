"""What a user is told: configs that mean nothing, models that do not fit, things lost later."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import shapes_of_families as shapes
import small_pipelines
import torch
from diffusers import StableAudioDiTModel, UNet3DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0, SlicedAttnProcessor

import genhub
from genhub.api import Availability, GenHubError, Kernel
from genhub_litefocus import LiteFocusConfig, advice

PLAIN = {"type": "litefocus", "decode": "pipeline"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"sparse_ratio": 1.5}, "sparse_ratio is 1.5"),
        ({"sparse_ratio": -0.1}, "sparse_ratio is -0.1"),
        ({"sparse": 0.1}, "has no key 'sparse'"),
        ({"same_frequency": False, "cross_frequency": False}, "a token would see nothing"),
        ({"same_frequency": False, "sparse_ratio": 0.0}, "none would be drawn"),
        ({"same_frequency": False, "max_compensation": 0}, "none would be drawn"),
        ({"step_range": [0.5, 0.5]}, "[0.5, 0.5] is no range"),
        ({"step_range": [0.0, 1.5]}, "step_range.1 is 1.5; it must be at most 1"),
        ({"sampler": "given"}, "sampler: given and indices: [...] go together"),
        ({"indices": [1]}, "sampler: given and indices: [...] go together"),
        ({"sampler": "given", "indices": [4, 2, 4]}, "token 4 stands there twice"),
        (
            {"sampler": "given", "indices": [4], "max_compensation": 1},
            "sampler: given draws nothing, so max_compensation has no effect: leave it out",
        ),
        ({"sampler": "given", "indices": [4], "sparse_ratio": 0.2}, "so sparse_ratio has no"),
        (
            {"same_frequency": False, "sampler": "given", "indices": []},
            "sees the tokens of indices alone, and none stands there",
        ),
        ({"sampler": "strided", "seed": 3}, "sampler: strided has no chance in it, so seed"),
        (
            {"same_frequency": False, "time_window": 2},
            "same_frequency is off, so time_window has no effect",
        ),
        (
            {"cross_frequency": False, "sampler": "given", "indices": [3]},
            "cross_frequency is off, so indices has no effect",
        ),
        (
            {"cross_frequency": False, "max_compensation": 4, "seed": 1},
            "so max_compensation and seed have no effect: leave them out",
        ),
        ({"cross_frequency": False, "seed": 4}, "cross_frequency is off, so seed has no effect"),
        ({"sampler": "reference", "resample": "run"}, "resample: run has no meaning"),
        ({"time_window": 0}, "time_window is 0"),
        ({"decode": "stream", "layout": "ft"}, "goes along axis 2 of the latents, which is freq"),
        ({"where": {"level": 7}}, "selects none of the"),
        ({"where": {"level": 0}}, "selects none of the"),
    ],
)
def test_a_config_that_means_nothing_is_refused(fields, told):
    with pytest.raises(GenHubError) as caught:
        genhub.attach(shapes.audioldm2((None, 6)), [PLAIN | fields], modality="audio")
    assert told in str(caught.value)


def test_every_field_is_described():
    fields = LiteFocusConfig.model_json_schema()["properties"]
    assert len(fields) == 16 and all(len(one["description"]) > 10 for one in fields.values())


def test_a_model_without_frequency_axis_is_refused_in_words():
    model = StableAudioDiTModel(
        sample_size=16, in_channels=4, num_layers=2, attention_head_dim=4, num_attention_heads=2,
        num_key_value_attention_heads=1, out_channels=4, cross_attention_dim=4,
        cross_attention_input_dim=8, global_states_input_dim=8, time_proj_dim=4,
    )  # fmt: skip
    with pytest.raises(GenHubError) as caught:
        genhub.attach(model, [PLAIN])
    told = "litefocus needs a 2-D time x frequency latent; this model has a 1-D sequence"
    assert told in str(caught.value) and "sites of StableAudioDiTModel" in str(caught.value)


def test_a_picture_model_is_told_what_to_write():
    with pytest.raises(GenHubError) as caught:
        genhub.attach(shapes.tango(), [PLAIN])
    told = str(caught.value)
    assert "UNet2DConditionModel is taken for a model of images" in told
    assert "layout: tf" in told and "layout: ft" in told
    for block in ({"layout": "tf"}, {"layout": "ft"}):
        genhub.attach(shapes.tango(), [PLAIN | block]).detach()


def test_a_video_model_is_refused():
    model = UNet3DConditionModel(
        block_out_channels=(8, 16), norm_num_groups=4, layers_per_block=1, attention_head_dim=2,
        cross_attention_dim=6, sample_size=8,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )  # fmt: skip
    with pytest.raises(GenHubError, match="UNet3DConditionModel has latents BCFHW"):
        genhub.attach(model, [PLAIN | {"layout": "tf"}])


def test_other_frequency_bins_than_the_latents_are_refused():
    unet = shapes.audioldm2((None, 6))
    attached = genhub.attach(unet, [PLAIN | {"freq_bins": 12}], modality="audio")
    with attached, pytest.raises(GenHubError) as caught:
        shapes.call(unet, 9, 16)
    assert "freq_bins is 12, and the latent [1, 8, 9, 16] has 16" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"layout": "ft"}, "layout is ft, and the vocoder of AudioLDM2Pipeline reads 64 mel bins"),
        ({"freq_bins": 7}, "which are 16 columns of its latents"),
    ],
)
def test_a_latent_that_the_vocoder_knows_is_not_read_sideways(fields, told):
    with pytest.raises(GenHubError) as caught:
        genhub.attach(small_pipelines.audioldm2(), [PLAIN | fields], seconds=3.0)
    assert told in str(caught.value)


def test_tokens_that_are_no_grid_are_refused_with_the_likely_cause():
    unet = shapes.audioldm2((None, 6))
    with genhub.attach(unet, [PLAIN], modality="audio") as attached:
        shapes.call(unet, 9, 16)
        processor = attached.driver("litefocus").focus["unet"].processors[0]
        attn = unet.get_submodule(processor.path)
        with pytest.raises(GenHubError) as caught:
            attn(torch.zeros(1, 41, 16))
    assert caught.value.problems[0].message.startswith(
        f"{processor.path} (level 1) has 41 tokens, not 5 frames x 8"
    )
    assert "layout (tf) and freq_bins" in str(caught.value)


def test_given_tokens_beyond_the_grid_are_refused():
    unet = shapes.audioldm2((None, 6))
    block = PLAIN | {"sampler": "given", "indices": [3, 40]}
    with genhub.attach(unet, [block], modality="audio"):
        shapes.call(unet, 11, 16)
        with pytest.raises(GenHubError, match=r"GH302.*indices hold token 40, and .* has 40"):
            shapes.call(unet, 9, 16)


def test_too_few_tokens_for_any_draw_are_told():
    unet = shapes.audioldm2((None, 6))
    block = PLAIN | {"same_frequency": False, "sparse_ratio": 0.01}
    attached, told = genhub.attach(unet, [block], modality="audio"), r"draws none of the 40 tokens"
    with attached, pytest.raises(GenHubError, match=told):
        shapes.call(unet, 9, 16)


def test_min_seconds_needs_a_vocoder():
    with pytest.raises(GenHubError, match=r"min_seconds is 3, and AudioLDM2UNet2DConditionModel"):
        genhub.attach(shapes.audioldm2(), [PLAIN | {"min_seconds": 3.0}], modality="audio")


def test_step_range_needs_a_scheduler():
    with pytest.raises(GenHubError, match=r"step_range is \[0.0, 0.5\], and .* has no scheduler"):
        genhub.attach(shapes.audioldm2(), [PLAIN | {"step_range": [0, 0.5]}], modality="audio")


def test_the_published_sampler_needs_a_scheduler_to_start_from_a_seed():
    block = PLAIN | {"sampler": "reference", "seed": 3}
    with pytest.raises(GenHubError, match=r"seed is 3, and .*\n.* torch.manual_seed"):
        genhub.attach(shapes.audioldm2(), [block], modality="audio")


def test_streaming_needs_a_vocoder():
    pipeline = SimpleNamespace(unet=shapes.audioldm2(), vae=torch.nn.Identity())
    with pytest.raises(GenHubError, match=r"decode is stream.*\n  write decode: pipeline"):
        genhub.attach(pipeline, [{"type": "litefocus", "decode": "stream"}], modality="audio")
    with genhub.attach(pipeline, [{"type": "litefocus"}], modality="audio") as attached:
        assert attached.decoder is None


def test_two_blocks_that_both_stream_are_told_that_one_is_enough():
    blocks = [
        {"type": "litefocus", "where": {"level": 1}},
        {"type": "litefocus", "where": {"level": 2}},
    ]
    unet = shapes.audioldm2((None, 6))
    with pytest.raises(GenHubError, match="both own vae-decode") as caught:
        genhub.attach(unet, blocks, modality="audio")
    told = "write 'decode: pipeline' in the block of 'litefocus[1]' or 'decode: pipeline' in"
    assert told in str(caught.value)
    blocks[1]["decode"] = "pipeline"
    with genhub.attach(unet, blocks, modality="audio") as attached:
        shapes.call(unet, 9, 16)
        assert [len(claim.sites) for claim in attached.plan.claims] == [15, 15]


@pytest.mark.parametrize(
    ("seconds", "room", "is_told"), [(320, 2**26, True), (320, 2**40, False), (20, 2**10, False)]
)
def test_memory_that_will_not_suffice_is_told_before_long_sound(
    seconds, room, is_told, monkeypatch, caplog
):
    monkeypatch.setattr(advice, "_memory_of", lambda device: (f"the {device}", room))
    with genhub.attach(small_pipelines.audioldm2(), [{"type": "litefocus"}], seconds=seconds):
        told = [r.message for r in caplog.records if "are needed at once" in r.message]
    assert len(told) == is_told
    if is_told:
        assert "the cpu has 64.0 MiB" in told[0] and "dtype: bf16" in told[0]


@pytest.mark.parametrize("how", ["slicing", "processors"])
def test_processors_that_are_lost_later_are_told_once(how, caplog):
    pipe = small_pipelines.audioldm2()
    with genhub.attach(pipe, [PLAIN]):
        if how == "slicing":
            pipe.enable_attention_slicing()
        else:
            pipe.unet.set_attn_processor(AttnProcessor2_0())
        pipe("rain", num_inference_steps=3, audio_length_in_s=0.3)
    told = [r.message for r in caplog.records if "litefocus is gone from 12 of 12" in r.message]
    assert len(told) == 1
    assert (SlicedAttnProcessor.__name__ if how == "slicing" else "AttnProcessor2_0") in told[0]
    assert (
        all(type(p) is AttnProcessor2_0 for p in pipe.unet.attn_processors.values())
        or how == "slicing"
    )


def test_masked_self_attention_is_full_attention_and_told_once(caplog):
    unet = shapes.audioldm2((None, 6))
    attn = unet.down_blocks[1].attentions[0].transformer_blocks[0].attn1
    x, mask = torch.randn(1, 40, 16), torch.zeros(1, 1, 40)
    with torch.no_grad():
        wanted = attn(x, attention_mask=mask)
        with genhub.attach(unet, [PLAIN], modality="audio"):
            shapes.call(unet, 9, 16)
            assert not torch.allclose(attn(x), wanted)
            for _ in range(2):
                assert torch.equal(attn(x, attention_mask=mask), wanted)
    told = [r for r in caplog.records if "leaves masked self-attention as it is" in r.message]
    assert len(told) == 1


class Picky(Kernel):
    """Serves float64 alone."""

    def available(self):
        return Availability(True)

    def supports(self, **what):
        return (
            None if what.get("dtype") == torch.float64 else f"it wants float64, not {what['dtype']}"
        )


def test_a_kernel_that_does_not_serve_a_later_dtype_is_replaced_with_a_warning(caplog):
    unet = shapes.audioldm2((None, 6))
    with genhub.attach(unet, [PLAIN], modality="audio") as attached:
        for processor in attached.driver("litefocus").focus["unet"].processors:
            processor.chosen = Picky()
        made = shapes.call(unet, 9, 16)
    with genhub.attach(unet, [PLAIN], modality="audio"):
        assert torch.equal(shapes.call(unet, 9, 16), made)
    told = [r.message for r in caplog.records if "computes by rows, not Picky" in r.message]
    assert told == ["litefocus computes by rows, not Picky: it wants float64, not torch.float32"]


def test_attaching_again_replaces_and_detaching_restores():
    unet = shapes.audioldm2((None, 6))
    plain = shapes.call(unet, 9, 16)
    processors = dict(unet.attn_processors)
    with genhub.attach(unet, [PLAIN | {"cross_frequency": False}], modality="audio"):
        alone = shapes.call(unet, 9, 16)
    outer = genhub.attach(unet, [PLAIN], modality="audio")
    inner = genhub.attach(unet, [PLAIN | {"cross_frequency": False}], modality="audio")
    assert torch.equal(shapes.call(unet, 9, 16), alone)
    inner.detach()
    outer.detach()
    outer.detach()
    assert torch.equal(shapes.call(unet, 9, 16), plain)
    assert all(unet.attn_processors[path] is one for path, one in processors.items())
