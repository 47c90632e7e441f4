"""The model that ships inside the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import genhub.shapes
from genhub.shapes import scenes
from genhub.shapes.evaluate import sample, sheet
from genhub.shapes.judge import caption_accuracy
from genhub.shapes.render import render

FOLDER = Path(genhub.shapes.__file__).parent / "model"


@pytest.fixture(scope="module")
def pipeline():
    from diffusers import StableDiffusionPipeline

    made = StableDiffusionPipeline.from_pretrained(
        FOLDER, torch_dtype=torch.float32, local_files_only=True
    )
    made.set_progress_bar_config(disable=True)
    return made


def test_shipped_model_draws_what_captions_say(pipeline):
    captions = scenes.prompts(10, seed=5) + scenes.prompts(4, seed=5, pairs=True)
    figures = caption_accuracy(list(sample(pipeline, captions)), captions)
    assert figures["background"] == 1.0, figures
    assert figures["joint"] >= 0.8, figures
    assert figures["pair joint"] >= 0.75, figures


def test_picture_depends_on_its_own_seed_not_on_its_neighbours(pipeline):
    captions = scenes.prompts(3, seed=6)
    together = sample(pipeline, captions)
    alone = sample(pipeline, captions[2:], first_seed=2)
    assert abs(together[2].astype(int) - alone[0]).max() <= 2


def test_shipped_weights_are_small_and_in_half_precision():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 12_000_000
    weights = [path for path in files if path.suffix == ".safetensors"]
    assert len(weights) == 3
    for path in weights:
        assert {value.dtype for value in load_file(path).values()} == {torch.float16}


def test_text_encoder_names_its_tensors_as_published_models_do():
    """Without the prefix, transformers before 5.6 starts from random weights instead."""
    names = load_file(FOLDER / "text_encoder" / "model.safetensors")
    assert all(name.startswith("text_model.") for name in names)


def test_shipped_model_carries_its_training_record_and_licence():
    record = json.loads((FOLDER / "training.json").read_text())
    assert record["curves"]["denoiser"][-1]["step"] == record["recipe"]["denoiser_steps"]
    assert "license: cc0-1.0" in (FOLDER / "README.md").read_text()


def test_sheet_lays_pictures_out_in_rows():
    pictures = np.stack([render(scenes.parse(text)) for text in scenes.prompts(5)])
    laid = np.asarray(sheet(pictures, columns=2, scale=1))
    assert laid.shape == (128, 128, 3)  # the fifth would begin a third row
    assert (laid[64:, :64] == pictures[2]).all()
