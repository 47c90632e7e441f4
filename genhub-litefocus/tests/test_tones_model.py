"""The shipped text-to-audio model: its shape, what it makes, and the training that made it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import torch

import genhub
from genhub.api import GenHubError
from genhub_litefocus import train_tones
from genhub_litefocus.tones import model, sound
from genhub_litefocus.tones.drivers import Tones
from genhub_litefocus.tones.judge import tone_accuracy
from genhub_litefocus.tones.pipeline import TonesPipeline

WEIGHTS = Path(str(files("genhub_litefocus"))) / "tones" / "weights"


@pytest.fixture(scope="module")
def tones() -> TonesPipeline:
    pipeline = Tones().load(torch.float32, "cpu")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_weights_are_small_and_half_precision() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.safetensors")) <= 8 * 2**20


def test_it_has_five_self_attentions_at_its_finest_level(tones: TonesPipeline) -> None:
    with genhub.attach(tones, attention=[{"type": "litefocus"}], seconds=80.0) as attached:
        sites = [s for s in attached.context.facts.sites if s.kind == "self" and s.level == 0]
        assert attached.stats()["sites"] == {"litefocus": 5}
    assert [site.grid for site in sites] == [(800, 16)] * 5
    assert (attached.context.facts.modality, attached.context.facts.latent.axes) == (
        "audio",
        "BCTF",
    )


def test_it_sounds_as_captions_say(tones: TonesPipeline) -> None:
    captions = ["a steady high g tone", "slow middle a beeps", "fast rising sweeps", "low noise"]
    made = tones(captions, num_inference_steps=8, generator=[_seeded(i) for i in range(4)])
    assert made.audios.shape == (4, 9.6 * sound.RATE)
    assert tone_accuracy([*made.audios], captions, sound.RATE)["joint"] >= 0.8


def test_a_length_is_cut_to_the_sample(tones: TonesPipeline) -> None:
    made = tones("low noise", audio_length_in_s=1.2345, num_inference_steps=1, output_type="pt")
    assert made.audios.shape == (1, 19752)
    latents = tones("low noise", audio_length_in_s=1.6, num_inference_steps=1, output_type="latent")
    assert latents.audios.shape == (1, 4, 16, 16)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_no_length_is_refused(tones: TonesPipeline, seconds: float) -> None:
    with pytest.raises(ValueError, match=r"audio_length_in_s is .* must be above 0"):
        tones("low noise", audio_length_in_s=seconds)


def test_a_run_shorter_than_a_frame_is_made(tmp_path: Path) -> None:
    config = {
        "genhub": 1, "model": {"source": "tiny:tones"}, "input": {"prompts": ["low noise"]},
        "sampling": {"steps": 1, "seconds": 0.01},
        "output": {"dir": str(tmp_path), "report": False},
    }  # fmt: skip
    run = genhub.run(config, quiet=True)
    assert run.artifacts[0].info["seconds"] == 0.01


def test_a_saved_pipeline_is_loaded_again(tones: TonesPipeline, tmp_path: Path) -> None:
    tones.save_pretrained(tmp_path)
    loaded = TonesPipeline.from_pretrained(tmp_path, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    call = {"audio_length_in_s": 0.8, "num_inference_steps": 2, "output_type": "pt"}
    made, again = (p("low noise", generator=_seeded(0), **call).audios for p in (tones, loaded))
    assert made.abs().max() > 0 and torch.equal(made, again)


def test_an_installation_without_weights_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(GenHubError, match="lacks the weights of tiny:tones") as told:
        Tones(tmp_path).load(torch.float32, "cpu")
    assert told.value.code == "GH502"


def test_the_card_and_the_record_tell_the_same(tones: TonesPipeline) -> None:
    record = json.loads((WEIGHTS / "training.json").read_text())
    card = (WEIGHTS / "README.md").read_text()
    for name, value in record["figures"].items():
        assert f"| {name} | {value:.3g} |" in card
    recipe = train_tones.Recipe()
    for name in ("autoencoder_steps", "decoder_steps", "denoiser_steps", "unet_channels", "batch"):
        value = getattr(recipe, name)
        assert record["recipe"][name] == (list(value) if isinstance(value, tuple) else value)
    assert tuple(tones.unet.config.block_out_channels) == recipe.unet_channels


def test_training_that_was_stopped_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    recipe = train_tones.QUICK
    straight = train_tones.train(recipe, tmp_path / "straight", "cpu")
    stage = train_tones.run_stage

    def stopping(one, *args):
        if one.name == "denoiser":
            one.steps = 2
        return stage(one, *args)

    train_tones.run_stage = stopping
    try:
        train_tones.train(recipe, tmp_path / "resumed", "cpu")
    finally:
        train_tones.run_stage = stage
    resumed = train_tones.train(recipe, tmp_path / "resumed", "cpu", resume=True)
    assert resumed["curves"]["denoiser"][-1]["loss"] == straight["curves"]["denoiser"][-1]["loss"]
    same = [model.load(tmp_path / name, torch.float32) for name in ("straight", "resumed")]
    for one, other in zip(*(m.unet.state_dict().values() for m in same), strict=True):
        assert torch.equal(one, other)


def test_a_trained_folder_is_a_stable_diffusion_pipeline(tmp_path: Path) -> None:
    train_tones.main(["--quick", "--out", str(tmp_path / "made"), "--device", "cpu"])
    index = json.loads((tmp_path / "made" / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    figures = json.loads((tmp_path / "made" / "training.json").read_text())["figures"]
    assert {"psnr of the autoencoder", "joint"} <= set(figures)
    made = model.load(tmp_path / "made", torch.float32)
    made.set_progress_bar_config(disable=True)
    assert made("silence", audio_length_in_s=0.8, num_inference_steps=1).audios.shape == (1, 12800)
