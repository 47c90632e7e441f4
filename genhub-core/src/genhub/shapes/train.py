"""Train the captioned-shapes model from nothing: `python -m genhub.shapes.train --out DIR`.

Four stages, each a loop over fresh scenes: an autoencoder, its decoder once more after the latents
are whitened, the denoiser with its text encoder, and the decoder a last time on what the denoiser
really makes. All randomness follows from (seed, step), so a run that was stopped goes on with
`--resume` to the same numbers.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import Tensor, nn

from genhub.shapes import autoencoder, checkpoint, denoiser, export, tokenizer
from genhub.shapes.evaluate import Evaluation, evaluate

log = logging.getLogger("genhub.shapes.train")


@dataclass(frozen=True)
class Recipe:
    """Every number that the trained weights depend on."""

    seed: int = 0
    autoencoder_steps: int = 1500
    decoder_steps: int = 400
    denoiser_steps: int = 4000
    polish_steps: int = 1500
    polish_pool: int = 1536
    autoencoder_channels: int = 32
    autoencoder_batch: int = 16
    autoencoder_rate: float = 3e-3
    latent_noise: float = 0.15
    whitening_pictures: int = 1024
    unet_channels: tuple[int, ...] = (80, 96, 128)
    batch: int = 32
    rate: float = 1.2e-3
    cooldown: float = 0.25  # share of the steps, at the end, over which the rate falls to a third
    ema: float = 0.999
    shard: int = 8192
    save_every: int = 250
    evaluate_every: int = 500
    evaluate_prompts: int = 64  # and half as many pairs
    final_prompts: int = 200


QUICK = Recipe(
    autoencoder_steps=6, decoder_steps=4, denoiser_steps=6, polish_steps=3, polish_pool=8,
    autoencoder_channels=8, autoencoder_batch=4, whitening_pictures=64, unet_channels=(16, 16, 16),
    batch=4, shard=16, save_every=2, evaluate_every=4, evaluate_prompts=1,
    final_prompts=1,
)  # fmt: skip


@dataclass
class Stage:
    """One training loop: what is trained, on what loss, at which rate."""

    name: str
    steps: int
    module: nn.Module  # all that a checkpoint holds
    optimizer: torch.optim.Optimizer
    rate: Callable[[int], float]
    loss: Callable[[int], Tensor]
    after: Callable[[int], dict[str, float]] = lambda step: {}  # figures to log, often none


def one_cycle(top: float, steps: int) -> Callable[[int], float]:
    """Rise to `top` over a third of the steps, then fall to nothing along a cosine."""
    rise = max(1, steps // 3)

    def rate(step: int) -> float:
        if step < rise:
            return top * (0.04 + 0.96 * step / rise)
        return top * 0.5 * (1 + float(np.cos(np.pi * (step - rise) / max(1, steps - rise))))

    return rate


def plateau(top: float, steps: int, cooldown: float, warmup: int = 100) -> Callable[[int], float]:
    """Rise quickly, stay, and fall to a third over the last share `cooldown` of the steps.

    Until the fall begins, the length of the run does not show in the weights: training can be
    stopped, judged and lengthened without a restart.
    """
    start = round(steps * (1 - cooldown))

    def rate(step: int) -> float:
        fall = 1 - 2 / 3 * max(0, step - start) / max(1, steps - start)
        return top * min(1.0, (step + 1) / warmup) * fall

    return rate


def run_stage(stage: Stage, work: Path, recipe: Recipe, resume: bool) -> list[dict[str, float]]:
    """Run a stage to its end, from its checkpoint if there is one; give its curve."""
    folder = work / stage.name
    state = checkpoint.load(folder, stage.module, stage.optimizer) if resume else None
    step, seconds, curve = 0, 0.0, []
    if state is not None:
        step, seconds, curve = state["step"], state["seconds"], state["curve"]
        log.info("%s: going on after step %d of %d", stage.name, step, stage.steps)
    started, losses = time.monotonic() - seconds, []
    while step < stage.steps:
        for group in stage.optimizer.param_groups:
            group["lr"] = stage.rate(step)
        loss = stage.loss(step)
        stage.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in stage.optimizer.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
        stage.optimizer.step()
        losses.append(float(loss.detach()))
        step += 1
        figures = stage.after(step)
        if figures or step % recipe.save_every == 0 or step == stage.steps:
            seconds = time.monotonic() - started
            point = {"step": step, "seconds": round(seconds, 1), "loss": float(np.mean(losses))}
            curve.append(point | figures)
            losses = []
            log.info("%s: %s", stage.name, _said(curve[-1]))
            saved = {"step": step, "seconds": seconds, "curve": curve}
            checkpoint.save(folder, stage.module, stage.optimizer, saved)
    return curve


def _said(point: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in point.items())


def _chance(recipe: Recipe, stream: int, step: int) -> np.random.Generator:
    return np.random.default_rng([recipe.seed, stream, step])


def _pictures(recipe: Recipe, stream: int, step: int, count: int) -> tuple[list[str], Tensor]:
    return denoiser.draw(_chance(recipe, stream, step), count)


def _noise(like: Tensor, recipe: Recipe, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(recipe.seed * 10**6 + step)
    return recipe.latent_noise * torch.randn(like.shape, generator=generator)


def autoencoder_stage(vae: AutoencoderTiny, recipe: Recipe) -> Stage:
    """Train both halves of the autoencoder."""

    def loss(step: int) -> Tensor:
        _, pictures = _pictures(recipe, 4, step, recipe.autoencoder_batch)
        noise = _noise(torch.empty(len(pictures), 4, 16, 16), recipe, step)
        # The latents have no scale of their own yet; noise of 0.15 is meant for unit variance.
        return autoencoder.loss(vae, pictures, noise)

    optimizer = torch.optim.AdamW(vae.parameters(), betas=(0.9, 0.99), weight_decay=0.01)
    steps = recipe.autoencoder_steps
    rate = one_cycle(recipe.autoencoder_rate, steps)
    return Stage("autoencoder", steps, vae, optimizer, rate, loss)


def decoder_stage(vae: AutoencoderTiny, recipe: Recipe) -> Stage:
    """Tune the decoder to the whitened latents; the encoder stays as it is."""

    def loss(step: int) -> Tensor:
        _, pictures = _pictures(recipe, 5, step, recipe.autoencoder_batch)
        latents = autoencoder.encode(vae, pictures)
        return autoencoder.decoder_loss(vae, latents + _noise(latents, recipe, step), pictures)

    optimizer = torch.optim.AdamW(vae.decoder.parameters(), betas=(0.9, 0.99), weight_decay=0.01)
    rate = one_cycle(recipe.autoencoder_rate / 2, recipe.decoder_steps)
    return Stage("decoder", recipe.decoder_steps, vae, optimizer, rate, loss)


def denoiser_stage(
    parts: nn.ModuleDict,
    ema: nn.ModuleDict,
    shards: denoiser.Shards,
    recipe: Recipe,
    judge: Callable[[int], Evaluation],
) -> Stage:
    """Train text encoder and denoiser together; `ema` follows as their running mean."""
    alphas = denoiser.build_scheduler().alphas_cumprod
    trained, mean = list(parts.parameters()), list(ema.parameters())

    def loss(step: int) -> Tensor:
        latents, ids = shards(step)
        seed = recipe.seed * 10**6 + step
        return denoiser.loss(parts["text"], parts["unet"], alphas, latents, ids, seed)

    def after(step: int) -> dict[str, float]:
        decay = min(recipe.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(mean, trained, 1 - decay)
        due = step % recipe.evaluate_every == 0
        return judge(recipe.evaluate_prompts).figures if due else {}

    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.99), weight_decay=0.01)
    steps = recipe.denoiser_steps
    rate = plateau(recipe.rate, steps, recipe.cooldown)
    both = nn.ModuleDict({"now": parts, "ema": ema})
    return Stage("denoiser", steps, both, optimizer, rate, loss, after)


def polish_stage(
    vae: AutoencoderTiny, ema: nn.ModuleDict, shards: denoiser.Shards, recipe: Recipe
) -> Stage:
    """Tune the decoder to latents that the denoiser made, so that it draws them crisply.

    Half of each batch comes from a pool of scenes sampled once, half is encoded afresh.
    """
    half = recipe.autoencoder_batch // 2
    empty = shards.tokens([""])

    @cache
    def pool() -> tuple[Tensor, Tensor]:
        log.info("polish: sampling %d scenes to learn from", recipe.polish_pool)
        made, shown = [], []
        for part in range(recipe.polish_pool // recipe.autoencoder_batch):
            captions, pictures = _pictures(recipe, 9, part, recipe.autoencoder_batch)
            latents, ids = autoencoder.encode(vae, pictures), shards.tokens(captions)
            seed = recipe.seed + part
            made.append(denoiser.redraw(ema["text"], ema["unet"], latents, ids, empty, seed))
            shown.append(pictures)
        return torch.cat(made), torch.cat(shown)

    def loss(step: int) -> Tensor:
        made, shown = pool()
        chosen = torch.from_numpy(_chance(recipe, 10, step).integers(len(made), size=half))
        _, pictures = _pictures(recipe, 6, step, half)
        latents = autoencoder.encode(vae, pictures)
        latents = torch.cat([made[chosen], latents + _noise(latents, recipe, step)])
        return autoencoder.decoder_loss(vae, latents, torch.cat([shown[chosen], pictures]))

    optimizer = torch.optim.AdamW(vae.decoder.parameters(), betas=(0.9, 0.99), weight_decay=0.01)
    rate = one_cycle(recipe.autoencoder_rate / 2, recipe.polish_steps)
    return Stage("polish", recipe.polish_steps, vae, optimizer, rate, loss)


def _seconds(loss: Callable[[], Tensor], module: nn.Module) -> float:
    """Time one training step of a stage, after one that warms up."""
    for _ in range(3):
        started = time.monotonic()
        loss().backward()
        taken = time.monotonic() - started
    module.zero_grad(set_to_none=True)
    return taken


def estimate(vae: AutoencoderTiny, parts: nn.ModuleDict, words: Any, recipe: Recipe) -> float:
    """Measure a few steps of each kind and give the seconds that the whole recipe will take."""
    captions, pictures = _pictures(recipe, 7, 0, max(recipe.batch, recipe.autoencoder_batch))
    ids = words(captions, padding="max_length", return_tensors="pt").input_ids
    some = pictures[: recipe.autoencoder_batch]
    latents = torch.randn(len(ids), 4, 16, 16, generator=torch.Generator().manual_seed(0))
    alphas = denoiser.build_scheduler().alphas_cumprod
    whole = _seconds(lambda: autoencoder.loss(vae, some, torch.zeros(1)), vae)
    step = _seconds(
        lambda: denoiser.loss(parts["text"], parts["unet"], alphas, latents, ids, 0), parts
    )
    decoding = recipe.autoencoder_steps + recipe.decoder_steps + recipe.polish_steps
    sampling = 0.1 * recipe.polish_pool * step if recipe.polish_steps else 0.0
    return decoding * whole + 1.2 * recipe.denoiser_steps * step + sampling


def remaining(recipe: Recipe, work: Path) -> Recipe:
    """Take off the recipe what the checkpoints have behind them."""
    stages = ("autoencoder", "decoder", "denoiser", "polish")
    left = {
        f"{name}_steps": max(0, getattr(recipe, f"{name}_steps") - checkpoint.step(work / name))
        for name in stages
    }
    return replace(recipe, **left)


def keep_memory() -> None:
    """Ask glibc to keep freed memory: returning it after each step costs a fifth of the time."""
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)


def train(recipe: Recipe, out: Path, resume: bool = False, threads: int = 2) -> dict[str, Any]:
    """Train by the recipe into the folder `out` and give what `training.json` records.

    Checkpoints live beside it in `<out>-training`; `resume` goes on from them. The folder is
    written anew at each evaluation, so a usable model stands there long before the end.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    work = out.with_name(out.name + "-training")
    words = tokenizer.build()
    vae = autoencoder.build(recipe.autoencoder_channels)
    text = denoiser.build_text_encoder(tokenizer.vocabulary())
    parts = nn.ModuleDict({"text": text, "unet": denoiser.build_unet(recipe.unet_channels)})
    ema = copy.deepcopy(parts).requires_grad_(False)
    denoiser.use_plain_attention(parts["unet"])
    expected = estimate(vae, parts, words, remaining(recipe, work) if resume else recipe)
    log.info("this will take about %.0f minutes on this machine as busy as it is", expected / 60)

    curves = {"autoencoder": run_stage(autoencoder_stage(vae, recipe), work, recipe, resume)}
    _, pictures = _pictures(recipe, 8, 0, recipe.whitening_pictures)
    autoencoder.whiten(vae, pictures)
    vae.encoder.requires_grad_(False)
    curves["decoder"] = run_stage(decoder_stage(vae, recipe), work, recipe, resume)
    figures: dict[str, Any] = {"psnr": autoencoder.psnr(vae, pictures)}
    log.info("autoencoder: %.1f dB", figures["psnr"])

    shards = denoiser.Shards(vae, words, recipe.seed, recipe.shard, recipe.batch)

    def judge(singles: int) -> Evaluation:
        pipeline = export.pipeline(vae, ema["text"], ema["unet"], words)
        evaluation = evaluate(pipeline, singles, singles // 2)
        export.write(out, pipeline, _record(recipe, curves, figures | evaluation.figures))
        return evaluation

    stage = denoiser_stage(parts, ema, shards, recipe, judge)
    curves["denoiser"] = run_stage(stage, work, recipe, resume)
    curves["polish"] = run_stage(polish_stage(vae, ema, shards, recipe), work, recipe, resume)
    figures["psnr after polish"] = autoencoder.psnr(vae, pictures)
    final = judge(recipe.final_prompts)
    log.info("finished: %s", _said(final.figures))
    return _record(recipe, curves, figures | final.figures)


def _record(
    recipe: Recipe, curves: dict[str, list[dict[str, float]]], figures: dict[str, Any]
) -> dict[str, Any]:
    seconds = {name: curve[-1]["seconds"] for name, curve in curves.items() if curve}
    return {
        "recipe": asdict(recipe),
        "seconds": seconds,
        "figures": figures,
        "curves": curves,
        "versions": export.versions(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m genhub.shapes.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints")
    parser.add_argument("--quick", action="store_true", help="a few steps of a tiny model")
    parser.add_argument("--steps", type=int, help="steps of the denoiser (default: the recipe's)")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    keep_memory()
    recipe = QUICK if chosen.quick else Recipe()
    if chosen.steps is not None:
        recipe = replace(recipe, denoiser_steps=chosen.steps)
    train(recipe, chosen.out, chosen.resume, chosen.threads)


if __name__ == "__main__":
    main()
