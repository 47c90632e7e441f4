"""Estimates: the published table, a counted forward, memory, advice, and every kind of source."""

from __future__ import annotations

import math

import pytest
import shapes_of_families as shapes
import small_pipelines
import torch
from published_folder import audioldm2_folder
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import genhub
from genhub_litefocus import LiteFocusConfig, estimate

GIGA = 1e9


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return audioldm2_folder(tmp_path_factory.mktemp("estimate") / "audioldm2")


# Latent frames, GFLOP of one forward: full, with LiteFocus; ratio with LiteFocus on all levels.
@pytest.mark.parametrize(
    "frames, full, focus, every", [(1024, 966, 700, 1.43), (8192, 28994, 11951, 2.76)]
)
def test_the_published_model_costs_what_was_counted(published, frames, full, focus, every):
    made = estimate(published, frames / 25)
    assert made.levels[0].frames * 2 == frames and made.rate == 25
    assert made.full / GIGA == pytest.approx(full, rel=0.01)
    assert made.focus / GIGA == pytest.approx(focus, rel=0.01)
    assert made.options[0].settings == "where: {level: all}"
    assert made.options[0].ratio == pytest.approx(every, rel=0.01)
    first, *others = made.levels
    assert (first.freq_bins, first.attentions, first.sparse) == (8, 20, 20)
    assert sum(level.attentions for level in others) == 44
    assert all(level.sparse == 0 and level.full == level.focus for level in others)


def test_both_figures_are_those_of_a_counted_forward():
    pipe = small_pipelines.audioldm2()
    made = estimate(pipe, 4.04, {"sparse_ratio": 0.2})

    def forward():
        torch.manual_seed(0)
        args, kwargs = facts.example_call("unet")
        real = [torch.zeros_like(x, device="cpu") for x in args]
        named = {k: torch.zeros_like(x, device="cpu") if torch.is_tensor(x) else x
                 for k, x in kwargs.items()}  # fmt: skip
        math_only = sdpa_kernel(SDPBackend.MATH)
        with torch.no_grad(), math_only, FlopCounterMode(display=False) as counter:
            pipe.unet(*real, **named)
        return counter.get_total_flops()

    block = {"type": "litefocus", "sparse_ratio": 0.2}
    with genhub.attach(pipe, [block], seconds=4.04) as attached:
        facts = attached.context.facts
        sparse = forward()
    assert forward() == made.full
    assert sparse == pytest.approx(made.focus, rel=0.01) and sparse < made.full


def test_a_band_in_time_and_a_bound_make_the_cost_linear():
    pipe = small_pipelines.audioldm2()
    linear = {"time_window": 32, "max_compensation": 16, "where": {"level": "all"}}
    short, long = (estimate(pipe, seconds, linear) for seconds in (80, 320))
    assert long.focus / short.focus == pytest.approx(4, rel=0.03)
    assert long.full / short.full > 8
    assert long.quadratic_from_focus == math.inf
    assert any("nothing grows so" in said for said in long.advice)


def test_scores_cost_as_much_as_the_rest_at_the_length_that_is_told():
    pipe = small_pipelines.audioldm2()
    told = estimate(pipe, 80)
    # full = a s + b s^2 with a s = b s^2 at the crossing: four times the scores at twice of it.
    there, twice = (estimate(pipe, f * told.quadratic_from) for f in (1, 2))
    assert twice.full / there.full == pytest.approx(3, rel=0.02)
    assert told.quadratic_from_focus > told.quadratic_from


def test_memory_is_that_of_what_is_held(published):
    made = estimate(published, 81.92)
    held = made.memory
    assert held.latent == 8 * 2048 * 16 * 4
    assert held.weights == pytest.approx(346.9e6 * 4, rel=0.001)
    assert held.scores == 8 * 8192**2 * 4  # heads, tokens
    assert held.fused == 4 * 8192 * 256 * 4
    assert held.fused < held.focus < 3 * held.fused
    assert held.picture_scores == (2048 * 16) ** 2 * 4
    assert held.files > 0
    assert held.decoding + held.files == held.picture


def test_decoding_at_once_is_advised_against():
    at_once = estimate(small_pipelines.audioldm2(), 60, LiteFocusConfig(decode="pipeline"))
    assert at_once.memory.files == 0 and at_once.memory.decoding == at_once.memory.picture
    assert any("decode: stream" in said for said in at_once.advice)


def test_what_does_not_fit_is_told_with_what_helps(monkeypatch):
    from genhub_litefocus import advice

    pipe = small_pipelines.audioldm2()
    monkeypatch.setattr(advice, "_memory_of", lambda device: ("this machine", 64 * 2**20))
    (said,) = [s for s in estimate(pipe, 320).advice if "are needed" in s]
    assert "this machine has 64.0 MiB" in said and "dtype: bf16" in said
    until = float(said.partition("enough for ")[2].partition(" s")[0])
    assert 10 < until < 320
    assert not any("are needed" in s for s in estimate(pipe, 10).advice)


def test_short_sound_is_advised_against():
    pipe = small_pipelines.audioldm2()
    assert "full attention is as good and as fast" in estimate(pipe, 5).advice[0]
    aside = estimate(pipe, 5, {"min_seconds": 10.24})
    assert aside.focus == aside.full and "steps aside" in aside.advice[0]
    assert not any("as good and as fast" in said for said in estimate(pipe, 40).advice)


def test_the_pipeline_stays_as_it_was():
    pipe = small_pipelines.audioldm2()
    before = dict(pipe.unet.attn_processors), torch.random.get_rng_state()
    estimate(pipe, 20)
    assert all(pipe.unet.attn_processors[name] is one for name, one in before[0].items())
    assert torch.equal(torch.random.get_rng_state(), before[1])
    assert {p.device.type for p in pipe.unet.parameters()} == {"cpu"}


def test_a_bare_denoiser_is_taken_for_one_of_audioldm():
    made = estimate(shapes.tango(), 20, {"layout": "tf"})
    assert made.rate == 25 and made.levels[0].freq_bins == 16
    assert "assumed" in made.advice[-1] and "100 mel frames a second" in made.advice[-1]


def test_frequency_first_is_counted_with_its_bins():
    made = estimate(shapes.auffusion(), 16, {"layout": "ft", "freq_bins": 32})
    assert (made.levels[0].frames, made.levels[0].freq_bins) == (400, 32)
    assert made.levels[0].sparse == 5 and made.focus < made.full


def test_text_shows_levels_totals_and_advice():
    text = str(estimate(small_pipelines.audioldm2(), 40))
    lines = text.splitlines()
    assert lines[0].startswith("AudioLDM2Pipeline, 40 s of sound at 25 latent frames a second")
    assert [line.split()[:4] for line in lines[3:5]] == [
        ["1", "500", "8", "4000"],
        ["2", "250", "4", "1000"],
    ]
    assert any(line.startswith("litefocus ") for line in lines)
    assert any(line.startswith("latent ") and line.endswith("KiB") for line in lines)
    assert lines[-1].startswith("- ")


@pytest.mark.parametrize(
    "block, code, words",
    [
        ({"sparse_ratio": 1.5}, None, ["sparse_ratio"]),
        ({"spare_ratio": 0.1}, None, ["spare_ratio"]),
        ({"type": "linfusion"}, "GH305", ["linfusion"]),
        ({"where": {"level": 9}}, None, ["level"]),
    ],
)
def test_a_wrong_block_is_told(block, code, words):
    with pytest.raises(genhub.GenHubError) as raised:
        estimate(small_pipelines.audioldm2(), 10, block)
    assert code is None or raised.value.problems[0].code == code
    assert all(word in str(raised.value) for word in words)


@pytest.mark.parametrize(
    "source, code", [("nowhere", "GH501"), ("tiny:nothing", "GH201"), (object(), "GH407")]
)
def test_a_source_that_is_no_model_is_told(source, code):
    with pytest.raises(genhub.GenHubError) as raised:
        estimate(source, 10)
    assert raised.value.problems[0].code == code


def test_a_folder_that_is_no_pipeline_is_told(tmp_path):
    with pytest.raises(genhub.GenHubError, match=r"no model_index\.json"):
        estimate(tmp_path, 10)
    folder = audioldm2_folder(tmp_path / "model")
    (folder / "unet" / "config.json").write_text("{")
    with pytest.raises(genhub.GenHubError, match="cannot be read"):
        estimate(folder, 10)


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """Give a cache of the hub that holds the configs of one repository, and no way online."""
    from huggingface_hub import constants

    repository = tmp_path / "models--someone--audioldm2"
    audioldm2_folder(repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_hub_repository_is_read_from_the_cache(hub_cache):
    assert estimate("someone/audioldm2", 5).levels[0].attentions == 20


def test_a_hub_repository_that_cannot_be_reached_is_told(hub_cache):
    with pytest.raises(genhub.GenHubError, match="someone/else is not in the local cache") as told:
        estimate("someone/else", 5)
    assert told.value.problems[0].code == "GH503"


def test_a_sequence_without_frequencies_is_refused():
    from diffusers import StableAudioDiTModel

    denoiser = StableAudioDiTModel(
        sample_size=4, in_channels=3, num_layers=1, attention_head_dim=4, num_attention_heads=2,
        num_key_value_attention_heads=1, out_channels=3, cross_attention_dim=4,
        time_proj_dim=8, global_states_input_dim=8, cross_attention_input_dim=4,
    )  # fmt: skip
    with pytest.raises(genhub.GenHubError, match="2-D time x frequency latent"):
        estimate(denoiser, 20)


def test_a_length_that_is_none_is_told():
    with pytest.raises(ValueError, match="seconds is 0: it must be above 0"):
        estimate(small_pipelines.audioldm2(), 0)
