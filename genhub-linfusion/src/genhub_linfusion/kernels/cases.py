"""The grid on which kernels of linear attention are held against the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from genhub.api import KernelCase

__all__ = ["cases"]

# Largest difference as a share of the largest entry: the rounding of the result's dtype.
TOLERANCES = {
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 1e-2,
}
SIZES = {  # batch, heads, queries, keys, width
    "one-token": (1, 1, 1, 1, 4),
    "odd": (2, 3, 17, 17, 5),
    "other-keys": (2, 2, 9, 31, 8),
    "many-tokens": (1, 8, 4096, 4096, 40),  # the 64x64 latent of Stable Diffusion 1.5
}


@dataclass(frozen=True)
class _Inputs:
    """Draw q, k, v as a projection would give them, and a mask that hides some keys."""

    size: tuple[int, int, int, int, int]
    dtype: torch.dtype
    layout: str
    masked: bool

    def __call__(self, generator: Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
        batch, heads, queries, keys, width = self.size

        def draw(tokens: int) -> Tensor:
            seen = (tokens, heads) if self.layout == "bnhd" else (heads, tokens)
            return torch.randn((batch, *seen, width), generator=generator).to(self.dtype)

        attrs: dict[str, Any] = {"layout": self.layout}
        tensors = (draw(queries), draw(keys), draw(keys))
        if self.masked:
            attrs["mask"] = torch.rand((batch, keys), generator=generator) > 0.3
            attrs["mask"][:, 0] = True
        return tensors, attrs


def cases() -> Iterator[KernelCase]:
    """Give every size in every dtype and both layouts; masks where keys are padded."""
    for name, size in SIZES.items():
        long = name == "many-tokens"
        for dtype, tolerance in TOLERANCES.items():
            if long and dtype is not torch.float32:
                continue
            for layout in ("bnhd",) if long else ("bnhd", "bhnd"):
                for masked in (False, True) if name == "other-keys" else (False,):
                    words = [name, str(dtype).removeprefix("torch."), layout]
                    label = "-".join([*words, "masked"] if masked else words)
                    yield KernelCase(label, _Inputs(size, dtype, layout, masked), tolerance)
