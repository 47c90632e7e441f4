from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genhub.shapes import autoencoder, denoiser, tokenizer
from genhub.shapes.train import QUICK, Stage, main, one_cycle, plateau, run_stage, train

PARTS = ("vae/diffusion_pytorch_model", "unet/diffusion_pytorch_model", "text_encoder/model")


def _weights(folder):
    return {part: load_file(folder / f"{part}.safetensors") for part in PARTS}


def _same(one, two):
    return all(
        torch.equal(value, two[part][name])
        for part, tensors in one.items()
        for name, value in tensors.items()
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "model"
    record = train(QUICK, folder, threads=1)
    return folder, record


class Stop(Exception):
    """Stands for a kill in the middle of a stage."""


@pytest.mark.parametrize("where", ["autoencoder", "denoiser", "polish"])
def test_stopped_training_resumes_to_the_same_weights(finished, tmp_path, monkeypatch, where):
    calls = {"n": 0}

    def stopping(stage, *arguments):
        if stage.name != where:
            return run_stage(stage, *arguments)
        whole = stage.loss

        def loss(step):
            calls["n"] += 1
            if step == 2:
                raise Stop
            return whole(step)

        return run_stage(replace(stage, loss=loss), *arguments)

    folder = tmp_path / "model"
    with monkeypatch.context() as patched:
        patched.setattr("genhub.shapes.train.run_stage", stopping)
        with pytest.raises(Stop):
            train(QUICK, folder, threads=1)
    assert calls["n"] == 3
    train(QUICK, folder, resume=True, threads=1)
    assert _same(_weights(finished[0]), _weights(folder))


def test_another_seed_gives_other_weights(finished, tmp_path):
    short = replace(QUICK, autoencoder_steps=2, decoder_steps=1, denoiser_steps=1,
                    polish_steps=1, seed=1)  # fmt: skip
    train(short, tmp_path / "model", threads=1)
    assert not _same(_weights(finished[0]), _weights(tmp_path / "model"))


def test_folder_is_a_stock_pipeline_in_half_precision(finished):
    from diffusers import StableDiffusionPipeline

    folder, _ = finished
    for tensors in _weights(folder).values():
        assert {value.dtype for value in tensors.values()} == {torch.float16}
    names = load_file(folder / "text_encoder" / "model.safetensors")
    assert all(name.startswith("text_model.") for name in names)
    index = json.loads((folder / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert index["vae"] == ["diffusers", "AutoencoderTiny"]
    assert index["tokenizer"] == ["transformers", "CLIPTokenizer"]
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, torch_dtype=torch.float32, local_files_only=True
    )
    made = pipeline("a red star above a blue circle on gray", num_inference_steps=2)
    assert made.images[0].size == (64, 64)


def test_record_tells_recipe_curves_and_versions(finished):
    folder, record = finished
    written = json.loads((folder / "training.json").read_text())
    assert written == json.loads(json.dumps(record))
    assert written["recipe"]["denoiser_steps"] == QUICK.denoiser_steps
    assert [point["step"] for point in written["curves"]["denoiser"]] == [2, 4, 6]
    assert set(written["seconds"]) == {"autoencoder", "decoder", "denoiser", "polish"}
    assert "torch" in written["versions"]
    assert (
        "joint" in written["figures"] and "license: cc0-1.0" in (folder / "README.md").read_text()
    )


def test_command_says_how_long_it_will_take_before_the_first_step(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        main(["--quick", "--out", str(tmp_path / "model"), "--threads", "1"])
    lines = [record.getMessage() for record in caplog.records if "shapes" in record.name]
    assert lines[0].startswith("this will take about")
    assert (tmp_path / "model" / "model_index.json").exists()


def test_whitened_latents_have_unit_covariance():
    torch.manual_seed(0)
    vae = autoencoder.build(8)
    _, pictures = denoiser.draw(np.random.default_rng(0), 128)
    autoencoder.whiten(vae, pictures)
    with torch.no_grad():
        flat = vae.encoder(pictures).movedim(1, 0).flatten(1)
    torch.testing.assert_close(flat.mean(1), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(flat), torch.eye(4), atol=1e-2, rtol=0)


def test_shards_follow_from_seed_and_step_alone():
    vae, words = autoencoder.build(8), tokenizer.build()

    def shards(seed=0):
        return denoiser.Shards(vae, words, seed, size=8, batch=4)

    in_order, alone = shards(), shards()
    walked = [in_order(step) for step in range(6)]
    for got, want in zip(alone(5), walked[5], strict=True):
        assert torch.equal(got, want)
    assert not torch.equal(shards(1)(0)[0], walked[0][0])
    first_epoch = torch.cat([walked[0][0], walked[1][0]])
    second_epoch = torch.cat([walked[2][0], walked[3][0]])
    assert not torch.equal(first_epoch, second_epoch)  # another order of the same scenes
    torch.testing.assert_close(first_epoch.sum(0), second_epoch.sum(0))
    assert not torch.allclose(torch.cat([walked[4][0], walked[5][0]]).sum(0), first_epoch.sum(0))


def test_a_tenth_of_the_captions_is_dropped():
    vae, words = autoencoder.build(8), tokenizer.build()
    shards = denoiser.Shards(vae, words, 0, size=400, batch=400)
    _, ids = shards(0)
    empty = (ids == shards.tokens([""])).all(1).float().mean()
    assert 0.05 < empty < 0.16


def test_rates_rise_and_fall():
    for rate, end in ((one_cycle(1.0, 1000), 0.0), (plateau(1.0, 1000, 0.3), 1 / 3)):
        values = [rate(step) for step in range(1000)]
        assert values[0] < 0.1 and max(values) == pytest.approx(1.0, abs=0.01)
        assert values[-1] == pytest.approx(end, abs=0.01)
    shorter, longer = plateau(1.0, 1000, 0.3), plateau(1.0, 2000, 0.3)
    assert [shorter(step) for step in range(700)] == [longer(step) for step in range(700)]


def test_stage_learns_what_it_can(tmp_path):
    layer = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(layer.parameters())
    stage = Stage("line", 200, layer, optimizer, one_cycle(0.3, 200),
                  lambda step: (layer(torch.ones(1, 1)) - 3).square().mean())  # fmt: skip
    curve = run_stage(stage, tmp_path, QUICK, resume=False)
    assert curve[-1]["loss"] < 0.01 < curve[0]["loss"]
