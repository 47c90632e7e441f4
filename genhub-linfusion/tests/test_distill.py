"""Distillation: the published loss, learning, resuming, and what it leaves behind."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file
from small_pipeline import write_small_pipeline

import genhub
from genhub.api import GenHubError
from genhub_linfusion import distill as distillation
from genhub_linfusion import weights
from genhub_linfusion.distill import Student, losses


def test_losses_and_gradients_equal_the_published_ones(unet, golden, golden_folder):
    io = golden("unet_io")
    meta = json.loads((golden_folder / "unet_meta.json").read_text())
    noisy, t, states = io["noisy"], io["timesteps"], io["encoder_hidden_states"]
    with torch.no_grad():
        taught = Student(unet, meta["forward_order"])(noisy, t, states)
    block = {"type": "linfusion", "checkpoint": str(golden_folder / "linfusion")}
    with genhub.attach(unet, attention=[block]) as attached:
        layers = attached.driver("linfusion").layers
        made = Student(unet, meta["forward_order"])(noisy, t, states)
        terms = losses(*made, *taught, io["noise"])
        for ours, name in zip(terms, ("loss_noise", "loss_kd", "loss_feat", "loss"), strict=True):
            assert float(ours) == pytest.approx(meta["losses"][name], rel=1e-4), name
        terms.total.backward()
        order = [entry["module_name"] for entry in meta["modules_list"]]
        found = {
            f"gradnorm.{i}.{key}": float(parameter.grad.norm())
            for i, path in enumerate(order)
            for key, parameter in layers[path].named_parameters()
        }
    expected = {k: float(v) for k, v in io.items() if k.startswith("gradnorm.")}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-3, abs=1e-7), key


def _distill(folder, model, **fields):
    task = {"type": "distill", "batch": 2, "log_every": 1, "resolution": 16, "lr": 3e-3, **fields}
    return genhub.run(
        {
            "genhub": 1,
            "task": task,
            "model": {"source": str(model)},
            "attention": [{"type": "linfusion", "checkpoint": None}],
            "output": {"dir": str(folder)},
        }
    )


def _logged(folder, name):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [entry[name] for entry in map(json.loads, lines) if name in entry]


def test_the_student_comes_to_resemble_its_teacher(tmp_path):
    run = _distill(tmp_path, "tiny:shapes", steps=16, batch=4, resolution=64, lr=2e-3)
    feature = _logged(run.folder, "loss_feature")
    assert len(feature) == 16
    assert sum(feature[-4:]) < 0.7 * sum(feature[:4])
    assert len(weights.load(run.folder / "linfusion").layers) == 7


def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    model = write_small_pipeline(tmp_path / "model")
    whole = _distill(tmp_path / "whole", model, steps=4, checkpoint_every=2)

    tell = distillation._tell

    def interrupt(run, config, step, *rest):
        tell(run, config, step, *rest)
        if step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(distillation, "_tell", interrupt)
        with pytest.raises(GenHubError) as caught:
            _distill(tmp_path / "parts", model, steps=4, checkpoint_every=2)
    assert caught.value.code == "GH603"
    (folder,) = (tmp_path / "parts").glob("run-*")
    resumed = genhub.run(folder)
    assert _logged(resumed.folder, "step") == [1, 2, 3, 4]
    name = "linfusion/diffusion_pytorch_model.safetensors"
    ours, theirs = load_file(resumed.folder / name), load_file(whole.folder / name)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_given_pipeline_comes_back_as_it_was(tmp_path):
    pipeline = StableDiffusionPipeline.from_pretrained(write_small_pipeline(tmp_path / "model"))
    pipeline.unet.train()
    learns = {name: p.requires_grad for name, p in pipeline.unet.named_parameters()}
    assert all(learns.values())
    config = {
        "genhub": 1,
        "task": {"type": "distill", "steps": 1, "batch": 2, "resolution": 16},
        "attention": [{"type": "linfusion", "checkpoint": None}],
    }
    genhub.run(config, set={"output.dir": str(tmp_path)}, pipeline=pipeline)
    assert {name: p.requires_grad for name, p in pipeline.unet.named_parameters()} == learns
    assert all(module.training for module in pipeline.unet.modules())


def test_the_task_without_the_mixer_says_what_to_write(tmp_path):
    model = write_small_pipeline(tmp_path / "model")
    config = {"genhub": 1, "task": "distill", "model": {"source": str(model)}}
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, set={"output.dir": str(tmp_path)})
    assert caught.value.code == "GH409"
    assert "attention: [{type: linfusion, checkpoint: null}]" in str(caught.value)


def test_pictures_without_captions_are_named(tmp_path):
    from PIL import Image

    model = write_small_pipeline(tmp_path / "model")
    data = tmp_path / "data"
    data.mkdir()
    Image.new("RGB", (16, 16)).save(data / "lonely.png")
    with pytest.raises(GenHubError) as caught:
        _distill(tmp_path / "runs", model, steps=1, data=str(data))
    assert "lonely.png" in str(caught.value)
