"""Captioned pictures as latents and text states: the data that a distillation reads."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genhub.api import GenHubError
from genhub.shapes import scenes
from genhub.shapes.render import render

__all__ = ["CaptionedPictures"]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class CaptionedPictures:
    """Batches of (latents, text states) for a Stable Diffusion pipeline.

    `data` is `shapes`, the endless procedural world of `genhub.shapes`, or a folder of pictures
    each with its caption beside it (`a.png`, `a.txt`). Raises GenHubError where the folder is
    missing, empty, or lacks captions.
    """

    def __init__(self, data: str, pipeline: Any, resolution: int | None) -> None:
        self.pipeline = pipeline
        factor = int(pipeline.vae_scale_factor)
        self.resolution = resolution or int(pipeline.unet.config.sample_size) * factor
        self.files = [] if data == "shapes" else _pairs(Path(data))

    @torch.no_grad()
    def batch(
        self, size: int, generator: torch.Generator, caption_dropout: float
    ) -> tuple[Tensor, Tensor]:
        """Give latents [B, C, h, w] and text states [B, T, D], drawn by `generator` alone."""
        draw = random.Random(int(torch.randint(2**62, (), generator=generator)))
        pairs = [self._draw(draw) for _ in range(size)]
        captions = ["" if draw.random() < caption_dropout else caption for _, caption in pairs]
        pixels = torch.from_numpy(np.stack([picture for picture, _ in pairs]))
        pixels = pixels.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
        return self._encode(pixels, generator), self._condition(captions)

    def _draw(self, draw: random.Random) -> tuple[np.ndarray, str]:
        if not self.files:
            scene = scenes.sample(draw)
            rng = np.random.default_rng(draw.getrandbits(64))
            return render(scene, self.resolution, rng), scenes.caption(scene)
        picture, text = draw.choice(self.files)
        with Image.open(picture) as image:
            side = (self.resolution, self.resolution)
            pixels = np.asarray(image.convert("RGB").resize(side, Image.Resampling.BICUBIC))
        return pixels, text.read_text(encoding="utf-8").strip()

    def _encode(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        vae = self.pipeline.vae
        encoded = vae.encode(pixels.to(vae.device, vae.dtype))
        if hasattr(encoded, "latent_dist"):
            latents = encoded.latent_dist.sample(generator)
        else:  # AutoencoderTiny has no posterior
            latents = encoded.latents
        return latents * vae.config.scaling_factor

    def _condition(self, captions: list[str]) -> Tensor:
        tokenizer, encoder = self.pipeline.tokenizer, self.pipeline.text_encoder
        tokens = tokenizer(
            captions,
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return encoder(tokens.input_ids.to(encoder.device))[0]


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    if not folder.is_dir():
        raise GenHubError(
            "GH305",
            f"task.data is '{folder}', which is neither 'shapes' nor a folder",
            hint="give a folder of pictures, each with its caption beside it (a.png and a.txt)",
        )
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    missing = [path.name for path in pictures if not path.with_suffix(".txt").exists()]
    if missing or not pictures:
        seen = f"{len(missing)} without a caption, first {missing[0]}" if missing else "no pictures"
        raise GenHubError(
            "GH305",
            f"task.data folder '{folder}' has {seen}",
            hint="put the caption of a.png into a.txt beside it",
        )
    return [(path, path.with_suffix(".txt")) for path in pictures]
