from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch

from genhub.api import GenHubError
from genhub.plan import facts_of
from genhub.plan.facts import denoisers_of
from genhub.plan.observe import probed

SIZE = {"height": 64, "width": 96, "frames": 3}


def real(value: Any) -> Any:
    """Fill a meta tensor with numbers that any embedding accepts."""
    if isinstance(value, dict):
        return {key: real(inner) for key, inner in value.items()}
    if not isinstance(value, torch.Tensor):
        return value
    if value.is_floating_point():
        return torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    return torch.ones(value.shape, dtype=value.dtype)


def observed(denoiser: Any, args: Any, kwargs: Any) -> list[tuple[Any, ...]]:
    """Run a real forward and list path, kind, tokens, context, width of each attention call."""
    calls: list[tuple[Any, ...]] = []

    def noting(path: str) -> Any:
        def hook(_: Any, given: Any, named: Any) -> None:
            hidden = given[0] if given else named["hidden_states"]
            context = given[1] if len(given) > 1 else named.get("encoder_hidden_states")
            kind = "self" if context is None else "cross"
            keys = None if context is None else context.shape[1]
            calls.append((path, kind, hidden.shape[1], keys, hidden.shape[2]))

        return hook

    for path, module in denoiser.named_modules():
        if hasattr(module, "set_processor"):
            module.register_forward_pre_hook(noting(path), with_kwargs=True)
    with torch.no_grad():
        denoiser(*args, **kwargs)
    return calls


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_facts_equal_what_a_real_forward_does(name):
    denoiser = tiny.FAMILIES[name]()

    facts = facts_of(denoiser, **SIZE)

    assert facts.family == name.split()[0]
    assert facts.probed_by == "meta" and not facts.note
    component = next(iter(denoisers_of(denoiser)))
    args, kwargs = facts.example_call(component)
    seen = observed(denoiser, [real(a) for a in args], real(kwargs))
    assert [
        (site.module_path, site.kind, site.tokens, site.context_tokens, site.channels)
        for site in facts.sites
    ] == seen
    assert [site.index for site in facts.sites] == list(range(len(seen)))
    for site in facts.sites:
        attn = denoiser.get_submodule(site.module_path)
        assert site.heads == attn.heads
        assert site.heads * site.head_dim == attn.to_q.out_features


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_pictures_are_where_tokens_are_cells(name):
    facts = facts_of(tiny.FAMILIES[name](), **SIZE)

    for site in facts.sites:
        if site.axis == "temporal":
            assert site.grid is None and site.tokens == 3
        elif site.grid is not None:
            rows, cols = site.grid
            assert rows * cols == site.tokens
            assert (8 >> site.level, 12 >> site.level) == site.grid
        else:
            assert site.axis == "joint"


def test_the_probe_leaves_model_and_random_state_alone():
    unet = tiny.sd()
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    hooks = [len(m._forward_pre_hooks) for m in unet.modules()]
    state = torch.random.get_rng_state()

    facts_of(unet)

    assert torch.equal(torch.random.get_rng_state(), state)
    assert [len(m._forward_pre_hooks) for m in unet.modules()] == hooks
    assert all(torch.equal(unet.state_dict()[key], value) for key, value in before.items())


def test_temporal_cross_attention_is_told_from_temporal_self_attention():
    kinds = {
        name: {s.kind for s in facts_of(tiny.FAMILIES[name](), **SIZE).sites if is_second(s)}
        for name in ("unet3d", "motion", "svd")
    }

    assert kinds == {"unet3d": {"self"}, "motion": {"self"}, "svd": {"cross"}}


def is_second(site: Any) -> bool:
    return site.axis == "temporal" and site.path.endswith("attn2")


def test_audioldm_has_only_self_attention_whatever_its_modules_declare():
    unet = tiny.audioldm()
    declared = [m.is_cross_attention for m in unet.modules() if hasattr(m, "is_cross_attention")]

    facts = facts_of(unet)

    assert any(declared)
    assert {site.kind for site in facts.sites} == {"self"}
    assert facts.modality == "audio" and facts.latent.axes == "BCTF"


def test_text_and_picture_tokens_together_are_joint():
    flux = {site.module_path: site for site in facts_of(tiny.flux(), **SIZE).sites}
    sd3 = {site.module_path: site.axis for site in facts_of(tiny.sd3(), **SIZE).sites}

    assert flux["transformer_blocks.0.attn"].axis == "joint"
    single = flux["single_transformer_blocks.0.attn"]
    assert (single.axis, single.tokens, single.grid) == ("joint", 512 + 24, None)
    assert sd3["transformer_blocks.0.attn"] == "joint"
    assert sd3["transformer_blocks.0.attn2"] == "spatial"  # sees the picture alone


def test_latents_have_the_shape_that_pipelines_pass():
    latents = {
        name: facts_of(tiny.FAMILIES[name](), **SIZE).latent
        for name in ("unet2d", "unet3d", "svd", "flux")
    }

    assert {name: (latent.axes, latent.shape) for name, latent in latents.items()} == {
        "unet2d": ("BCHW", (1, 4, 8, 12)),
        "unet3d": ("BCFHW", (1, 4, 3, 8, 12)),
        "svd": ("BFCHW", (1, 3, 4, 8, 12)),
        "flux": ("BCHW", (1, 4, 8, 12)),
    }


def test_a_pipeline_gives_its_own_default_size_and_factor():
    facts = facts_of(tiny.stable_diffusion())

    assert facts.latent.factor == 2  # two blocks of the autoencoder
    assert facts.latent.shape == (1, 4, 8, 8)
    assert facts.sites[0].tokens == 64


def test_modality_can_be_overridden_for_mel_models():
    facts = facts_of(tiny.stable_diffusion(), modality="audio")

    assert facts.modality == "audio" and facts.latent.axes == "BCTF"


def test_seconds_that_a_pipeline_cannot_read_are_noted():
    assert "seconds have no meaning" in facts_of(tiny.stable_diffusion(), seconds=2.0).note


@pytest.mark.parametrize(("seconds", "rows"), [(None, 8), (0.64, 16), (0.65, 17)])
def test_seconds_of_audio_are_rows_of_the_latent(seconds, rows):
    class Pipeline:
        unet = tiny.audioldm()
        vae_scale_factor = 4
        vocoder = SimpleNamespace(
            config=SimpleNamespace(upsample_rates=(5, 4, 8), sampling_rate=16000, model_in_dim=64)
        )

    facts = facts_of(Pipeline(), seconds=seconds)

    assert facts.latent.shape == (1, 4, rows, 16)
    assert facts.modality == "audio" and facts.sites[0].tokens == rows * 16


def test_replaced_and_wrapped_modules_keep_their_sites():
    from peft import LoraConfig

    unet = tiny.sd()
    before = facts_of(unet).sites
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q"]))
    unet.mid_block.attentions[0].transformer_blocks[0].attn1 = torch.nn.Identity()

    facts = facts_of(unet)

    assert facts.sites == before and not facts.note


def test_a_module_that_the_model_lacks_is_reported():
    unet = tiny.sd()
    unet.mid_block = None

    facts = facts_of(unet)

    assert len(facts.sites) == 6
    assert "unet lacks 2 attention modules of its config (first: mid_block." in facts.note


class Unknown(torch.nn.Module):
    """A denoiser of no known class."""

    def __init__(self) -> None:
        super().__init__()
        from diffusers.models.attention_processor import Attention

        self.proj = torch.nn.Conv2d(4, 8, 1)
        self.attn1 = Attention(8, heads=2, dim_head=4)
        self.attn2 = Attention(8, cross_attention_dim=12, heads=2, dim_head=4)
        self.back = torch.nn.Conv2d(8, 4, 1)
        self.config = tiny.sd().config
        self.dtype = torch.float32

    def forward(self, sample, timestep, encoder_hidden_states, return_dict=True, **kwargs):
        x = self.proj(sample)
        tokens = x.flatten(2).transpose(1, 2)
        tokens = self.attn2(self.attn1(tokens), encoder_hidden_states)
        x = self.back(tokens.transpose(1, 2).unflatten(2, x.shape[-2:]))
        return (x,)


class UnknownPipeline:
    """Just enough of a pipeline to be called for one step."""

    def __init__(self) -> None:
        from diffusers import DDIMScheduler

        self.unet = Unknown()
        self.scheduler = DDIMScheduler()
        self.runs = 0

    def __call__(self, prompt, num_inference_steps=50, height=16, generator=None):
        self.runs += num_inference_steps
        self.scheduler.set_timesteps(num_inference_steps)
        x = torch.randn(1, 4, height // 2, 6, generator=generator)
        for t in self.scheduler.timesteps:
            self.unet(x, t, encoder_hidden_states=torch.zeros(1, 5, 12))
        raise RuntimeError("there is no decoder")


def test_an_unknown_class_is_probed_by_one_real_step():
    pipeline = UnknownPipeline()
    scheduler = pipeline.scheduler

    facts = facts_of(pipeline, height=8)

    assert facts.probed_by == "real step" and facts.family == "other"
    assert pipeline.runs == 1
    assert pipeline.scheduler is scheduler and scheduler.num_inference_steps is None
    assert [(s.path, s.kind, s.tokens, s.context_tokens) for s in facts.sites] == [
        ("unet.attn1", "self", 24, None),
        ("unet.attn2", "cross", 24, 5),
    ]
    args, kwargs = facts.example_call("unet")
    assert args[0].device.type == "meta" and args[0].shape == (1, 4, 4, 6)
    assert kwargs["encoder_hidden_states"].shape == (1, 5, 12)


def test_where_nothing_can_be_called_the_modules_declare_their_sites():
    facts = facts_of(Unknown())

    assert facts.probed_by == "declaration"
    assert "not in the table of example calls" in facts.note
    assert [(s.path, s.kind, s.stage, s.index, s.tokens) for s in facts.sites] == [
        ("unet.attn1", "self", "blocks", -1, None),
        ("unet.attn2", "cross", "blocks", -1, None),
    ]
    assert [(s.heads, s.head_dim, s.channels, s.axis) for s in facts.sites] == [
        (2, 4, 8, "spatial")
    ] * 2
    with pytest.raises(LookupError, match="component 'unet'"):
        facts.example_call("unet")


def test_a_pipeline_whose_step_fails_says_why():
    class Broken(UnknownPipeline):
        def __call__(self, image):
            raise ValueError("never reached")

    facts = facts_of(Broken())

    assert facts.probed_by == "declaration"
    assert "one step of Broken failed: TypeError" in facts.note


def test_a_known_class_that_resists_the_probe_says_why():
    class Fussy(tiny.UNet2DConditionModel):
        def forward(self, *args, **kwargs):
            raise ValueError("not today\nnor tomorrow")

    facts = facts_of(Fussy.from_config(tiny.sd().config))

    assert facts.probed_by == "declaration" and len(facts.sites) == 8
    assert facts.note == "unet cannot be probed on meta: ValueError: not today"


class Mapping(torch.nn.Module):
    """A denoiser that attends to pictures as they are, and to a pair of contexts."""

    def __init__(self) -> None:
        super().__init__()
        from diffusers.models.attention_processor import Attention

        self.attn1 = Attention(4, heads=2, dim_head=2, residual_connection=True)
        self.block = torch.nn.ModuleDict({"attn2": Attention(4, 12, heads=2, dim_head=2)})

    def forward(self, hidden_states, pair):
        x = self.attn1(hidden_states)
        tokens = x.flatten(2).transpose(1, 2)
        self.block["attn2"](tokens, encoder_hidden_states=pair)


class TextFirst:
    """A processor that takes a pair of contexts, as IP-Adapter's do."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **kwargs):
        return hidden_states


def pipeline_of(shape, **parts):
    class Pipeline:
        def __call__(self, num_inference_steps=50, num_frames=None):
            pair = (torch.zeros(1, 5, 12), [torch.zeros(1, 3, 12)])
            self.unet(torch.zeros(*shape), pair=pair)

    made = Pipeline()
    made.unet = Mapping()
    made.unet.block["attn2"].set_processor(TextFirst())
    vars(made).update(parts)
    return made


def test_attention_over_a_picture_and_to_a_pair_of_contexts_is_seen():
    facts = facts_of(pipeline_of((1, 4, 6, 8)))

    assert [(s.kind, s.tokens, s.context_tokens, s.channels, s.grid) for s in facts.sites] == [
        ("self", 48, None, 4, (6, 8)),
        ("cross", 48, 5, 4, None),
    ]
    assert (facts.latent.axes, facts.latent.shape, facts.modality) == (
        "BCHW",
        (1, 4, 6, 8),
        "image",
    )


def test_a_step_leaves_settings_of_the_progress_bar_as_they_were():
    from diffusers import DDIMScheduler

    bars = []

    def show(**settings):
        bars.append(settings)
        pipeline._progress_bar_config = settings

    pipeline = pipeline_of((1, 4, 6, 8), set_progress_bar_config=show)
    facts_of(pipeline)
    assert bars == [{"disable": True}] and "_progress_bar_config" not in vars(pipeline)
    pipeline._progress_bar_config, pipeline.scheduler = {"leave": False}, DDIMScheduler()
    scheduler = pipeline.scheduler
    facts_of(pipeline)
    assert pipeline._progress_bar_config == {"leave": False}
    assert pipeline.scheduler is scheduler


def test_what_no_call_shows_as_a_picture_has_no_shape():
    class Pipeline(UnknownPipeline):
        def __call__(self, prompt, num_inference_steps=50):
            self.unet.attn1(torch.zeros(1, 5, 8))
            self.unet(None, 0)

    class Deaf(Unknown):
        def forward(self, sample, timestep):
            self.attn1(torch.zeros(1, 5, 8))

    pipeline = Pipeline()
    pipeline.unet = Deaf()
    facts = facts_of(pipeline)

    assert (facts.latent.axes, facts.latent.shape, facts.latent.factor) == ("BCHW", (), 8)
    assert [(s.index, s.tokens, s.level) for s in facts.sites] == [(0, 5, None), (-1, None, None)]


def test_the_mark_of_an_image_prompt_is_no_hindrance():
    unet = tiny.sd()
    unet.config["encoder_hid_dim_type"] = "ip_image_proj"

    assert facts_of(unet).sites == facts_of(tiny.sd()).sites


def test_a_pipeline_without_denoiser_is_refused():
    class Empty:
        pass

    with pytest.raises(GenHubError, match="Empty has no denoiser: none of unet, transformer"):
        facts_of(Empty())


def test_the_same_architecture_at_the_same_size_is_probed_once():
    probed.cache_clear()
    first = facts_of(tiny.sd(), height=64, width=64)
    assert facts_of(tiny.sd(), height=64, width=64) == first
    assert probed.cache_info().misses == 1
    assert facts_of(tiny.sd(), height=128, width=64).sites != first.sites
    wider = facts_of(tiny.sd_three_levels(), height=64, width=64)
    assert len(wider.sites) != len(first.sites)
    assert probed.cache_info().misses == 3
