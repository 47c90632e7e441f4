"""Pictures to latents and back: train a small autoencoder, then whiten its latents exactly."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from torch import Tensor


def build(channels: int = 32) -> AutoencoderTiny:
    """Build the untrained autoencoder: 64x64 pictures, 16x16 latents of 4 channels."""
    return AutoencoderTiny(
        encoder_block_out_channels=(channels,) * 3,
        decoder_block_out_channels=(channels,) * 3,
        num_encoder_blocks=(0, 2, 2),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=4,
        scaling_factor=1.0,
    ).to(memory_format=torch.channels_last)


def decode(model: AutoencoderTiny, latents: Tensor) -> Tensor:
    """Decode latents [B, 4, h, w] to pictures [B, 3, 4h, 4w] in [-1, 1], with gradients."""
    return model.decoder(latents)


def loss(model: AutoencoderTiny, pictures: Tensor, noise: Tensor) -> Tensor:
    """Rate a reconstruction from noisy latents; the noise buys a decoder that forgives."""
    with torch.autocast(pictures.device.type, torch.bfloat16):
        latents = model.encoder(pictures)
        rebuilt = decode(model, latents + noise)
    error = rebuilt.float() - pictures
    return error.abs().mean() + error.square().mean() + 1e-3 * latents.float().square().mean()


def decoder_loss(model: AutoencoderTiny, latents: Tensor, pictures: Tensor) -> Tensor:
    """Rate the decoder alone on given latents."""
    with torch.autocast(latents.device.type, torch.bfloat16):
        rebuilt = decode(model, latents)
    error = rebuilt.float() - pictures
    return error.abs().mean() + error.square().mean()


def whiten(model: AutoencoderTiny, pictures: Tensor) -> None:
    """Give the latents zero mean and unit covariance (ZCA) by folding it into the convolutions.

    Exact for the encoder's last convolution. For the decoder's first one it is not: its input
    passes a tanh clamp before, and a border of zeros padded to the inverse's offset; so the
    decoder must be tuned afterwards.
    """
    last, first = model.encoder.layers[-1], model.decoder.layers[0]
    with torch.no_grad():
        latents = torch.cat([model.encoder(part) for part in pictures.split(64)]).double()
        flat = latents.movedim(1, 0).flatten(1)  # [4, N]
        mean = flat.mean(1)
        values, vectors = torch.linalg.eigh(torch.cov(flat))
        forth = vectors @ torch.diag(values.rsqrt()) @ vectors.T
        back = vectors @ torch.diag(values.sqrt()) @ vectors.T
        last.weight.copy_(torch.einsum("ij,jkhw->ikhw", forth.float(), last.weight))
        last.bias.copy_((forth @ (last.bias.double() - mean)).float())
        weight = first.weight.double()
        first.bias.add_(torch.einsum("ojhw,j->o", weight, mean).float())
        first.weight.copy_(torch.einsum("ojhw,ji->oihw", weight, back).float())


def encode(model: AutoencoderTiny, pictures: Tensor) -> Tensor:
    """Encode pictures [N, 3, 64, 64] to latents [N, 4, 16, 16], in batches that fit the cache."""
    with torch.no_grad(), torch.autocast(pictures.device.type, torch.bfloat16):
        return torch.cat([model.encoder(part).float() for part in pictures.split(64)])


def psnr(model: AutoencoderTiny, pictures: Tensor) -> float:
    """Measure the reconstruction in decibels, peak 2 (pictures in [-1, 1])."""
    with torch.no_grad():
        rebuilt = torch.cat([decode(model, model.encoder(part)) for part in pictures.split(64)])
    return float(10 * torch.log10(4 / F.mse_loss(rebuilt.clamp(-1, 1), pictures)))
