"""Make sound of a mel picture piece by piece, with the result of making it at once.

A vocoder without recurrence hears a few mel frames each side of what it makes: a piece is
synthesised with these frames around it, and what they gave is cut off again.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["CONTEXT", "context_frames", "hop_of", "sounded"]

CONTEXT = 24  # frames, where a vocoder does not say how many it hears


def hop_of(vocoder: Any) -> int:
    """Give the samples that are made of one mel frame."""
    return math.prod(vocoder.config.upsample_rates)


def context_frames(vocoder: Any) -> int:
    """Give how many mel frames each side of a frame change its sound.

    A vocoder says so in `context_frames`; for a HiFi-GAN it is counted from its kernels (Kong, Kim
    and Bae, 2020), for any other one it is taken to be `CONTEXT`.
    """
    told = getattr(vocoder, "context_frames", None)
    if told is not None:
        return int(told)
    parts = ("conv_pre", "upsampler", "resblocks", "conv_post")
    if not all(hasattr(vocoder, part) for part in parts):
        return CONTEXT
    rate, heard = 1, _side(vocoder.conv_pre)
    each = len(vocoder.resblocks) // len(vocoder.upsampler)
    for stage, upsampler in enumerate(vocoder.upsampler):
        rate *= upsampler.stride[0]
        heard += upsampler.kernel_size[0] / rate
        heard += max(_sides(b) for b in vocoder.resblocks[stage * each : (stage + 1) * each]) / rate
    return math.ceil(heard + _side(vocoder.conv_post) / rate)


def sounded(
    vocoder: Any,
    mels: Iterable[Tensor],
    most: int,
    *,
    forward: Callable[..., Tensor] | None = None,
) -> Iterator[Tensor]:
    """Yield the waveform [B, samples] of mel frames [B, t, bins] that come in blocks.

    No piece is of more than `most` frames. Joined, the pieces are `vocoder(mel)` up to rounding;
    the last one holds what the vocoder adds behind the last frame. A vocoder whose sound depends
    on where it stands takes `start`, the frames before the piece. `forward` stands in for the
    vocoder's own call.
    """
    call = vocoder if forward is None else forward
    placed = "start" in inspect.signature(type(vocoder).forward).parameters
    around, hop = context_frames(vocoder), hop_of(vocoder)
    held: Tensor | None = None  # frames from `begun` on
    begun = done = 0

    def piece(stop: int, *, last: bool) -> Tensor:
        high = begun + held.shape[1] if last else stop + around
        where = {"start": begun} if placed else {}
        sound = call(held[:, : high - begun], **where)
        return sound[:, (done - begun) * hop : None if last else (stop - begun) * hop]

    for mel in mels:
        held = mel if held is None else torch.cat([held, mel], 1)
        while begun + held.shape[1] >= done + most + around:
            yield piece(done + most, last=False)
            done += most
            held, begun = held[:, max(0, done - around) - begun :], max(0, done - around)
    if held is None:
        return
    while begun + held.shape[1] > done + most:  # the rest has less context than a piece asks for
        yield piece(done + most, last=False)
        done += most
    yield piece(done, last=True)


def _side(conv: Any) -> int:
    """Give how many of its inputs each side a convolution sees."""
    return int(conv.dilation[0] * (conv.kernel_size[0] - 1) // 2)


def _sides(block: Any) -> int:
    """Give how many samples each side a residual block of HiFi-GAN sees."""
    return sum(_side(conv) for conv in (*block.convs1, *block.convs2))
