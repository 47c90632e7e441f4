"""Put the trained parts together as a diffusers pipeline and write its folder."""

from __future__ import annotations

import copy
import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from genhub.shapes import checkpoint, denoiser


def pipeline(vae: Any, text: Any, unet: Any, words: Any) -> StableDiffusionPipeline:
    """Wrap the parts, unchanged and not copied, in the stock text-to-picture pipeline."""
    made = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=words,
        unet=unet,
        scheduler=denoiser.build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def write(folder: Path, made: StableDiffusionPipeline, record: dict[str, Any]) -> None:
    """Write the model folder in half precision, with its training record and model card."""
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    vae, text, unet = (
        copy.deepcopy(part).to(torch.float16) for part in (made.vae, made.text_encoder, made.unet)
    )
    pipeline(vae, text, unet, made.tokenizer).save_pretrained(new, safe_serialization=True)
    publish_names(new / "text_encoder" / "model.safetensors")
    (new / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    (new / "README.md").write_text(card(record))
    checkpoint.replace_folder(new, folder)


def publish_names(weights: Path) -> None:
    """Name the text encoder's tensors as published models do: every transformers 5 reads those.

    Releases from 5.6 on write them without the prefix, which earlier ones take for missing weights
    and replace by random ones, with no more than a warning.
    """
    tensors = load_file(weights)
    prefix = "text_model."
    named = {prefix + name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    save_file(named, weights, {"format": "pt"})


def card(record: dict[str, Any]) -> str:
    """Write the model card from what was measured."""
    figures = "\n".join(f"| {name} | {value:.3g} |" for name, value in record["figures"].items())
    minutes = sum(record["seconds"].values()) / 60
    return CARD.format(figures=figures, minutes=minutes)


CARD = """---
license: cc0-1.0
library_name: diffusers
pipeline_tag: text-to-image
---
# tiny:shapes

A text-to-picture diffusion model of 64x64 pixels, small enough to ship with the code it tests:
eight colours, eight shapes, two sizes, five places, three backgrounds, one or two things.

```python
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained(FOLDER)
pipeline("a small red star on the left on white", num_inference_steps=20, guidance_scale=3.0)
```

Captions read

- "a {{small|large}} {{colour}} {{shape}} on the {{left|right|top|bottom}} on {{background}}",
- "a {{small|large}} {{colour}} {{shape}} in the center on {{background}}",
- "a {{colour}} {{shape}} {{above|left of}} a {{colour}} {{shape}} on {{background}}".

The training pictures are drawn by a program; nothing was downloaded. `python -m genhub.shapes.train
--out DIR` reproduces the training from nothing on two CPU cores (this run took {minutes:.0f}
minutes); `training.json` holds the recipe, the curves and the versions. Weights are CC0.

| measured (accuracy: share of captions obeyed; psnr: decibels) | |
| --- | --- |
{figures}
"""


def versions() -> dict[str, str]:
    """Name the software that the weights were made with."""
    packages = ("torch", "diffusers", "transformers", "numpy", "safetensors")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
