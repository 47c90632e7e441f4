"""The denoiser and its text encoder: what is built, what is noised, what is learned."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from genhub.shapes import autoencoder, scenes, tokenizer
from genhub.shapes.render import render

EMPTY_SHARE = 0.1  # of the captions are dropped, so that guidance has something to push away from


def build_text_encoder(vocabulary: dict[str, int]) -> CLIPTextModel:
    """Build the untrained text encoder: 16 positions, width 64."""
    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        projection_dim=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.LENGTH,
        bos_token_id=vocabulary[tokenizer.START],
        eos_token_id=vocabulary[tokenizer.END],
        pad_token_id=vocabulary[tokenizer.END],
    )
    return CLIPTextModel(config)


def build_unet(channels: tuple[int, ...]) -> UNet2DConditionModel:
    """Build the untrained denoiser of 16x16 latents.

    The caption reaches it twice: by cross-attention, and pooled into the time embedding
    (`addition_embed_type="text"`), which the stock pipeline supports without any change.
    """
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,  # the number of heads, by an old misnomer of the class
        cross_attention_dim=64,
        norm_num_groups=8,
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    ).to(memory_format=torch.channels_last)


def build_scheduler() -> DDIMScheduler:
    """Build the sampler: v-prediction down from pure noise (zero terminal SNR)."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,  # no effect on trailing steps; the pipeline warns of another value
        clip_sample=False,
    )


def draw(rng: np.random.Generator, count: int) -> tuple[list[str], Tensor]:
    """Draw captions and their pictures [count, 3, 64, 64] in [-1, 1]."""
    lot = random.Random(int(rng.integers(2**62)))
    drawn = [scenes.sample(lot) for _ in range(count)]
    pixels = torch.from_numpy(np.stack([render(scene, rng=rng) for scene in drawn]))
    pictures = pixels.permute(0, 3, 1, 2).float().div(127.5).sub(1)  # stays channels-last
    return [scenes.caption(scene) for scene in drawn], pictures


class Shards:
    """An endless stream of fresh scenes, encoded in shards.

    Each shard is gone through `epochs` times, then drawn anew.
    Everything follows from (seed, step), so a run that resumes sees what it would have seen.
    """

    def __init__(
        self, vae: AutoencoderTiny, words: Any, seed: int, size: int, batch: int, epochs: int = 2
    ) -> None:
        """Remember what to encode with; nothing is drawn before the first batch."""
        self._vae, self._tokenizer, self._seed = vae, words, seed
        self._size, self._batch = size, batch
        self._steps = size // batch  # of an epoch
        self._epochs = epochs
        self._number = -1
        self._latents = self._ids = torch.empty(0)

    def tokens(self, captions: list[str]) -> Tensor:
        """Tokenize as the pipeline does: [N, 16]."""
        return self._tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids

    def _load(self, number: int) -> None:
        captions, pictures = draw(np.random.default_rng([self._seed, 1, number]), self._size)
        self._latents, self._ids = autoencoder.encode(self._vae, pictures), self.tokens(captions)
        self._number = number

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Give latents [B, 4, 16, 16] and tokens [B, 16] of a step, some captions emptied."""
        epoch, place = divmod(step, self._steps)
        if epoch // self._epochs != self._number:
            self._load(epoch // self._epochs)
        order = np.random.default_rng([self._seed, 2, epoch]).permutation(self._size)
        chosen = torch.from_numpy(order[place * self._batch : (place + 1) * self._batch])
        ids = self._ids[chosen]
        dropped = np.random.default_rng([self._seed, 3, step]).random(len(ids)) < EMPTY_SHARE
        ids[torch.from_numpy(dropped)] = self.tokens([""])
        return self._latents[chosen], ids


def _timesteps(count: int, generator: torch.Generator) -> Tensor:
    """Draw noise levels: half uniform, half around those that decide layout and shape."""
    uniform = torch.rand(count, generator=generator)
    middle = torch.sigmoid(0.4 + 0.9 * torch.randn(count, generator=generator))
    half = torch.rand(count, generator=generator) < 0.5
    return (torch.where(half, uniform, middle) * 1000).long()


def loss(
    text: nn.Module, unet: nn.Module, alphas: Tensor, latents: Tensor, ids: Tensor, seed: int
) -> Tensor:
    """Rate the prediction of v = sqrt(a) noise - sqrt(1 - a) latents at random noise levels.

    `alphas` [1000] are the scheduler's `alphas_cumprod`; `seed` decides noise and noise levels.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    timesteps = _timesteps(len(latents), generator).to(latents.device)
    alpha = alphas[timesteps].view(-1, 1, 1, 1)
    signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
    with torch.autocast(latents.device.type, torch.bfloat16):
        states = text(ids).last_hidden_state
        velocity = unet(signal * latents + sigma * noise, timesteps, states).sample
    return F.mse_loss(velocity.float(), signal * noise - sigma * latents)


def redraw(
    text: nn.Module, unet: nn.Module, latents: Tensor, ids: Tensor, empty: Tensor, seed: int
) -> Tensor:
    """Noise latents most of the way and sample them back with guidance, in five steps.

    The result shows the same scene in the same place, with the flaws of latents that are sampled:
    what a decoder must learn to see through. `empty` [1, 16] are the tokens of no caption.
    """
    generator = torch.Generator().manual_seed(seed)
    start = int(torch.randint(300, 750, (1,), generator=generator))
    alphas = build_scheduler().alphas_cumprod
    x = latents * alphas[start].sqrt() + (1 - alphas[start]).sqrt() * torch.randn(
        latents.shape, generator=generator
    )
    both = torch.cat([empty.expand(len(ids), -1), ids])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        states = text(both).last_hidden_state
        for part in (5, 4, 3, 2, 1):
            now, then = start * part // 5, start * (part - 1) // 5
            signal, sigma = alphas[now].sqrt(), (1 - alphas[now]).sqrt()
            free, told = unet(torch.cat([x, x]), now, states).sample.float().chunk(2)
            velocity = free + 3.0 * (told - free)
            clean, noise = signal * x - sigma * velocity, sigma * x + signal * velocity
            x = alphas[then].sqrt() * clean + (1 - alphas[then]).sqrt() * noise
    return clean


def use_plain_attention(unet: UNet2DConditionModel) -> None:
    """Train with attention as two products and a softmax.

    On a CPU the fused attention's backward pass takes three times as long for 256 tokens.
    """
    unet.set_attn_processor(AttnProcessor())
