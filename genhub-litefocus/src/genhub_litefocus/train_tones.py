"""Train tiny:tones from nothing: `python -m genhub_litefocus.train_tones --out DIR`.

Three stages over fresh scenes: the autoencoder of mel pictures, its decoder once more after the
latents are whitened, and the denoiser with its text encoder. All randomness follows from
(seed, step), so a run that was stopped goes on with `--resume`. On a GPU it takes minutes, on two
CPU cores a night.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import platform
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genhub.shapes import autoencoder, denoiser, export, tokenizer
from genhub.shapes.train import Stage, keep_memory, one_cycle, plateau, run_stage
from genhub_litefocus.tones import mel, model, sound, world
from genhub_litefocus.tones.judge import tone_accuracy

log = logging.getLogger("genhub_litefocus.train_tones")

LONGEST = 128  # latent rows of a training scene: 12.8 s
ROWS_PER_SECOND = 10
EMPTY_SHARE = 0.1  # of the captions are dropped, so that guidance has something to push away from


@dataclass(frozen=True)
class Recipe:
    """Every number that the trained weights depend on."""

    seed: int = 0
    autoencoder_steps: int = 1900
    decoder_steps: int = 600
    denoiser_steps: int = 4600
    autoencoder_channels: int = 32
    autoencoder_batch: int = 32
    autoencoder_rate: float = 3e-3
    latent_noise: float = 0.15
    whitening_scenes: int = 512
    unet_channels: tuple[int, ...] = (48, 64, 96)
    unet_heads: tuple[int, ...] = (2, 4, 6)
    rows: tuple[int, ...] = (64, 96, 128)  # of a batch's crop of its scenes
    batch: int = 64
    rate: float = 1.2e-3
    cooldown: float = 0.3  # share of the steps, at the end, over which the rate falls to a third
    ema: float = 0.999
    shard: int = 8192
    epochs: int = 6  # of each shard
    save_every: int = 500
    judged: int = 100  # captions that the finished model is judged by


QUICK = Recipe(
    autoencoder_steps=4, decoder_steps=2, denoiser_steps=4, autoencoder_channels=8,
    autoencoder_batch=1, whitening_scenes=4, unet_channels=(16, 16, 16), unet_heads=(2, 2, 2),
    rows=(32,), batch=2, shard=4, save_every=2, judged=1,
)  # fmt: skip


def draw(rng: np.random.Generator, count: int, device: str) -> tuple[list[str], Tensor]:
    """Draw captions and their mel pictures [count, 1, 512, 64] in -1..1, of 12.8 s."""
    lot = random.Random(int(rng.integers(2**62)))
    scenes = [world.sample(lot) for _ in range(count)]
    pictures = mel.analyse(sound.render(scenes, LONGEST / ROWS_PER_SECOND, rng, device))
    return [world.caption(scene) for scene in scenes], pictures[:, None]


def _chance(recipe: Recipe, stream: int, step: int) -> np.random.Generator:
    return np.random.default_rng([recipe.seed, stream, step])


def _noise(like: Tensor, recipe: Recipe, stream: int, step: int) -> Tensor:
    """Draw noise for latents, on the CPU: a function of (seed, stream, step) on any device."""
    generator = torch.Generator().manual_seed((recipe.seed * 10 + stream) * 10**7 + step)
    return recipe.latent_noise * torch.randn(like.shape, generator=generator).to(like)


class Shards:
    """An endless stream of fresh scenes, encoded in shards that are gone through a few times."""

    def __init__(self, vae: nn.Module, recipe: Recipe, device: str) -> None:
        self._vae, self._recipe, self._device = vae, recipe, device
        self._words = tokenizer.build(world.words())
        self._number = -1
        self._latents = self._ids = torch.empty(0)

    def tokens(self, captions: list[str]) -> Tensor:
        """Tokenize as the pipeline does: [N, 16]."""
        padded = self._words(captions, padding="max_length", truncation=True, return_tensors="pt")
        return padded.input_ids.to(self._device)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Give latents [B, 4, rows, 16] and tokens [B, 16] of a step, some captions emptied."""
        recipe = self._recipe
        epoch, place = divmod(step, recipe.shard // recipe.batch)
        if epoch // recipe.epochs != self._number:
            self._load(epoch // recipe.epochs)
        order = _chance(recipe, 2, epoch).permutation(recipe.shard)
        chosen = torch.from_numpy(order[place * recipe.batch : (place + 1) * recipe.batch])
        chosen = chosen.to(self._device)
        rng = _chance(recipe, 3, step)
        rows = int(rng.choice(recipe.rows))
        first = int(rng.integers(LONGEST - rows + 1))
        ids = self._ids[chosen]
        ids[torch.from_numpy(rng.random(len(ids)) < EMPTY_SHARE)] = self.tokens([""])
        return self._latents[chosen, :, first : first + rows], ids

    def _load(self, number: int) -> None:
        made: list[Tensor] = []
        captions: list[str] = []
        rng = _chance(self._recipe, 1, number)
        while len(captions) < self._recipe.shard:
            count = min(256, self._recipe.shard - len(captions))
            said, pictures = draw(rng, count, self._device)
            made.append(autoencoder.encode(self._vae, pictures))
            captions += said
        self._latents, self._ids, self._number = torch.cat(made), self.tokens(captions), number


def autoencoder_stage(vae: nn.Module, recipe: Recipe, device: str) -> Stage:
    """Train both halves of the autoencoder; the noise buys a decoder that forgives."""

    def loss(step: int) -> Tensor:
        _, pictures = draw(_chance(recipe, 4, step), recipe.autoencoder_batch, device)
        like = pictures.new_empty(len(pictures), 4, LONGEST, mel.BANDS // 4)
        return autoencoder.loss(vae, pictures, _noise(like, recipe, 4, step))

    optimizer = torch.optim.AdamW(vae.parameters(), betas=(0.9, 0.99), weight_decay=0.01)
    rate = one_cycle(recipe.autoencoder_rate, recipe.autoencoder_steps)
    return Stage("autoencoder", recipe.autoencoder_steps, vae, optimizer, rate, loss)


def decoder_stage(vae: nn.Module, recipe: Recipe, device: str) -> Stage:
    """Tune the decoder to the whitened latents; the encoder stays as it is."""

    def loss(step: int) -> Tensor:
        _, pictures = draw(_chance(recipe, 5, step), recipe.autoencoder_batch, device)
        latents = autoencoder.encode(vae, pictures)
        noisy = latents + _noise(latents, recipe, 5, step)
        return autoencoder.decoder_loss(vae, noisy, pictures)

    optimizer = torch.optim.AdamW(vae.decoder.parameters(), betas=(0.9, 0.99), weight_decay=0.01)
    rate = one_cycle(recipe.autoencoder_rate / 2, recipe.decoder_steps)
    return Stage("decoder", recipe.decoder_steps, vae, optimizer, rate, loss)


def denoiser_stage(
    parts: nn.ModuleDict, ema: nn.ModuleDict, shards: Shards, recipe: Recipe, device: str
) -> Stage:
    """Train text encoder and denoiser together; `ema` follows as their running mean."""
    alphas = denoiser.build_scheduler().alphas_cumprod.to(device)
    trained, mean = list(parts.parameters()), list(ema.parameters())

    def loss(step: int) -> Tensor:
        latents, ids = shards(step)
        seed = recipe.seed * 10**6 + step
        return denoiser.loss(parts["text"], parts["unet"], alphas, latents, ids, seed)

    def after(step: int) -> dict[str, float]:
        with torch.no_grad():
            torch._foreach_lerp_(mean, trained, 1 - min(recipe.ema, (1 + step) / (10 + step)))
        return {}

    fused = torch.device(device).type == "cuda"
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.99), weight_decay=0.01, fused=fused)
    rate = plateau(recipe.rate, recipe.denoiser_steps, recipe.cooldown)
    both = nn.ModuleDict({"now": parts, "ema": ema})
    return Stage("denoiser", recipe.denoiser_steps, both, optimizer, rate, loss, after)


def train(recipe: Recipe, out: Path, device: str, resume: bool = False) -> dict[str, Any]:
    """Train by the recipe into the folder `out` and give what `training.json` records.

    Checkpoints live beside it in `<out>-training`; `resume` goes on from them.
    """
    torch.manual_seed(recipe.seed)
    work = out.with_name(out.name + "-training")
    vae = model.build_autoencoder(recipe.autoencoder_channels).to(device)
    parts = model.build_denoiser(recipe.unet_channels, recipe.unet_heads).to(device)
    parts.to(memory_format=torch.channels_last)
    ema = copy.deepcopy(parts).requires_grad_(False)

    curves = {
        "autoencoder": run_stage(autoencoder_stage(vae, recipe, device), work, recipe, resume)
    }
    _, pictures = draw(_chance(recipe, 8, 0), recipe.whitening_scenes, device)
    autoencoder.whiten(vae, pictures)
    vae.encoder.requires_grad_(False)
    curves["decoder"] = run_stage(decoder_stage(vae, recipe, device), work, recipe, resume)
    figures = {"psnr of the autoencoder": autoencoder.psnr(vae, pictures)}
    log.info("autoencoder: %.1f dB", figures["psnr of the autoencoder"])

    shards = Shards(vae, recipe, device)
    stage = denoiser_stage(parts, ema, shards, recipe, device)
    curves["denoiser"] = run_stage(stage, work, recipe, resume)
    record = {
        "recipe": asdict(recipe),
        "machine": _machine(device),
        "seconds": {name: curve[-1]["seconds"] for name, curve in curves.items()},
        "figures": figures,
        "curves": curves,
        "versions": export.versions(),
    }
    model.write(out, vae, ema, record)
    return record


def judge(folder: Path) -> dict[str, float]:
    """Let a finished model make sounds of 9.6 s for captions drawn by lot; add how right they are.

    Works on the CPU with the weights as they ship; the record and the card are written anew.
    """
    record = json.loads((folder / "training.json").read_text())
    count = record["recipe"]["judged"]
    lot = random.Random(1)
    captions = [world.caption(world.sample(lot)) for _ in range(count)]
    pipeline = model.load(folder, torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    sounds: list[np.ndarray] = []
    for start in range(0, count, 10):
        chosen = captions[start : start + 10]
        seeds = [torch.Generator().manual_seed(start + i) for i in range(len(chosen))]
        sounds += [*pipeline(chosen, generator=seeds).audios]
    record["figures"] |= tone_accuracy(sounds, captions, sound.RATE)
    model.describe(folder, record)
    return record["figures"]


def _machine(device: str) -> str:
    if torch.device(device).type == "cuda":
        return f"one {torch.cuda.get_device_name(device)}"
    return f"{torch.get_num_threads()} CPU threads ({platform.machine()})"


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        prog="python -m genhub_litefocus.train_tones", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints")
    parser.add_argument("--quick", action="store_true", help="a few steps of a tiny model")
    parser.add_argument("--judge", action="store_true", help="only judge the model that is there")
    parser.add_argument("--steps", type=int, help="steps of the denoiser (default: the recipe's)")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    keep_memory()
    recipe = QUICK if chosen.quick else Recipe()
    if chosen.steps is not None:
        recipe = replace(recipe, denoiser_steps=chosen.steps)
    if not chosen.judge:
        train(recipe, chosen.out, chosen.device, chosen.resume)
    print(json.dumps(judge(chosen.out), indent=2))


if __name__ == "__main__":
    main()
