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
    rate, heard = 1, float(_side(vocoder.conv_pre))
    each = len(vocoder.resblocks) // len(vocoder.upsampler)
    for stage, upsampler in enumerate(vocoder.upsampler):
        rate *= upsampler.stride[0]
        heard += _spread(upsampler) / rate
        heard += max(_sides(b) for b in vocoder.resblocks[stage * each : (stage + 1) * each]) / rate
    return math.ceil(heard + _side(vocoder.conv_post) / rate)


def sounded(
    vocoder: Any,
    mels: Iterable[Tensor],
    most: int,
    call: Callable[..., Tensor] | None = None,
) -> Iterator[Tensor]:
    """Yield the waveform [B, samples] of mel frames [B, t, bins] that come in blocks.

    No piece is of more than `most` frames. Joined, the pieces are `vocoder(mel)` up to rounding;
    the last one holds what the vocoder adds behind the last frame. A vocoder whose sound depends
    on where it stands takes `start`, the frames before the piece. `call` stands in for the
    vocoder's own call.
    """
    heard = _Heard(vocoder, call or vocoder)
    for mel in mels:
        heard.take(mel)
        while heard.ahead >= most + heard.around:
            yield heard.piece(most)
    while heard.ahead > most:  # the end is near, where there is less around a piece
        yield heard.piece(most)
    if heard.ahead:
        yield heard.piece(None)


class _Heard:
    """The mel frames that are still needed, and how far the sound is."""

    def __init__(self, vocoder: Any, call: Callable[..., Tensor]) -> None:
        self.around = context_frames(vocoder)
        self._call, self._hop = call, hop_of(vocoder)
        self._placed = "start" in inspect.signature(type(vocoder).forward).parameters
        self._frames: Tensor | None = None
        self._begun = self._done = 0  # frames of the whole before what is held, and with sound

    @property
    def ahead(self) -> int:
        """Give the frames that are held and have no sound yet."""
        return 0 if self._frames is None else self._begun + self._frames.shape[1] - self._done

    def take(self, mel: Tensor) -> None:
        self._frames = mel if self._frames is None else torch.cat([self._frames, mel], 1)

    def piece(self, count: int | None) -> Tensor:
        """Make the sound of the next frames, with None of all that are left."""
        if self._frames is None:
            raise ValueError("there is no mel frame to make sound of")
        before = self._done - self._begun
        after = None if count is None else before + count
        heard = self._frames[:, : None if after is None else after + self.around]
        sound = self._call(heard, **({"start": self._begun} if self._placed else {}))
        cut = slice(before * self._hop, None if after is None else after * self._hop)
        self._done += self.ahead if count is None else count
        past = max(0, self._done - self.around) - self._begun
        self._frames, self._begun = self._frames[:, past:], self._begun + past
        return sound[:, cut]


def _side(conv: Any) -> int:
    """Give how many of its inputs each side a convolution sees."""
    return int(conv.dilation[0] * (conv.kernel_size[0] - 1) // 2)


def _spread(upsampler: Any) -> int:
    """Give how many of its outputs before and after its own an input of an upsampler changes."""
    before = upsampler.padding[0]
    return int(max(before, upsampler.kernel_size[0] - upsampler.stride[0] - before))


def _sides(block: Any) -> int:
    """Give how many samples each side a residual block of HiFi-GAN sees."""
    return sum(_side(conv) for conv in (*block.convs1, *block.convs2))
