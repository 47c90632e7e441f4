"""Decode latents over time in bounded memory, with the result of decoding them at once.

A decoder's convolutions see a few frames each side (the halo); its group norms and its attention
see the whole length. So the decoder is cut at these: each pass reads streams, computes block by
block what is local in time, and writes a stream whose moments the next norm needs. A block is read
with its halo, and what the halo gave is cut off again; at the true ends there is none, and the
convolutions' own padding holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.autoencoders.vae import Decoder
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_blocks import (
    AutoencoderTinyBlock,
    UNetMidBlock2D,
    UpDecoderBlock2D,
)
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from genhub_litefocus.spill import Stream, Workspace, widened

__all__ = ["BLOCK", "decoded", "upscaling", "why_not"]

BLOCK = 16 * 2**20  # bytes that a pass reads at a time
QUERIES, KEYS = 4096, 1024  # tokens for which attention looks at tokens together

LOCAL = (nn.Conv2d, nn.Upsample, nn.ReLU, nn.SiLU, nn.GELU, nn.Mish, nn.Identity)
PLAIN = ("default", "group")  # ways of a resnet that add nothing where there is no time embedding


def why_not(vae: nn.Module) -> str | None:
    """Give None where `decoded` can serve this autoencoder, else the reason in a few words."""
    if any(parameter.is_meta for parameter in vae.parameters()):
        return "its weights are not in memory: it is offloaded module by module"
    decoder = getattr(vae, "decoder", None)
    if isinstance(vae, AutoencoderTiny):
        strange = [m for m in decoder.layers.modules() if not _is_known(m)]
    elif type(decoder) is Decoder:
        strange = [m for m in decoder.modules() if not _is_known(m)]
    else:
        return f"{type(vae).__name__} has a decoder of another kind"
    return f"its decoder holds {type(strange[0]).__name__}" if strange else None


def upscaling(vae: nn.Module) -> int:
    """Give the frames that are made of one frame of the latents."""
    if isinstance(vae, AutoencoderTiny):
        return round(_reach(vae.decoder.layers)[1])
    ups = (block.upsamplers for block in vae.decoder.up_blocks)
    return 2 ** sum(len(listed or ()) for listed in ups)


@torch.no_grad()
def decoded(
    vae: nn.Module, latents: Tensor, workspace: Workspace, most: int | None = None
) -> Iterator[Tensor]:
    """Yield what `vae.decode(latents)` gives, [B, channels, t, F], in blocks along axis 2.

    `latents` [B, C, T, F] are those that the pipeline hands to its autoencoder. No block is longer
    than `most` frames. Up to rounding the blocks are those of a decode at once. Raises ValueError
    where `why_not` has a reason.
    """
    reason = why_not(vae)
    if reason is not None:
        raise ValueError(f"this autoencoder cannot be decoded piece by piece: {reason}")
    hook = getattr(vae, "_hf_hook", None)
    if hook is not None:  # offloading moves a model to its device where its own call begins
        hook.pre_forward(vae)
    source = workspace.store([latents], latents.shape[2])
    if isinstance(vae, AutoencoderTiny):
        halo, scale = _reach(vae.decoder.layers)
        blocks = _passed(vae.decoder, [source], math.ceil(halo), round(scale), most)
    else:
        blocks = _Walk(workspace).decoder(vae, source, most)
    yield from blocks


class _Walk:
    """One walk through a decoder; every method takes a stream and gives the one that follows."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def decoder(self, vae: Any, x: Stream, most: int | None) -> Iterator[Tensor]:
        decoder, before = vae.decoder, vae.post_quant_conv or nn.Identity()
        x = self._pass(lambda block: decoder.conv_in(before(block)), [x], halo=1)
        x = self._middle(decoder.mid_block, x)
        for up_block in decoder.up_blocks:
            for resnet in up_block.resnets:
                x = self._resnet(resnet, x)
            for upsampler in up_block.upsamplers or ():
                x = self._pass(upsampler, [x], halo=1, scale=2)
        normal = normaliser(decoder.conv_norm_out, x)

        def last(block: Tensor) -> Tensor:
            return decoder.conv_out(decoder.conv_act(normal(block)))

        yield from _passed(last, [x], 1, 1, most)

    def _middle(self, middle: UNetMidBlock2D, x: Stream) -> Stream:
        x = self._resnet(middle.resnets[0], x)
        for attention, resnet in zip(middle.attentions, middle.resnets[1:], strict=True):
            if attention is not None:
                x = self._pass(attending(attention, x), [x], most=QUERIES // x.bins)
            x = self._resnet(resnet, x)
        return x

    def _resnet(self, resnet: Any, x: Stream) -> Stream:
        act, skip = resnet.nonlinearity, resnet.conv_shortcut or nn.Identity()
        normal = normaliser(resnet.norm1, x)
        inner = self._pass(lambda b: resnet.conv1(act(normal(b))), [x], halo=1, keep=True)
        again = normaliser(resnet.norm2, inner)

        def sum_of(block: Tensor, within: Tensor) -> Tensor:
            change = resnet.conv2(resnet.dropout(act(again(within))))
            return (skip(block) + change) / resnet.output_scale_factor

        return self._pass(sum_of, [x, inner], halo=1)

    def _pass(
        self,
        local: Callable[..., Tensor],
        inputs: Sequence[Stream],
        halo: int = 0,
        scale: int = 1,
        *,
        most: int | None = None,
        keep: bool = False,
    ) -> Stream:
        """Write what `local` makes of the inputs, which are given up unless `keep`."""
        blocks = _passed(local, inputs, halo, scale, most)
        made = self._workspace.store(blocks, inputs[0].frames * scale)
        for stream in () if keep else inputs:
            self._workspace.drop(stream)
        return made


def normaliser(norm: Any, x: Stream) -> Callable[[Tensor], Tensor]:
    """Give the group norm of blocks of `x`, with the moments of its whole length."""
    mean, variance = x.moments(norm.num_groups)
    width = norm.num_channels // norm.num_groups
    scale = (variance + norm.eps).rsqrt().repeat_interleave(width, 1)
    shift = -mean.repeat_interleave(width, 1) * scale
    if norm.affine:
        weight, bias = norm.weight.cpu().double(), norm.bias.cpu().double()
        scale, shift = scale * weight, shift * weight + bias
    wide = widened(torch.empty(0, dtype=x.dtype)).dtype
    shift, scale = (each[..., None, None].to(x.device, wide) for each in (shift, scale))
    return lambda block: torch.addcmul(shift, block.to(wide), scale).to(block.dtype)


def attending(attention: Attention, x: Stream) -> Callable[[Tensor], Tensor]:
    """Give self-attention for blocks of `x` that look at its whole length, a few keys at a time.

    The softmax is taken as the keys come: sums are scaled down where a larger score appears.
    """
    normal = nn.Identity() if attention.group_norm is None else normaliser(attention.group_norm, x)

    def tokens(block: Tensor) -> Tensor:
        return normal(block).flatten(2).transpose(1, 2)

    def heads(projected: Tensor) -> Tensor:
        return projected.unflatten(2, (attention.heads, -1)).transpose(1, 2)

    def attend(block: Tensor) -> Tensor:
        query = heads(attention.to_q(tokens(block))) * attention.scale
        mixed = torch.zeros_like(widened(query))
        top = mixed.new_full((*query.shape[:3], 1), -math.inf)
        total = torch.zeros_like(top)
        for start in range(0, x.frames, step := max(1, KEYS // x.bins)):
            there = tokens(x.read(start, min(start + step, x.frames)))
            scores = widened(query @ heads(attention.to_k(there)).transpose(2, 3))
            higher = torch.maximum(top, scores.amax(3, keepdim=True))
            weight, old = (scores - higher).exp_(), (top - higher).exp()
            total = total * old + weight.sum(3, keepdim=True)
            seen = weight.to(query.dtype) @ heads(attention.to_v(there))
            mixed, top = mixed.mul_(old).add_(seen), higher
        found = (mixed / total).to(block.dtype).transpose(1, 2).flatten(2)
        out = attention.to_out[1](attention.to_out[0](found))
        out = out.transpose(1, 2).unflatten(2, block.shape[2:])
        kept = block if attention.residual_connection else 0
        return (out + kept) / attention.rescale_output_factor

    return attend


def _passed(
    local: Callable[..., Tensor],
    inputs: Sequence[Stream],
    halo: int,
    scale: int,
    most: int | None = None,
) -> Iterator[Tensor]:
    """Yield `local` of blocks, each read with its halo; `scale` frames come of one."""
    frames = inputs[0].frames
    size = max(1, BLOCK // (sum(s.frame_bytes for s in inputs) * scale * scale))
    size = size if most is None else max(1, min(size, most // scale))
    for start in range(0, frames, size):
        stop = min(start + size, frames)
        low, high = max(0, start - halo), min(frames, stop + halo)
        made = local(*(stream.read(low, high) for stream in inputs))
        yield made[:, :, (start - low) * scale : (stop - low) * scale]


def _is_known(module: nn.Module) -> bool:
    """Say whether a part of a decoder is one whose computation is written down here."""
    if isinstance(module, nn.Conv2d):
        return module.padding_mode == "zeros" and set(module.stride) == {1}
    if isinstance(module, ResnetBlock2D):
        moved = (module.time_emb_proj, module.upsample, module.downsample)
        return all(part is None for part in moved) and module.time_embedding_norm in PLAIN
    if isinstance(module, Upsample2D):
        return module.use_conv and module.interpolate and module.norm is None
    if isinstance(module, Attention):
        more = (module.spatial_norm, module.norm_q, module.norm_k, module.to_add_out)
        return not any(part is not None for part in more)
    if isinstance(module, nn.Upsample):
        return module.mode == "nearest"
    plain = (*LOCAL, nn.GroupNorm, nn.Linear, nn.Dropout, nn.Sequential, nn.ModuleList)
    blocks = (Decoder, UNetMidBlock2D, UpDecoderBlock2D, AutoencoderTinyBlock)
    return type(module) in plain + blocks


def _reach(layers: nn.Module) -> tuple[float, float]:
    """Give how many frames of the input each side convolutions see, and frames out per frame in."""
    halo, scale = 0.0, 1.0
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            halo += layer.dilation[0] * (layer.kernel_size[0] // 2) / scale
        elif isinstance(layer, nn.Upsample):
            scale *= float(layer.scale_factor)
    return halo, scale
