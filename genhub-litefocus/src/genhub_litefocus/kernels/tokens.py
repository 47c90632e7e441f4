"""Which frequency row and which frame a token belongs to, and tensors seen row by row."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "LAYOUTS",
    "Layout",
    "accumulation_dtype",
    "by_row",
    "coordinates",
    "in_order",
    "rows_5d",
]

Layout = Literal["tf", "ft"]
LAYOUTS = ("tf", "ft")  # time-major, n = t*F + f, and frequency-major, n = f*T + t


def coordinates(tokens: Tensor, frames: int, freq_bins: int, layout: str) -> tuple[Tensor, Tensor]:
    """Give the row (frequency bin) and the frame of token numbers, each in their shape."""
    if layout == "tf":
        return tokens % freq_bins, tokens // freq_bins
    return tokens // frames, tokens % frames


def rows_5d(x: Tensor, freq_bins: int, layout: str) -> Tensor:
    """View `[B, H, N, d]` as `[B, F, H, T, d]`."""
    if layout == "tf":
        return x.unflatten(2, (-1, freq_bins)).permute(0, 3, 1, 2, 4)
    return x.unflatten(2, (freq_bins, -1)).transpose(1, 2)


def by_row(x: Tensor, freq_bins: int, layout: str) -> Tensor:
    """Bring `[B, H, N, d]` to `[B, F*H, T, d]`: every row of every head is one attention problem.

    Without a copy where heads lie beside each other in memory, as projections leave them.
    """
    return rows_5d(x, freq_bins, layout).flatten(1, 2)


def in_order(x: Tensor, freq_bins: int, layout: str) -> Tensor:
    """Undo `by_row`: `[B, F*H, T, d]` to `[B, H, N, d]`."""
    x = x.unflatten(1, (freq_bins, -1))  # [B, F, H, T, d]
    if layout == "tf":
        return x.permute(0, 2, 3, 1, 4).flatten(2, 3)
    return x.transpose(1, 2).flatten(2, 3)


def accumulation_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype to accumulate in: float64 for float64, float32 for all else."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
